//! A read under way, which those who ask for the same record share.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{FromRedisValue, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    super::{keys, record},
    Shared, nanos,
    shard::Note,
};
use crate::{id::SessionId, session::SessionRecord, store::StoreError};

/// Where those who wait hear of it.
#[derive(Clone)]
pub(in super::super) struct Landing {
    pub(super) progress: watch::Receiver<Progress>,
    /// For those who joined: until when what it says is good for them. A revocation may have been acknowledged before they came.
    pub(super) until: Option<Instant>,
}

/// What has become of a read.
#[derive(Clone)]
pub(in super::super) enum Progress {
    UnderWay,
    /// It takes so long that the connection may hang: another one is worth a try meanwhile.
    Late,
    Read {
        record: Option<Arc<SessionRecord>>,
        /// Whether a change was heard of while it was under way, or another read has taken its place.
        overtaken: bool,
    },
    Failed,
}

/// What a read gave; what `instead` gives when it failed, or comes first when it is late.
pub(in super::super) async fn landed(
    mut landing: Landing,
    instead: impl Future<Output = Result<Option<SessionRecord>, StoreError>>,
) -> Result<Option<SessionRecord>, StoreError> {
    let owned = |record: Option<Arc<SessionRecord>>| Ok(record.map(Arc::unwrap_or_clone));
    let is_over = |progress: &Progress| matches!(progress, Progress::Read { .. } | Progress::Failed);
    match arrival(&mut landing, |progress| !matches!(progress, Progress::UnderWay)).await {
        Progress::Read { record, .. } => return owned(record),
        Progress::Late => {}
        Progress::UnderWay | Progress::Failed => return instead.await,
    }
    let failure = tokio::select! {
        Progress::Read { record, .. } = arrival(&mut landing, is_over) => return owned(record),
        read = instead => match read {
            Ok(record) => return Ok(record),
            Err(failure) => failure,
        },
    };
    match arrival(&mut landing, is_over).await {
        Progress::Read { record, .. } => owned(record),
        _ => Err(failure),
    }
}

/// What is good for nothing any more has failed.
async fn arrival(landing: &mut Landing, awaited: impl Fn(&Progress) -> bool) -> Progress {
    let until = landing.until;
    let arrival = async {
        let progress = landing.progress.wait_for(|progress| awaited(progress)).await;
        progress.map_or(Progress::Failed, |progress| progress.clone())
    };
    let Some(until) = until else {
        return arrival.await;
    };
    match timeout_at(until, arrival).await {
        Ok(Progress::Read { overtaken: true, .. }) | Err(_) => Progress::Failed,
        // It may have been there for long before it was looked at.
        Ok(progress) if Instant::now() < until => progress,
        Ok(_) => Progress::Failed,
    }
}

/// A read on the tracking thread's runtime, where nobody who hangs up can stop it for the others.
pub(super) async fn fly(
    shared: Arc<Shared>,
    mut connection: MultiplexedConnection,
    id: SessionId,
    note: Note,
    deadline: Duration,
    landing: Landing,
    land: watch::Sender<Progress>,
) {
    let get = keys::get_session(id);
    let reply = connection.send_packed_command(&get);
    tokio::pin!(reply);
    let mut reply_in_time = timeout(deadline / 2, &mut reply).await;
    if reply_in_time.is_err() {
        // Of a connection that was replaced it says nothing about the next one.
        if note.is_of(shared.epoch()) {
            shared.hangs.store(true, Ordering::Relaxed);
        }
        land.send_replace(Progress::Late);
        reply_in_time = timeout(deadline / 2, reply).await;
    }
    let reply = reply_in_time.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    let record = reply
        .map_err(|error| StoreError::from(&error))
        .and_then(|reply| Option::<Vec<u8>>::from_redis_value(reply).map_err(keys::unexpected))
        .and_then(|packed| packed.map(|packed| record::unpack(id, &packed)).transpose())
        .map(|record| record.map(Arc::new));
    let mut shard = shared.shard(id);
    let overtaken = !shard.land(&id, |flight| flight.progress.same_channel(&landing.progress));
    // Negative answers are not kept: the next read may find another one.
    if let Ok(Some(record)) = &record
        && record.revoked_at.is_none()
    {
        let now = shared.now();
        let until = now.saturating_add(nanos(shared.config.max_age));
        shard.insert(note, id, record.clone(), now, until);
    }
    drop(shard);
    // Why it failed they hear from a read of their own.
    land.send_replace(record.map_or(Progress::Failed, |record| Progress::Read { record, overtaken }));
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// What those who wait get after these steps; `Timeout` stands for what they read themselves.
    async fn after(
        until: Option<Instant>,
        steps: impl IntoIterator<Item = Progress>,
        instead: impl Future<Output = Result<Option<SessionRecord>, StoreError>>,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (land, progress) = watch::channel(Progress::UnderWay);
        let landing = Landing { progress, until };
        let steps = async {
            for step in steps {
                land.send_replace(step);
                tokio::task::yield_now().await;
            }
            drop(land);
        };
        let both = async { tokio::join!(steps, landed(landing, instead)).1 };
        timeout(Duration::from_secs(5), both).await.expect("an answer")
    }

    /// There is no such session: told from `Timeout`, which is no answer.
    const NONE: Progress = Progress::Read {
        record: None,
        overtaken: false,
    };
    const OVERTAKEN: Progress = Progress::Read {
        record: None,
        overtaken: true,
    };

    #[tokio::test]
    async fn whichever_answer_comes_first_is_taken() {
        let own = || ready(Err(StoreError::Timeout));
        for until in [None, Some(Instant::now() + Duration::from_secs(60))] {
            assert!(after(until, [NONE], own()).await.is_ok());
            assert!(after(until, [Progress::Failed], own()).await.is_err());
            assert!(after(until, [], own()).await.is_err(), "nobody reads any more");
            assert!(after(until, [Progress::Late], own()).await.is_err());
            assert!(
                after(until, [Progress::Late, Progress::Failed], own())
                    .await
                    .is_err()
            );
            let late = after(until, [Progress::Late, NONE], pending()).await;
            assert!(late.is_ok(), "late, and sooner than their own");
            let late = after(until, [Progress::Late, NONE], own()).await;
            assert!(late.is_ok(), "late, and better than their own");
        }
    }

    /// They might have come after a revocation that the read was too early for.
    #[tokio::test(start_paused = true)]
    async fn who_joined_a_read_takes_nothing_too_old_and_nothing_overtaken() {
        let own = || ready(Err(StoreError::Timeout));
        let now = Instant::now();
        let later = Some(now + Duration::from_millis(1));
        assert!(after(None, [OVERTAKEN], own()).await.is_ok(), "their own");
        assert!(after(later, [OVERTAKEN], own()).await.is_err());
        assert!(after(later, [Progress::Late, OVERTAKEN], own()).await.is_err());
        assert!(after(Some(now), [NONE], own()).await.is_err());
        assert!(after(Some(now), [Progress::Late, NONE], own()).await.is_err());

        let (_land, progress) = watch::channel(Progress::UnderWay);
        let until = later;
        let hanging = landed(Landing { progress, until }, own());
        let answer = timeout(Duration::from_millis(2), hanging).await;
        assert!(answer.expect("in time").is_err(), "nor do they wait for it");
    }
}

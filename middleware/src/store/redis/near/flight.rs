//! A read under way, which those who ask for the same record share.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{FromRedisValue, aio::MultiplexedConnection};
use tokio::{sync::watch, time::timeout};

use super::{
    super::{keys, record},
    Shared, nanos,
    shard::Note,
};
use crate::{id::SessionId, session::SessionRecord, store::StoreError};

/// Where those who wait hear of it.
pub(in super::super) type Landing = watch::Receiver<Progress>;

/// What has become of a read.
#[derive(Clone)]
pub(in super::super) enum Progress {
    UnderWay,
    /// It takes so long that the connection may hang: another one is worth a try meanwhile.
    Late,
    Read(Option<Arc<SessionRecord>>),
    Failed,
}

/// What a read gave; what `instead` gives when it failed, or comes first when it is late.
pub(in super::super) async fn landed(
    mut landing: Landing,
    instead: impl Future<Output = Result<Option<SessionRecord>, StoreError>>,
) -> Result<Option<SessionRecord>, StoreError> {
    let owned = |record: Option<Arc<SessionRecord>>| Ok(record.map(Arc::unwrap_or_clone));
    let is_over = |progress: &Progress| matches!(progress, Progress::Read(_) | Progress::Failed);
    match arrival(&mut landing, |progress| !matches!(progress, Progress::UnderWay)).await {
        Progress::Read(record) => return owned(record),
        Progress::Late => {}
        Progress::UnderWay | Progress::Failed => return instead.await,
    }
    let failure = tokio::select! {
        Progress::Read(record) = arrival(&mut landing, is_over) => return owned(record),
        read = instead => match read {
            Ok(record) => return Ok(record),
            Err(failure) => failure,
        },
    };
    match arrival(&mut landing, is_over).await {
        Progress::Read(record) => owned(record),
        _ => Err(failure),
    }
}

async fn arrival(landing: &mut Landing, awaited: impl Fn(&Progress) -> bool) -> Progress {
    let progress = landing.wait_for(|progress| awaited(progress)).await;
    progress.map_or(Progress::Failed, |progress| progress.clone())
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
    shard.land(&id, |flight| flight.same_channel(&landing));
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
    land.send_replace(record.map_or(Progress::Failed, Progress::Read));
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// What those who wait get after these steps; `Timeout` stands for what they read themselves.
    async fn after(
        steps: impl IntoIterator<Item = Progress>,
        instead: impl Future<Output = Result<Option<SessionRecord>, StoreError>>,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (land, landing) = watch::channel(Progress::UnderWay);
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

    #[tokio::test]
    async fn whichever_answer_comes_first_is_taken() {
        let own = || ready(Err(StoreError::Timeout));
        assert!(after([Progress::Read(None)], own()).await.is_ok());
        assert!(after([Progress::Failed], own()).await.is_err());
        assert!(after([], own()).await.is_err(), "nobody reads any more");
        assert!(after([Progress::Late], own()).await.is_err());
        assert!(after([Progress::Late, Progress::Failed], own()).await.is_err());
        let late = after([Progress::Late, Progress::Read(None)], pending()).await;
        assert!(late.is_ok(), "late, and sooner than their own");
        let late = after([Progress::Late, Progress::Read(None)], own()).await;
        assert!(late.is_ok(), "late, and better than their own");
    }
}

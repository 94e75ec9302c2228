//! A read under way, which those who ask for the same record share.

use std::{
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

/// What a read gave; `None` while it is under way.
pub(in super::super) type Landing = watch::Receiver<Option<Result<Option<SessionRecord>, StoreError>>>;

/// What a read gave. `None` when it failed, or took too long: then the caller asks for itself.
pub(in super::super) async fn landed(mut landing: Landing) -> Option<Option<SessionRecord>> {
    let landed = landing.wait_for(Option::is_some).await.ok()?;
    landed.as_ref()?.as_ref().ok().cloned()
}

/// A read on the tracking thread's runtime, where nobody who hangs up can stop it for the others.
pub(super) async fn fly(
    shared: Arc<Shared>,
    mut connection: MultiplexedConnection,
    id: SessionId,
    note: Note,
    deadline: Duration,
    landing: Landing,
    land: watch::Sender<Option<Result<Option<SessionRecord>, StoreError>>>,
) {
    let get = keys::get_session(id);
    let read = timeout(deadline, connection.send_packed_command(&get)).await;
    let read = match read {
        Ok(reply) => reply
            .map_err(|error| StoreError::from(&error))
            .and_then(|reply| Option::<Vec<u8>>::from_redis_value(reply).map_err(keys::unexpected))
            .and_then(|packed| packed.map(|packed| record::unpack(id, &packed)).transpose()),
        Err(_) => {
            shared.hangs.store(true, Ordering::Relaxed);
            Err(StoreError::Timeout)
        }
    };
    let mut shard = shared.shard(id);
    shard.land(&id, |flight| flight.same_channel(&landing));
    // Negative answers are not kept: the next read may find another one.
    if let Ok(Some(record)) = &read
        && record.revoked_at.is_none()
    {
        let now = shared.now();
        let until = now.saturating_add(nanos(shared.config.max_age));
        shard.insert(note, id, Arc::new(record.clone()), now, until);
    }
    drop(shard);
    land.send_replace(Some(read));
}

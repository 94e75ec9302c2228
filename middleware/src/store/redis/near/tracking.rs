//! The tracking connection: what Redis pushes about changed records, and the pings that keep the lease.
//!
//! It lives on a thread of its own, since a busy runtime would hear of revocations late. Misses are read over the same
//! connection: so what is cached and what is pushed about it come from one server, in one order.

use std::{sync::Weak, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{super::keys, Shared};
use crate::store::redis::supervisor::is_replica;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer to a ping is waited for before the connection is given up. The lease ends on its own, earlier.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_millis(500);

/// Keeps the cache coherent until `stop` is dropped or the cache is.
pub(super) async fn run(cache: Weak<Shared>, client: Client, mut stop: oneshot::Receiver<()>) {
    tokio::select! {
        _ = &mut stop => {}
        () = track(&cache, &client) => {}
    }
    if let Some(cache) = cache.upgrade() {
        cache.lose();
    }
}

async fn track(cache: &Weak<Shared>, client: &Client) {
    let mut backoff = FIRST_BACKOFF;
    let mut known = String::new();
    loop {
        let reason = match timeout(CONNECT_TIMEOUT, connect(cache, client)).await {
            Ok(Ok(connection)) => {
                let Some(shared) = cache.upgrade() else { return };
                shared.begin(connection.clone());
                drop(shared);
                tracing::info!("Redis tracks what is cached of it");
                backoff = FIRST_BACKOFF;
                match keep(cache, connection).await {
                    Some(reason) => reason.to_owned(),
                    None => return,
                }
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer while connecting".to_owned(),
        };
        let Some(shared) = cache.upgrade() else { return };
        shared.lose();
        drop(shared);
        if reason != known {
            tracing::warn!(%reason, "nothing is cached: every request asks Redis");
            known = reason;
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// Connects, and returns once Redis has acknowledged that it tracks.
async fn connect(cache: &Weak<Shared>, client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let listener = cache.clone();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(None)
        .set_push_sender(move |push: PushInfo| {
            if let Some(cache) = listener.upgrade() {
                hear(&cache, &push);
            }
            Ok::<_, SendError>(())
        });
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST");
    tracking.arg("PREFIX").arg(keys::SESSION_PREFIX);
    tracking.exec_async(&mut connection).await?;
    Ok(connection)
}

/// Runs inline, between the bytes before and after the push.
fn hear(cache: &Shared, push: &PushInfo) {
    match push.kind {
        PushKind::Disconnection => cache.lose(),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => cache.invalidate_key(key),
                        _ => cache.reset(),
                    }
                }
            }
            // Everything was flushed; whatever else it may be is taken for the same.
            _ => cache.reset(),
        },
        _ => {}
    }
}

/// Pings as long as the connection lasts, and says why it did not. `None` when nobody uses the cache any more.
///
/// The ping is ROLE: a server that became a replica may be behind with revocations. Where ROLE is forbidden, its refusal is a
/// sign of life too.
async fn keep(cache: &Weak<Shared>, mut connection: MultiplexedConnection) -> Option<&'static str> {
    let mut forbidden = false;
    loop {
        let (sent, epoch, pause) = {
            let cache = cache.upgrade()?;
            (cache.now(), cache.epoch(), cache.config.heartbeat())
        };
        let ping = redis::cmd(if forbidden { "PING" } else { "ROLE" });
        let answer = timeout(PING_TIMEOUT, ping.query_async::<Value>(&mut connection)).await;
        let cache = cache.upgrade()?;
        match answer {
            Err(_) => return Some("no answer to a ping"),
            Ok(Err(error)) if !forbidden && error.code() == Some("NOPERM") => forbidden = true,
            Ok(Err(_)) => return Some("the connection was lost"),
            Ok(role) if is_replica(&role) => return Some("the server is a replica"),
            Ok(Ok(_)) => cache.extend(epoch, sent),
        }
        drop(cache);
        sleep(pause).await;
    }
}

//! Contacting Redis, and the reason if that fails.

use std::{io, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_session_auth::{
    RedisStore,
    store::{RedisServerInfo, RedisStoreConfig, SessionStore as _, StoreHealth},
};

use super::any_certificate;
use crate::config::RedisAddress;

/// The minimum time for the answer: the store then reports why it cannot connect, which takes up to one second.
const CONTACT_LIMIT: Duration = Duration::from_secs(3);
/// The time limit of each step that looks for a reason.
const STEP_LIMIT: Duration = Duration::from_secs(1);

/// Why Redis cannot be used.
pub(super) struct Problem {
    /// The setting to look at.
    pub(super) setting: &'static str,
    pub(super) reason: String,
}

impl Problem {
    fn of_url(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let setting = if reason.contains("sentinel_password") {
            "sentinel_password"
        } else {
            "redis_url"
        };
        Self { setting, reason }
    }

    /// True if the server does not accept a setting. Otherwise it could not be reached, for example.
    pub(super) fn is_of_the_settings(&self) -> bool {
        let refusals = ["NOAUTH", "WRONGPASS", ": write ", ": use "];
        self.setting != "redis_url" || refusals.iter().any(|refusal| self.reason.contains(refusal))
    }
}

/// Asks Redis to describe itself, and checks that it can be used.
///
/// # Errors
/// The reason why it cannot be used.
pub(super) async fn contact(
    config: &RedisStoreConfig,
    address: Option<RedisAddress>,
) -> Result<RedisServerInfo, Problem> {
    let mut config = config.clone();
    config.timeout = config.timeout.max(CONTACT_LIMIT);
    let store = RedisStore::open(&config).map_err(|error| Problem::of_url(error.to_string()))?;
    let error = match store.server_info().await {
        Ok(found) => return check_health(&store).await.map(|()| found),
        Err(error) => error,
    };
    let reason = match address {
        Some(address) => reason(&address).await,
        None => None,
    };
    Err(Problem::of_url(
        reason.map_or_else(|| error.to_string(), ToOwned::to_owned),
    ))
}

/// # Errors
/// If Redis refuses writes, or is not durable and has to be.
async fn check_health(store: &RedisStore) -> Result<(), Problem> {
    match store.health().await {
        Ok(StoreHealth::Ready) => Ok(()),
        Ok(StoreHealth::NotDurable { reason, .. }) => Err(Problem {
            setting: "require_durable_store",
            reason,
        }),
        Ok(StoreHealth::ReadOnly { reason, .. }) => {
            Err(Problem::of_url(format!("it refuses writes: {reason}")))
        }
        Ok(StoreHealth::Partial { reason, .. }) => Err(Problem::of_url(reason)),
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::of_url(error.to_string())),
    }
}

/// The reason if the port expects TLS and the URL does not, or the other way round.
async fn reason(address: &RedisAddress) -> Option<&'static str> {
    if !address.has_tls {
        let has_tls = within_limit(handshake(address)).await.is_ok();
        return has_tls.then_some("the port expects TLS: use rediss://");
    }
    if answers_without_tls(address).await.ok()? {
        return Some("the port has no TLS: use redis://, or the port with TLS");
    }
    let handshake = within_limit(handshake(address)).await;
    handshake
        .is_err()
        .then_some("the TLS handshake did not finish; the port may have no TLS")
}

async fn within_limit<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STEP_LIMIT, step).await?
}

/// True if the server answers a command without TLS. It may refuse it, for want of a password.
async fn answers_without_tls(address: &RedisAddress) -> io::Result<bool> {
    let mut stream = within_limit(connect(address)).await?;
    let answer = async {
        stream.write_all(b"PING\r\n").await?;
        stream.read_u8().await
    };
    let first = within_limit(answer).await;
    Ok(matches!(first, Ok(b'+' | b'-')))
}

async fn handshake(address: &RedisAddress) -> io::Result<()> {
    let config = any_certificate::client_config()?;
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let stream = connect(address).await?;
    TlsConnector::from(config).connect(name, stream).await.map(drop)
}

async fn connect(address: &RedisAddress) -> io::Result<TcpStream> {
    TcpStream::connect((address.host.as_str(), address.port)).await
}

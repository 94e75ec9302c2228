//! The store of the sessions.

use std::{fs, path::Path, time::Duration};

use tower_session_auth::store::{RedisConfigPart, RedisStoreConfig};

use super::{Checks, certificate::needs};
use crate::config::{Settings, Store};

pub(super) fn store(settings: &Settings, checks: &mut Checks<'_>) -> Store {
    let timeout = checks.within(
        "store_timeout_ms",
        settings.store_timeout_ms.unwrap_or(250),
        1,
        60_000,
    );
    let bound = checks.within(
        "freshness_bound_ms",
        settings.freshness_bound_ms.unwrap_or(250),
        50,
        60_000,
    );
    let lease = match settings.master_lease_ms {
        Some(0) => 0,
        lease => checks.within("master_lease_ms", lease.unwrap_or(3_000), 300, 60_000),
    };
    let ack_timeout = checks.within(
        "ack_timeout_ms",
        settings.ack_timeout_ms.unwrap_or(1000),
        10,
        60_000,
    );
    let Some(url) = settings.redis_url.clone() else {
        return Store::Memory;
    };
    let mut config = RedisStoreConfig::new(url);
    config.timeout = Duration::from_millis(timeout);
    config.min_replicas_ack = settings.min_replicas_ack.unwrap_or(0);
    config.ack_local_disk = settings.ack_local_disk.unwrap_or(false);
    config.ack_timeout = Duration::from_millis(ack_timeout);
    config.near_cache.bound = Duration::from_millis(bound);
    config.master_lease = Duration::from_millis(lease);
    config.require_durable_store = settings.require_durable_store.unwrap_or(false);
    config.sentinel_user.clone_from(&settings.sentinel_user);
    config.sentinel_password.clone_from(&settings.sentinel_password);
    config.ca_certificates = read(settings.redis_ca_file.as_deref(), "redis_ca_file", checks);
    config.client_certificate = client_certificate(settings, checks);
    match &settings.redis_key_prefix {
        Some(prefix) if prefix.contains(['{', '}']) => {
            checks.wrong(
                "redis_key_prefix",
                "must not contain { or }: they choose the hash slot of a key",
            );
        }
        prefix => config.key_prefix = prefix.clone().unwrap_or_default(),
    }
    if let Err(error) = config.check() {
        let setting = match error.part() {
            RedisConfigPart::CaCertificates => "redis_ca_file",
            RedisConfigPart::ClientCertificate => "redis_client_cert_file",
            _ => "redis_url",
        };
        checks.wrong(setting, error);
    }
    Store::Redis(config)
}

/// The certificate of this client and its key.
fn client_certificate(settings: &Settings, checks: &mut Checks<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (cert, key) = ("redis_client_cert_file", "redis_client_key_file");
    match (&settings.redis_client_cert_file, &settings.redis_client_key_file) {
        (Some(_), None) => needs(cert, key, checks),
        (None, Some(_)) => needs(key, cert, checks),
        _ => {}
    }
    let certificate = read(settings.redis_client_cert_file.as_deref(), cert, checks);
    certificate.zip(read(settings.redis_client_key_file.as_deref(), key, checks))
}

fn read(file: Option<&Path>, setting: &'static str, checks: &mut Checks<'_>) -> Option<Vec<u8>> {
    let file = file?;
    let content =
        fs::read(file).map_err(|error| checks.wrong(setting, format_args!("{}: {error}", file.display())));
    content.ok()
}

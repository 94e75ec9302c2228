//! The command `inspect`: prints a session's packed record in Redis as JSON.

use super::{Failure, print, runtime};
use crate::config::{Sources, Store};
use serde_json::{Value, json};
use tower_session_auth::{
    RedisStore, SessionId,
    clock::{Clock as _, SystemClock, Timestamp},
    session::{LastRenewal, SessionRecord},
    store::{RedisStoreConfig, SessionStore as _},
};

pub(super) fn run(sources: &Sources, id: SessionId) -> Result<(), Failure> {
    let loaded = sources.load_store()?;
    let Store::Redis(store) = &loaded.config else {
        let missing = loaded.missing("redis_url");
        return Err(Failure::Input(format!(
            "{missing} An embedded store cannot be inspected."
        )));
    };
    let described = runtime()?.block_on(describe(store, id));
    print(&described.map_err(Failure::Other)?)
}

/// Returns the record as JSON. Field names follow the HTTP API.
async fn describe(config: &RedisStoreConfig, id: SessionId) -> Result<String, String> {
    let store = RedisStore::open(config).map_err(|error| error.to_string())?;
    let key = store.session_key(id);
    let record = store.read(id).await.map_err(|error| format!("{key}: {error}"))?;
    let record = record.ok_or_else(|| format!("no session {id}: the key {key} does not exist"))?;
    let described = json(&record, &key, SystemClock.now());
    serde_json::to_string_pretty(&described).map_err(|error| error.to_string())
}

fn json(record: &SessionRecord, key: &str, now: Timestamp) -> Value {
    let hex = |bytes: &[u8; 32]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let renewal = record.last_renewal.as_ref();
    json!({
        "key": key,
        "id": record.id,
        "agentId": record.agent_id,
        "status": record.status(now),
        "tokenSha256": hex(record.token_hash.as_bytes()),
        "previousTokenSha256": renewal.and_then(|renewal| renewal.previous_token_hash).map(|hash| hex(hash.as_bytes())),
        "previousTokenUntil": renewal.filter(|renewal| renewal.previous_token_hash.is_some()).map(LastRenewal::previous_token_until),
        "repeatableUntil": renewal.filter(|renewal| renewal.retry_hash.is_some()).map(LastRenewal::retry_until),
        "onReuse": renewal.map(|renewal| renewal.replaced.on_reuse),
        "generation": record.generation,
        "rotatedGeneration": record.rotated_generation,
        "renewalCount": record.renewal_count(),
        "maxRenewals": record.max_renewals,
        "ttl": record.ttl,
        "createdAt": record.created_at(),
        "lastRenewedAt": record.last_renewed_at(),
        "expiresAt": record.expires_at(),
        "absoluteExpiresAt": record.absolute_expires_at,
        "revokedAt": record.revoked_at,
        "scopes": record.scopes,
        "constraints": record.constraints,
    })
}

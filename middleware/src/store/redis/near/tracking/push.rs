//! The pushes of Redis over the tracking connection.

use redis::{PushInfo, PushKind, Value};

use super::super::state::CacheState;

/// Processes a push. It runs inline, so later replies of the connection are processed after it.
pub(super) fn handle_push(cache: &CacheState, attempt: u64, push: &PushInfo) {
    match push.kind {
        PushKind::Disconnection => cache.tracking_lost(attempt),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => cache.invalidate_key(key),
                        _ => cache.begin_epoch(),
                    }
                }
            }
            // Null: all keys were flushed. Any other value is treated the same.
            _ => cache.begin_epoch(),
        },
        _ => {}
    }
}

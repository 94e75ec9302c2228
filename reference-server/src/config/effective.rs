//! The effective configuration: every setting with its value, and the place that it comes from.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Config, SETTINGS, Settings, Store, redis_url::without_password};

impl Config {
    /// The effective value of each setting, in TOML. `None` stands for a setting without a value, and for a secret.
    #[must_use]
    pub fn effective(&self, settings: &Settings) -> Vec<(&'static str, Option<String>)> {
        let (policy, limits) = (&self.policy, &self.limits);
        let replaced = &policy.replaced_tokens;
        let redis = match &self.store {
            Store::Memory => None,
            Store::Redis(redis) => Some(redis),
        };
        vec![
            ("listen", texts(&self.listen)),
            ("tls_cert_file", settings.tls_cert_file.as_ref().and_then(toml)),
            ("tls_key_file", settings.tls_key_file.as_ref().and_then(toml)),
            (
                "redis_url",
                settings
                    .redis_url
                    .as_deref()
                    .map(without_password)
                    .and_then(|url| toml(&url)),
            ),
            (
                "redis_key_prefix",
                settings.redis_key_prefix.as_ref().and_then(toml),
            ),
            ("redis_ca_file", settings.redis_ca_file.as_ref().and_then(toml)),
            (
                "redis_client_cert_file",
                settings.redis_client_cert_file.as_ref().and_then(toml),
            ),
            (
                "redis_client_key_file",
                settings.redis_client_key_file.as_ref().and_then(toml),
            ),
            ("sentinel_user", settings.sentinel_user.as_ref().and_then(toml)),
            ("sentinel_password", None),
            (
                "master_lease_ms",
                redis.and_then(|redis| toml(&redis.master_lease.as_millis())),
            ),
            ("unready_without_writes", toml(&self.unready_without_writes)),
            (
                "min_replicas_ack",
                redis.and_then(|redis| toml(&redis.min_replicas_ack)),
            ),
            (
                "ack_local_disk",
                redis.and_then(|redis| toml(&redis.ack_local_disk)),
            ),
            (
                "ack_timeout_ms",
                redis.and_then(|redis| toml(&redis.ack_timeout.as_millis())),
            ),
            (
                "require_durable_store",
                redis.and_then(|redis| toml(&redis.require_durable_store)),
            ),
            ("master_password_hash", None),
            (
                "admin_keys_file",
                settings.admin_keys_file.as_ref().and_then(toml),
            ),
            ("key_file", settings.key_file.as_ref().and_then(toml)),
            ("session_ttl", toml(&policy.ttl)),
            ("min_ttl", toml(&policy.min_ttl)),
            ("max_ttl", toml(&policy.max_ttl)),
            ("max_sessions_per_agent", toml(&policy.max_sessions_per_agent)),
            ("on_session_limit", toml(&policy.on_session_limit)),
            ("max_renewals", toml(&policy.max_renewals)),
            ("absolute_lifetime", toml(&policy.absolute_lifetime)),
            ("renewal_retry_window", toml(&replaced.retry_window)),
            ("previous_token_overlap", toml(&replaced.previous_token_overlap)),
            ("on_reuse", toml(&replaced.on_reuse)),
            ("expired_retention", toml(&policy.retention)),
            ("token_prefix", toml(&self.token_prefix)),
            ("token_header", toml(&self.token_header.as_str())),
            ("issuer", toml(&self.issuer)),
            ("audience", self.audience.as_ref().and_then(toml)),
            (
                "resource_url",
                self.resource.as_ref().and_then(|resource| toml(&resource.url())),
            ),
            (
                "store_timeout_ms",
                redis.and_then(|redis| toml(&redis.timeout.as_millis())),
            ),
            ("freshness", toml(&self.freshness)),
            (
                "freshness_bound_ms",
                redis.and_then(|redis| toml(&redis.near_cache.bound.as_millis())),
            ),
            ("request_timeout_ms", toml(&limits.request.as_millis())),
            ("idle_timeout_ms", toml(&limits.idle.as_millis())),
            ("header_timeout_ms", toml(&limits.head.as_millis())),
            ("write_timeout_ms", toml(&limits.write.as_millis())),
            ("max_connection_age_ms", toml(&limits.max_age.as_millis())),
            ("shutdown_delay_ms", toml(&limits.shutdown_delay.as_millis())),
            ("shutdown_timeout_ms", toml(&limits.shutdown.as_millis())),
            ("max_connections", toml(&limits.connections)),
            ("max_connections_per_client", toml(&limits.connections_per_client)),
            ("max_requests", toml(&limits.requests)),
            ("max_http2_streams", toml(&limits.http2_streams)),
            ("trusted_proxies", texts(&self.trusted_proxies.networks())),
            ("log", toml(&self.log)),
            ("log_format", toml(&self.log_format)),
            ("metrics_listen", self.metrics_listen.as_ref().and_then(toml)),
        ]
    }

    /// The effective configuration as a TOML file without secrets. A comment names the origin of each value.
    #[must_use]
    pub fn print(&self, settings: &Settings) -> String {
        let mut text = String::from("# The effective configuration, without secrets.\n");
        for (name, value) in self.effective(settings) {
            let given = settings.origins.get(name).map(ToString::to_string);
            let secret = SETTINGS
                .iter()
                .any(|setting| setting.name == name && setting.secret);
            let origin = given.as_deref().unwrap_or("default");
            // Writing to a string cannot fail.
            let _ = match (value, &given) {
                (Some(value), _) if secret => writeln!(text, "# {name} = {value}  # {origin}"),
                (Some(value), _) => writeln!(text, "{name} = {value}  # {origin}"),
                (None, Some(_)) => writeln!(text, "# {name} is set  # {origin}"),
                (None, None) => writeln!(text, "# {name} is not set"),
            };
        }
        text
    }
}

/// JSON's numbers, strings and lists are TOML too.
fn toml<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

/// `None` for an empty list.
fn texts<T: ToString>(list: &[T]) -> Option<String> {
    let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
    if texts.is_empty() { None } else { toml(&texts) }
}

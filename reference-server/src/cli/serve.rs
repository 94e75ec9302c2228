//! The command `serve`.

use std::sync::Arc;

use tokio::sync::mpsc;
use tower_session_auth::{
    clock::{Clock as _, SystemClock},
    session::OnReuse,
    session_auth::Freshness,
};

use super::{Failure, first_run, print, runtime, signals};
use crate::{
    config::{ListenAddress, Sources, Store},
    logging,
    reload::{self, Reloader},
    serve::{self, Inherited, Listener},
    service,
    start_error::StartError,
    systemd,
};

pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = sources.load()?;
    let reloader = Reloader::new(sources.clone(), &loaded);
    let config = loaded.config;
    let _log = logging::init(&config);
    serve::raise_file_limit(config.limits.connections);
    let inherited = serve::inherited();
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let hang_ups = signals::hang_ups();
        let listeners = listeners(inherited, &config.listen).await?;
        if let Some(generated) = &config.generated {
            let address = listeners.iter().find_map(Listener::tcp_address);
            let plain = address.filter(|_| config.certificate.is_none());
            let announcement = first_run::announcement(generated, plain, &config.policy);
            if print(&announcement).is_err() {
                tracing::warn!(
                    "standard output is closed: the text of a first run was not printed, and neither was a generated \
                     master password"
                );
            }
        }
        if let Store::Memory = config.store {
            tracing::warn!(
                "sessions are kept in memory and end with this process: set redis_url to keep them"
            );
        }
        if let (Store::Memory, Freshness::Bounded) = (&config.store, config.freshness) {
            tracing::warn!("freshness is bounded, which has no effect without a redis_url");
        }
        let replaced = config.policy.replaced_tokens;
        if replaced.on_reuse == OnReuse::Revoke
            && replaced.retry_window == 0
            && replaced.previous_token_overlap == 0
        {
            tracing::warn!(
                "on_reuse is revoke, with no renewal_retry_window and no previous_token_overlap: \
                 a request in flight during a renewal revokes its session"
            );
        }
        let expired = config.expired_admin_keys(&loaded.settings, SystemClock.now());
        for warning in loaded.warnings.iter().chain(&expired) {
            tracing::warn!("{warning}");
        }
        for listener in &listeners {
            tracing::info!(address = %listener, store = config.store.name(), "listening");
        }
        tokio::spawn(systemd::watchdog());
        let (reloads, reloaded) = mpsc::channel(1);
        tokio::spawn(reload::watch(reloader, hang_ups, reloads));
        service::run(
            config,
            Arc::new(SystemClock),
            listeners,
            signals::stop(),
            reloaded,
        )
        .await
        .map_err(|error| match error {
            StartError::Config(errors) => errors.into(),
            error => Failure::other(error),
        })
    });
    // A reload that waits for a file must not delay the end of the process.
    runtime.shutdown_background();
    result
}

/// Listens on the sockets of the service manager, or on the configured addresses if there are none.
async fn listeners(inherited: Inherited, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Failure> {
    let mut listeners = inherited
        .listen()
        .map_err(|error| Failure::Other(format!("cannot use the sockets of the service manager: {error}")))?;
    if listeners.is_empty() {
        for address in addresses {
            let bound = Listener::bind(address).await;
            let bound =
                bound.map_err(|error| Failure::Other(format!("cannot listen on {address}: {error}")))?;
            listeners.extend(bound);
        }
    }
    Ok(listeners)
}

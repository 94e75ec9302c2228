//! The command `serve`.

use std::sync::Arc;

use tokio::{net::TcpListener, sync::mpsc};
use tower_session_auth::{clock::SystemClock, session::OnReuse, session_auth::Freshness};

use super::{Failure, first_run, runtime, signals};
use crate::{
    config::{Sources, Store},
    logging,
    reload::{self, Reloader},
    service,
};

pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = sources.load()?;
    let reloader = Reloader::new(sources.clone(), &loaded);
    let config = loaded.config;
    logging::init(&config);
    runtime()?.block_on(async {
        let hang_ups = signals::hang_ups();
        let cannot_listen = |error| Failure::Other(format!("cannot listen on {}: {error}", config.listen));
        let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        if let Some(generated) = &config.generated {
            first_run::announce(generated, address, &config.policy);
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
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(%address, store = config.store.name(), "listening");
        let (reloads, reloaded) = mpsc::channel(1);
        tokio::spawn(reload::watch(reloader, hang_ups, reloads));
        service::run(config, Arc::new(SystemClock), listener, signals::stop(), reloaded)
            .await
            .map_err(|error| Failure::Input(error.to_string()))
    })
}

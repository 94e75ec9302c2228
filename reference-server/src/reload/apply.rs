use std::convert::Infallible;

use tokio::sync::mpsc;
use tower_session_auth::{
    MasterAuthLayer, SessionAuthority,
    master_auth::{CredentialChange, TrustedProxies},
    store::{AgentStore, SessionStore},
};

use super::Reload;
use crate::{
    config::Config,
    metrics::{ReloadMetrics, Reloaded},
    systemd,
    tls::CurrentCertificate,
};

/// The parts of a running server that a reload changes.
pub(crate) struct Reloadable<S: SessionStore> {
    pub(crate) authority: SessionAuthority<S>,
    pub(crate) admin: MasterAuthLayer,
    pub(crate) proxies: TrustedProxies,
    pub(crate) certificate: Option<CurrentCertificate>,
    pub(crate) metrics: ReloadMetrics,
}

impl<S: SessionStore + AgentStore> Reloadable<S> {
    /// Applies each new configuration. Never returns, even after the sender is dropped.
    pub(crate) async fn apply(self, mut reloads: mpsc::Receiver<Reload>) -> Infallible {
        while let Some(reload) = reloads.recv().await {
            systemd::reloading();
            let outcome = match reload {
                Reload::New(config) => self.replace(&config),
                Reload::Rejected => Reloaded::Rejected,
            };
            self.metrics.ended(outcome);
            systemd::ready();
        }
        std::future::pending().await
    }

    /// Replaces everything. No step can fail, since the configuration was checked.
    fn replace(&self, config: &Config) -> Reloaded {
        log_credentials(&self.admin.replace_credentials(config.admin_credentials()));
        let change = self.authority.set_keys(&config.keys);
        if !change.removed.is_empty() {
            tracing::warn!(%change, "keys were removed: their tokens are rejected from now on");
        } else if !change.keeps_all_requests() {
            tracing::warn!(%change, "the new keys may lose requests");
        } else if !change.is_empty() {
            tracing::info!(%change, "the keys have changed");
        }
        if let (Some(current), Some(certificate)) = (&self.certificate, &config.certificate) {
            current.replace(certificate.clone());
        }
        self.proxies.set(config.trusted_proxies.networks().to_vec());
        tracing::info!("configuration reloaded");
        Reloaded::Applied
    }
}

/// One line for each administrator, with the name alone.
fn log_credentials(change: &CredentialChange) {
    for administrator in &change.added {
        tracing::info!(administrator, "administrator added");
    }
    for administrator in &change.removed {
        tracing::info!(administrator, "administrator removed");
    }
    for administrator in &change.changed {
        tracing::info!(administrator, "administrator changed");
    }
    if change.master_password {
        tracing::info!("master password changed");
    }
}

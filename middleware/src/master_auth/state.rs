//! The state that a layer, its clones and its services share.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::{
    CredentialChange, Credentials,
    argon2_threads::{Argon2Threads, overloaded},
    clients::Clients,
    job::{Job, Verdict},
    lowest_priority,
    password::{MasterPassword, PasswordId},
    queue::ClientStatus,
};
use crate::{
    clock::{Clock, Timestamp},
    error::{AuthError, ErrorKind, RejectionReason},
    sync::lock,
};

/// The target of log events about security.
pub(super) const SECURITY: &str = "tower_session_auth::security";

pub(super) struct Shared {
    pub(super) credentials: ArcSwap<Credentials>,
    pub(super) threads: Arc<Argon2Threads>,
    clients: Mutex<Clients>,
    warned_without_client_addr: AtomicBool,
}

/// The result of the checks that do not need Argon2.
pub(super) enum Precheck {
    Verified,
    Waiting(oneshot::Receiver<Verdict>),
}

impl Shared {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials: ArcSwap::from_pointee(credentials),
            threads: Arc::new(Argon2Threads::new()),
            clients: Mutex::default(),
            warned_without_client_addr: AtomicBool::new(false),
        }
    }

    pub(super) fn replace_credentials(&self, credentials: Credentials) -> CredentialChange {
        let mut change = CredentialChange::default();
        self.credentials.rcu(|before| {
            let now = credentials.clone().keep_password_of(before);
            change = CredentialChange::new(before, &now);
            now
        });
        change
    }

    /// Rules 4 to 6 for a master password. The result of rule 7 arrives through the channel.
    pub(super) fn begin(
        self: &Arc<Self>,
        password: &[u8],
        client: Option<IpAddr>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Precheck, AuthError> {
        let now = clock.now();
        self.check_lock(client, now)?;
        let credentials = self.credentials.load();
        let Some(master) = &credentials.password else {
            let error = AuthError::new(ErrorKind::InvalidMasterPassword);
            return Err(error.with_reason(RejectionReason::NoMasterPassword));
        };
        if master.is_cached(password, now) {
            self.verified(client, master.id, now);
            return Ok(Precheck::Verified);
        }
        let status = client.map_or_else(ClientStatus::default, |client| {
            self.clients().status(client, master.id, now)
        });
        let (job, verdict) = Job::new(password, client, status, clock.clone());
        let shared = self.clone();
        self.threads.submit(job, move |job| {
            let verdict = shared.verify(&job);
            job.answer(&verdict);
        });
        Ok(Precheck::Waiting(verdict))
    }

    /// Rule 7, on a thread for Argon2. A failure counts even if the request was cancelled meanwhile.
    fn verify(&self, job: &Job) -> Verdict {
        // During the wait, another request may have locked the address or verified the password.
        self.check_lock(job.client, job.clock.now())?;
        if let Some(password) = self.matching(job)? {
            self.verified(job.client, password, job.clock.now());
            return Ok(());
        }
        if let Some(client) = job.client {
            self.clients().lockout.failed(client, job.clock.now());
        }
        let client = job.client.map(tracing::field::display);
        // The rejection is logged where it is answered. This line is for a client that did not wait for the answer.
        job.span
            .in_scope(|| tracing::debug!(target: SECURITY, client, "wrong master password"));
        Err(ErrorKind::InvalidMasterPassword.into())
    }

    /// Verifies against the hash that is configured when the computation ends. Returns the id of the password if it matches.
    fn matching(&self, job: &Job) -> Result<Option<PasswordId>, AuthError> {
        loop {
            let credentials = self.credentials.load_full();
            let matching = match &credentials.password {
                Some(master) if master.is_cached(&job.password, job.clock.now()) => Some(master.id),
                Some(master) => self.hash(master, job)?.then_some(master.id),
                None => None,
            };
            if credentials.has_password_of(&self.credentials.load()) {
                return Ok(matching);
            }
        }
    }

    /// Runs Argon2. A client whose password was verified recently is not slowed down by the load of the machine.
    fn hash(&self, master: &MasterPassword, job: &Job) -> Result<bool, AuthError> {
        let now = job.clock.now();
        let mut memory = master.take_memory();
        let right = if job.status.verified_recently {
            master.matches(&job.password, &mut memory)
        } else {
            let hash = || master.matches(&job.password, &mut memory);
            lowest_priority::compute(hash).or_else(|error| {
                tracing::error!(%error, "cannot start a thread for Argon2");
                overloaded().map(|()| false)
            })?
        };
        master.return_memory(memory);
        if right {
            master.cache(&job.password, now);
        }
        self.threads.metrics.ran(right);
        Ok(right)
    }

    fn verified(&self, client: Option<IpAddr>, password: PasswordId, now: Timestamp) {
        if let Some(client) = client {
            self.clients().verified(client, password, now);
        }
    }

    fn check_lock(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), AuthError> {
        let Some(client) = client else {
            return Ok(());
        };
        let locked = self.clients().lockout.check(client, now);
        locked.map_err(|seconds| AuthError::new(ErrorKind::MasterPasswordLocked).with_retry_after(seconds))
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        lock(&self.clients)
    }

    /// Logs the missing address of a client, once per layer and its clones.
    pub(super) fn warn_once_without_client_addr(&self) {
        let warned = &self.warned_without_client_addr;
        // The load keeps the shared cache line clean on the hot path.
        if !warned.load(Ordering::Relaxed) && !warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request has no ClientAddr extension: wrong master passwords lock no address; \
                 add a ClientAddrLayer outside of MasterAuthLayer"
            );
        }
    }
}

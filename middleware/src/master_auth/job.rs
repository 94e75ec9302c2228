//! A request whose master password waits for Argon2.

use std::{net::IpAddr, sync::Arc};

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tracing::Span;

use super::{ClientAddr, queue::ClientStatus};
use crate::{clock::Clock, error::AuthError};

/// A request whose password waits for Argon2. When the computation begins, it takes the waiting requests of the same client with the same
/// password.
pub(super) struct Job {
    pub(super) password: Vec<u8>,
    pub(super) client: Option<IpAddr>,
    pub(super) status: ClientStatus,
    pub(super) clock: Arc<dyn Clock>,
    /// The span of the first request, for log lines of the thread.
    pub(super) span: Span,
    /// The requests that wait for the result.
    waiting: Vec<oneshot::Sender<Verdict>>,
}

/// The result of a computation.
pub(super) type Verdict = Result<(), AuthError>;

impl Job {
    pub(super) fn new(
        password: &[u8],
        client: Option<IpAddr>,
        status: ClientStatus,
        clock: Arc<dyn Clock>,
    ) -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        let job = Self {
            password: password.to_vec(),
            client,
            status,
            clock,
            span: Span::current(),
            waiting: vec![sender],
        };
        (job, receiver)
    }

    /// The network of the client: the unit of the queue's shares.
    pub(super) fn network(&self) -> Option<IpAddr> {
        self.client.map(|client| ClientAddr(client).network())
    }

    /// Compares in constant time.
    pub(super) fn has_password_of(&self, other: &Self) -> bool {
        self.password.ct_eq(&other.password).into()
    }

    /// Takes the requests of a job with the same password.
    pub(super) fn share(&mut self, other: Self) {
        self.waiting.extend(other.waiting);
    }

    pub(super) fn answer(self, verdict: &Verdict) {
        for waiting in self.waiting {
            // An error means that the request was cancelled.
            let _ = waiting.send(verdict.clone());
        }
    }

    /// True if all of its requests were cancelled.
    pub(super) fn is_abandoned(&self) -> bool {
        self.waiting.iter().all(oneshot::Sender::is_closed)
    }
}

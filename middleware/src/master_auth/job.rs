//! A master password that waits for Argon2, with the requests that wait for its verdict.

use std::{net::IpAddr, sync::Arc};

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tracing::Span;

use super::queue::Standing;
use crate::{clock::Clock, error::AuthError};

/// The maximum number of requests that share a computation. Each of them holds a connection of the server while it waits.
pub(super) const MAX_SHARED: usize = 128;

/// A password that waits for Argon2.
pub(super) struct Job {
    pub(super) password: Vec<u8>,
    pub(super) client: Option<IpAddr>,
    pub(super) standing: Standing,
    pub(super) clock: Arc<dyn Clock>,
    /// The span of the first request, for log lines of the thread.
    pub(super) span: Span,
    /// The requests that wait for the result. More than one if a client sent the same password several times at once.
    waiting: Vec<oneshot::Sender<Verdict>>,
}

/// The result of a computation.
pub(super) type Verdict = Result<(), AuthError>;

impl Job {
    pub(super) fn new(
        password: &[u8],
        client: Option<IpAddr>,
        standing: Standing,
        clock: Arc<dyn Clock>,
    ) -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        let job = Self {
            password: password.to_vec(),
            client,
            standing,
            clock,
            span: Span::current(),
            waiting: vec![sender],
        };
        (job, receiver)
    }

    /// Compares in constant time.
    pub(super) fn has_password_of(&self, other: &Self) -> bool {
        self.password.ct_eq(&other.password).into()
    }

    /// Takes the requests of a job with the same password. Returns that job if it has too many.
    pub(super) fn share(&mut self, mut other: Self) -> Option<Self> {
        self.waiting.retain(|request| !request.is_closed());
        if self.waiting.len() >= MAX_SHARED {
            return Some(other);
        }
        self.waiting.append(&mut other.waiting);
        None
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

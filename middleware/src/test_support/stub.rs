//! [`Stub`]: a store with scripted answers to reads. Every other call fails.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;

use crate::{
    AgentId, SessionId,
    clock::Timestamp,
    session::SessionRecord,
    store::{
        AgentRevoked, CachedStore, CreateOutcome, NearCacheStats, NewSession, Page, PageRequest, Revoked,
        SessionCursor, SessionStore, StoreError, SwapOutcome, TokenSwap,
    },
};

pub(crate) type Answer = Result<Option<SessionRecord>, StoreError>;

#[derive(Clone)]
pub(crate) struct Stub {
    state: Arc<Mutex<State>>,
}

struct State {
    answer: Option<Answer>,
    /// The error of every call except reads. Without it, those calls fail with the error of the reads.
    failure: Option<StoreError>,
    cached: Option<Arc<SessionRecord>>,
    cache_failure: Option<StoreError>,
    reads: Vec<SessionId>,
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Stub {
    fn with(answer: Option<Answer>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                answer,
                failure: None,
                cached: None,
                cache_failure: None,
                reads: Vec::new(),
                waiting: Vec::new(),
            })),
        }
    }

    /// Gives the same answer to every read.
    pub(crate) fn answering(answer: Answer) -> Self {
        Self::with(Some(answer))
    }

    /// Gives the same answer to every read. Every other call fails with `failure`.
    pub(crate) fn failing_after(answer: Answer, failure: StoreError) -> Self {
        let stub = Self::with(Some(answer));
        stub.state.lock().unwrap().failure = Some(failure);
        stub
    }

    /// Puts a record into the near cache.
    pub(crate) fn with_cached(self, record: SessionRecord) -> Self {
        self.state.lock().unwrap().cached = Some(Arc::new(record));
        self
    }

    /// Makes `enable_cache` fail.
    pub(crate) fn failing_to_enable_cache(self, failure: StoreError) -> Self {
        self.state.lock().unwrap().cache_failure = Some(failure);
        self
    }

    /// Answers no read until [`release`](Self::release).
    pub(crate) fn silent() -> Self {
        Self::with(None)
    }

    /// The reads so far.
    pub(crate) fn reads(&self) -> Vec<SessionId> {
        self.state.lock().unwrap().reads.clone()
    }

    /// The number of reads whose caller still waits.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.waiting.iter().filter(|sender| !sender.is_closed()).count()
    }

    fn fail<T>(&self) -> Result<T, StoreError> {
        let state = self.state.lock().unwrap();
        match (&state.failure, &state.answer) {
            (Some(error), _) | (None, Some(Err(error))) => Err(error.clone()),
            _ => unreachable!("a layer only reads"),
        }
    }

    /// Answers all waiting reads.
    pub(crate) fn release(&self, answer: &Answer) {
        for sender in self.state.lock().unwrap().waiting.drain(..) {
            let _ = sender.send(answer.clone());
        }
    }
}

impl SessionStore for Stub {
    type Read = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn read(&self, id: SessionId) -> Self::Read {
        let mut state = self.state.lock().unwrap();
        state.reads.push(id);
        if let Some(answer) = state.answer.clone() {
            return Box::pin(async { answer });
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push(sender);
        Box::pin(async { receiver.await.unwrap() })
    }

    async fn create(&self, _: &NewSession) -> Result<CreateOutcome, StoreError> {
        self.fail()
    }

    async fn replace_token(&self, _: &TokenSwap) -> Result<SwapOutcome, StoreError> {
        self.fail()
    }

    async fn revoke(&self, _: SessionId, _: Timestamp) -> Result<Option<Revoked>, StoreError> {
        self.fail()
    }

    async fn revoke_agent(&self, _: AgentId, _: Timestamp) -> Result<AgentRevoked, StoreError> {
        self.fail()
    }

    async fn list(
        &self,
        _: Option<AgentId>,
        _: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.fail()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.fail()
    }
}

impl CachedStore for Stub {
    fn enable_cache(&self) -> Result<(), StoreError> {
        match &self.state.lock().unwrap().cache_failure {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        let cached = self.state.lock().unwrap().cached.clone();
        cached.filter(|record| record.id == id)
    }

    fn read_through(&self, id: SessionId) -> Self::Read {
        self.read(id)
    }

    fn cache_stats(&self) -> Option<NearCacheStats> {
        None
    }
}

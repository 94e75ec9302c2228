//! A store that answers reads as it is told to; asked for anything else it can only fail.

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
        CachedStore, CreateOutcome, NearCacheStats, NewSession, Page, PageRequest, SessionCursor,
        SessionStore, StoreError, SwapOutcome, TokenSwap,
    },
};

pub(crate) type Answer = Result<Option<SessionRecord>, StoreError>;

#[derive(Clone)]
pub(crate) struct Stub {
    state: Arc<Mutex<State>>,
}

struct State {
    answer: Option<Answer>,
    /// What everything but a read fails with, if not with the error of the reads.
    failure: Option<StoreError>,
    held: Option<Arc<SessionRecord>>,
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
                held: None,
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

    /// Gives the same answer to every read and fails at everything else.
    pub(crate) fn failing_after(answer: Answer, failure: StoreError) -> Self {
        let stub = Self::with(Some(answer));
        stub.state.lock().unwrap().failure = Some(failure);
        stub
    }

    /// Has a record in memory.
    pub(crate) fn holding(self, record: SessionRecord) -> Self {
        self.state.lock().unwrap().held = Some(Arc::new(record));
        self
    }

    /// Fails to start its cache.
    pub(crate) fn without_cache(self, failure: StoreError) -> Self {
        self.state.lock().unwrap().cache_failure = Some(failure);
        self
    }

    /// Leaves every read without an answer until [`release`](Self::release).
    pub(crate) fn silent() -> Self {
        Self::with(None)
    }

    /// The reads so far.
    pub(crate) fn reads(&self) -> Vec<SessionId> {
        self.state.lock().unwrap().reads.clone()
    }

    /// How many reads somebody still waits for.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.waiting.iter().filter(|sender| !sender.is_closed()).count()
    }

    fn fail<T>(&self) -> Result<T, StoreError> {
        let state = self.state.lock().unwrap();
        match (&state.failure, &state.answer) {
            (Some(error), _) | (None, Some(Err(error))) => Err(error.clone()),
            _ => unreachable!("the layers only read"),
        }
    }

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

    async fn revoke(&self, _: SessionId, _: Timestamp) -> Result<bool, StoreError> {
        self.fail()
    }

    async fn revoke_agent(&self, _: AgentId, _: Timestamp) -> Result<u32, StoreError> {
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
        let held = self.state.lock().unwrap().held.clone();
        held.filter(|held| held.id == id)
    }

    fn read_through(&self, id: SessionId) -> Self::Read {
        self.read(id)
    }

    fn cache_stats(&self) -> Option<NearCacheStats> {
        None
    }
}

//! What an agent must not forget, and where it keeps it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tower::BoxError;

use crate::{clock::Timestamp, id::SessionId, session::IdempotencyKey, token::SessionToken};

/// A session as its agent keeps it. In JSON it is what the server answers to `POST /v1/sessions`, with a `pendingKey` while a
/// renewal is under way; further members do not count. It holds the token: keep it where nobody else can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SavedSession {
    /// The session.
    pub id: SessionId,
    /// Its current token, as far as its agent knows.
    #[serde(serialize_with = "expose", deserialize_with = "receive")]
    pub token: SessionToken,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// When to renew it.
    pub renew_after: Timestamp,
    /// The key of the renewal that is under way.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_key"
    )]
    pub pending_key: Option<IdempotencyKey>,
}

impl SavedSession {
    /// A session with no renewal under way.
    #[must_use]
    pub const fn new(
        id: SessionId,
        token: SessionToken,
        expires_at: Timestamp,
        renew_after: Timestamp,
    ) -> Self {
        Self {
            id,
            token,
            expires_at,
            renew_after,
            pending_key: None,
        }
    }
}

fn expose<S: Serializer>(token: &SessionToken, serializer: S) -> Result<S::Ok, S::Error> {
    token.expose().serialize(serializer)
}

fn expose_key<S: Serializer>(key: &Option<IdempotencyKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(IdempotencyKey::expose).serialize(serializer)
}

fn receive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SessionToken, D::Error> {
    String::deserialize(deserializer).map(SessionToken::from_bearer)
}

/// Keeps a session, so that a crash at any point loses nothing. [`FileStorage`](super::FileStorage) does; for a database it is
/// one row.
///
/// A [`ClientSession`](super::ClientSession) saves the key of a renewal before it sends it, and the new token before it uses
/// it. What fails is tried again; nothing is sent or used before it is saved.
pub trait SessionStorage: Send + Sync + 'static {
    /// Reads what was saved last, here or by a sibling process.
    fn load(&self) -> impl Future<Output = Result<SavedSession, BoxError>> + Send;

    /// Saves `next` if what is saved still equals `expected`, in one atomic step, and answers what is saved then: `next`, or what
    /// a sibling has saved. When it returns, `next` must survive a crash.
    ///
    /// The comparison matters only where several processes share the session.
    fn replace(
        &self,
        expected: &SavedSession,
        next: &SavedSession,
    ) -> impl Future<Output = Result<SavedSession, BoxError>> + Send;
}

/// Keeps a session in memory, for processes that may lose it when they stop. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStorage(Arc<Mutex<SavedSession>>);

impl MemoryStorage {
    /// Keeps this session.
    #[must_use]
    pub fn new(session: SavedSession) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }
}

impl SessionStorage for MemoryStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved == *expected {
            saved.clone_from(next);
        }
        Ok(saved.clone())
    }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<SavedSession, BoxError>> + Send + 'a>>;

/// A [`SessionStorage`] whose type does not matter.
pub(super) trait Storage: Send + Sync {
    fn load(&self) -> Pending<'_>;
    fn replace<'a>(&'a self, expected: &'a SavedSession, next: &'a SavedSession) -> Pending<'a>;
}

impl<S: SessionStorage> Storage for S {
    fn load(&self) -> Pending<'_> {
        Box::pin(SessionStorage::load(self))
    }

    fn replace<'a>(&'a self, expected: &'a SavedSession, next: &'a SavedSession) -> Pending<'a> {
        Box::pin(SessionStorage::replace(self, expected, next))
    }
}

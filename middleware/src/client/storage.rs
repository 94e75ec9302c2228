//! The session as its agent stores it, and the storages.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tower::BoxError;

use crate::{clock::Timestamp, id::SessionId, session::IdempotencyKey, sync::lock, token::SessionToken};

/// A session as its agent stores it.
///
/// Its JSON form is the server's response to `POST /v1/sessions`. A `pendingKey` is added while a renewal is in progress, and
/// other members are ignored. It contains the token: store it where only the agent can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SavedSession {
    /// The session's id.
    pub id: SessionId,
    /// The last token that the agent received.
    #[serde(serialize_with = "expose", deserialize_with = "receive")]
    pub token: SessionToken,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// When the agent should renew the session.
    pub renew_after: Timestamp,
    /// The idempotency key of the renewal that is in progress.
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

/// Stores a session, so that a crash at any point loses nothing if the storage survives it.
///
/// [`FileStorage`](super::FileStorage) stores it in a file, [`MemoryStorage`] in memory. In a database it is one row.
///
/// A [`ClientSession`](super::ClientSession) saves the key of a renewal before it sends it, and the new token before it uses it. It
/// repeats a call that fails.
pub trait SessionStorage: Send + Sync + 'static {
    /// Reads the session that this process or a sibling saved last.
    fn load(&self) -> impl Future<Output = Result<SavedSession, BoxError>> + Send;

    /// Saves `next` if the stored session still equals `expected`, in one atomic step. Returns the session that is stored
    /// afterwards: `next`, or the one that a sibling has saved. `next` must survive a crash once the call returns.
    ///
    /// The comparison matters only if several processes share the session.
    fn replace(
        &self,
        expected: &SavedSession,
        next: &SavedSession,
    ) -> impl Future<Output = Result<SavedSession, BoxError>> + Send;

    /// Checks that [`replace`](Self::replace) can succeed, without a change of the stored session.
    /// [`ClientSessionBuilder::open`](super::ClientSessionBuilder::open) calls it once. The default implementation checks
    /// nothing.
    fn check(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        async { Ok(()) }
    }
}

/// Stores a session in memory, for processes that may lose it when they stop. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStorage(Arc<Mutex<SavedSession>>);

impl MemoryStorage {
    /// Stores this session.
    #[must_use]
    pub fn new(session: SavedSession) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }
}

impl SessionStorage for MemoryStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        Ok(lock(&self.0).clone())
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        let mut saved = lock(&self.0);
        if *saved == *expected {
            saved.clone_from(next);
        }
        Ok(saved.clone())
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// [`SessionStorage`] with boxed futures, so that the session's type does not depend on its storage.
pub(super) trait DynStorage: Send + Sync {
    fn load(&self) -> BoxFuture<'_, SavedSession>;
    fn replace<'a>(
        &'a self,
        expected: &'a SavedSession,
        next: &'a SavedSession,
    ) -> BoxFuture<'a, SavedSession>;
}

impl<S: SessionStorage> DynStorage for S {
    fn load(&self) -> BoxFuture<'_, SavedSession> {
        Box::pin(SessionStorage::load(self))
    }

    fn replace<'a>(
        &'a self,
        expected: &'a SavedSession,
        next: &'a SavedSession,
    ) -> BoxFuture<'a, SavedSession> {
        Box::pin(SessionStorage::replace(self, expected, next))
    }
}

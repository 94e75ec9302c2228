//! Storages that fail or hang.

use super::*;

/// A storage that fails after a number of operations.
#[derive(Clone)]
struct FailingStorage {
    inner: MemoryStorage,
    /// The number of writes that still succeed.
    writes: Arc<AtomicU32>,
    failed_writes: Arc<AtomicU32>,
    /// The number of loads that still succeed.
    loads: Arc<AtomicU32>,
}

impl FailingStorage {
    fn new(writes: u32, loads: u32) -> Self {
        Self {
            inner: MemoryStorage::new(saved("1", 0)),
            writes: Arc::new(AtomicU32::new(writes)),
            failed_writes: Arc::default(),
            loads: Arc::new(AtomicU32::new(loads)),
        }
    }

    async fn until_failed(&self, writes: u32) {
        while self.failed_writes.load(Ordering::SeqCst) < writes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn take_one(left: &AtomicU32) -> Result<u32, u32> {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
}

impl SessionStorage for FailingStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        take_one(&self.loads).map_err(|_| "cannot read")?;
        self.inner.load().await
    }

    async fn replace(&self, expected: &SavedSession, next: &SavedSession) -> Result<SavedSession, BoxError> {
        if take_one(&self.writes).is_err() {
            self.failed_writes.fetch_add(1, Ordering::SeqCst);
            return Err("no space left".into());
        }
        self.inner.replace(expected, next).await
    }
}

#[tokio::test(start_paused = true)]
async fn key_is_saved_before_it_is_sent_and_token_before_it_is_used() {
    let (server, clock, storage) = (Server::default(), clock(), FailingStorage::new(0, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(60));
    assert_eq!(session.token().await.unwrap().expose(), "1");
    storage.until_failed(3).await;
    assert_eq!(server.renewals(), 0);

    // The key is saved now, and the token is not.
    storage.writes.store(1, Ordering::SeqCst);
    storage.until_failed(6).await;
    assert_eq!(server.renewals(), 1);
    let waiting = tokio::time::timeout(Duration::from_secs(1), session.token());
    assert!(
        waiting.await.is_err(),
        "the old token is replaced, the new one is not saved"
    );
    storage.writes.store(1, Ordering::SeqCst);
    assert_eq!(session.token().await.unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn storage_that_cannot_be_read_does_not_end_the_session() {
    let (server, clock, storage) = (Server::default(), clock(), FailingStorage::new(1_000, 2));
    let session = server.open(&clock, storage.clone()).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::SessionRenewalMismatch];
    clock.set(NOW.plus(60));
    let renewing = tokio::spawn(async move { session.fresh_token().await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!renewing.is_finished());
    // Meanwhile a sibling has saved its new token.
    let before = storage.inner.load().await.unwrap();
    storage.inner.replace(&before, &saved("2", 60)).await.unwrap();
    storage.loads.store(1_000, Ordering::SeqCst);
    assert_eq!(renewing.await.unwrap().unwrap().expose(), "2");
    assert_eq!(server.renewals(), 0);
}

#[tokio::test(start_paused = true)]
async fn new_token_is_saved_although_the_old_one_was_written_back_without_the_key() {
    let (server, clock, storage) = (Server::default(), clock(), FailingStorage::new(1, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(60));
    let renewing = tokio::spawn(async move { session.fresh_token().await });
    storage.until_failed(1).await;
    let pending = storage.inner.load().await.unwrap();
    storage.inner.replace(&pending, &saved("1", 0)).await.unwrap();
    storage.writes.store(10, Ordering::SeqCst);
    assert_eq!(renewing.await.unwrap().unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn postponed_renewal_makes_requests_read_no_storage() {
    let (server, clock, storage) = (Server::default(), clock(), FailingStorage::new(1_000, 1_000));
    let session = server.open(&clock, storage.clone()).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::RenewalTooEarly];
    clock.set(NOW.plus(60 + 39));
    assert_eq!(session.fresh_token().await.unwrap().expose(), "1");
    let left = storage.loads.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(session.token().await.unwrap().expose(), "1");
    }
    assert_eq!(storage.loads.load(Ordering::SeqCst), left);
}

/// A storage that answers the first load and nothing else.
struct HangingStorage(AtomicU32);

impl SessionStorage for HangingStorage {
    async fn load(&self) -> Result<SavedSession, BoxError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(saved("1", 0)),
            _ => std::future::pending().await,
        }
    }

    async fn replace(&self, _: &SavedSession, _: &SavedSession) -> Result<SavedSession, BoxError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn storage_that_hangs_ends_the_session_when_its_token_expires() {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, HangingStorage(AtomicU32::new(0))).await;
    clock.set(NOW.plus(TTL));
    assert_eq!(session.token().await.unwrap_err(), SessionOver::Expired);
}

#[tokio::test(start_paused = true)]
async fn renewal_without_handles_makes_no_further_attempts() {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 100];
    clock.set(NOW.plus(60));
    let _ = session.token().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(session);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let left = server.rejections.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.rejections.lock().unwrap().len(), left);
}

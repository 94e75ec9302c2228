//! Session records in this process's memory, kept coherent by Redis' server-assisted client side caching.

mod config;
mod flight;
mod shard;
mod tracking;

pub use config::NearCacheConfig;
use flight::Progress;
pub(super) use flight::{Landing, landed};

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use redis::{Client, aio::MultiplexedConnection};
use tokio::{
    runtime::{self, Handle},
    sync::{oneshot, watch},
    time::Instant,
};

use self::shard::{Nanos, Shard};
use super::{keys, observer::Observer};
use crate::{
    id::SessionId,
    session::SessionRecord,
    store::{CacheRead, NearCacheStats},
};

/// Locks are held for a lookup each; so many keep cores out of each other's way, and a push makes few reads of others void. More
/// of them would not stay in a processor's cache.
const SHARDS: usize = 64;

/// A cache with its tracking thread, which ends with it.
pub(super) struct NearCache {
    shared: Arc<Shared>,
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    config: NearCacheConfig,
    base: Instant,
    shards: Vec<Mutex<Shard<SessionId, SessionRecord, Landing>>>,
    epoch: AtomicU64,
    tracked: Mutex<Option<Tracked>>,
    /// Whether a read over it was not answered in time, and no ping has been since.
    hangs: AtomicBool,
    /// The store's own connection.
    own: Observer,
    counts: Counts,
}

/// A tracking connection: misses are read over it.
#[derive(Clone)]
struct Tracked {
    /// Counts the attempts to connect.
    number: u64,
    connection: MultiplexedConnection,
    /// The epoch of the store's own connection, which leads to the same server.
    own: u64,
}

#[derive(Default)]
struct Counts {
    misses: AtomicU64,
    bypassed: AtomicU64,
    invalidations: AtomicU64,
    losses: AtomicU64,
}

impl NearCache {
    /// Starts to connect, on a thread of its own.
    pub(super) fn start(client: Client, own: Observer, config: NearCacheConfig) -> io::Result<Self> {
        // Each has room, so that no session misses for ever.
        let share = config.capacity.div_ceil(SHARDS);
        let shared = Arc::new(Shared {
            config,
            base: Instant::now(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(share))).collect(),
            epoch: AtomicU64::new(0),
            tracked: Mutex::new(None),
            hangs: AtomicBool::new(false),
            own: own.clone(),
            counts: Counts::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, runtime) = mpsc::channel();
        let cache = Arc::downgrade(&shared);
        thread::Builder::new()
            .name("session-tracking".into())
            .spawn(move || {
                // Not before there is a thread: a runtime must not be dropped inside of another one.
                match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => {
                        let _ = ready.send(Ok(runtime.handle().clone()));
                        runtime.block_on(tracking::run(cache, client, own, stopped));
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            })?;
        Ok(Self {
            shared,
            runtime: runtime.recv().map_err(io::Error::other)??,
            _stop: stop,
        })
    }

    /// A record that is not older than the bound.
    pub(super) fn get(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        let now = self.shared.now();
        self.shared.shard(id).get(&id, now)
    }

    /// Begins to read a record over the tracking connection, to keep it, or joins another caller's read of it. `None` when the cache
    /// is of no use now: then the caller asks for itself.
    pub(super) fn read(&self, id: SessionId, deadline: Duration) -> Option<CacheRead<Landing>> {
        let landing = self.landing(id, deadline);
        if landing.is_none() {
            self.shared.counts.bypassed.fetch_add(1, Ordering::Relaxed);
        }
        landing
    }

    fn landing(&self, id: SessionId, deadline: Duration) -> Option<CacheRead<Landing>> {
        let shared = &self.shared;
        let now = shared.now();
        let mut shard = shared.shard(id);
        // Before the connection is taken: one that replaced it meanwhile has another epoch.
        let note = shard.note(now)?;
        let connection = shared.usable()?;
        if shared.hangs.load(Ordering::Relaxed) {
            return None;
        }
        shared.counts.misses.fetch_add(1, Ordering::Relaxed);
        // An older read may have been answered before a revocation that is past the bound by now.
        if let Some((mut landing, until)) = shard.join(&id, now, nanos(shared.config.bound)) {
            // `None` only where a clock cannot reach it.
            landing.until = shared.base.checked_add(Duration::from_nanos(until));
            return Some(CacheRead::Shared(landing));
        }
        let (land, progress) = watch::channel(Progress::UnderWay);
        let landing = Landing {
            progress,
            until: None,
        };
        shard.depart(id, now, landing.clone());
        drop(shard);
        let flight = flight::fly(
            shared.clone(),
            connection,
            id,
            note,
            deadline,
            landing.clone(),
            land,
        );
        self.runtime.spawn(flight);
        Some(CacheRead::Own(landing))
    }

    /// This process has changed the record, or may have.
    pub(super) fn forget(&self, id: SessionId) {
        self.shared.shard(id).invalidate(&id);
    }

    pub(super) fn stats(&self) -> NearCacheStats {
        let shared = &self.shared;
        let now = shared.now();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NearCacheStats {
            bound: shared.config.bound,
            coherent: shared.usable().is_some()
                && shared.shards.iter().all(|shard| lock(shard).has_lease(now)),
            entries: shared.shards.iter().map(|shard| lock(shard).len()).sum(),
            hits: shared.shards.iter().map(|shard| lock(shard).hits()).sum(),
            misses: count(&shared.counts.misses),
            bypassed: count(&shared.counts.bypassed),
            invalidations: count(&shared.counts.invalidations),
            losses: count(&shared.counts.losses),
        }
    }
}

impl Shared {
    fn now(&self) -> Nanos {
        nanos(self.base.elapsed())
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard<SessionId, SessionRecord, Landing>> {
        // Random bits of the id.
        let place = usize::from(id.as_uuid().as_bytes()[12]) % SHARDS;
        lock(&self.shards[place])
    }

    fn tracked(&self) -> MutexGuard<'_, Option<Tracked>> {
        lock(&self.tracked)
    }

    /// The tracking connection, as long as the store's own one is that which it was compared with: the process reads where it
    /// writes.
    fn usable(&self) -> Option<MultiplexedConnection> {
        let tracked = self.tracked();
        let tracked = tracked.as_ref()?;
        self.own.is_up(tracked.own).then(|| tracked.connection.clone())
    }

    /// Redis tracks on this connection.
    fn begin(&self, tracked: Tracked) {
        self.reset();
        *self.tracked() = Some(tracked);
    }

    /// The connection of this number is gone, or is to be: changes may have been missed. Of one that was replaced it is no news.
    fn lose(&self, number: u64) {
        let lost = self.tracked().take_if(|tracked| tracked.number == number);
        if lost.is_some() {
            self.counts.losses.fetch_add(1, Ordering::Relaxed);
            self.reset();
        }
    }

    /// Begins a new epoch, with nothing in it.
    fn reset(&self) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        for shard in &self.shards {
            lock(shard).reset(epoch);
        }
    }

    /// Takes in the answer to a ping. `false` when it came after the end of the lease that it gives.
    fn extend(&self, epoch: u64, sent: Nanos) -> bool {
        self.hangs.store(false, Ordering::Relaxed);
        let until = sent.saturating_add(nanos(self.config.bound));
        for shard in &self.shards {
            lock(shard).extend(epoch, until);
        }
        self.now() < until
    }

    fn invalidate_key(&self, key: &[u8]) {
        self.counts.invalidations.fetch_add(1, Ordering::Relaxed);
        // No record of ours has another name.
        if let Some(id) = keys::session_of_key(key) {
            self.shard(id).invalidate(&id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

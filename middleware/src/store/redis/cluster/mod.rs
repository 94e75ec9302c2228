//! A store on Redis Cluster: each call goes to the master that has its hash slot.
//!
//! Every node is asked for its view of the cluster at intervals ([`watcher`]). The views are merged by their configuration epochs
//! ([`claims`]) into a map from slots to masters ([`map`]). Each master has a supervised connection of its own, so a node that does not
//! answer delays no call to another one.
//!
//! A redirection (`MOVED`) means that the map is old: new views are demanded, and the call is sent again. No call follows a redirection to a
//! node that no view names. While a slot is being moved, `ASK` names the node that has the keys, and `TRYAGAIN` means that the keys of
//! one call are on two nodes: the revocation of a session then names its session only. A redirected call has not been executed.
//!
//! The client library's own cluster client is not used. It has no deadline for each node, and one connection that hangs can delay calls to
//! other nodes.

mod claims;
mod demand;
mod discovery;
mod each_master;
mod health;
mod map;
mod map_lease;
mod pipeline;
mod route;
mod slot;
mod view;
mod watcher;

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, Value};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use self::{
    demand::Demand,
    discovery::{Discovery, DiscoveryHandle, MapState, Open},
    map::{Node, SlotMap},
    map_lease::MapLease,
    route::Route,
    slot::Slot,
};
use super::{
    background::AbortOnDrop,
    call_error::{CallError, Redirect},
    connection::Connection,
    endpoint::Login,
    keys::{Keys, unexpected},
    request::Request,
    script::{LuaScript, ScriptCall},
    url::Host,
};
use crate::{store::StoreError, telemetry::ServersMetrics};

/// The pause before a call is sent again, because the keys of its slot are being moved, or because no new view has arrived.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest wait for a new view.
const VIEW: Duration = Duration::from_millis(50);

/// Where a cluster is found.
pub(super) struct ClusterAddress {
    pub(super) seeds: Vec<Host>,
    pub(super) login: Login,
    /// The lease of the map. Zero: without an end.
    pub(super) lease: Duration,
}

/// The connections to a cluster. They close when this is dropped.
pub(super) struct Cluster {
    map_state: watch::Receiver<MapState>,
    demand: Demand,
    keys: Keys,
    deadline: Duration,
    _discovery: AbortOnDrop,
}

impl Cluster {
    /// Starts to find the nodes. Must be called inside a Tokio runtime.
    pub(super) fn open(
        address: ClusterAddress,
        open: Open,
        keys: Keys,
        deadline: Duration,
        metrics: &ServersMetrics,
    ) -> Self {
        let lease = MapLease::new(address.lease);
        let DiscoveryHandle {
            map_state,
            demand,
            task,
        } = Discovery::start(address.seeds, address.login, open, lease, metrics);
        Self {
            map_state,
            demand: Demand::new(demand),
            keys,
            deadline,
            _discovery: task,
        }
    }

    pub(super) async fn call<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        let mut route = self.route(Slot::of(request.key()));
        let with_first_key = match request {
            Request::Script(_, call) => call.with_first_key(),
            Request::Command(_) => None,
        };
        let mut request = request;
        loop {
            let attempt = route.attempt().await?;
            let (node, asking) = attempt.target();
            let answer = node.connection.call(request, asking).await;
            if let (Err(CallError::Redirected(Redirect::TryAgain)), Some(keys)) =
                (&answer, request.keys_of_mget())
            {
                return self.get_each(keys).await;
            }
            if let (Err(CallError::Redirected(Redirect::TryAgain)), Request::Script(script, _), Some(call)) =
                (&answer, request, &with_first_key)
            {
                request = Request::Script(script, call);
            }
            if let Some(answer) = route.resolve(&attempt, answer, request.is_repeatable()).await? {
                return Ok(answer);
            }
        }
    }

    /// Reads the keys of an `MGET` one by one, in their order: while a slot is being moved, a missing key makes its node refuse them together.
    ///
    /// This is not atomic. The store names the epochs of agents last, so a revocation of all sessions before the last read is seen.
    async fn get_each<T: FromRedisValue>(&self, keys: Vec<&[u8]>) -> Result<T, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let mut get = redis::cmd("GET");
            get.arg(key);
            values.push(Box::pin(self.call::<Value>(Request::Command(&get))).await?);
        }
        T::from_redis_value(Value::Array(values)).map_err(unexpected)
    }

    pub(super) async fn script_durably<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        call: &ScriptCall,
        revoked: &impl Fn(&T) -> bool,
    ) -> Result<(T, Option<bool>), StoreError> {
        let mut route = self.route(Slot::of(call.first_key()));
        let with_first_key = call.with_first_key();
        let mut call = call;
        loop {
            let attempt = route.attempt().await?;
            let (node, asking) = attempt.target();
            let answer = node
                .connection
                .script_durably(script, call, revoked, asking)
                .await;
            if let (Err(CallError::Redirected(Redirect::TryAgain)), Some(with_first_key)) =
                (&answer, &with_first_key)
            {
                call = with_first_key;
            }
            if let Some(answer) = route.resolve(&attempt, answer, false).await? {
                return Ok(answer);
            }
        }
    }

    const fn route(&self, slot: Slot) -> Route<'_> {
        Route {
            cluster: self,
            slot,
            ask_target: None,
        }
    }

    /// The connection to the master that has the keys of a bucket.
    pub(super) fn owner(&self, bucket: u16) -> Option<Arc<Connection>> {
        match &*self.map_state.borrow() {
            MapState::Known(map) => map
                .owner(Slot::of_bucket(bucket))
                .map(|node| node.connection.clone()),
            _ => None,
        }
    }

    /// Replaces the connection to the master of a timely script that ran too late.
    pub(super) fn reconnect_after_late_script(&self, call: &ScriptCall) {
        let slot = Slot::of(call.first_key());
        if let MapState::Known(map) = &*self.map_state.borrow()
            && let Some(node) = map.owner(slot)
        {
            node.connection.reconnect_after_late_script();
        }
    }

    /// The current map. Waits for the first answer of a node.
    async fn map(&self) -> Result<Arc<SlotMap>, StoreError> {
        if let MapState::Known(map) = &*self.map_state.borrow() {
            return Ok(map.clone());
        }
        let mut map_state = self.map_state.clone();
        let map_state = map_state
            .wait_for(|map_state| !matches!(map_state, MapState::Pending))
            .await;
        match map_state.as_deref() {
            Ok(MapState::Known(map)) => Ok(map.clone()),
            Ok(MapState::Unavailable(reason)) => Err(StoreError::Unavailable(reason.clone())),
            Ok(MapState::Pending) | Err(_) => {
                Err(StoreError::Unavailable("the connection was closed".into()))
            }
        }
    }

    fn owner_in<'a>(&self, map: &'a SlotMap, slot: Slot) -> Result<&'a Arc<Node>, StoreError> {
        map.owner(slot).ok_or_else(|| {
            self.demand.send_after_failure();
            StoreError::Unavailable("no master has the hash slot".into())
        })
    }

    /// True if the node still has the slot, by the latest map.
    fn is_owner(&self, slot: Slot, node: &Arc<Node>) -> bool {
        match &*self.map_state.borrow() {
            MapState::Known(map) => map.owner(slot).is_some_and(|owner| Arc::ptr_eq(owner, node)),
            _ => false,
        }
    }

    /// True if a node that was asked by the redirection of an earlier map was not replaced since, by the latest map.
    fn was_not_replaced(&self, asked: &Arc<Node>, earlier: &SlotMap) -> bool {
        match &*self.map_state.borrow() {
            MapState::Known(map) => {
                let has_slots = |map: &SlotMap| map.owners().any(|owner| Arc::ptr_eq(owner, asked));
                // A master without slots is not replaced. It gets its first one at the end of the move.
                map.has(asked) && (has_slots(map) || !has_slots(earlier))
            }
            _ => false,
        }
    }

    /// Demands new views, and waits until they change the map, for a short time.
    async fn wait_for_views(&self, map: &Arc<SlotMap>) {
        self.demand.send();
        let mut map_state = self.map_state.clone();
        let changed = map_state
            .wait_for(|map_state| !matches!(map_state, MapState::Known(now) if Arc::ptr_eq(now, map)));
        if timeout(VIEW, changed).await.is_err() {
            // The views agree with the old map, for a moment.
            sleep(PAUSE).await;
        }
    }
}

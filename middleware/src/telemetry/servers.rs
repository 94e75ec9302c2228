//! The servers of a store: their connections and their clocks. One value each for all of them, the worst.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use metrics::{Gauge, gauge};

use super::redis_names::{CLOCK_SKEW, STORE_UP};

use crate::sync::lock;

/// Reports the servers of one store.
#[derive(Debug)]
pub(crate) struct ServersMetrics(Arc<Shared>);

/// Reports one of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct ServerMetrics {
    shared: Arc<Shared>,
    number: u64,
}

#[derive(Debug)]
struct Shared {
    up: Gauge,
    clock_skew: Gauge,
    servers: Mutex<Servers>,
}

#[derive(Debug, Default)]
struct Servers {
    next: u64,
    states: BTreeMap<u64, ServerState>,
}

#[derive(Debug, Default, Clone, Copy)]
struct ServerState {
    /// `None` until the first attempt to connect has ended.
    up: Option<bool>,
    clock_skew: Option<f64>,
}

impl ServersMetrics {
    /// Both values are unknown until a server has them.
    pub(crate) fn new() -> Self {
        let (up, clock_skew) = (gauge!(STORE_UP), gauge!(CLOCK_SKEW));
        up.set(f64::NAN);
        clock_skew.set(f64::NAN);
        Self(Arc::new(Shared {
            up,
            clock_skew,
            servers: Mutex::default(),
        }))
    }

    /// Adds a server.
    pub(crate) fn server(&self) -> Arc<ServerMetrics> {
        let number = self.0.change(|servers| {
            let number = servers.next;
            servers.next += 1;
            servers.states.insert(number, ServerState::default());
            number
        });
        Arc::new(ServerMetrics {
            shared: self.0.clone(),
            number,
        })
    }
}

impl ServerMetrics {
    /// Sets whether the server is connected and confirmed.
    pub(crate) fn set_up(&self, up: bool) {
        self.set(|state| state.up = Some(up));
    }

    /// Sets the skew in seconds. `None` while it is unknown.
    pub(crate) fn set_clock_skew(&self, seconds: Option<f64>) {
        self.set(|state| state.clock_skew = seconds);
    }

    fn set(&self, change: impl FnOnce(&mut ServerState)) {
        self.shared.change(|servers| {
            if let Some(state) = servers.states.get_mut(&self.number) {
                change(state);
            }
        });
    }
}

impl Drop for ServerMetrics {
    fn drop(&mut self) {
        self.shared.change(|servers| servers.states.remove(&self.number));
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Servers) -> T) -> T {
        let mut servers = lock(&self.servers);
        let result = change(&mut servers);
        self.up.set(servers.up());
        self.clock_skew.set(servers.clock_skew());
        result
    }
}

impl Servers {
    fn up(&self) -> f64 {
        let is = |up| self.states.values().any(|state| state.up == up);
        match (is(Some(false)), is(None), is(Some(true))) {
            (true, _, _) => 0.0,
            (_, true, _) | (_, _, false) => f64::NAN,
            _ => 1.0,
        }
    }

    fn clock_skew(&self) -> f64 {
        let skews = self.states.values().filter_map(|state| state.clock_skew);
        skews
            .max_by(|one, other| one.abs().total_cmp(&other.abs()))
            .unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_is_up_if_all_servers_are_and_its_skew_is_the_largest() {
        let mut servers = Servers::default();
        let mut set = |number, up, clock_skew| {
            servers.states.insert(number, ServerState { up, clock_skew });
            (servers.up(), servers.clock_skew())
        };
        let (up, skew) = set(0, None, None);
        assert!(up.is_nan() && skew.is_nan());
        assert_eq!(set(0, Some(true), Some(0.5)), (1.0, 0.5));
        let (up, skew) = set(1, None, None);
        assert!(up.is_nan());
        assert_eq!(skew, 0.5);
        assert_eq!(set(1, Some(false), None), (0.0, 0.5));
        assert_eq!(set(1, Some(true), Some(-3.0)), (1.0, -3.0));
    }
}

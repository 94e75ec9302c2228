//! The metrics of a server, in the text format of Prometheus. `docs/metrics.md` lists them.
//!
//! Each server has its own recorder, so several servers in one process have separate metrics. Layers, stores and the types of this module
//! resolve their metrics when they are created: create them inside [`Metrics::scope`], also after a reload.

mod connections;
mod http;
mod reloads;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::gauge;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tower_session_auth::telemetry::{self, Metric, STORE_BUCKETS};

use crate::serve::Counters;

use self::connections::ConnectionMetrics;
pub(crate) use self::http::{HttpMetrics, HttpOutcome};
pub(crate) use self::reloads::{ReloadMetrics, Reloaded};

/// The interval at which recorded values are added to histograms. Between scrapes, values wait in memory.
const UPKEEP: Duration = Duration::from_secs(5);

const BUILD_INFO: &str = "session_auth_build_info";
const STORE_DURATION: &str = "session_auth_store_duration_seconds";

/// The metrics of the server, besides [those of the crate](telemetry::METRICS).
const METRICS: &[Metric] = &[
    Metric::gauge(BUILD_INFO, "1, with the version of the server"),
    http::RESPONSES,
    http::DURATION,
    connections::IN_USE,
    connections::ACCEPTED,
    connections::REFUSED,
    connections::CLOSED,
    connections::TLS_FAILURES,
    connections::REQUESTS_REFUSED,
    reloads::RELOADS,
    reloads::LAST_SUCCEEDED,
];

/// The metrics of one server. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    connections: Arc<OnceLock<ConnectionMetrics>>,
}

/// Ends the upkeep when it is dropped.
pub(crate) struct Upkeep(JoinHandle<()>);

impl Metrics {
    /// # Errors
    /// If a list of buckets is empty, which is a defect.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(STORE_DURATION.to_owned()), STORE_BUCKETS)?
            .set_buckets_for_metric(Matcher::Full(http::DURATION.name.to_owned()), http::BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        let metrics = Self {
            recorder: Arc::new(recorder),
            handle,
            connections: Arc::default(),
        };
        metrics.scope(|| {
            telemetry::describe();
            METRICS.iter().for_each(Metric::describe);
            gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        });
        Ok(metrics)
    }

    /// Runs `create` with this server's recorder. `create` must not block.
    pub(crate) fn scope<T>(&self, create: impl FnOnce() -> T) -> T {
        ::metrics::with_local_recorder(&*self.recorder, create)
    }

    /// Exports the counts of the main listener. Only the first call has an effect.
    pub(crate) fn export_connections(&self, counters: Arc<Counters>) {
        let connections = self.scope(|| ConnectionMetrics::new(counters));
        self.connections.get_or_init(|| connections);
    }

    /// All metrics as text.
    pub(crate) fn text(&self) -> String {
        if let Some(connections) = self.connections.get() {
            connections.update();
        }
        self.handle.render()
    }

    /// Starts the upkeep of the histograms.
    pub(crate) fn upkeep(&self) -> Upkeep {
        let handle = self.handle.clone();
        Upkeep(tokio::spawn(async move {
            let mut ticks = interval(UPKEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                handle.run_upkeep();
            }
        }))
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

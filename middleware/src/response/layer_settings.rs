use std::sync::Arc;

use super::Rejections;
use crate::{
    clock::{Clock, SystemClock},
    telemetry::ProtectedBy,
};

/// The settings that all layers have. Their builder methods change these.
#[derive(Clone)]
pub(crate) struct LayerSettings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rejections: Rejections,
}

impl LayerSettings {
    /// The defaults: the system's clock, and problem documents with the realm `session`.
    pub(crate) fn of(layer: ProtectedBy) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            rejections: Rejections::of(layer),
        }
    }

    pub(crate) fn set_clock(&mut self, clock: impl Clock) {
        self.clock = Arc::new(clock);
    }
}

//! The settings that all layers have.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use crate::{
    clock::{Clock, SystemClock},
    error::AuthError,
    response::Rejections,
    telemetry::ProtectedBy,
};

/// The clock of a layer, and its responses to rejected requests. The builder methods of the layers change these.
#[derive(Clone)]
pub(crate) struct LayerSettings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rejections: Arc<Rejections>,
}

impl LayerSettings {
    /// The defaults: the system's clock, and problem documents with the realm `session`.
    pub(crate) fn of(layer: ProtectedBy) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            rejections: Arc::new(Rejections::of(layer)),
        }
    }

    pub(crate) fn set_clock(&mut self, clock: impl Clock) {
        self.clock = Arc::new(clock);
    }

    pub(crate) fn set_realm(&mut self, realm: &str) {
        Arc::make_mut(&mut self.rejections).set_realm(realm);
    }

    pub(crate) fn set_resource_metadata(&mut self, url: &str) {
        Arc::make_mut(&mut self.rejections).set_resource_metadata(url);
    }

    pub(crate) fn set_only_problem_documents(&mut self) {
        Arc::make_mut(&mut self.rejections).set_only_problems();
    }

    pub(crate) fn set_on_rejection(
        &mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) {
        Arc::make_mut(&mut self.rejections).replace(respond);
    }
}

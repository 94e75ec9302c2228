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

/// The methods of a layer's builder that change the responses to rejected requests. `$settings` are the settings of `$layer`.
macro_rules! rejection_methods {
    ($layer:ident => $settings:expr) => {
        /// Sets the realm of the `WWW-Authenticate` challenge: `session` by default.
        ///
        /// Quotes, backslashes and characters other than visible ASCII are removed.
        #[must_use]
        pub fn realm(mut self, realm: &str) -> Self {
            let $layer = &mut self;
            $settings.set_realm(realm);
            self
        }

        /// Answers every rejected request with a problem document, gRPC calls too: for services that judge by the HTTP status, such as an
        /// auth service behind a proxy.
        #[must_use]
        pub fn only_problem_documents(mut self) -> Self {
            let $layer = &mut self;
            $settings.set_only_problem_documents();
            self
        }

        /// Sets the function that builds the response to a rejected request. The error is added to the response's extensions.
        ///
        /// By default, [`problem_response`](crate::response::problem_response) builds it.
        #[must_use]
        pub fn on_rejection(
            mut self,
            respond: impl Fn(
                &$crate::AuthError,
                &http::HeaderMap,
            ) -> http::Response<http_body_util::Full<bytes::Bytes>>
            + Send
            + Sync
            + 'static,
        ) -> Self {
            let $layer = &mut self;
            $settings.set_on_rejection(respond);
            self
        }
    };
    (session, $layer:ident => $settings:expr) => {
        $crate::layer_settings::rejection_methods!($layer => $settings);

        /// Names the metadata of the protected resource in the challenge (RFC 9728, section 5.1).
        #[must_use]
        pub fn resource_metadata(mut self, url: &str) -> Self {
            let $layer = &mut self;
            $settings.set_resource_metadata(url);
            self
        }
    };
}

pub(crate) use rejection_methods;

use std::sync::Arc;

use tower::Layer;

use super::VerifyOnly;
use crate::{
    clock::Clock,
    layer_settings::{LayerSettings, rejection_methods},
    telemetry::ProtectedBy,
    token::TokenVerifier,
};

/// Admits requests with a valid token, without a store. See [`verify_only`](crate::verify_only) for the rules.
///
/// The inner service finds a [`VerifiedToken`](crate::token::VerifiedToken) in the extensions of the request.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
/// use tower_session_auth::{TokenVerifier, VerifyingKeys, token::VerifiedToken, verify_only::VerifyOnlyLayer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = VerifyingKeys::parse("k4.public.Hrnbu7wEfAP9cGBOAHHwmH4Wsot1ciXBHwBBXQ4gsaI")?;
/// let service = ServiceBuilder::new()
///     .layer(VerifyOnlyLayer::new(TokenVerifier::new(keys)))
///     .service(service_fn(async |request: Request<String>| {
///         let token = request.extensions().get::<VerifiedToken>();
///         assert!(token.is_some(), "only requests with a valid token get here");
///         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
///     }));
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VerifyOnlyLayer {
    config: Arc<VerifyOnlyConfig>,
}

/// The configuration that all services of a layer share.
#[derive(Clone)]
pub(super) struct VerifyOnlyConfig {
    pub(super) verifier: TokenVerifier,
    pub(super) settings: LayerSettings,
}

impl VerifyOnlyLayer {
    /// A layer with the keys and the rules of a verifier.
    #[must_use]
    pub fn new(verifier: TokenVerifier) -> Self {
        Self {
            config: Arc::new(VerifyOnlyConfig {
                verifier,
                settings: LayerSettings::of(ProtectedBy::VerifyOnly),
            }),
        }
    }

    /// Sets the clock: the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        Arc::make_mut(&mut self.config).settings.set_clock(clock);
        self
    }

    rejection_methods!(session, layer => Arc::make_mut(&mut layer.config).settings);
}

impl<S> Layer<S> for VerifyOnlyLayer {
    type Service = VerifyOnly<S>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifyOnly::new(self.config.clone(), inner)
    }
}

impl std::fmt::Debug for VerifyOnlyLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOnlyLayer")
            .field("verifier", &self.config.verifier)
            .finish_non_exhaustive()
    }
}

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response};
use http_body_util::Full;

use super::{InvalidAuthority, SessionAuthority};
use crate::{
    clock::{Clock, SystemClock},
    error::AuthError,
    manager::SessionManager,
    protected_resource::ProtectedResource,
    security::SecurityEvents,
    session::SessionPolicy,
    session_auth::{RenewalLayer, SessionAuthLayer},
    store::{AgentDirectory, AnyAgent, CachedStore, SessionStore, StoreError},
    token::{DEFAULT_ISSUER, DEFAULT_PREFIX, KeySet, TokenSigner, TokenVerifier},
};

/// The realm of challenges, unless another one is set.
const DEFAULT_REALM: &str = "session";

/// Headers that have another meaning, so they cannot carry the token.
const RESERVED_HEADERS: &[&str] = &[
    "x-master-password",
    "idempotency-key",
    "x-request-id",
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
];

/// The configuration of a [`SessionAuthority`].
#[must_use = "the builder does nothing until `build` is called"]
pub struct SessionAuthorityBuilder<S: SessionStore, D> {
    keys: KeySet,
    store: S,
    directory: D,
    prefix: String,
    issuer: String,
    audience: Option<String>,
    header: HeaderName,
    policy: SessionPolicy,
    clock: Arc<dyn Clock>,
    events: SecurityEvents,
    realm: String,
    resource: Option<String>,
    on_rejection: Option<Arc<Respond>>,
    signature_cache_capacity: Option<usize>,
    make_layer: MakeLayer<S>,
}

type Respond = dyn Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync;

/// Makes a strict or a bounded layer. Only a store with a near cache supports a bounded layer.
type MakeLayer<S> = fn(TokenVerifier, S) -> Result<SessionAuthLayer<S>, StoreError>;

impl<S: SessionStore, D: AgentDirectory> SessionAuthorityBuilder<S, D> {
    pub(super) fn new(keys: KeySet, store: S, directory: D) -> Self {
        Self {
            keys,
            store,
            directory,
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
            header: http::header::AUTHORIZATION,
            policy: SessionPolicy::default(),
            clock: Arc::new(SystemClock),
            events: SecurityEvents::default(),
            realm: DEFAULT_REALM.to_owned(),
            resource: None,
            on_rejection: None,
            signature_cache_capacity: None,
            make_layer: |verifier, store| Ok(SessionAuthLayer::new(verifier, store)),
        }
    }

    /// Sets the prefix of tokens: [`DEFAULT_PREFIX`] by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the `iss` claim of tokens: [`DEFAULT_ISSUER`] by default.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Sets the `aud` claim of tokens: none by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets the request header that carries the token: see [`TokenVerifier::header`].
    pub fn header(mut self, header: HeaderName) -> Self {
        self.header = header;
        self
    }

    /// Sets the limits of sessions.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the clock: the system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Counts security events together with other authorities of the process.
    pub fn events(mut self, events: SecurityEvents) -> Self {
        self.events = events;
        self
    }

    /// Sets the realm of the `WWW-Authenticate` challenges: `session` by default.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Sets the URL of the API that the sessions are for: a protected resource (RFC 9728). The challenges then name its metadata, which the
    /// endpoints publish.
    pub fn resource(mut self, url: impl Into<String>) -> Self {
        self.resource = Some(url.into());
        self
    }

    /// Creates sessions only for the agents of a directory of the application.
    pub fn directory<E: AgentDirectory + Clone>(self, directory: E) -> SessionAuthorityBuilder<S, E> {
        SessionAuthorityBuilder {
            keys: self.keys,
            store: self.store,
            directory,
            prefix: self.prefix,
            issuer: self.issuer,
            audience: self.audience,
            header: self.header,
            policy: self.policy,
            clock: self.clock,
            events: self.events,
            realm: self.realm,
            resource: self.resource,
            on_rejection: self.on_rejection,
            signature_cache_capacity: self.signature_cache_capacity,
            make_layer: self.make_layer,
        }
    }

    /// Sets how many verified tokens are cached: see [`TokenVerifier::signature_cache_capacity`].
    pub fn signature_cache_capacity(mut self, capacity: usize) -> Self {
        self.signature_cache_capacity = Some(capacity);
        self
    }

    /// Sets the responses of both layers to rejected requests: see [`SessionAuthLayer::on_rejection`].
    pub fn on_rejection(
        mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.on_rejection = Some(Arc::new(respond));
        self
    }

    /// Creates sessions for any agent id. The application must check that an agent exists.
    pub fn any_agent(self) -> SessionAuthorityBuilder<S, AnyAgent> {
        self.directory(AnyAgent)
    }

    /// Makes the authority. With `bounded`, also starts the near cache of the store.
    ///
    /// # Errors
    /// If a setting is invalid, or the near cache cannot start.
    pub fn build(self) -> Result<SessionAuthority<S, D>, InvalidAuthority> {
        self.check()?;
        let resource = self
            .resource
            .as_deref()
            .map(ProtectedResource::parse)
            .transpose()?;
        let mut verifier = TokenVerifier::new(self.keys.verifying_keys().iter().cloned())
            .prefix(self.prefix.as_str())
            .issuer(self.issuer.as_str())
            .header(self.header);
        if let Some(capacity) = self.signature_cache_capacity {
            verifier = verifier.signature_cache_capacity(capacity);
        }
        let mut signer = TokenSigner::new(self.keys.signing_key().clone())
            .previous_keys(self.keys.previous_keys().iter().cloned())
            .prefix(self.prefix)
            .issuer(self.issuer);
        if let Some(audience) = self.audience {
            verifier = verifier.audience(audience.as_str());
            signer = signer.audience(audience);
        }
        let layer =
            (self.make_layer)(verifier.clone(), self.store.clone()).map_err(InvalidAuthority::Cache)?;
        let mut layer = layer
            .clock(self.clock.clone())
            .events(self.events.clone())
            .realm(&self.realm);
        let mut renewal_layer = RenewalLayer::new(verifier.clone(), self.store.clone())
            .clock(self.clock.clone())
            .realm(&self.realm);
        if let Some(resource) = &resource {
            let metadata = resource.metadata_url();
            layer = layer.resource_metadata(&metadata);
            renewal_layer = renewal_layer.resource_metadata(&metadata);
        }
        if let Some(respond) = self.on_rejection {
            let same = respond.clone();
            layer = layer.on_rejection(move |error, headers| respond(error, headers));
            renewal_layer = renewal_layer.on_rejection(move |error, headers| same(error, headers));
        }
        Ok(SessionAuthority {
            manager: SessionManager::with_directory(
                self.store.clone(),
                signer.cache_in(&verifier),
                self.directory,
            )
            .policy(self.policy)
            .clock(self.clock.clone())
            .events(self.events.clone()),
            layer,
            renewal_layer,
            verifier,
            events: self.events,
            key_change: Arc::default(),
            store: self.store,
            clock: self.clock,
            realm: self.realm,
            resource,
        })
    }

    fn check(&self) -> Result<(), InvalidAuthority> {
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.bytes().all(is_token_byte) {
            return Err(InvalidAuthority::Prefix);
        }
        if !is_claim(&self.issuer) {
            return Err(InvalidAuthority::Issuer);
        }
        if self
            .audience
            .as_deref()
            .is_some_and(|audience| !is_claim(audience))
        {
            return Err(InvalidAuthority::Audience);
        }
        if RESERVED_HEADERS.contains(&self.header.as_str()) {
            return Err(InvalidAuthority::Header);
        }
        Ok(self.policy.check()?)
    }
}

impl<S: CachedStore, D> SessionAuthorityBuilder<S, D> {
    /// Makes the layer bounded: see [`SessionAuthLayer::bounded`].
    pub fn bounded(mut self) -> Self {
        self.make_layer = SessionAuthLayer::bounded;
        self
    }
}

/// True if a bearer token can begin with this byte (RFC 6750, section 2.1).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

fn is_claim(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl<S: SessionStore, D> std::fmt::Debug for SessionAuthorityBuilder<S, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuthorityBuilder")
            .field("keys", &self.keys)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

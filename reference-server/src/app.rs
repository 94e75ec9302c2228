//! The server put together: configuration, store, layers, endpoints.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{Either, Full};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_session_auth::{
    AuthError, ErrorKind, MasterAuthLayer, MemoryStore, RedisStore, SessionAuthLayer, SessionManager,
    TokenVerifier,
    clock::Clock,
    response::{ResponseBody, problem_response},
    security::SecurityEvents,
    session_auth::Freshness,
    store::{AgentStore, RegisteredAgents, SessionStore},
    token::TokenSigner,
};

use crate::{
    config::{Config, ConfigErrors, Store},
    endpoints,
    listen::listen,
    metrics::Metrics,
    routes::{Access, NoRoute, Routes},
    stack,
};

/// The realm of challenges.
pub(crate) const REALM: &str = "session";

/// What the endpoints work with.
pub(crate) struct App<S> {
    pub(crate) sessions: SessionManager<S, RegisteredAgents<S>>,
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

/// The body of every answer.
pub(crate) type AnswerBody = Either<Full<Bytes>, ResponseBody<Full<Bytes>>>;

/// Runs the server until `stop` resolves, then lets running requests finish within their bound.
///
/// # Errors
/// When the configuration cannot work after all.
pub async fn run(
    config: Config,
    clock: Arc<dyn Clock>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), ConfigErrors> {
    match &config.store {
        Store::Memory => serve(&config, MemoryStore::new(), clock, listener, stop).await,
        Store::Redis(redis) => {
            let store = RedisStore::open(redis).map_err(|error| ConfigErrors(vec![error.to_string()]))?;
            serve(&config, store, clock, listener, stop).await
        }
    }
}

async fn serve<S: SessionStore + AgentStore>(
    config: &Config,
    store: S,
    clock: Arc<dyn Clock>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), ConfigErrors> {
    let service = stack::around(service(config, store, clock.clone())?, config.limits.request);
    let service = service.map_response(move |response| with_date(response, &*clock));
    listen(listener, service, &config.trusted_proxies, config.limits, stop).await;
    Ok(())
}

/// Sets `Date` by the clock that expiry is judged by, since agents schedule their renewals by it.
fn with_date<B>(mut response: Response<B>, clock: &dyn Clock) -> Response<B> {
    /// The end of the year 9999: a later time has no HTTP date.
    const LAST: u64 = 253_402_300_799;
    let now = UNIX_EPOCH + Duration::from_secs(clock.now().0.min(LAST));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Routing, authentication and endpoints as one service.
fn service<S, B>(
    config: &Config,
    store: S,
    clock: Arc<dyn Clock>,
) -> Result<
    impl Service<Request<B>, Response = Response<AnswerBody>, Error = Infallible, Future: Send>
    + Clone
    + use<S, B>,
    ConfigErrors,
>
where
    S: SessionStore + AgentStore,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let broken = |error: String| ConfigErrors(vec![error]);
    let mut signer = TokenSigner::new(config.keys.signing.clone())
        .retired(config.keys.retired.clone())
        .prefix(&config.token_prefix)
        .issuer(&config.issuer);
    let mut verifier = TokenVerifier::new(config.keys.accepted.clone())
        .prefix(&config.token_prefix)
        .issuer(&config.issuer);
    if let Some(audience) = &config.audience {
        signer = signer.audience(audience);
        verifier = verifier.audience(audience);
    }
    let signer = signer.cache_in(&verifier);
    let master = MasterAuthLayer::new(&config.master_password_hash)
        .map_err(|error| broken(error.to_string()))?
        .clock(clock.clone())
        .realm(REALM);
    let events = SecurityEvents::new();
    let session = SessionAuthLayer::new(verifier.clone(), store.clone())
        .freshness(config.freshness)
        .rotation(config.policy.rotation)
        .events(events.clone())
        .clock(clock.clone())
        .realm(REALM);
    let renewal = SessionAuthLayer::for_renewal(verifier, store.clone())
        .clock(clock.clone())
        .realm(REALM);
    let app = Arc::new(App {
        metrics: Metrics::new(store.clone(), events.clone()),
        sessions: SessionManager::new(store.clone(), signer)
            .directory(RegisteredAgents(store.clone()))
            .policy(config.policy.clone())
            .events(events)
            .clock(clock.clone()),
        store,
        clock,
    });
    let routes = Arc::new(Routes::new().map_err(|error| broken(error.to_string()))?);

    let endpoints = service_fn(move |request| endpoints::answer(app.clone(), request));
    let master = master.layer(endpoints.clone());
    let strict = session.clone().freshness(Freshness::Strict);
    let strict = strict.layer(endpoints.clone());
    let session = session.layer(endpoints.clone());
    let renewal = renewal.layer(endpoints.clone());
    Ok(service_fn(move |mut request: Request<B>| {
        let matched = routes.find(request.method(), request.uri().path());
        let (endpoints, master, session, strict, renewal) = (
            endpoints.clone(),
            master.clone(),
            session.clone(),
            strict.clone(),
            renewal.clone(),
        );
        async move {
            let matched = match matched {
                Ok(matched) => matched,
                Err(none) => return Ok(no_route(none, &request).map(Either::Left)),
            };
            let access = matched.access;
            request.extensions_mut().insert(matched);
            match access {
                Access::Open => Ok(endpoints.oneshot(request).await?.map(Either::Left)),
                Access::Master => Ok(master.oneshot(request).await?.map(Either::Right)),
                Access::Session => Ok(session.oneshot(request).await?.map(Either::Right)),
                Access::StrictSession => Ok(strict.oneshot(request).await?.map(Either::Right)),
                Access::Renewal => Ok(renewal.oneshot(request).await?.map(Either::Right)),
            }
        }
    }))
}

fn no_route<B>(none: NoRoute, request: &Request<B>) -> Response<Full<Bytes>> {
    let kind = match none {
        NoRoute::NotFound => ErrorKind::NotFound,
        NoRoute::MethodNotAllowed(_) => ErrorKind::MethodNotAllowed,
    };
    let mut response = problem_response(&AuthError::new(kind), REALM, request.headers());
    if let NoRoute::MethodNotAllowed(allowed) = none
        && let Ok(allowed) = HeaderValue::try_from(allowed)
    {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

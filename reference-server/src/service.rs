//! The service of the server: the endpoints of the crate and `/metrics`, inside the [stack](crate::stack).

use std::{convert::Infallible, future::Future, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_session_auth::{
    AuthError, ErrorKind, MasterAuthLayer, MemoryStore, RedisStore, SessionAuthority,
    authority::SessionAuthorityBuilder,
    clock::Clock,
    response::{ResponseBody, problem_response},
    session_auth::Freshness,
    store::{AgentStore, CachedStore as _, RegisteredAgents, SessionStore},
};

use crate::{
    config::{Config, ConfigErrors, Store},
    metrics::{CacheStats, Metrics, OPENMETRICS},
    serve::{self, Admit, CurrentCertificate, Listener, ServerState},
    stack::{self, REALM},
};

/// Runs the server on all listeners until `stop` resolves, then drains open connections within their time limit.
///
/// # Errors
/// If the configuration is invalid after all.
pub async fn run(
    config: Config,
    clock: Arc<dyn Clock>,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
) -> Result<(), ConfigErrors> {
    match &config.store {
        Store::Memory => {
            let builder = SessionAuthority::builder(config.keys.clone(), MemoryStore::new());
            serve(&config, builder, None, clock, listeners, stop).await
        }
        Store::Redis(redis) => {
            let store = RedisStore::open(redis).map_err(broken)?;
            let stats = store.clone();
            let mut builder = SessionAuthority::builder(config.keys.clone(), store);
            if config.freshness == Freshness::Bounded {
                builder = builder.bounded();
            }
            let stats: CacheStats = Box::new(move || stats.cache_stats());
            serve(&config, builder, Some(stats), clock, listeners, stop).await
        }
    }
}

async fn serve<S: SessionStore + AgentStore>(
    config: &Config,
    builder: SessionAuthorityBuilder<S, RegisteredAgents<S>>,
    cache_stats: Option<CacheStats>,
    clock: Arc<dyn Clock>,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
) -> Result<(), ConfigErrors> {
    let mut builder = builder
        .prefix(&config.token_prefix)
        .issuer(&config.issuer)
        .header(config.token_header.clone())
        .policy(config.policy.clone())
        .clock(clock)
        .realm(REALM);
    if let Some(audience) = &config.audience {
        builder = builder.audience(audience);
    }
    let authority = builder.build().map_err(broken)?;
    let admin = MasterAuthLayer::new(&config.master_password_hash).map_err(broken)?;
    let admin = authority.admin_layer(admin);
    let proxies = Arc::new(ArcSwap::from_pointee(config.trusted_proxies.clone()));
    let certificate = config.certificate.clone().map(CurrentCertificate::new);
    let state = ServerState::new(config.limits, proxies, certificate);
    let metrics = Metrics::new(cache_stats, authority.events(), state.counters());
    let service = with_metrics(
        authority.endpoints(admin.clone()),
        admin.only_problem_documents(),
        metrics,
    );
    let service = Admit::new(service, state.clone());
    let service = stack::around(service, config.limits.request, config.token_header.clone());
    serve::serve(listeners, service, state, stop).await;
    Ok(())
}

fn broken(error: impl std::fmt::Display) -> ConfigErrors {
    ConfigErrors(vec![error.to_string()])
}

type Reply = Response<ResponseBody<Full<Bytes>>>;

/// Adds `/metrics`, for administrators, to the endpoints.
fn with_metrics<E, B>(
    endpoints: E,
    admin: MasterAuthLayer,
    metrics: Metrics,
) -> impl Service<Request<B>, Response = Reply, Error = Infallible, Future: Send> + Clone + use<E, B>
where
    E: Service<Request<B>, Response = Reply, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let metrics = Arc::new(metrics);
    let metrics = admin.layer(service_fn(move |request: Request<B>| {
        let response = metrics_response(&metrics, &request);
        async { Ok::<_, Infallible>(response) }
    }));
    service_fn(move |request: Request<B>| {
        let (endpoints, metrics) = (endpoints.clone(), metrics.clone());
        async move {
            if request.uri().path() == "/metrics" {
                metrics.oneshot(request).await
            } else {
                endpoints.oneshot(request).await
            }
        }
    })
}

fn metrics_response<B>(metrics: &Metrics, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let error = AuthError::new(ErrorKind::MethodNotAllowed);
        let mut response = problem_response(&error, REALM, request.headers());
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match metrics.text() {
        Ok(text) => {
            let mut response = Response::new(Full::from(text));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            problem_response(&ErrorKind::InternalError.into(), REALM, request.headers())
        }
    }
}

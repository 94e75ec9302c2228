//! The service of the server: the endpoints of the crate and `/metrics`, inside the [stack](crate::stack).

use std::{convert::Infallible, future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::mpsc;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_session_auth::{
    MasterAuthLayer, MemoryStore, RedisStore, SessionAuthority,
    authority::SessionAuthorityBuilder,
    clock::Clock,
    master_auth::Right,
    response::ResponseBody,
    session_auth::Freshness,
    store::{AgentStore, RegisteredAgents, SessionStore},
};

use crate::{
    access_log::AccessLog,
    config::{Config, REALM, Store},
    metrics::{Metrics, ReloadMetrics},
    metrics_endpoint::{self, MetricsListener},
    reload::{Reload, Reloadable},
    serve::{self, Admit, Listener, ServerState},
    stack,
    start_error::StartError,
    systemd,
    tls::CurrentCertificate,
};

/// Runs the server on all listeners until `stop` resolves, then drains open connections within their time limit.
///
/// Each configuration that `reloads` sends is applied at once, as far as settings are reloaded.
///
/// # Errors
/// If the configuration is invalid after all, or the address of `metrics_listen` cannot be bound.
pub async fn run(
    config: Config,
    clock: Arc<dyn Clock>,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
    reloads: mpsc::Receiver<Reload>,
) -> Result<(), StartError> {
    let metrics = Metrics::new().map_err(StartError::config)?;
    match &config.store {
        Store::Memory => {
            let builder = SessionAuthority::builder(config.keys.clone(), MemoryStore::new());
            serve(&config, builder, &metrics, clock, listeners, stop, reloads).await
        }
        Store::Redis(redis) => {
            let mut redis = redis.clone();
            redis.clock = clock.clone();
            let store = metrics
                .scope(|| RedisStore::open(&redis))
                .map_err(StartError::config)?;
            let mut builder = SessionAuthority::builder(config.keys.clone(), store);
            if config.freshness == Freshness::Bounded {
                builder = builder.bounded();
            }
            serve(&config, builder, &metrics, clock, listeners, stop, reloads).await
        }
    }
}

async fn serve<S: SessionStore + AgentStore>(
    config: &Config,
    builder: SessionAuthorityBuilder<S, RegisteredAgents<S>>,
    metrics: &Metrics,
    clock: Arc<dyn Clock>,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
    reloads: mpsc::Receiver<Reload>,
) -> Result<(), StartError> {
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
    if let Some(resource) = &config.resource {
        builder = builder.resource(resource.url());
    }
    let _upkeep = metrics.upkeep();
    let _metrics_listener = match config.metrics_listen {
        None => None,
        Some(address) => {
            let started = MetricsListener::start(address, metrics.clone()).await;
            Some(started.map_err(|error| StartError::Metrics { address, error })?)
        }
    };
    // Layers take their counters from the recorder of the scope in which they are created.
    let authority = metrics.scope(|| builder.build()).map_err(StartError::config)?;
    let credentials = config.admin_credentials();
    let admin = metrics.scope(|| MasterAuthLayer::from_credentials(credentials));
    let admin = authority.admin_layer(admin);
    let certificate = config.certificate.clone().map(CurrentCertificate::new);
    let proxies = config.trusted_proxies.clone();
    let state = ServerState::new(config.limits, proxies, certificate.clone());
    metrics.export_connections(state.counters());
    let mut endpoints = authority.endpoints(admin.clone());
    if config.unready_without_writes {
        endpoints = endpoints.unready_without_writes();
    }
    let service = with_metrics(
        endpoints,
        admin
            .clone()
            .right(Right::Metrics)
            .basic_auth()
            .only_problem_documents(),
        metrics.clone(),
    );
    let access_log = metrics.scope(AccessLog::new);
    let service = stack::around(
        service,
        config.limits.request,
        config.token_header.clone(),
        access_log.clone(),
    );
    let service = stack::identify(Admit::new(
        service,
        state.clone(),
        stack::RefusedRequests(access_log),
    ));
    let reloadable = Reloadable {
        authority,
        admin,
        proxies: config.trusted_proxies.clone(),
        certificate,
        metrics: metrics.scope(ReloadMetrics::new),
    };
    systemd::ready();
    tokio::select! {
        () = serve::serve(listeners, service, state, stop) => Ok(()),
        never = reloadable.apply(reloads) => match never {},
    }
}

type Reply = Response<ResponseBody<Full<Bytes>>>;

/// Adds `/metrics` to the endpoints, behind the layer for administrators.
fn with_metrics<E, B>(
    endpoints: E,
    admin: MasterAuthLayer,
    metrics: Metrics,
) -> impl Service<Request<B>, Response = Reply, Error = Infallible, Future: Send> + Clone + use<E, B>
where
    E: Service<Request<B>, Response = Reply, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let metrics = admin.layer(service_fn(move |request: Request<B>| {
        let response = metrics_endpoint::respond(&metrics, &request);
        async { Ok::<_, Infallible>(response) }
    }));
    service_fn(move |request: Request<B>| {
        let is_for_metrics = request.uri().path() == metrics_endpoint::PATH;
        let metrics = is_for_metrics.then(|| metrics.clone());
        let endpoints = endpoints.clone();
        async move {
            match metrics {
                Some(metrics) => metrics.oneshot(request).await,
                None => endpoints.oneshot(request).await,
            }
        }
    })
}

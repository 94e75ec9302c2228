//! The hyper servers: the same service without authentication, with a bare `GET`, or with `SessionAuthLayer`.

use std::{convert::Infallible, future::ready, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tower::{Layer as _, Service, service_fn};
use tower_session_auth::{
    RedisStore, SessionAuthLayer, TokenVerifier, VerifyingKey, response::ResponseBody,
    store::RedisStoreConfig,
};

use super::{BARE_KEY, RESPONSE_BODY, ServerConfig};
use crate::signature::SignatureCheck;

type HelloResponse = Response<Full<Bytes>>;

fn hello() -> HelloResponse {
    Response::new(Full::new(Bytes::from_static(RESPONSE_BODY)))
}

/// No authentication.
pub(super) fn no_auth<B: Send + 'static>()
-> impl Service<Request<B>, Response = HelloResponse, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(async |_: Request<B>| Ok(hello()))
}

/// The headers of a constant session. Without a token, 401.
pub(super) fn constant_session<B: Send + 'static>()
-> impl Service<Request<B>, Response = HelloResponse, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(async |request: Request<B>| Ok(constant_response(&request)))
}

/// The same after one `GET` from Redis.
pub(super) fn constant_session_after_get<B: Send + 'static>(
    redis: MultiplexedConnection,
) -> impl Service<Request<B>, Response = HelloResponse, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(move |request: Request<B>| {
        let mut redis = redis.clone();
        let response = constant_response(&request);
        async move {
            let _: Option<Vec<u8>> = redis.get(BARE_KEY).await.expect("a response of Redis");
            Ok(response)
        }
    })
}

fn constant_response<B>(request: &Request<B>) -> HelloResponse {
    let mut response = HelloResponse::default();
    if !request.headers().contains_key(header::AUTHORIZATION) {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return response;
    }
    for (name, value) in [
        ("x-session-id", "0190f3a1-7c1e-7d2a-9b3c-4d5e6f709b1f"),
        ("x-agent-id", "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11"),
        ("x-session-expires-at", "1800000000"),
        ("x-session-scopes", ""),
        ("cache-control", "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// One `GET` from Redis per request.
pub(super) fn bare_get<B: Send + 'static>(
    redis: MultiplexedConnection,
) -> impl Service<Request<B>, Response = HelloResponse, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(move |_: Request<B>| {
        let mut redis = redis.clone();
        async move {
            let _: Vec<u8> = redis.get(BARE_KEY).await.expect("a response of Redis");
            Ok(hello())
        }
    })
}

/// The layer with its defaults.
pub(super) fn strict<B: Send + 'static>(
    config: &ServerConfig,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    strict_layer(config).layer(no_auth())
}

/// The layer with its defaults. The inner service runs one more signature check per request.
pub(super) fn strict_plus_signature_check<B: Send + 'static>(
    config: &ServerConfig,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    let signature_check = Arc::new(SignatureCheck::new(&config.secret_key, &config.public_key));
    strict_layer(config).layer(service_fn(move |_: Request<B>| {
        signature_check.run();
        ready(Ok(hello()))
    }))
}

/// The bounded layer, which caches session records in process memory.
pub(super) fn bounded<B: Send + 'static>(
    config: &ServerConfig,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    let (verifier, store) = verifier_and_store(config);
    SessionAuthLayer::bounded(verifier, store)
        .expect("enable the cache")
        .layer(no_auth())
}

pub(super) fn strict_layer(config: &ServerConfig) -> SessionAuthLayer<RedisStore> {
    let (verifier, store) = verifier_and_store(config);
    SessionAuthLayer::new(verifier, store)
}

fn verifier_and_store(config: &ServerConfig) -> (TokenVerifier, RedisStore) {
    let key = VerifyingKey::from_paserk(&config.public_key).expect("a valid key");
    let store = RedisStore::open(&RedisStoreConfig::new(&config.redis)).expect("a valid Redis URL");
    (TokenVerifier::new([key]), store)
}

//! The hyper servers: the same service without authentication, with a bare `GET`, or with `SessionAuthLayer`.

use std::{convert::Infallible, future::ready, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
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

/// 204 for every request.
pub(super) fn no_content<B: Send + 'static>()
-> impl Service<Request<B>, Response = HelloResponse, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(async |_: Request<B>| {
        let mut response = HelloResponse::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    })
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

//! The bare hyper servers and those with `SessionAuthLayer`: the same service, with a layer or without.

use std::{convert::Infallible, future::ready, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tower::{Layer as _, Service, service_fn};
use tower_session_auth::{
    RedisStore, SessionAuthLayer, TokenVerifier, VerifyingKey, response::ResponseBody,
    store::RedisStoreConfig,
};

use super::{ANSWER, BARE_KEY, Setup};
use crate::signature::Signature;

type Answer = Response<Full<Bytes>>;

fn hello() -> Answer {
    Response::new(Full::new(Bytes::from_static(ANSWER)))
}

/// No authentication.
pub(super) fn open<B: Send + 'static>()
-> impl Service<Request<B>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(async |_: Request<B>| Ok(hello()))
}

/// One GET for each request.
pub(super) fn bare_get<B: Send + 'static>(
    redis: MultiplexedConnection,
) -> impl Service<Request<B>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(move |_: Request<B>| {
        let mut redis = redis.clone();
        async move {
            let _: Vec<u8> = redis.get(BARE_KEY).await.expect("an answer of Redis");
            Ok(hello())
        }
    })
}

/// The layer as it is by default.
pub(super) fn strict<B: Send + 'static>(
    setup: &Setup,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    layer(setup).layer(open())
}

/// The layer as it is by default, and behind it what one signature check costs in a server at work.
pub(super) fn strict_and_signature<B: Send + 'static>(
    setup: &Setup,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    let signature = Arc::new(Signature::new(&setup.secret_key, &setup.public_key));
    layer(setup).layer(service_fn(move |_: Request<B>| {
        signature.check();
        ready(Ok(hello()))
    }))
}

/// The layer with records kept in process.
pub(super) fn bounded<B: Send + 'static>(
    setup: &Setup,
) -> impl Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<B> {
    let (verifier, store) = parts(setup);
    SessionAuthLayer::bounded(verifier, store)
        .expect("a near cache")
        .layer(open())
}

pub(super) fn layer(setup: &Setup) -> SessionAuthLayer<RedisStore> {
    let (verifier, store) = parts(setup);
    SessionAuthLayer::new(verifier, store)
}

fn parts(setup: &Setup) -> (TokenVerifier, RedisStore) {
    let key = VerifyingKey::from_paserk(&setup.public_key).expect("a key");
    let store = RedisStore::open(&RedisStoreConfig::new(&setup.redis)).expect("a URL");
    (TokenVerifier::new([key]), store)
}

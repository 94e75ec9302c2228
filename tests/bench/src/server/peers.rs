//! The peers, each as its own documentation sets it up, and the framework that they stand in.

use axum::{
    Router,
    extract::{Request, State},
    routing::get,
};
use http::{StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tower_session_auth::token::DEFAULT_ISSUER;
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike as _, Config, ConnectionConfig, Pool, TcpConfig},
};

use super::{ANSWER, BARE_KEY, Setup};
use crate::credentials::{AGENT, JwtClaims, jwt_decoding_key};

/// The number of connections in the store's documentation.
const CONNECTIONS: usize = 6;

type Reply = Result<&'static [u8], StatusCode>;

/// No authentication.
pub(super) fn axum() -> Router {
    Router::new().route("/", get(async || ANSWER))
}

/// A session cookie; its session is loaded for each request, and one value read.
pub(super) async fn tower_sessions(setup: &Setup) -> Router {
    async fn hello(session: Session) -> Reply {
        let agent: Option<String> = session
            .get(AGENT)
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        agent.map(|_| ANSWER).ok_or(StatusCode::UNAUTHORIZED)
    }
    let store = RedisStore::new(fred_pool(&setup.redis).await);
    Router::new()
        .route("/", get(hello))
        .layer(SessionManagerLayer::new(store).with_secure(false))
}

/// The store's connections.
pub(crate) async fn fred_pool(url: &str) -> Pool {
    let config = Config::from_url(url).expect("a URL");
    let connection = ConnectionConfig {
        tcp: TcpConfig {
            nodelay: Some(true),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    };
    let pool = Pool::new(config, None, Some(connection), None, CONNECTIONS).expect("a pool");
    pool.init().await.expect("a connection to Redis");
    pool
}

#[derive(Clone)]
struct Keys {
    key: DecodingKey,
    validation: Validation,
}

impl Keys {
    fn new(setup: &Setup) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[DEFAULT_ISSUER]);
        Self {
            key: jwt_decoding_key(&setup.public_key),
            validation,
        }
    }

    fn check(&self, request: &Request) -> Result<JwtClaims, StatusCode> {
        request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .and_then(|token| decode(token, &self.key, &self.validation).ok())
            .map(|token| token.claims)
            .ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// A JWT, believed until it expires.
pub(super) fn jwt(setup: &Setup) -> Router {
    async fn hello(State(keys): State<&'static Keys>, request: Request) -> Reply {
        keys.check(&request).map(|_| ANSWER)
    }
    Router::new().route("/", get(hello)).with_state(leak(setup))
}

/// The same with a GET, as a list of revoked tokens would need one.
pub(super) fn jwt_with_get(setup: &Setup, redis: MultiplexedConnection) -> Router {
    async fn hello(
        State((keys, mut redis)): State<(&'static Keys, MultiplexedConnection)>,
        request: Request,
    ) -> Reply {
        keys.check(&request)?;
        let found: Vec<u8> = redis
            .get(BARE_KEY)
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        (!found.is_empty())
            .then_some(ANSWER)
            .ok_or(StatusCode::UNAUTHORIZED)
    }
    Router::new()
        .route("/", get(hello))
        .with_state((leak(setup), redis))
}

/// For as long as the process runs, as the server does: the state is cloned for each request.
fn leak(setup: &Setup) -> &'static Keys {
    Box::leak(Box::new(Keys::new(setup)))
}

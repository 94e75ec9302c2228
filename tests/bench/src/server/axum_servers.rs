//! The axum servers: without authentication, and with the compared crates as their documentation configures them.

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

use super::{BARE_KEY, RESPONSE_BODY, ServerConfig};
use crate::credentials::{AGENT_KEY, JwtClaims, jwt_decoding_key};

/// The pool size in the documentation of the store.
const CONNECTIONS: usize = 6;

type HelloResult = Result<&'static [u8], StatusCode>;

/// No authentication.
pub(super) fn no_auth() -> Router {
    Router::new().route("/", get(async || RESPONSE_BODY))
}

/// tower-sessions: loads the session of a cookie for each request and reads one value.
pub(super) async fn tower_sessions(config: &ServerConfig) -> Router {
    async fn hello(session: Session) -> HelloResult {
        let agent: Option<String> = session
            .get(AGENT_KEY)
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        agent.map(|_| RESPONSE_BODY).ok_or(StatusCode::UNAUTHORIZED)
    }
    let store = RedisStore::new(fred_pool(&config.redis).await);
    Router::new()
        .route("/", get(hello))
        .layer(SessionManagerLayer::new(store).with_secure(false))
}

/// The connection pool of the tower-sessions store.
pub(crate) async fn fred_pool(url: &str) -> Pool {
    let config = Config::from_url(url).expect("a valid Redis URL");
    let connection = ConnectionConfig {
        tcp: TcpConfig {
            nodelay: Some(true),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    };
    let pool =
        Pool::new(config, None, Some(connection), None, CONNECTIONS).expect("create a connection pool");
    pool.init().await.expect("connect to Redis");
    pool
}

#[derive(Clone)]
struct JwtVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl JwtVerifier {
    fn new(config: &ServerConfig) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[DEFAULT_ISSUER]);
        Self {
            key: jwt_decoding_key(&config.public_key),
            validation,
        }
    }

    fn verify(&self, request: &Request) -> Result<JwtClaims, StatusCode> {
        request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .and_then(|token| decode(token, &self.key, &self.validation).ok())
            .map(|token| token.claims)
            .ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// jsonwebtoken: accepts a JWT until it expires.
pub(super) fn jwt(config: &ServerConfig) -> Router {
    async fn hello(State(verifier): State<&'static JwtVerifier>, request: Request) -> HelloResult {
        verifier.verify(&request).map(|_| RESPONSE_BODY)
    }
    Router::new()
        .route("/", get(hello))
        .with_state(leak_verifier(config))
}

/// jsonwebtoken plus one `GET` per request, as a list of revoked tokens would need.
pub(super) fn jwt_with_get(config: &ServerConfig, redis: MultiplexedConnection) -> Router {
    async fn hello(
        State((verifier, mut redis)): State<(&'static JwtVerifier, MultiplexedConnection)>,
        request: Request,
    ) -> HelloResult {
        verifier.verify(&request)?;
        let found: Vec<u8> = redis
            .get(BARE_KEY)
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        (!found.is_empty())
            .then_some(RESPONSE_BODY)
            .ok_or(StatusCode::UNAUTHORIZED)
    }
    Router::new()
        .route("/", get(hello))
        .with_state((leak_verifier(config), redis))
}

/// axum clones the state for each request, so it is a static reference. The server runs until the process exits.
fn leak_verifier(config: &ServerConfig) -> &'static JwtVerifier {
    Box::leak(Box::new(JwtVerifier::new(config)))
}

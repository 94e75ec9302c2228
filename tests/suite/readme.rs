//! The Rust blocks of the README, repeated here so that they are compiled. A test compares the two.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::{BoxError, Service};

const README: &str = include_str!("../../README.md");
const HERE: &str = include_str!("readme.rs");

#[test]
fn rust_blocks_of_the_readme_are_compiled_here() {
    // Compares without white space and trailing commas: rustfmt breaks indented lines elsewhere.
    let dense = |text: &str| {
        let text = text.split_whitespace().collect::<String>();
        text.replace(",}", "}").replace(",)", ")")
    };
    let here = dense(HERE);
    let blocks = README.split("```rust\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(
            here.contains(&dense(block)),
            "not in tests/suite/readme.rs:\n{block}"
        );
    }
}

#[expect(dead_code, reason = "only compiled")]
async fn axum_app() -> Result<(), BoxError> {
    use axum::{Extension, Router, routing::get};
    use tower_session_auth::{
        AuthenticatedSession, RedisStore, SessionAuthLayer, TokenVerifier, VerifyingKey,
        store::RedisStoreConfig,
    };

    async fn hello(Extension(session): Extension<AuthenticatedSession>) -> String {
        format!("hello, agent {}", session.agent_id)
    }

    let verifier = TokenVerifier::new([VerifyingKey::from_paserk("k4.public.…")?]);
    let store = RedisStore::open(&RedisStoreConfig::new("redis://127.0.0.1"))?;
    let app = Router::new()
        .route("/hello", get(hello))
        .layer(SessionAuthLayer::new(verifier, store));
    let _: Router = app;

    // At memory speed, in the same app.
    let verifier = TokenVerifier::new([VerifyingKey::from_paserk("k4.public.…")?]);
    use std::time::Duration;
    use tower_session_auth::store::CachedStore as _;

    let mut config = RedisStoreConfig::new("redis://127.0.0.1");
    config.near_cache.bound = Duration::from_millis(250);
    let store = RedisStore::open(&config)?;
    let layer = SessionAuthLayer::bounded(verifier, store.clone())?;
    let stats = store.cache_stats(); // Some: coherent, bound, hits, misses, losses
    drop((layer, stats));
    Ok(())
}

#[expect(dead_code, reason = "only compiled")]
async fn agent_client() -> Result<impl Service<Request<Full<Bytes>>>, BoxError> {
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tower::Layer;
    use tower_session_auth::client::{ClientSession, FileStorage};

    // session.json: what `POST /v1/sessions` answered. For https, use a connector that speaks it, such as hyper-rustls.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let session = ClientSession::builder(http.clone(), "http://127.0.0.1:3100".parse()?)
        .open(FileStorage::new("session.json"))
        .await?;
    let api = session.layer().layer(http); // attaches the token, and renews it in the background
    Ok(api)
}

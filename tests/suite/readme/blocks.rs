//! The Rust blocks of the pages, repeated here so that they are compiled. A test of the parent module compares them.

#![allow(dead_code)]

use tower::BoxError;
use tower_session_auth::TokenVerifier;

async fn readme_library() -> Result<(), Box<dyn std::error::Error>> {
    use axum::{Router, routing::get};
    use tower_session_auth::{AuthenticatedSession, KeySet, MemoryStore, SessionAuthority, SigningKey};

    async fn hello(session: AuthenticatedSession) -> String {
        format!("hello, agent {}\n", session.agent_id)
    }

    // In `main`, which is async and returns `Result<(), Box<dyn std::error::Error>>`:
    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new()).build()?;
    let app = Router::new()
        .route("/hello", get(hello))
        .route_layer(authority.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn readme_agent() -> Result<(), BoxError> {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tower::{Layer, Service, ServiceExt};
    use tower_session_auth::client::{ClientSession, FileStorage};

    let http = Client::builder(TokioExecutor::new()).build_http(); // of hyper-util
    let session = ClientSession::builder(http.clone(), "http://127.0.0.1:3100".parse()?)
        .open(FileStorage::new("session.json")) // the response to `POST /v1/sessions`
        .await?;
    let mut api = session.layer().resend_cloned().layer(http);
    let request = Request::get("http://127.0.0.1:3000/hello").body(Full::<Bytes>::default())?;
    api.ready().await?.call(request).await?;
    Ok(())
}

mod first_program {
    use axum::{Router, routing::get};
    use tower_session_auth::{
        AuthenticatedSession, KeySet, MemoryStore, SessionAuthority, SigningKey,
        clock::{Clock, SystemClock},
        session::CreateSession,
        store::{Agent, AgentStore},
    };

    async fn hello(session: AuthenticatedSession) -> String {
        format!("hello, agent {}\n", session.agent_id)
    }

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn std::error::Error>> {
        // One builder makes all parts from one configuration: keys, store and policy.
        let store = MemoryStore::new();
        let keys = KeySet::single(SigningKey::generate()?);
        let authority = SessionAuthority::builder(keys, store.clone()).build()?;
        let app = Router::new()
            .route("/hello", get(hello))
            .route_layer(authority.layer());

        // The administrator's work: register an agent, and create a session for it.
        let agent = Agent::new("6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?, SystemClock.now());
        store.register(&agent).await?;
        let issued = authority.manager().create(CreateSession::new(agent.id)).await?;
        let token = issued.token.expose();
        println!("curl -i -H 'Authorization: Bearer {token}' http://127.0.0.1:3000/hello");

        let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
        axum::serve(listener, app).await?;
        Ok(())
    }
}

mod verify_only_service {
    use axum::{Router, routing::get};
    use tower_session_auth::{
        AuthenticatedSession, RedisStore, SessionAuthLayer, TokenVerifier, VerifyingKeys,
        store::RedisStoreConfig,
    };

    async fn hello(session: AuthenticatedSession) -> String {
        format!("hello, agent {}\n", session.agent_id)
    }

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn std::error::Error>> {
        // One `k4.public.…` key per line.
        let verifier = TokenVerifier::new(VerifyingKeys::from_file("public-keys.txt")?);
        let store = RedisStore::open(&RedisStoreConfig::new("redis://127.0.0.1:6379"))?;
        let app = Router::new()
            .route("/hello", get(hello))
            .route_layer(SessionAuthLayer::new(verifier, store));

        let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
        axum::serve(listener, app).await?;
        Ok(())
    }
}

mod mounted_endpoints {
    use std::net::SocketAddr;

    use axum::{Router, extract::ConnectInfo, routing::get};
    use tower_session_auth::{
        AuthenticatedSession, KeySet, MasterAuthLayer, RedisStore, SessionAuthority,
        master_auth::ClientAddrLayer, store::RedisStoreConfig,
    };

    async fn hello(session: AuthenticatedSession) -> String {
        format!("hello, agent {}\n", session.agent_id)
    }

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn std::error::Error>> {
        // Both files are made by `session-auth-server keygen` and `session-auth-server hash-password`.
        let keys = KeySet::from_file("keys.txt")?;
        let admin = MasterAuthLayer::new(&std::fs::read_to_string("master.hash")?)?;
        let store = RedisStore::open(&RedisStoreConfig::new("redis://127.0.0.1:6379"))?;
        let authority = SessionAuthority::builder(keys, store).build()?;

        // Wrong master passwords are counted by the client's address.
        let client_addr = ClientAddrLayer::from_request(|request| {
            let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
            peer.map(|ConnectInfo(peer)| peer.ip())
        });
        let app = Router::new()
            .route("/hello", get(hello))
            .route_layer(authority.layer())
            .nest_service("/auth", authority.endpoints(admin))
            .layer(client_addr);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app).await?;
        Ok(())
    }
}

mod agent {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::{BodyExt, Full};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tower::{BoxError, Layer, Service, ServiceExt};
    use tower_session_auth::client::{ClientSession, FileStorage, SessionOver};

    #[tokio::main]
    async fn main() -> Result<(), BoxError> {
        // For https, use a client with a TLS connector, such as that of hyper-rustls.
        let http = Client::builder(TokioExecutor::new()).build_http();
        let session = ClientSession::builder(http.clone(), "http://127.0.0.1:3100".parse()?)
            .open(FileStorage::new("session.json"))
            .await?;
        // Adds the token to each request. The session is renewed in the background.
        let mut api = session.layer().resend_cloned().layer(http);

        let request = Request::get("http://127.0.0.1:3000/hello").body(Full::<Bytes>::default())?;
        match api.ready().await?.call(request).await {
            Ok(response) => {
                println!("{}", response.status());
                let body = response.into_body().collect().await?.to_bytes();
                println!("{}", String::from_utf8_lossy(&body));
            }
            Err(error) if error.is::<SessionOver>() => println!("ask the administrator: {error}"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

mod tests_of_your_own_code {
    use axum::{Router, body::Body, http::Request, routing::get};
    use tower::ServiceExt;
    use tower_session_auth::{AuthenticatedSession, testing::TestAuthority};

    async fn hello(session: AuthenticatedSession) -> String {
        format!("hello, agent {}\n", session.agent_id)
    }

    #[tokio::test]
    async fn agent_with_a_session_is_greeted() {
        let authority = TestAuthority::new();
        let app = Router::new()
            .route("/hello", get(hello))
            .route_layer(authority.layer());

        let issued = authority.create_session(authority.agent()).await;
        let request = Request::get("/hello")
            .header("authorization", format!("Bearer {}", issued.token.expose()))
            .body(Body::empty())
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

fn cors() {
    use tower_session_auth::{AuthenticatedSession, testing::TestAuthority};

    async fn hello(_: AuthenticatedSession) {}

    let authority = TestAuthority::new();
    use axum::{
        Router,
        http::{HeaderValue, header},
        routing::get,
    };
    use tower_http::cors::{Any, CorsLayer};

    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static("https://app.example"))
        .allow_methods(Any)
        .allow_headers([header::AUTHORIZATION])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER]);
    let app = Router::new()
        .route("/hello", get(hello))
        .route_layer(authority.layer()) // inside
        .layer(cors); // outside
    let _: Router = app;
}

fn metrics() -> Result<(), BoxError> {
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use tower_session_auth::telemetry;

    let buckets = Matcher::Full("session_auth_store_duration_seconds".into());
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(buckets, telemetry::STORE_BUCKETS)?
        .install_recorder()?;
    telemetry::describe();
    // Now create the store and the layers. Then answer a scrape with:
    let text = exporter.render();
    drop(text);
    Ok(())
}

mod required_scopes {
    use axum::{Router, routing::get};
    use tower::ServiceBuilder;
    use tower_session_auth::{
        MemoryStore, SessionAuthority,
        extract::{RequiredScopes, Scoped},
        require_scope::RequireScopeLayer,
        session::InvalidScopes,
    };

    /// The scopes of one handler.
    struct WriteReports;

    impl RequiredScopes for WriteReports {
        const SCOPES: &'static str = "reports:read reports:write";
    }

    async fn write(session: Scoped<WriteReports>) -> String {
        format!("written by agent {}\n", session.agent_id)
    }

    fn app(authority: &SessionAuthority<MemoryStore>) -> Result<Router, InvalidScopes> {
        // For all routes: the outer layer is the first of a `ServiceBuilder`.
        let layers = ServiceBuilder::new()
            .layer(authority.layer())
            .layer(authority.scope_layer(RequireScopeLayer::any("reports:read reports:write")?));
        Ok(Router::new()
            .route("/reports", get(async || "the reports").post(write))
            .route_layer(layers))
    }
}

async fn bounded(verifier: TokenVerifier) -> Result<(), BoxError> {
    use std::time::Duration;
    use tower_session_auth::{
        RedisStore, SessionAuthLayer,
        store::{CachedStore, RedisStoreConfig},
    };

    let mut config = RedisStoreConfig::new("redis://127.0.0.1:6379");
    config.near_cache.bound = Duration::from_millis(250);
    let store = RedisStore::open(&config)?;
    let layer = SessionAuthLayer::bounded(verifier, store.clone())?;
    let statistics = store.cache_stats();
    drop((layer, statistics));
    Ok(())
}

async fn followed_keys() -> Result<(), BoxError> {
    let http = session_auth_tests::api::http_client();
    use tower_session_auth::{key_follower::KeyFollower, verify_only::VerifyOnlyLayer};

    let keys = KeyFollower::builder(http, "https://sessions.example/v1/keys".parse()?)
        .start()
        .await?;
    let layer = VerifyOnlyLayer::new(keys.verifier());
    drop(layer);
    Ok(())
}

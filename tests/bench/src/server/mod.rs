//! The server process: runs one kind of server on a free port until its standard input closes.

mod axum_servers;
mod hyper_servers;
mod reference;

use std::{
    convert::Infallible,
    io::{BufRead as _, Read as _, stdin},
    net::SocketAddr,
    thread,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use redis::{Client, IntoConnectionInfo as _, ProtocolVersion, aio::MultiplexedConnection};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, runtime};
use tower::{BoxError, Service};

pub(crate) use self::axum_servers::fred_pool;
use crate::variant::Variant;

/// The response body of every server to an admitted request.
const RESPONSE_BODY: &[u8] = b"hello";

/// The key of a bare `GET`. It is as long as the key of a session.
pub(crate) const BARE_KEY: &str = "bench:bare:00000000000000000000000000000000";
/// The value of a bare `GET`. It is as long as the record of a new session.
pub(crate) const BARE_VALUE: [u8; 55] = [b'x'; 55];

#[derive(Serialize, Deserialize)]
pub(crate) struct ServerConfig {
    pub(crate) kind: ServerKind,
    pub(crate) redis: String,
    /// PASERK `k4.secret`. The same key pair signs the JWTs.
    pub(crate) secret_key: String,
    /// PASERK `k4.public`.
    pub(crate) public_key: String,
    /// The initial time of the reference server's clock, in Unix seconds.
    pub(crate) now: u64,
    /// The limit of requests in flight of the reference server. `None`: its default.
    pub(crate) max_requests: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ServerKind {
    Variant(Variant),
    /// `Variant::Strict` whose inner service checks one more signature per request.
    StrictPlusSignatureCheck,
    /// The complete reference server of this workspace, with strict verification.
    Reference,
    /// The same, with bounded verification.
    BoundedReference,
    /// hyper with the headers of a constant session for every request with a token: the lower bound of any auth service.
    ConstantSession,
    /// The same on the runtime of the reference server, with several threads.
    ConstantSessionOnThreads,
    /// `ConstantSessionOnThreads` after one bare `GET` from Redis: the lower bound of an auth service that reads its store for every request.
    ConstantSessionAfterGet,
}

/// The addresses that a server process reports once it listens.
#[derive(Serialize, Deserialize)]
pub(crate) struct ServerAddresses {
    pub(crate) address: SocketAddr,
    /// Advances the clock of the reference server.
    pub(crate) clock_control: Option<SocketAddr>,
}

pub(crate) fn main() {
    let mut line = String::new();
    stdin()
        .lock()
        .read_line(&mut line)
        .expect("read the server configuration");
    let config: ServerConfig = serde_json::from_str(&line).expect("a valid server configuration");
    exit_when_stdin_closes();
    match config.kind {
        ServerKind::Variant(variant) => run_on_one_thread(variant_server(variant, &config)),
        ServerKind::StrictPlusSignatureCheck => {
            run_on_one_thread(async { serve(hyper_servers::strict_plus_signature_check(&config)).await })
        }
        ServerKind::ConstantSession => run_on_one_thread(serve(hyper_servers::constant_session())),
        ServerKind::ConstantSessionAfterGet => run_on_threads(async {
            serve(hyper_servers::constant_session_after_get(
                connect_to_redis(&config).await,
            ))
            .await;
        }),
        ServerKind::ConstantSessionOnThreads => run_on_threads(serve(hyper_servers::constant_session())),
        ServerKind::Reference | ServerKind::BoundedReference => run_on_threads(reference::run(&config)),
    }
}

/// Runs a server on the runtime of the reference server.
fn run_on_threads(server: impl Future<Output = ()>) {
    let runtime = session_auth_server::runtime();
    runtime.expect("create a runtime").block_on(server);
}

fn run_on_one_thread(server: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("create a runtime").block_on(server);
}

fn exit_when_stdin_closes() {
    thread::spawn(|| {
        let _ = stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

async fn variant_server(variant: Variant, config: &ServerConfig) {
    match variant {
        Variant::NoAuth => serve(hyper_servers::no_auth()).await,
        Variant::RedisGet => serve(hyper_servers::bare_get(connect_to_redis(config).await)).await,
        Variant::Strict => serve(hyper_servers::strict(config)).await,
        Variant::Bounded => serve(hyper_servers::bounded(config)).await,
        Variant::Axum => serve(axum_servers::no_auth()).await,
        Variant::AxumStrict => {
            serve(axum_servers::no_auth().layer(hyper_servers::strict_layer(config))).await
        }
        Variant::TowerSessions => serve(axum_servers::tower_sessions(config).await).await,
        Variant::JwtEddsa => serve(axum_servers::jwt(config)).await,
        Variant::JwtEddsaRedisGet => {
            serve(axum_servers::jwt_with_get(config, connect_to_redis(config).await)).await
        }
    }
}

async fn serve<S, B>(service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
    let address = listener.local_addr().expect("the local address");
    print_addresses(&ServerAddresses {
        address,
        clock_control: None,
    });
    loop {
        let (stream, _) = listener.accept().await.expect("accept a connection");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // An error is expected here: clients simply close their connections.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn print_addresses(addresses: &ServerAddresses) {
    println!("{}", serde_json::to_string(addresses).expect("valid JSON"));
}

/// Connects with the settings of `RedisStore`: multiplexed, RESP3, TCP_NODELAY.
async fn connect_to_redis(config: &ServerConfig) -> MultiplexedConnection {
    let info = config
        .redis
        .as_str()
        .into_connection_info()
        .expect("a valid Redis URL");
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_tcp_settings(tcp).set_redis_settings(protocol);
    let client = Client::open(info).expect("create a Redis client");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("connect to Redis")
}

//! A server process: one kind of server on a free port, until its standard input closes.

mod ours;
mod peers;
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

pub(crate) use self::peers::fred_pool;
use crate::variant::Variant;

/// What every server answers where it lets somebody pass.
const ANSWER: &[u8] = b"hello";

/// The key that the variants with a bare GET read: as long as a session's.
pub(crate) const BARE_KEY: &str = "bench:bare:00000000000000000000000000000000";
/// As long as the record of a fresh session.
pub(crate) const BARE_VALUE: [u8; 55] = [b'x'; 55];

#[derive(Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) kind: Kind,
    pub(crate) redis: String,
    /// PASERK `k4.secret` and `k4.public`: the same pair signs the JWTs.
    pub(crate) secret_key: String,
    pub(crate) public_key: String,
    /// Where the reference server's clock stands, in seconds.
    pub(crate) now: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Variant(Variant),
    /// `Variant::Strict` with a service behind it that checks one signature for each request.
    StrictAndSignature,
    /// The workspace's reference server with its whole stack.
    Reference,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Option<SocketAddr>,
}

pub(crate) fn main() {
    let mut line = String::new();
    stdin().lock().read_line(&mut line).expect("a setup");
    let setup: Setup = serde_json::from_str(&line).expect("a setup");
    end_with_input();
    match setup.kind {
        Kind::Variant(variant) => alone(variant_server(variant, &setup)),
        Kind::StrictAndSignature => alone(async { serve(ours::strict_and_signature(&setup)).await }),
        Kind::Reference => runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(reference::run(&setup)),
    }
}

/// On a runtime with one thread.
fn alone(server: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(server);
}

fn end_with_input() {
    thread::spawn(|| {
        let _ = stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

async fn variant_server(variant: Variant, setup: &Setup) {
    match variant {
        Variant::None => serve(ours::open()).await,
        Variant::RedisGet => serve(ours::bare_get(bare_redis(setup).await)).await,
        Variant::Strict => serve(ours::strict(setup)).await,
        Variant::Bounded => serve(ours::bounded(setup)).await,
        Variant::Axum => serve(peers::axum()).await,
        Variant::AxumStrict => serve(peers::axum().layer(ours::layer(setup))).await,
        Variant::TowerSessions => serve(peers::tower_sessions(setup).await).await,
        Variant::JwtEddsa => serve(peers::jwt(setup)).await,
        Variant::JwtEddsaRedisGet => serve(peers::jwt_with_get(setup, bare_redis(setup).await)).await,
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    started(&Started { address, clock: None });
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A client that closes its connection is the usual end of one.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn started(started: &Started) {
    println!("{}", serde_json::to_string(started).expect("JSON"));
}

/// A connection as `RedisStore` makes its own: multiplexed, RESP3, without Nagle's delay.
async fn bare_redis(setup: &Setup) -> MultiplexedConnection {
    let info = setup.redis.as_str().into_connection_info().expect("a URL");
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_tcp_settings(tcp).set_redis_settings(protocol);
    let client = Client::open(info).expect("a client");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("a connection to Redis")
}

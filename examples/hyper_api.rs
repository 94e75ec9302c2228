//! The layer on bare hyper, without a framework.
//!
//! Run it with `cargo run -p session-auth-examples --example hyper_api [PORT]`. The default port is 3000. Port 0 selects a free one.
//!
//! It serves HTTP/1 and HTTP/2 on one port and prints a curl command to paste. The response contains the agent's id. Without the
//! `Authorization` header the response is a 401 with a problem document. Stop the program with Ctrl-C.

use std::{convert::Infallible, env, error::Error};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_session_auth::{
    AuthenticatedSession, KeySet, MemoryStore, SessionAuthority, SigningKey, session::CreateSession,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;

    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .any_agent()
        .build()?;
    let service = authority.layer().layer(service_fn(hello));

    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let issued = authority.manager().create(CreateSession::new(agent)).await?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let token = issued.token.expose();
    println!("Listening on http://{address}. Try:");
    println!("curl -i -H 'Authorization: Bearer {token}' http://{address}/");
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let mut http = auto::Builder::new(TokioExecutor::new());
            // With a timer, hyper closes connections whose request headers do not arrive in time.
            http.http1().timer(TokioTimer::new());
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request
        .extensions()
        .get::<AuthenticatedSession>()
        .expect("the layer admits only authenticated requests");
    let greeting = format!("Hello, agent {}.\n", session.agent_id);
    Ok(Response::new(Full::from(greeting)))
}

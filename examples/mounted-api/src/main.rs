//! An axum server that mounts the complete session API below `/auth`, and protects its own route.
//!
//! Run it in this folder with `cargo run -- PORT HASH`. Port 0 selects a free one. `HASH` is the hash of the administrator's password, as
//! `session-auth-server hash-password` prints it.
//!
//! Administrators register agents and create sessions below `/auth`. Agents renew their sessions there, and call `/hello` with their
//! token. Stop the program with Ctrl-C.

use std::{env, error::Error, net::SocketAddr};

use axum::{Router, extract::ConnectInfo, routing::get};
use tokio::net::TcpListener;
use tower_session_auth::{
    AuthenticatedSession, KeySet, MasterAuthLayer, MemoryStore, SessionAuthority, SigningKey,
    master_auth::ClientAddrLayer,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (port, hash) = arguments.next().zip(arguments.next()).ok_or("usage: PORT HASH")?;

    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new()).build()?;
    let admin = MasterAuthLayer::new(&hash)?;
    let app = Router::new()
        .route("/hello", get(hello))
        .route_layer(authority.layer())
        .nest_service("/auth", authority.endpoints(admin))
        .layer(ClientAddrLayer::from_request(|request| {
            let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
            peer.map(|ConnectInfo(peer)| peer.ip())
        }));

    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(session: AuthenticatedSession) -> String {
    format!("Hello, agent {}.\n", session.agent_id)
}

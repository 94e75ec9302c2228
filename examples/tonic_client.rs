//! A tonic client that sends its session's token with each call.
//!
//! Run it with `cargo run -p session-auth-examples --example tonic_client`.
//!
//! A gRPC server with the session layer runs in the same process. The client calls gRPC's health service, so that nothing is generated
//! from a `.proto` file. Then the administrator replaces the token, and later revokes the session. The client adopts the new
//! token after one rejected call. After the revocation each call fails with `SessionOver`.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::net::TcpListener;
use tonic::{
    body::Body,
    client::GrpcService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{BoxError, Layer, Service, service_fn};
use tower_session_auth::{
    AuthenticatedSession, KeySet, MemoryStore, SessionAuthLayer, SessionAuthority, SigningKey,
    client::{ClientSession, MemoryStorage, SavedSession, SessionOver, SessionStorage},
    manager::IssuedSession,
    session::CreateSession,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let keys = KeySet::single(SigningKey::generate()?);
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .any_agent()
        .build()?;
    let (layer, manager) = (authority.layer(), authority.manager());
    let address = start_server(layer.clone()).await?;

    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse()?;
    let first = saved(manager.create(CreateSession::new(agent)).await?);
    let storage = MemoryStorage::new(first.clone());
    // An agent gives an HTTP client here, such as that of hyper-util, and the address of its session server.
    let session = ClientSession::builder(session_server(layer), "http://sessions.example".parse()?)
        .open(storage.clone())
        .await?;

    // The body of a gRPC call is a stream and cannot be cloned. So the layer sends each call once, which is its default.
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let mut client = HealthClient::new(session.layer().layer(channel));
    println!("With the session's token: {}", call(&mut client).await);

    // Another process of the agent has renewed the session, and has saved the new token.
    let next = saved(manager.rotate(first.id).await?);
    storage.replace(&first, &next).await?;
    println!("With the replaced token: {}", call(&mut client).await);
    println!("With the adopted token: {}", call(&mut client).await);

    manager.revoke(session.id()).await?;
    println!("After the revocation: {}", call(&mut client).await);
    Ok(())
}

fn saved(issued: IssuedSession) -> SavedSession {
    let record = issued.record;
    SavedSession::new(record.id, issued.token, record.expires_at(), issued.renew_after)
}

/// Calls the health service. Returns the answer, or the reason why there is none.
async fn call<C>(client: &mut HealthClient<C>) -> String
where
    C: GrpcService<
            Body,
            Error: Into<BoxError>,
            ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
        >,
{
    match client.check(HealthCheckRequest::default()).await {
        Ok(answer) => format!("{:?}", answer.into_inner().status()),
        // An error of the layer is the source of tonic's.
        Err(status) => match status
            .source()
            .and_then(|source| source.downcast_ref::<SessionOver>())
        {
            Some(over) => format!("{over}"),
            None => format!("{:?}", status.code()),
        },
    }
}

/// Starts gRPC's health service behind the layer.
async fn start_server(layer: SessionAuthLayer<MemoryStore>) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(layer).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}

/// The part of a session server that this example needs: `GET /v1/session`.
fn session_server(
    layer: SessionAuthLayer<MemoryStore>,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<impl http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send>,
    Error: Into<BoxError>,
    Future: Send,
> + Clone
+ Send
+ Sync {
    layer.layer(service_fn(|request: Request<Full<Bytes>>| async move {
        let session = request.extensions().get::<AuthenticatedSession>();
        let id = session.ok_or("the layer sets it")?.session_id.to_string();
        let body = serde_json::json!({ "id": id }).to_string();
        Ok::<_, &str>(Response::new(Full::from(body)))
    }))
}

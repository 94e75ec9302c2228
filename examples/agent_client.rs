//! An agent that keeps its session over a network that loses answers.
//!
//! Start the reference server with short tokens, and give the example its address and the master password that it prints:
//!
//! ```sh
//! cargo run --release -- --min-ttl 6
//! cargo run -p session-auth-examples --example agent_client http://127.0.0.1:3100 PASSWORD
//! ```
//!
//! It opens a session, then works with it until it was renewed ten times, which takes some 40 seconds. Every third answer to a
//! renewal, at random, is dropped on purpose: the server has renewed the session, and the agent does not know. In the end the session is
//! revoked, and the agent is told so.

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_session_auth::client::{ClientSession, FileStorage, SessionOver};

type Http = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let [server, password] = <[String; 2]>::try_from(env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: agent_client SERVER MASTER_PASSWORD")?;
    let admin = Admin {
        http: Client::builder(TokioExecutor::new()).build_http(),
        server: server.clone(),
        password,
    };

    // What an administrator does: the answer goes into a file that belongs to the agent.
    let agent = admin
        .send(Method::POST, "/v1/agents", json!({ "name": "example" }))
        .await?;
    let request = json!({ "agentId": agent["id"], "ttl": 6 });
    let opened = admin.send(Method::POST, "/v1/sessions", request).await?;
    let file = env::temp_dir().join(format!("agent-client-{}.json", std::process::id()));
    let storage = FileStorage::new(&file);
    storage.save(&serde_json::from_value(opened)?).await?;

    // What the agent does: it holds the session, and sends its requests through the session's layer.
    let dropped = Arc::new(AtomicU32::new(0));
    let session = ClientSession::builder(
        losing_answers(admin.http.clone(), dropped.clone()),
        server.parse::<Uri>()?,
    )
    // Tokens that live for seconds leave no time for long pauses; the default ones are for hours.
    .backoff(Duration::from_millis(50), Duration::from_millis(100))
    .open(storage)
    .await?;
    println!("Session {} is in {}.", session.id(), file.display());
    let mut api = session.layer().layer(admin.http.clone());

    let (mut requests, mut renewals) = (0, 0);
    while renewals < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let request = Request::get(format!("{server}/v1/session")).body(Full::<Bytes>::default())?;
        let response = api.ready().await?.call(request).await?;
        let body: Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        requests += 1;
        let count = body["renewalCount"]
            .as_u64()
            .ok_or_else(|| format!("refused: {body}"))?;
        if count > renewals {
            renewals = count;
            let dropped = dropped.load(Ordering::Relaxed);
            println!("Renewal {renewals}: {requests} requests passed, {dropped} answers were dropped.");
        }
    }

    admin
        .send(
            Method::DELETE,
            &format!("/v1/sessions/{}", session.id()),
            json!({}),
        )
        .await?;
    let request = Request::get(format!("{server}/v1/session")).body(Full::<Bytes>::default())?;
    match api.ready().await?.call(request).await {
        Err(error) => match error.downcast_ref::<SessionOver>() {
            Some(over) => println!("Session over: {over}."),
            None => return Err(error),
        },
        Ok(response) => return Err(format!("a revoked session is answered {}", response.status()).into()),
    }
    for beside in ["", ".lock"] {
        std::fs::remove_file(format!("{}{beside}", file.display()))?;
    }
    Ok(())
}

/// An HTTP client whose answers get lost at random: the first one, and a third of the others.
fn losing_answers(
    http: Http,
    dropped: Arc<AtomicU32>,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ Sync {
    service_fn(move |request| {
        let (http, dropped) = (http.clone(), dropped.clone());
        async move {
            let response = http.request(request).await?;
            let mut random = [0];
            getrandom::fill(&mut random)?;
            // The first one for certain, so that there is something to see.
            if dropped.load(Ordering::Relaxed) == 0 || random[0] % 3 == 0 {
                dropped.fetch_add(1, Ordering::Relaxed);
                return Err("the answer was lost".into());
            }
            Ok(response)
        }
    })
}

/// An administrator with the master password.
struct Admin {
    http: Http,
    server: String,
    password: String,
}

impl Admin {
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("x-master-password", &self.password)
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        let response = self.http.request(request).await?;
        let good = response.status().is_success();
        let body: Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        if good {
            Ok(body)
        } else {
            Err(body.to_string().into())
        }
    }
}

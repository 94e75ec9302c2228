//! An agent that renews its session over a network that loses answers.
//!
//! Start the reference server with short tokens, and give the example its address and the master password that it prints:
//!
//! ```sh
//! cargo run --release -- --min-ttl 6
//! cargo run -p session-auth-examples --example agent_client http://127.0.0.1:3100 PASSWORD
//! ```
//!
//! The example creates a session and sends requests until the session was renewed ten times, which takes some 40 seconds. A
//! third of the server's answers to renewals are dropped at random: the server has renewed the session, and the agent does not
//! have its new token yet. At the end the session is revoked, and the agent's next request fails with `SessionOver`.

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

    // The administrator creates a session. The answer goes into a file of the agent.
    let agent = admin
        .send(Method::POST, "/v1/agents", json!({ "name": "example" }))
        .await?;
    let request = json!({ "agentId": agent["id"], "ttl": 6 });
    let opened = admin.send(Method::POST, "/v1/sessions", request).await?;
    let file = env::temp_dir().join(format!("agent-client-{}.json", std::process::id()));
    let storage = FileStorage::new(&file);
    storage.save(&serde_json::from_value(opened)?).await?;

    // The agent opens the file, and sends its requests through the session's layer.
    let dropped = Arc::new(AtomicU32::new(0));
    let session = ClientSession::builder(
        losing_answers(admin.http.clone(), dropped.clone()),
        server.parse::<Uri>()?,
    )
    // The default pauses are too long for tokens that expire within seconds.
    .backoff(Duration::from_millis(50), Duration::from_millis(100))
    .open(storage)
    .await?;
    println!("Session {} is in {}.", session.id(), file.display());
    // The bodies here are `Clone`: a request that is rejected during a renewal is sent again.
    let mut api = session.layer().resend_cloned().layer(admin.http.clone());

    let (mut requests, mut renewals) = (0, 0);
    while renewals < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let request = Request::get(format!("{server}/v1/session")).body(Full::<Bytes>::default())?;
        let response = api.ready().await?.call(request).await?;
        let body: Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        requests += 1;
        let count = body["renewalCount"]
            .as_u64()
            .ok_or_else(|| format!("the request was rejected: {body}"))?;
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
        Ok(response) => return Err(format!("a revoked session got a {}", response.status()).into()),
    }
    for extension in ["", ".lock"] {
        std::fs::remove_file(format!("{}{extension}", file.display()))?;
    }
    Ok(())
}

/// An HTTP client that drops the first answer to a renewal, and a third of the others at random. It drops no other answers.
fn losing_answers(
    http: Http,
    dropped: Arc<AtomicU32>,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ Sync {
    service_fn(move |request: Request<Full<Bytes>>| {
        let (http, dropped) = (http.clone(), dropped.clone());
        async move {
            let renews = request.method() == Method::PUT;
            let response = http.request(request).await?;
            let mut random = [0];
            getrandom::fill(&mut random)?;
            if renews && (dropped.load(Ordering::Relaxed) == 0 || random[0] % 3 == 0) {
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

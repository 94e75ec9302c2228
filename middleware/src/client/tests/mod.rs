//! Tests without a network: a session server in memory, a manual clock, and tokio's paused time.

mod opening;
mod rejections;
mod renewals;
mod resending;
mod schedule;
mod storages;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{
    AuthError, ErrorKind, SessionId,
    clock::{ManualClock, Timestamp},
    response::problem_response,
    test_support::{NOW, claims},
    token::SessionToken,
};

const TTL: u64 = 100;
const BASE: &str = "http://sessions.example";

fn id() -> SessionId {
    claims().session_id
}

/// A session whose token was issued `from` seconds after `NOW`.
fn saved(token: &str, from: u64) -> SavedSession {
    let token = SessionToken::from_bearer(token);
    SavedSession::new(id(), token, NOW.plus(from + TTL), NOW.plus(from + 60))
}

/// A session server with one session. Its token is "1" until a renewal replaces it with "2".
#[derive(Clone, Default)]
struct Server {
    renewals: Arc<AtomicU32>,
    /// The rejections of the next renewals, last one first.
    rejections: Arc<Mutex<Vec<ErrorKind>>>,
    /// Method and path of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn http(&self) -> impl HttpClient {
        let server = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let response = server.answer(request.method(), request.uri().path(), request.headers());
            async { Ok(response) }
        })
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        self.requests.lock().unwrap().push(format!("{method} {path}"));
        let reject = |kind| problem_response(&AuthError::for_token(kind), "api", headers);
        let bearer = headers[header::AUTHORIZATION].to_str().unwrap();
        if method == Method::PUT {
            if let Some(kind) = self.rejections.lock().unwrap().pop() {
                return reject(kind);
            }
            assert!(headers.contains_key("idempotency-key"));
            assert_eq!(bearer, "Bearer 1");
            self.renewals.fetch_add(1, Ordering::SeqCst);
            return json(&saved("2", 60));
        }
        let current = match self.renewals() {
            0 => "Bearer 1",
            _ => "Bearer 2",
        };
        match (bearer == current, path) {
            (false, _) => reject(ErrorKind::TokenSuperseded),
            (true, "/v1/session") => json(&serde_json::json!({ "id": id() })),
            (true, _) => Response::new(Full::from("hello")),
        }
    }

    fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn open(&self, clock: &ManualClock, storage: impl SessionStorage) -> ClientSession {
        let builder = builder(self.http()).clock(clock.clone());
        builder.open(storage).await.unwrap()
    }
}

/// The HTTP client that [`ClientSession::builder`] accepts.
trait HttpClient:
    Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = BoxError,
        Future: Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> HttpClient for S where
    S: Service<
            Request<Full<Bytes>>,
            Response = Response<Full<Bytes>>,
            Error = BoxError,
            Future: Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

fn builder(http: impl HttpClient) -> ClientSessionBuilder {
    ClientSession::builder(http, BASE.parse().unwrap())
}

fn json(body: &impl serde::Serialize) -> Response<Full<Bytes>> {
    Response::new(Full::from(serde_json::to_vec(body).unwrap()))
}

fn clock() -> ManualClock {
    ManualClock::new(NOW)
}

fn get() -> Request<Full<Bytes>> {
    Request::get("http://api.example/").body(Full::default()).unwrap()
}

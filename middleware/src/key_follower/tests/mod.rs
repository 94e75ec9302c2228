//! Tests without a network: a key server in memory, and tokio's paused time.

mod early;
mod refresh;
mod stale;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    SigningKey, TokenVerifier,
    clock::ManualClock,
    error::AuthError,
    test_support::{NOW, claims, key},
    token::{PublishedKeys, SessionToken, TokenSigner, VerifiedToken},
    verify_only::VerifyOnlyLayer,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the server answers.
#[derive(Clone)]
enum Answer {
    Keys(Vec<SigningKey>),
    Raw(StatusCode, Bytes),
    Error,
    Never,
    Panic,
}

/// A server of keys. Its first key signs.
#[derive(Clone)]
struct KeyServer {
    answer: Arc<Mutex<Answer>>,
    delay: Arc<Mutex<Duration>>,
    fetches: Arc<AtomicUsize>,
}

impl KeyServer {
    fn new(keys: &[&SigningKey]) -> Self {
        let this = Self {
            answer: Arc::new(Mutex::new(Answer::Never)),
            delay: Arc::default(),
            fetches: Arc::default(),
        };
        this.publish(keys);
        this
    }

    fn publish(&self, keys: &[&SigningKey]) {
        self.answers(Answer::Keys(keys.iter().copied().cloned().collect()));
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn builder(&self) -> KeyFollowerBuilder {
        let server = self.clone();
        let http = service_fn(move |request: Request<Full<Bytes>>| {
            assert_eq!(request.uri().path(), "/v1/keys");
            assert_eq!(request.headers()[header::CACHE_CONTROL], "no-cache");
            server.fetches.fetch_add(1, Ordering::SeqCst);
            let (answer, delay) = (
                server.answer.lock().unwrap().clone(),
                *server.delay.lock().unwrap(),
            );
            async move {
                sleep(delay).await;
                respond(answer).await
            }
        });
        KeyFollower::builder(http, "https://sessions.example/v1/keys".parse().unwrap())
    }

    async fn follow(&self) -> KeyFollower {
        self.builder().start().await.unwrap()
    }
}

async fn respond(answer: Answer) -> Result<Response<Full<Bytes>>, BoxError> {
    match answer {
        Answer::Keys(keys) => {
            let verifier = TokenVerifier::new(keys.iter().map(|key| key.verifying_key().clone()));
            let published = PublishedKeys::new(&verifier, keys[0].verifying_key().id());
            let body = serde_json::to_vec(&published)?;
            let mut response = Response::new(Full::from(body));
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, "max-age=300".parse()?);
            Ok(response)
        }
        Answer::Raw(status, body) => {
            let mut response = Response::new(Full::from(body));
            *response.status_mut() = status;
            Ok(response)
        }
        Answer::Error => Err("connection refused".into()),
        Answer::Never => std::future::pending().await,
        Answer::Panic => panic!("the HTTP client"),
    }
}

fn other_key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn token_of(key: &SigningKey) -> SessionToken {
    TokenSigner::new(key.clone()).sign(&claims()).unwrap()
}

fn accepts(verifier: &TokenVerifier, key: &SigningKey) -> bool {
    verifier.verify(token_of(key).expose()).is_ok()
}

/// A service behind a layer with the keys of a follower.
fn service(
    keys: &KeyFollower,
) -> impl Service<
    Request<()>,
    Response = Response<crate::response::ResponseBody<Full<Bytes>>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    let layer = VerifyOnlyLayer::new(keys.verifier()).clock(ManualClock::new(NOW));
    layer.layer(service_fn(async |request: Request<()>| {
        assert!(request.extensions().get::<VerifiedToken>().is_some());
        Ok(Response::new(Full::default()))
    }))
}

fn request(key: &SigningKey) -> Request<()> {
    let bearer = format!("Bearer {}", token_of(key).expose());
    Request::get("/")
        .header("authorization", bearer)
        .body(())
        .unwrap()
}

/// The status and the code of a response.
fn outcome<B>(response: &Response<B>) -> (u16, Option<&'static str>) {
    let error = response.extensions().get::<AuthError>();
    (response.status().as_u16(), error.map(|error| error.kind().code()))
}

//! Fixtures for the unit tests: a key, an agent, a session and its token, a store, and the captured log.

mod logs;
mod stub;

use std::{fmt::Debug, future::poll_fn, pin::Pin, task::Poll};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Full};
pub(crate) use logs::CapturedLogs;
use serde_json::Value;
pub(crate) use stub::{Answer, Stub};
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::{self, Handle, Mock};

use crate::{
    AgentId, AuthError, ErrorKind, RejectionReason, SessionId, SigningKey, TokenVerifier,
    clock::Timestamp,
    response::ResponseBody,
    session::{LastRenewal, ReplacedTokenPolicy, SessionLimits, SessionRecord},
    token::{Claims, SessionToken, TokenSigner},
};

/// 2025-10-09T08:53:20Z
pub(crate) const NOW: Timestamp = Timestamp(1_760_000_000);
pub(crate) const TTL: u64 = 100;
pub(crate) const LIFETIME: u64 = 1_000;

/// The key pair of the PASETO specification's v4.public test vectors.
pub(crate) const SECRET: &str =
    "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";
pub(crate) const PUBLIC: &str = "k4.public.Hrnbu7wEfAP9cGBOAHHwmH4Wsot1ciXBHwBBXQ4gsaI";
pub(crate) const KID: &str = "k4.pid.yh4-bJYjOYAG6CWy0zsfPmpKylxS7uAWrxqVmBN2KAiJ";

pub(crate) fn key() -> SigningKey {
    SigningKey::from_paserk(SECRET).unwrap()
}

pub(crate) fn signer() -> TokenSigner {
    TokenSigner::new(key())
}

pub(crate) fn verifier() -> TokenVerifier {
    TokenVerifier::new([key().verifying_key().clone()])
}

pub(crate) fn agent() -> AgentId {
    "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().unwrap()
}

pub(crate) fn other_agent() -> AgentId {
    "00000000-0000-4000-8000-000000000000".parse().unwrap()
}

/// The claims of the first token of a session that was created at `NOW` with a ttl of `TTL` seconds.
pub(crate) fn claims() -> Claims {
    let session_id: SessionId = "0199c82c-c000-7abc-8def-0123456789ab".parse().unwrap();
    Claims {
        session_id,
        agent_id: agent(),
        generation: 0,
        issued_at: NOW,
        expires_at: NOW.plus(TTL),
    }
}

pub(crate) fn sign(claims: &Claims) -> SessionToken {
    signer().sign(claims).unwrap()
}

/// The session whose current token has these claims. A generation above 0 comes from as many renewals.
pub(crate) fn record(claims: &Claims) -> SessionRecord {
    let last_renewal = (claims.generation > 0).then(|| {
        LastRenewal::new(
            claims.issued_at,
            claims.generation,
            ReplacedTokenPolicy::default(),
        )
    });
    let id = claims.session_id;
    let ttl_started_at = last_renewal
        .as_ref()
        .map_or(id.created_at(), |renewal| renewal.at);
    let ttl = claims.expires_at.since(ttl_started_at);
    let limits = SessionLimits::new(ttl, 30, NOW.plus(LIFETIME));
    SessionRecord {
        generation: claims.generation,
        last_renewal,
        ..SessionRecord::new(id, claims.agent_id, sign(claims).hash(), &limits)
    }
}

/// The JSON of a response's body.
pub(crate) async fn json<B: http_body::Body<Error: Debug>>(response: Response<B>) -> Value {
    let body = response.into_body().collect().await.unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

pub(crate) type Body = Full<Bytes>;
pub(crate) type Inner = Mock<Request<()>, Response<Body>>;
pub(crate) type InnerHandle = Handle<Request<()>, Response<Body>>;

/// Sends a request through a layer. Returns the request that reached the inner service, or the rejection. A rejected request never
/// reached the inner service.
pub(crate) async fn pass<L>(
    layer: &L,
    request: Request<()>,
) -> Result<Request<()>, Response<ResponseBody<Body>>>
where
    L: Layer<Inner, Service: Service<Request<()>, Response = Response<ResponseBody<Body>>, Error: Debug>>,
{
    let (inner, mut handle) = mock::pair();
    let (response, admitted) = tokio::join!(layer.layer(inner).oneshot(request), async {
        let (request, send) = handle.next_request().await?;
        send.send_response(Response::new(Full::from("from the inner service")));
        Some(request)
    });
    let response = response.unwrap();
    match admitted {
        None => Err(response),
        Some(request) => {
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), "from the inner service");
            Ok(request)
        }
    }
}

/// The kind of a rejection, from the error in its extensions.
pub(crate) fn kind<B>(rejection: &Response<B>) -> ErrorKind {
    rejection.extensions().get::<AuthError>().unwrap().kind()
}

/// The precise reason of a rejection, from the error in its extensions.
pub(crate) fn reason<B>(rejection: &Response<B>) -> RejectionReason {
    rejection.extensions().get::<AuthError>().unwrap().reason()
}

/// The detail of a rejection, from the error in its extensions.
pub(crate) fn detail<B>(rejection: &Response<B>) -> &str {
    rejection.extensions().get::<AuthError>().unwrap().detail()
}

/// A header of a response, as text.
pub(crate) fn header<B>(response: &Response<B>, name: HeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

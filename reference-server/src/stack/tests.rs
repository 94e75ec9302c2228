use bytes::Bytes;
use http::{HeaderValue, Version};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower_session_auth::endpoints::EXT_AUTHZ_PATH;

use super::*;

/// The status and the body that a client gets when the service inside the stack behaves like this.
async fn answer<F>(routed: impl Fn() -> F + Clone + Send + 'static, timeout: Duration) -> (StatusCode, Value)
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let response = respond(routed, timeout, Request::new(Full::from("{}"))).await;
    let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
    let (parts, body) = response.into_parts();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if parts.status != StatusCode::OK {
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body["requestId"], id.as_str());
    }
    (parts.status, body)
}

/// The response to a request when the service inside the stack behaves like this.
async fn respond<F>(
    routed: impl Fn() -> F + Clone + Send + 'static,
    timeout: Duration,
    request: Request<Full<Bytes>>,
) -> Response<Bytes>
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let routed = service_fn(move |_: Request<Full<Bytes>>| {
        let response = routed();
        async { Ok::<_, Infallible>(response.await) }
    });
    let stack = identify(around(routed, timeout, header::AUTHORIZATION, AccessLog::new()));
    let (parts, body) = stack.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, body)
}

/// A call of ext_authz, or a request that looks like one on another path.
fn grpc_call(path: &str) -> Request<Full<Bytes>> {
    let request = Request::post(path)
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc");
    request.body(Full::default()).unwrap()
}

fn ok() -> Response<Full<Bytes>> {
    Response::new(Full::default())
}

#[tokio::test]
async fn panic_is_a_500_with_a_problem_document() {
    let (status, body) = answer(|| async { panic!("a defect") }, Duration::from_secs(60)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body["code"], "INTERNAL_ERROR");
    assert!(!body.to_string().contains("a defect"));
}

#[tokio::test(start_paused = true)]
async fn request_past_its_time_limit_is_a_408_with_a_problem_document() {
    let (status, body) = answer(std::future::pending, Duration::from_millis(5)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::REQUEST_TIMEOUT, &"REQUEST_TIMEOUT".into())
    );
}

#[tokio::test]
async fn other_responses_pass_unchanged() {
    assert_eq!(
        answer(|| async { ok() }, Duration::from_secs(60)).await,
        (StatusCode::OK, Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn call_of_ext_authz_past_its_time_limit_is_a_grpc_status() {
    let limit = Duration::from_millis(5);
    let response = respond(std::future::pending, limit, grpc_call(EXT_AUTHZ_PATH)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "4");
    // A proxy that calls another path judges by the HTTP status, and its client may choose the content type.
    let response = respond(std::future::pending, limit, grpc_call("/v1/auth")).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(!response.headers().contains_key("grpc-status"));
}

#[tokio::test]
async fn call_of_ext_authz_that_panics_is_a_grpc_status() {
    let panics = || async { panic!("a defect") };
    let response = respond(panics, Duration::from_secs(60), grpc_call(EXT_AUTHZ_PATH)).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &HeaderValue::from(13))
    );
}

#[test]
fn refused_call_of_ext_authz_is_a_grpc_status() {
    let refused = RefusedRequests(AccessLog::new());
    let error = AuthError::new(ErrorKind::Overloaded);
    let response = refused.refuse(&grpc_call(EXT_AUTHZ_PATH), &error);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["retry-after"], "1");
    let response = refused.refuse(&grpc_call("/v1/auth"), &error);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use super::*;

/// The status and the body that a client gets when the service inside the stack behaves like this.
async fn answer<F>(routed: impl Fn() -> F + Clone + Send + 'static, timeout: Duration) -> (StatusCode, Value)
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let routed = service_fn(move |_: Request<Full<Bytes>>| {
        let response = routed();
        async { Ok::<_, Infallible>(response.await) }
    });
    let request = Request::new(Full::from("{}"));
    let stack = identify(around(routed, timeout, header::AUTHORIZATION, AccessLog::new()));
    let response = stack.oneshot(request).await.unwrap();
    let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if parts.status != StatusCode::OK {
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body["requestId"], id.as_str());
    }
    (parts.status, body)
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

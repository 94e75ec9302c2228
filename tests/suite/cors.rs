//! CORS: a preflight request has no token, so the CORS layer must be outside of the session layer.

use axum::{Router, routing::get};
use http::{Method, Request, StatusCode, header};
use tower::ServiceExt as _;
use tower_http::cors::{Any, CorsLayer};
use tower_session_auth::testing::TestAuthority;

const ORIGIN: &str = "https://app.example";

fn app(authority: &TestAuthority) -> Router {
    let cors = CorsLayer::new()
        .allow_origin([ORIGIN.parse().unwrap()])
        .allow_methods(Any)
        .allow_headers([header::AUTHORIZATION])
        .expose_headers([header::WWW_AUTHENTICATE]);
    Router::new()
        .route("/orders", get(|| async { "orders" }))
        .route_layer(authority.layer())
        .layer(cors)
}

fn request(method: Method) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri("/orders")
        .header(header::ORIGIN, ORIGIN)
}

#[tokio::test]
async fn preflight_without_a_token_passes_if_the_cors_layer_is_outside() {
    let authority = TestAuthority::new();
    let preflight = request(Method::OPTIONS)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app(&authority).oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
    assert_eq!(
        response.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS],
        "authorization"
    );
}

#[tokio::test]
async fn rejection_carries_the_cors_headers_so_that_a_browser_can_read_it() {
    let authority = TestAuthority::new();
    let without_token = request(Method::GET).body(axum::body::Body::empty()).unwrap();
    let response = app(&authority).oneshot(without_token).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
    assert_eq!(
        response.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS],
        "www-authenticate"
    );
    assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
}

/// The wrong order, to show why the order matters.
#[tokio::test]
async fn preflight_is_rejected_if_the_cors_layer_is_inside() {
    let authority = TestAuthority::new();
    let app = Router::new()
        .route("/orders", get(|| async { "orders" }))
        .layer(CorsLayer::permissive())
        .layer(authority.layer());
    let preflight = request(Method::OPTIONS)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app.oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(
        !response
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    );
}

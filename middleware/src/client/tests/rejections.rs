//! Which responses count as a rejection of the token.

use super::*;

/// An API that gives this answer to every token except "2".
fn api(rejection: fn() -> Response<Full<Bytes>>) -> impl HttpClient {
    service_fn(move |request: Request<Full<Bytes>>| {
        let current = request.headers()[header::AUTHORIZATION] == "Bearer 2";
        let response = match current {
            true => Response::new(Full::from("hello")),
            false => rejection(),
        };
        async { Ok::<_, BoxError>(response) }
    })
}

fn answer(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &'static str,
) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body)).unwrap()
}

const INVALID_TOKEN: (&str, &str) = (
    "www-authenticate",
    "Bearer realm=\"api\", error=\"invalid_token\"",
);

/// Sends a request past the middle of the token's life. Returns the response and the number of renewals that it caused.
async fn send(rejection: fn() -> Response<Full<Bytes>>) -> (Response<Full<Bytes>>, u32) {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    clock.set(NOW.plus(55));
    let mut api = session.layer().resend_cloned().layer(api(rejection));
    let response = api.ready().await.unwrap().call(get()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, Full::from(body)), server.renewals())
}

#[tokio::test(start_paused = true)]
async fn rejected_token_is_replaced() {
    let rejections: [fn() -> Response<Full<Bytes>>; 7] = [
        || {
            problem_response(
                &AuthError::for_token(ErrorKind::TokenSuperseded),
                "api",
                &HeaderMap::new(),
            )
        },
        // A proxy has replaced the body, or added a challenge.
        || {
            answer(
                401,
                &[INVALID_TOKEN, ("content-type", "text/html")],
                "<html></html>",
            )
        },
        || answer(401, &[INVALID_TOKEN], ""),
        || {
            answer(
                401,
                &[INVALID_TOKEN, ("content-type", "application/problem+json")],
                "{}",
            )
        },
        || {
            answer(
                401,
                &[
                    ("www-authenticate", "Basic realm=x"),
                    ("www-authenticate", "bearer error=invalid_token"),
                ],
                "",
            )
        },
        // gRPC, trailers only.
        || {
            answer(
                200,
                &[("content-type", "application/grpc"), ("grpc-status", "16")],
                "",
            )
        },
        || {
            let message = ("grpc-message", "TOKEN_SUPERSEDED: replaced");
            answer(
                200,
                &[
                    ("content-type", "application/grpc+proto"),
                    ("grpc-status", "16"),
                    message,
                ],
                "",
            )
        },
    ];
    for (index, rejection) in rejections.into_iter().enumerate() {
        let (response, renewals) = send(rejection).await;
        assert_eq!(response.status(), StatusCode::OK, "{index}");
        assert!(!response.headers().contains_key("grpc-status"), "{index}");
        assert_eq!(renewals, 1, "{index}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_responses_are_handed_on_unchanged() {
    let responses: [fn() -> Response<Full<Bytes>>; 7] = [
        // Only this service does not know the signing key, so a renewal would not help.
        || {
            problem_response(
                &AuthError::for_token(ErrorKind::InvalidToken),
                "api",
                &HeaderMap::new(),
            )
        },
        || {
            answer(
                401,
                &[("www-authenticate", "Bearer realm=\"invalid_token\"")],
                "no error",
            )
        },
        || {
            answer(
                401,
                &[("www-authenticate", "Basic realm=\"api\"")],
                "another scheme",
            )
        },
        || answer(403, &[INVALID_TOKEN], "another status"),
        || {
            answer(
                200,
                &[("content-type", "application/grpc"), ("grpc-status", "7")],
                "",
            )
        },
        || {
            answer(
                200,
                &[("content-type", "application/json"), ("grpc-status", "16")],
                "no gRPC",
            )
        },
        || {
            let message = ("grpc-message", "INVALID_TOKEN: unknown key");
            answer(
                200,
                &[
                    ("content-type", "application/grpc"),
                    ("grpc-status", "16"),
                    message,
                ],
                "",
            )
        },
    ];
    for (index, response) in responses.into_iter().enumerate() {
        let (received, renewals) = send(response).await;
        let sent = response();
        assert_eq!(received.status(), sent.status(), "{index}");
        assert_eq!(received.headers(), sent.headers(), "{index}");
        let (received, sent) = (
            received.into_body().collect().await,
            sent.into_body().collect().await,
        );
        assert_eq!(received.unwrap().to_bytes(), sent.unwrap().to_bytes(), "{index}");
        assert_eq!(renewals, 0, "{index}");
    }
}

#[tokio::test(start_paused = true)]
async fn revocation_in_a_grpc_message_ends_the_session() {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    let message = ("grpc-message", "SESSION_REVOKED: The session was revoked.");
    let mut api = session.layer().layer(service_fn(move |_: Request<Full<Bytes>>| {
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            message,
        ];
        let response = answer(200, &headers, "");
        async { Ok::<_, BoxError>(response) }
    }));
    let error = api.ready().await.unwrap().call(get()).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&SessionOver::Revoked), "{error}");
}

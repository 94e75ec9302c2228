//! Request bodies that cannot be cloned, requests that are sent again, and the header with the token.

use http_body_util::combinators::UnsyncBoxBody;

use super::*;

/// A body that is not `Clone`, like those of axum, tonic and reqwest.
type Stream = UnsyncBoxBody<Bytes, BoxError>;

fn stream(content: &'static str) -> Stream {
    Full::from(content).map_err(|never| match never {}).boxed_unsync()
}

fn post(body: Stream) -> Request<Stream> {
    Request::post("http://api.example/").body(body).unwrap()
}

/// An API that accepts the token "2" alone, and answers with the request's body.
fn echo() -> impl Service<
    Request<Stream>,
    Response = Response<Full<Bytes>>,
    Error = BoxError,
    Future: Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request<Stream>| async move {
        if request.headers()[header::AUTHORIZATION] == "Bearer 2" {
            let body = request.into_body().collect().await?.to_bytes();
            return Ok(Response::new(Full::from(body)));
        }
        let error = AuthError::for_token(ErrorKind::TokenSuperseded);
        Ok(problem_response(&error, "api", request.headers()))
    })
}

/// A session whose token "1" is past the middle of its life.
async fn session() -> (Server, ClientSession) {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    clock.set(NOW.plus(55));
    (server, session)
}

async fn body<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(start_paused = true)]
async fn by_default_a_rejected_request_is_sent_once_and_the_next_one_passes() {
    let (server, session) = session().await;
    let mut api = session.layer().layer(echo());
    let response = api
        .ready()
        .await
        .unwrap()
        .call(post(stream("one")))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let problem: serde_json::Value = serde_json::from_slice(&body(response).await).unwrap();
    assert_eq!(problem["code"], "TOKEN_SUPERSEDED");
    assert_eq!(server.renewals(), 1);

    let response = api
        .ready()
        .await
        .unwrap()
        .call(post(stream("two")))
        .await
        .unwrap();
    assert_eq!(
        (response.status(), body(response).await),
        (StatusCode::OK, "two".into())
    );
    assert_eq!(server.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn by_default_the_token_of_a_sibling_is_adopted_for_the_next_request() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    storage.replace(&saved("1", 0), &saved("2", 60)).await.unwrap();
    let mut api = session.layer().layer(echo());
    for status in [StatusCode::UNAUTHORIZED, StatusCode::OK] {
        let response = api
            .ready()
            .await
            .unwrap()
            .call(post(stream("body")))
            .await
            .unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(server.renewals(), 0);
}

#[tokio::test(start_paused = true)]
async fn rejected_request_is_sent_again_with_the_same_body_if_it_can_be_copied() {
    let (server, session) = session().await;
    let layer = session.layer().resend_with(|body: &Stream| {
        let length = http_body::Body::size_hint(body).exact();
        (length == Some(4)).then(|| stream("same"))
    });
    let mut api = layer.layer(echo());
    let response = api
        .ready()
        .await
        .unwrap()
        .call(post(stream("same")))
        .await
        .unwrap();
    assert_eq!(
        (response.status(), body(response).await),
        (StatusCode::OK, "same".into())
    );
    assert_eq!(server.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn rejected_request_without_a_copy_is_sent_once() {
    let (server, session) = session().await;
    let mut api = session.layer().resend_with(|_: &Stream| None).layer(echo());
    let response = api
        .ready()
        .await
        .unwrap()
        .call(post(stream("one")))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn cloned_body_is_sent_again_at_most_three_times() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    let sent = Arc::new(AtomicU32::new(0));
    let counted = sent.clone();
    // Each rejection comes with a new token in the storage.
    let rejecting = service_fn(move |request: Request<Full<Bytes>>| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let storage = storage.clone();
        async move {
            let before = storage.load().await?;
            let next = saved(&format!("new {number}"), 0);
            storage.replace(&before, &next).await?;
            let error = AuthError::for_token(ErrorKind::TokenSuperseded);
            Ok::<_, BoxError>(problem_response(&error, "api", request.headers()))
        }
    });
    let mut api = session.layer().resend_cloned().layer(rejecting);
    let response = api.ready().await.unwrap().call(get()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(sent.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn token_goes_into_the_configured_header_of_every_request() {
    let set: [fn(ClientSessionBuilder) -> ClientSessionBuilder; 3] = [
        |builder| builder,
        |builder| builder.header("x-session-token"),
        |builder| builder.header_without_scheme("x-session-token"),
    ];
    let expected = [
        ("Bearer 1", None),
        ("Basic for-a-proxy", Some("Bearer 1")),
        ("Basic for-a-proxy", Some("1")),
    ];
    for (set, (authorization, custom)) in set.into_iter().zip(expected) {
        let seen = Arc::new(Mutex::new(Vec::<HeaderMap>::new()));
        let (recorded, server) = (seen.clone(), Server::default());
        let http = service_fn(move |request: Request<Full<Bytes>>| {
            let mut headers = request.headers().clone();
            recorded.lock().unwrap().push(headers.clone());
            headers.insert(header::AUTHORIZATION, "Bearer 1".parse().unwrap());
            let response = server.answer(request.method(), request.uri().path(), &headers);
            async { Ok::<_, BoxError>(response) }
        });
        let clock = clock();
        let opened = set(builder(http.clone()))
            .clock(clock.clone())
            .open(MemoryStorage::new(saved("1", 0)));
        let session = opened.await.unwrap();
        let mut request = get();
        let by_a_proxy = "Basic for-a-proxy".parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, by_a_proxy);
        session.layer().layer(http).oneshot(request).await.unwrap();
        clock.set(NOW.plus(60));
        session.fresh_token().await.unwrap();

        let seen = seen.lock().unwrap();
        let [check, request, renewal] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(request[header::AUTHORIZATION], authorization);
        for headers in [check, request, renewal] {
            let token = match custom {
                None => headers.get(header::AUTHORIZATION),
                Some(_) => headers.get("x-session-token"),
            };
            let token = token.unwrap();
            assert_eq!(token, custom.unwrap_or(authorization));
            assert!(token.is_sensitive());
        }
        for headers in [check, renewal] {
            assert_eq!(headers.contains_key(header::AUTHORIZATION), custom.is_none());
        }
    }
}

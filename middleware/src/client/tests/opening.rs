//! Checks of the storage and the server by `open`.

use super::*;

/// A client for a server that gives each request the same answer, and the number of requests.
fn always(
    answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (impl HttpClient, Arc<AtomicU32>) {
    let requests = Arc::new(AtomicU32::new(0));
    let counted = requests.clone();
    let http = service_fn(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer();
        async { Ok::<_, BoxError>(answer) }
    });
    (http, requests)
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body.to_owned())).unwrap()
}

fn problem(kind: ErrorKind) -> Response<Full<Bytes>> {
    problem_response(&AuthError::for_token(kind), "api", &HeaderMap::new())
}

async fn open_against(response: Response<Full<Bytes>>) -> Result<ClientSession, OpenError> {
    let (http, _) = always(move || response.clone());
    builder(http)
        .clock(clock())
        .open(MemoryStorage::new(saved("secret", 0)))
        .await
}

const HTML: &[(&str, &str)] = &[("content-type", "text/html")];

#[tokio::test(start_paused = true)]
async fn redirect_is_an_error_that_names_the_target_and_nothing_is_sent_there() {
    for status in [301, 302, 307, 308] {
        let location = "https://www.sessions.example/v1/session";
        let (http, requests) = always(move || answer(status, &[("location", location)], ""));
        let opened = builder(http).open(MemoryStorage::new(saved("secret", 0))).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, OpenError::Redirect { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(location) && text.contains(&status.to_string()),
            "{text}"
        );
        assert!(text.starts_with("http://sessions.example/v1/session "), "{text}");
        assert!(!format!("{text}{error:?}").contains("secret"));
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn answer_of_another_server_is_an_error_that_describes_it() {
    let other_id = r#"{"id":"0199c82c-c000-7abc-8def-0123456789ac"}"#;
    let long = "x".repeat(100_000);
    for foreign in [
        answer(200, HTML, "<html>welcome</html>"),
        answer(200, HTML, &long),
        answer(200, &[], other_id),
        answer(404, HTML, "<html>not here</html>"),
        answer(401, HTML, "<html>log in</html>"),
        answer(401, &[("www-authenticate", "Basic realm=\"invalid_token\"")], ""),
        answer(403, HTML, "<html>blocked</html>"),
        answer(204, &[], ""),
        // The base URI is wrong by a part of the path.
        problem(ErrorKind::NotFound),
    ] {
        let status = foreign.status();
        let error = open_against(foreign).await.unwrap_err();
        assert!(
            matches!(error, OpenError::NotASessionServer { .. }),
            "{status}: {error}"
        );
        let text = error.to_string();
        assert!(text.contains(&status.to_string()), "{text}");
        assert!(text.starts_with("http://sessions.example/v1/session "), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_of_the_session_server_opens_the_session_even_if_it_is_a_rejection() {
    let bearer = ("www-authenticate", "Bearer realm=\"a\", error=\"invalid_token\"");
    let own = format!(r#"{{"id":"{}","status":"ACTIVE"}}"#, id());
    for response in [
        answer(200, &[], &own),
        problem(ErrorKind::SessionRevoked),
        problem(ErrorKind::TokenExpired),
        problem(ErrorKind::InvalidToken),
        answer(401, &[bearer, HTML[0]], "<html>by a proxy</html>"),
    ] {
        let status = response.status();
        let opened = open_against(response).await;
        assert!(opened.is_ok(), "{status}: {opened:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_answer_yet_is_asked_again_until_it_does() {
    for unavailable in [500, 502, 503, 429, 408] {
        let up = Arc::new(AtomicU32::new(0));
        let switch = up.clone();
        let own = format!(r#"{{"id":"{}"}}"#, id());
        let (http, requests) = always(move || match switch.load(Ordering::SeqCst) {
            0 => answer(unavailable, HTML, "<html>wait</html>"),
            _ => answer(200, &[], &own),
        });
        let opened = builder(http)
            .clock(clock())
            .open(MemoryStorage::new(saved("1", 0)))
            .await;
        let session = opened.unwrap();
        tokio::time::sleep(Duration::from_secs(25)).await;
        let before = requests.load(Ordering::SeqCst);
        assert!((2..=3).contains(&before), "{before}");
        up.store(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(requests.load(Ordering::SeqCst), before + 1);
        drop(session);
    }
    let http = service_fn(|_| async { Err::<Response<Full<Bytes>>, BoxError>("connection refused".into()) });
    builder(http)
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    let http = service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>());
    builder(http)
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn check_is_one_request_without_effects() {
    let server = Server::default();
    let _session = server.open(&clock(), MemoryStorage::new(saved("1", 0))).await;
    assert_eq!(server.requests(), ["GET /v1/session"]);

    let server = Server::default();
    let _session = builder(server.http())
        .clock(clock())
        .without_server_check()
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn token_of_an_interrupted_renewal_is_sent_only_to_finish_it() {
    let server = Server::default();
    let pending = SavedSession {
        pending_key: Some("interrupted".parse().unwrap()),
        ..saved("1", 0)
    };
    let session = server.open(&clock(), MemoryStorage::new(pending)).await;
    assert_eq!(session.fresh_token().await.unwrap().expose(), "2");
    assert_eq!(server.requests(), [format!("PUT /v1/sessions/{}/renew", id())]);
}

#[tokio::test(start_paused = true)]
async fn storage_that_cannot_save_is_an_error_before_any_request() {
    struct ReadOnly;
    impl SessionStorage for ReadOnly {
        async fn load(&self) -> Result<SavedSession, BoxError> {
            Ok(saved("1", 0))
        }
        async fn replace(&self, _: &SavedSession, _: &SavedSession) -> Result<SavedSession, BoxError> {
            Err("read-only".into())
        }
        async fn check(&self) -> Result<(), BoxError> {
            Err("read-only".into())
        }
    }
    let server = Server::default();
    let error = builder(server.http()).open(ReadOnly).await.unwrap_err();
    assert_eq!(error.to_string(), "the session cannot be saved: read-only");
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn invalid_settings_have_their_own_errors() {
    let server = Server::default();
    let open = async |base: &str, token: &str| {
        let builder = ClientSession::builder(server.http(), base.parse().unwrap());
        builder
            .open(MemoryStorage::new(saved(token, 0)))
            .await
            .unwrap_err()
    };
    for base in ["/path", "http://sessions.example/?a=b"] {
        let error = open(base, "1").await;
        assert!(matches!(error, OpenError::ServerUri { .. }), "{base}: {error}");
    }
    let error = open("http://user:secret@sessions.example/?a=b", "1").await;
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    assert!(matches!(open(BASE, "with\nbreak").await, OpenError::Token));
    let header = builder(server.http()).header("not a name");
    let error = header.open(MemoryStorage::new(saved("1", 0))).await.unwrap_err();
    assert!(matches!(error, OpenError::Header(_)), "{error}");

    let saved = saved("secret", 0);
    assert!(!format!("{saved:?}").contains("secret"));
    assert_eq!(saved.expires_at, Timestamp(NOW.0 + TTL));
}

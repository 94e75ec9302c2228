//! The cause of an error: for the log, never for the client.

use std::error::Error;

use tracing::Level;

use super::*;
use crate::{store::StoreError, test_support::CapturedLogs};

const CAUSE: &str = "the-cause-of-the-error";

fn cause() -> StoreError {
    StoreError::Unavailable(CAUSE.to_owned())
}

#[test]
fn cause_is_the_source_of_the_error() {
    let error = AuthError::new(ErrorKind::InternalError);
    assert!(error.source().is_none());
    let error = error.with_cause(cause());
    let source = error.source().map(ToString::to_string);
    assert_eq!(source, Some(cause().to_string()));
    assert!(error.source().unwrap().downcast_ref::<StoreError>().is_some());
    assert!(error.clone().source().is_some());
}

#[test]
fn store_error_is_the_source_of_store_unavailable() {
    for cause in [
        StoreError::Timeout,
        cause(),
        StoreError::Unexpected(CAUSE.to_owned()),
    ] {
        let error = AuthError::from(cause.clone());
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        let source = error.source().map(ToString::to_string);
        assert_eq!(source, Some(cause.to_string()));
    }
}

#[tokio::test]
async fn cause_is_not_sent_to_the_client() {
    let error = AuthError::new(ErrorKind::InternalError).with_cause(cause());
    assert!(!error.to_string().contains(CAUSE));
    let body = problem(&error, &HeaderMap::new()).await.to_string();
    assert!(!body.contains(CAUSE), "{body}");
    let mut grpc = HeaderMap::new();
    grpc.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let response = Rejections::default().respond(&error, &call(&grpc));
    let headers = format!("{:?}", response.headers());
    assert!(!headers.contains(CAUSE), "{headers}");
}

#[test]
fn cause_is_logged_once_where_the_request_is_answered() {
    let mut replaced = Rejections::default();
    replaced.replace(|_, _| Response::new(Full::default()));
    let mut grpc = HeaderMap::new();
    grpc.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    for (rejections, headers) in [
        (Rejections::default(), HeaderMap::new()),
        (Rejections::default(), grpc),
        (replaced, HeaderMap::new()),
    ] {
        let logs = CapturedLogs::start();
        // Neither the conversion nor a copy of the error logs.
        let error = AuthError::from(cause()).clone();
        assert_eq!(logs.containing(CAUSE), []);
        let _ = rejections.respond(&error, &call(&headers));
        let events = logs.containing(CAUSE);
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].1.contains("STORE_UNAVAILABLE"), "{events:?}");
    }
}

#[test]
fn defect_is_logged_as_an_error_and_any_other_cause_as_a_warning() {
    for (error, level) in [
        (AuthError::from(cause()), Level::WARN),
        (
            AuthError::new(ErrorKind::InternalError).with_cause(cause()),
            Level::WARN,
        ),
        (
            AuthError::from(StoreError::Unexpected(CAUSE.to_owned())),
            Level::ERROR,
        ),
        (
            AuthError::new(ErrorKind::InternalError).with_internal_cause(cause()),
            Level::ERROR,
        ),
    ] {
        let logs = CapturedLogs::start();
        let _ = Rejections::default().respond(&error, &call(&HeaderMap::new()));
        let levels: Vec<_> = logs.containing(CAUSE).iter().map(|event| event.0).collect();
        assert_eq!(levels, [level]);
    }
}

#[test]
fn error_without_a_cause_is_logged_neither_as_a_warning_nor_as_an_error() {
    let logs = CapturedLogs::start();
    let _ = Rejections::default().respond(&AuthError::missing_token(), &call(&HeaderMap::new()));
    let events = logs.containing("");
    assert!(events.iter().all(|event| event.0 >= Level::DEBUG), "{events:?}");
}

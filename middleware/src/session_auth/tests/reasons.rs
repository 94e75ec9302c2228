//! The precise reason of a rejection with its key, session and agent: in the log and in the extensions of the response.

use http::Response;
use tracing::Level;

use super::*;
use crate::{
    AuthError, ErrorKind, RejectionReason as Reason,
    store::StoreError,
    test_support::{Answer, CapturedLogs, KID, other_agent, pass},
};

fn error<B>(rejection: &Response<B>) -> &AuthError {
    rejection.extensions().get().unwrap()
}

#[tokio::test]
async fn rejection_after_the_signature_has_its_reason_key_session_and_agent() {
    let other_agents = SessionRecord {
        agent_id: other_agent(),
        ..record(&claims())
    };
    let ahead = Claims {
        generation: 2,
        ..claims()
    };
    let rows: Vec<(Claims, Answer, ErrorKind, Reason)> = vec![
        (
            claims(),
            Ok(None),
            ErrorKind::SessionNotFound,
            Reason::SessionNotFound,
        ),
        (
            claims(),
            Ok(Some(revoked())),
            ErrorKind::SessionRevoked,
            Reason::SessionRevoked,
        ),
        (
            claims(),
            Ok(Some(renewed())),
            ErrorKind::TokenSuperseded,
            Reason::TokenSuperseded,
        ),
        (
            ahead,
            Ok(Some(renewed())),
            ErrorKind::SessionStateLost,
            Reason::StateLost,
        ),
        (
            claims(),
            Ok(Some(other_agents)),
            ErrorKind::InvalidToken,
            Reason::WrongAgent,
        ),
        (
            claims(),
            Err(StoreError::Timeout),
            ErrorKind::StoreUnavailable,
            Reason::StoreTimeout,
        ),
        (
            claims(),
            Err(StoreError::Unavailable("down".into())),
            ErrorKind::StoreUnavailable,
            Reason::StoreUnavailable,
        ),
        (
            claims(),
            Err(StoreError::Unexpected("?".into())),
            ErrorKind::StoreUnavailable,
            Reason::StoreMalformed,
        ),
    ];
    for (claims, answer, kind, reason) in rows {
        let rejection = pass(&access(Stub::answering(answer)), request(&claims))
            .await
            .unwrap_err();
        let error = error(&rejection);
        assert_eq!((error.kind(), error.reason()), (kind, reason));
        assert_eq!(error.key_id(), Some(KID), "{reason}");
        assert_eq!(error.session_id(), Some(claims.session_id), "{reason}");
        assert_eq!(error.agent_id(), Some(claims.agent_id), "{reason}");
    }
}

#[tokio::test]
async fn rejection_is_logged_once_with_its_reason_and_no_byte_of_the_token() {
    for (answer, level) in [
        (Ok(Some(revoked())), Level::DEBUG),
        (Err(StoreError::Timeout), Level::WARN),
        (Err(StoreError::Unexpected("?".into())), Level::ERROR),
    ] {
        let logs = CapturedLogs::start();
        let rejection = pass(&access(Stub::answering(answer)), request(&claims()))
            .await
            .unwrap_err();
        let events = logs.containing("request rejected");
        assert_eq!(events.len(), 1, "{events:?}");
        let (logged, text) = &events[0];
        assert_eq!(*logged, level);
        let error = error(&rejection);
        for field in [
            format!("code=\"{}\"", error.kind().code()),
            format!("reason=\"{}\"", error.reason()),
            format!("kid=\"{KID}\""),
            format!("session={}", claims().session_id),
            format!("agent={}", claims().agent_id),
        ] {
            assert!(text.contains(&field), "{field} is missing: {text}");
        }
        assert!(!text.contains("v4.public"), "{text}");
    }
}

//! The precise reason of a rejection never reaches the client.

use super::*;
use crate::{
    RejectionReason,
    test_support::{KID, claims},
};

/// The head and the body of a response.
async fn bytes(response: Response<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = response.into_parts();
    (
        parts.status,
        parts.headers,
        body.collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test]
async fn response_is_the_same_byte_for_byte_with_every_reason() {
    let claims = claims();
    let mut grpc = HeaderMap::new();
    grpc.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    for reason in RejectionReason::ALL {
        let plain = AuthError::new(reason.kind());
        let precise = plain
            .clone()
            .with_reason(*reason)
            .with_key_id(KID)
            .with_session(claims.session_id, claims.agent_id);
        assert_eq!(precise.reason(), *reason);
        for headers in [HeaderMap::new(), grpc.clone()] {
            let with = Rejections::default().respond(&precise, &call(&headers));
            let without = Rejections::default().respond(&plain, &call(&headers));
            assert_eq!(bytes(with).await, bytes(without).await, "{reason}");
        }
    }
}

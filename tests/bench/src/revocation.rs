//! Revocation latency: the time from the response to a revocation until another process rejects the token.

use std::{net::SocketAddr, time::Instant};

use tower_session_auth::manager::IssuedSession;

use crate::{
    child_process::Server,
    credentials::{bearer_header, get_request},
    figures::{Figure, Target, quantile},
    load::BlockingClient,
};

/// Each session revokes itself at the reference server `revoking`. Then `checking` is polled until it rejects the token.
///
/// The times end when the first rejection arrives, so they include at least one round trip over loopback.
pub(crate) fn figures(
    mode: &str,
    sessions: &[IssuedSession],
    revoking: SocketAddr,
    checking: &Server,
) -> Vec<Figure> {
    let mut revoking = BlockingClient::connect(revoking);
    let mut checking = BlockingClient::connect(checking.address);
    let millis: Vec<f64> = sessions
        .iter()
        .map(|session| latency(session, &mut revoking, &mut checking).as_secs_f64() * 1000.0)
        .collect();
    let figure = |statistic: &str, share| {
        let name = format!("revoked by one process, rejected by another, {mode}, {statistic}");
        Figure::new(&name, quantile(&millis, share), "ms")
    };
    vec![
        figure("median", 0.5),
        figure("99th percentile", 0.99)
            .target(Target::AtMost(5.0))
            .note(format!("{} revocations, servers otherwise idle", sessions.len())),
        figure("maximum", 1.0),
    ]
}

fn latency(
    session: &IssuedSession,
    revoking: &mut BlockingClient,
    checking: &mut BlockingClient,
) -> std::time::Duration {
    let token = bearer_header(session.token.expose());
    let check_request = get_request(&token);
    let revoke_request = format!("DELETE /v1/session HTTP/1.1\r\nhost: bench\r\n{token}\r\n");
    // A bounded server caches the session on the first request, and uses the cache from the second one on.
    for _ in 0..2 {
        assert_eq!(checking.send(&check_request), 200, "the session must be valid");
    }
    assert_eq!(revoking.send(&revoke_request), 200, "the revocation must succeed");
    let acknowledged = Instant::now();
    while checking.send(&check_request) == 200 {
        assert!(
            acknowledged.elapsed().as_secs() < 60,
            "a revoked token is still admitted"
        );
    }
    acknowledged.elapsed()
}

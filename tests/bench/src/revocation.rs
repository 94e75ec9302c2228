//! From the moment one process acknowledges a revocation until another process refuses the token.

use std::{net::SocketAddr, time::Instant};

use tower_session_auth::manager::IssuedSession;

use crate::{
    child::Server,
    credentials::{bearer, get},
    figures::{Figure, Target, quantile},
    load::Blocking,
};

/// `by` is a reference server, where a session gives itself back; `at` the other process.
///
/// The times end with the arrival of the first refusal, so they contain one round trip over loopback at least.
pub(crate) fn figures(name: &str, sessions: &[IssuedSession], by: SocketAddr, at: &Server) -> Vec<Figure> {
    let (mut by, mut at) = (Blocking::open(by), Blocking::open(at.address));
    let millis: Vec<f64> = sessions
        .iter()
        .map(|session| latency(session, &mut by, &mut at).as_secs_f64() * 1000.0)
        .collect();
    let figure = |what: &str, share| {
        let name = format!("revoked by one process, refused by another, {name}, {what}");
        Figure::new(&name, quantile(&millis, share), "ms")
    };
    vec![
        figure("p50", 0.5),
        figure("p99", 0.99)
            .target(Target::AtMost(5.0))
            .note(format!("{} revocations, idle", sessions.len())),
        figure("maximum", 1.0),
    ]
}

fn latency(session: &IssuedSession, by: &mut Blocking, at: &mut Blocking) -> std::time::Duration {
    let token = bearer(session.token.expose());
    let (asking, revoking) = (
        get(&token),
        format!("DELETE /v1/session HTTP/1.1\r\nhost: bench\r\n{token}\r\n"),
    );
    // Twice: from the second time on it is answered from what the process holds.
    for _ in 0..2 {
        assert_eq!(at.ask(&asking), 200, "a session that stands");
    }
    assert_eq!(by.ask(&revoking), 200, "a revocation");
    let acknowledged = Instant::now();
    while at.ask(&asking) == 200 {
        assert!(
            acknowledged.elapsed().as_secs() < 60,
            "a revoked token still passes"
        );
    }
    acknowledged.elapsed()
}

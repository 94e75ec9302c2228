//! The first request with a token: its signature is not in the server's cache yet.

use tower_session_auth::manager::IssuedSession;

use crate::{
    child_process::{Server, run_load_without_failure},
    credentials::{bearer_header, get_request},
    figures::{Figure, Target, median},
    load::Task,
};

/// The number of loads. The two servers alternate.
const TURNS: usize = 40;

/// Server CPU time of a strict check for the first request with a token, without the signature check.
///
/// A second server runs one more signature check per request. The difference between both servers is the cost of a
/// signature check in a busy server.
pub(crate) fn figure(
    server: &Server,
    with_extra_check: &Server,
    unused: &[IssuedSession],
    pinned: bool,
) -> Figure {
    let (mut micros, mut extra_check_micros) = (Vec::new(), Vec::new());
    for (turn, sessions) in unused.chunks(unused.len().div_ceil(TURNS)).enumerate() {
        let (server, micros) = match turn % 2 {
            0 => (server, &mut micros),
            _ => (with_extra_check, &mut extra_check_micros),
        };
        let requests = sessions
            .iter()
            .map(|session| get_request(&bearer_header(session.token.expose())));
        let task = Task::Once {
            requests: requests.collect(),
        };
        micros.extend(run_load_without_failure(server, 32, task, pinned, pinned).cpu_micros());
    }
    let (total, with_extra_check) = (median(micros), median(extra_check_micros));
    let signature = total
        .zip(with_extra_check)
        .map(|(total, with_extra_check)| with_extra_check - total);
    Figure::new(
        "first request with a token, strict, server CPU without the signature check",
        total.zip(signature).map(|(total, signature)| total - signature),
        "µs",
    )
    .target(Target::AtMost(20.0))
    .note(format!(
        "{:.1} µs in total, {:.1} µs for one `pasetors` verification in the same server",
        total.unwrap_or(f64::NAN),
        signature.unwrap_or(f64::NAN)
    ))
}

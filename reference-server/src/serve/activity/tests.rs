use std::time::Duration;

use super::{
    deadline::{LINGER, LINGER_PAUSE},
    *,
};
use crate::{config::Limits, serve::places::Standing};

const MILLI: Duration = Duration::from_millis(1);

fn limits() -> Limits {
    Limits {
        idle: Duration::from_secs(75),
        head: Duration::from_secs(10),
        write: Duration::from_secs(20),
        max_age: Duration::from_secs(3600),
        ..Limits::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An activity and the time at which it began.
fn opened() -> (Activity, Instant) {
    let now = Instant::now();
    (Activity::new(now), now)
}

/// An idle connection after one request, which ended at that time.
fn idle() -> (Activity, Instant) {
    let (mut activity, now) = opened();
    activity.request_started(false);
    activity.request_ended(true, now);
    (activity, now)
}

#[test]
fn new_connection_has_the_time_of_a_head() {
    let (mut activity, start) = opened();
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(10), Timeout::Header)
    );
    activity.read(b"x", start + seconds(9));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(10), Timeout::Header)
    );
    assert_eq!(activity.standing(), Standing::ReadingHead(start));
}

#[test]
fn only_a_part_of_a_head_of_http1_can_be_answered() {
    for (parts, expected) in [
        (&[][..], false),
        (&["G"], true),
        (&["P"], true),
        (&["POST /"], true),
        (&["PRI * HTTP/2.0"], false),
        (&["P", "R", "I"], false),
        (&["P", "R", "OPFIND"], true),
        (&["GET /?PRI", "PRI"], true),
    ] {
        let (mut activity, start) = opened();
        for part in parts {
            activity.read(part.as_bytes(), start);
        }
        assert_eq!(activity.has_part_of_head(), expected, "{parts:?}");
    }
    let (mut activity, start) = idle();
    assert!(!activity.has_part_of_head());
    activity.read(b"x", start);
    assert!(activity.has_part_of_head());
    activity.request_started(false);
    assert!(!activity.has_part_of_head());
}

#[test]
fn handshake_restarts_the_time_of_the_first_head() {
    let (mut activity, start) = opened();
    activity.handshake_done(start + seconds(3));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(13), Timeout::Header)
    );
}

#[test]
fn idle_time_ends_with_the_first_byte_and_the_time_of_the_head_begins() {
    let (mut activity, start) = idle();
    assert_eq!(activity.deadline(&limits()), (start + seconds(75), Timeout::Idle));
    let byte = start + seconds(75) - MILLI;
    activity.read(b"x", byte);
    activity.read(b"x", byte + seconds(9));
    assert_eq!(
        activity.deadline(&limits()),
        (byte + seconds(10), Timeout::Header)
    );
}

#[test]
fn request_in_flight_has_no_deadline_but_the_age() {
    let (mut activity, start) = opened();
    activity.request_started(false);
    assert_eq!(activity.standing(), Standing::Busy);
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(3600), Timeout::Age)
    );
}

#[test]
fn frames_of_http2_do_not_end_the_idle_time() {
    let (mut activity, start) = opened();
    activity.request_started(true);
    activity.request_ended(true, start);
    activity.read(b"x", start + seconds(70));
    assert_eq!(activity.deadline(&limits()), (start + seconds(75), Timeout::Idle));
}

#[test]
fn write_timeout_counts_from_the_last_progress() {
    let (mut activity, start) = idle();
    activity.write_is_blocked(start + seconds(1));
    activity.write_is_blocked(start + seconds(5));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(21), Timeout::Write)
    );
    assert_eq!(
        activity.standing(),
        Standing::WaitingForClient(start + seconds(1))
    );
    activity.wrote(start + seconds(6));
    activity.write_is_blocked(start + seconds(6));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(26), Timeout::Write)
    );
}

#[test]
fn response_that_the_client_takes_no_data_of_times_out_although_the_socket_does_not_block() {
    let (mut activity, start) = opened();
    let request = activity.request_started(true);
    activity.response_ready(request, start + seconds(1));
    assert_eq!(
        activity.standing(),
        Standing::WaitingForClient(start + seconds(1))
    );
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(21), Timeout::Write)
    );
    activity.response_sent(request);
    assert_eq!(
        activity.deadline(&limits()).1,
        Timeout::Age,
        "the source of the body is slow"
    );
}

#[test]
fn only_data_of_a_response_extends_the_write_timeout_of_http2() {
    let (mut activity, start) = opened();
    let stuck = activity.request_started(true);
    let read = activity.request_started(true);
    for request in [stuck, read] {
        activity.response_ready(request, start);
    }
    // A control frame.
    activity.wrote(start + seconds(9));
    activity.response_progressed(read, start + seconds(9));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(20), Timeout::Write)
    );
    activity.response_sent(stuck);
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(29), Timeout::Write)
    );
}

#[test]
fn each_write_extends_the_write_timeout_of_http1() {
    let (mut activity, start) = opened();
    let request = activity.request_started(false);
    activity.response_ready(request, start);
    activity.wrote(start + seconds(9));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(29), Timeout::Write)
    );
}

#[test]
fn connection_waits_for_its_client_only_if_all_its_requests_do() {
    let (mut activity, start) = opened();
    activity.request_started(true);
    activity.body_awaited(start);
    assert_eq!(activity.standing(), Standing::WaitingForClient(start));
    activity.request_started(true);
    assert_eq!(activity.standing(), Standing::Busy);
    activity.body_arrived();
    activity.request_ended(true, start);
    assert_eq!(activity.standing(), Standing::Busy);
    activity.request_ended(true, start);
    assert_eq!(activity.standing(), Standing::Idle(start));
}

#[test]
fn age_is_reached_once_and_then_the_end_is_bounded() {
    let (mut activity, start) = opened();
    activity.request_started(false);
    activity.age();
    let limits = limits();
    let end = limits.max_age + limits.idle + limits.request + limits.write;
    assert_eq!(activity.deadline(&limits), (start + end, Timeout::End));
}

#[test]
fn lingering_is_bounded_in_pause_time_and_bytes() {
    let (mut activity, start) = idle();
    assert!(!activity.must_linger());
    activity.body_unread();
    assert!(activity.must_linger());
    activity.linger(start);
    assert_eq!(
        activity.deadline(&limits()),
        (start + LINGER_PAUSE, Timeout::Linger)
    );
    assert!(activity.discarded(LINGER_BYTES, start + seconds(4)));
    assert_eq!(
        activity.deadline(&limits()),
        (start + seconds(9), Timeout::Linger)
    );
    activity.discarded(0, start + seconds(29));
    assert_eq!(activity.deadline(&limits()), (start + LINGER, Timeout::Linger));
    assert!(!activity.discarded(1, start + seconds(29)));
}

#[test]
fn client_that_mostly_abandons_requests_is_detected() {
    let after = |rounds: u64, answered: &[bool]| {
        let (mut activity, now) = opened();
        for _ in 0..rounds {
            for answered in answered {
                activity.request_started(true);
                activity.request_ended(*answered, now);
            }
        }
        activity.resets_rapidly()
    };
    assert!(!after(ABANDONED_REQUESTS, &[false]));
    assert!(after(ABANDONED_REQUESTS + 1, &[false]));
    assert!(!after(1000, &[true, false]), "as many were answered");
}

#[test]
fn end_waits_for_a_request_or_does_not() {
    let (mut activity, start) = idle();
    activity.end_after_requests(start + seconds(1));
    assert_eq!(activity.deadline(&limits()), (start + seconds(1), Timeout::End));
    activity.request_started(false);
    assert_eq!(activity.deadline(&limits()).1, Timeout::Age);
    activity.end_at(start + seconds(2));
    assert_eq!(activity.deadline(&limits()), (start + seconds(2), Timeout::End));
}

#[test]
fn part_of_a_response_does_not_make_a_waiting_connection_younger() {
    let (mut activity, start) = opened();
    let request = activity.request_started(true);
    activity.response_ready(request, start);
    activity.response_progressed(request, start + seconds(9));
    assert_eq!(activity.standing(), Standing::WaitingForClient(start));
}

#[test]
fn flush_of_all_data_ends_the_wait_for_the_socket() {
    let (mut activity, start) = opened();
    activity.request_started(false);
    activity.write_is_blocked(start);
    assert_eq!(activity.standing(), Standing::WaitingForClient(start));
    activity.flushed(start + seconds(1));
    assert_eq!(activity.standing(), Standing::Busy);
}

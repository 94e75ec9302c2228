use std::time::Duration;

use super::*;

mod shares;

/// A connection with a name and a fixed standing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fixed(&'static str, Standing);

impl Holder for Fixed {
    fn standing(&self) -> Standing {
        self.1
    }
}

fn at(seconds: u64) -> Instant {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START + Duration::from_secs(seconds)
}

/// The time of the admission under test.
const NOW: u64 = 100;

fn idle(name: &'static str, since: u64) -> Fixed {
    Fixed(name, Standing::Idle(at(since)))
}

fn head(name: &'static str, since: u64) -> Fixed {
    Fixed(name, Standing::ReadingHead(at(since)))
}

fn waiting(name: &'static str, since: u64) -> Fixed {
    Fixed(name, Standing::WaitingForClient(at(since)))
}

fn busy(name: &'static str) -> Fixed {
    Fixed(name, Standing::Busy)
}

fn client(text: &str) -> Client {
    match text {
        "proxy" => Client::Trusted,
        address => Client::of(address.parse().unwrap()),
    }
}

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const C: &str = "192.0.2.3";

/// Fills all places, and returns the name of the connection that is evicted for one more of `newcomer`, or the limit.
fn gives_way(held: &[(&str, Fixed)], newcomer: &str) -> Result<&'static str, Full> {
    let mut places = Places::new(held.len(), usize::MAX);
    for (owner, connection) in held {
        let admitted = places.admit(client(owner), connection.clone(), at(NOW));
        assert!(matches!(admitted, Admission::Admitted(_)));
    }
    match places.admit(client(newcomer), busy("new"), at(NOW)) {
        Admission::Replaces(_, replaced) => {
            assert_eq!(places.held(), held.len());
            Ok(replaced.connection.0)
        }
        Admission::Refused(full) => Err(full),
        Admission::Admitted(_) => panic!("all places are taken"),
    }
}

#[test]
fn longest_idle_connection_of_the_client_with_the_most_gives_way() {
    let held = [
        (A, idle("a", 0)),
        (B, idle("b younger", 2)),
        (B, idle("b", 1)),
        (B, head("b head", 0)),
    ];
    assert_eq!(gives_way(&held, C), Ok("b"));
    assert_eq!(gives_way(&held, A), Ok("b"));
    assert_eq!(gives_way(&held, B), Ok("b"), "its own connection");
}

#[test]
fn head_readers_give_way_after_idle_ones_and_then_those_that_wait_for_the_client() {
    for (held, expected) in [
        ([waiting("w", 0), head("h", 1), idle("i", 2)], Ok("i")),
        ([waiting("w", 0), head("h", 1), head("younger", 2)], Ok("h")),
        ([waiting("w", 0), waiting("younger", 1), busy("b")], Ok("w")),
        ([busy("1"), busy("2"), busy("3")], Err(Full::Server)),
    ] {
        let held = held.map(|connection| (B, connection));
        assert_eq!(gives_way(&held, C), expected, "{held:?}");
    }
}

#[test]
fn next_client_gives_way_when_all_connections_of_the_largest_are_busy() {
    let held = [
        (A, idle("a1", 5)),
        (A, idle("a2", 6)),
        (B, busy("b1")),
        (B, busy("b2")),
        (B, busy("b3")),
    ];
    assert_eq!(gives_way(&held, C), Ok("a1"));
    assert_eq!(
        gives_way(&held, B),
        Err(Full::Server),
        "the largest one takes no place of others"
    );
}

#[test]
fn clients_with_equal_counts_are_compared_by_their_connections() {
    let held = [(A, head("a", NOW)), (B, idle("b", 1)), (C, idle("c", 2))];
    assert_eq!(gives_way(&held, "192.0.2.4"), Ok("b"));
    assert_eq!(
        gives_way(&held, A),
        Ok("a"),
        "only its own: the others have as many"
    );
}

#[test]
fn evicted_connections_count_until_they_are_closed() {
    let mut places = Places::new(1, 1);
    let mut held = Vec::new();
    for number in 0..=MAX_ENDING {
        assert!(places.has_eviction_capacity());
        match places.admit(client("proxy"), idle("p", 0), at(NOW)) {
            Admission::Admitted(place) => held.push(place),
            Admission::Replaces(place, evicted) => {
                assert_eq!(evicted.has_grace, number <= MAX_GRACEFUL, "{number}");
                held.push(place);
            }
            Admission::Refused(_) => panic!("an idle one can be evicted"),
        }
    }
    assert!(!places.has_eviction_capacity());
    let last = held.pop().expect("a place");
    places.release(last);
    assert!(!places.has_eviction_capacity(), "it had a place");
    places.release(held.remove(0));
    assert!(places.has_eviction_capacity());
    for place in held {
        places.release(place);
    }
    assert_eq!((places.held(), places.ending), (0, 0));
}

#[test]
fn trusted_peers_give_way_last() {
    let proxied = [
        ("proxy", idle("p1", 0)),
        ("proxy", idle("p2", 1)),
        (A, waiting("a", 2)),
    ];
    assert_eq!(gives_way(&proxied, B), Ok("a"));
    assert_eq!(gives_way(&proxied, "proxy"), Ok("a"));
    let proxied = [("proxy", idle("p1", 0)), ("proxy", idle("p2", 1)), (A, busy("a"))];
    assert_eq!(gives_way(&proxied, B), Ok("p1"));
    assert_eq!(gives_way(&proxied, "proxy"), Ok("p1"));
}

#[test]
fn client_at_its_maximum_gets_a_place_only_for_one_of_its_own() {
    let mut places = Places::new(100, 2);
    assert!(matches!(
        places.admit(client(A), idle("1", 0), at(NOW)),
        Admission::Admitted(_)
    ));
    assert!(matches!(
        places.admit(client(A), busy("2"), at(NOW)),
        Admission::Admitted(_)
    ));
    let Admission::Replaces(_, replaced) = places.admit(client(A), busy("3"), at(NOW)) else {
        panic!("the idle one can be evicted");
    };
    assert_eq!(replaced.connection.0, "1");
    assert_eq!(
        places.admit(client(A), busy("4"), at(NOW)),
        Admission::Refused(Full::Client)
    );
    assert!(matches!(
        places.admit(client(B), busy("5"), at(NOW)),
        Admission::Admitted(_)
    ));
    for _ in 0..5 {
        assert!(matches!(
            places.admit(client("proxy"), busy("p"), at(NOW)),
            Admission::Admitted(_)
        ));
    }
}

#[test]
fn released_place_is_free_and_a_replaced_connection_frees_nothing() {
    let mut places = Places::new(1, 1);
    let Admission::Admitted(first) = places.admit(client(A), idle("1", 0), at(NOW)) else {
        panic!("a free place");
    };
    let Admission::Replaces(second, _) = places.admit(client(B), busy("2"), at(NOW)) else {
        panic!("an idle connection");
    };
    places.release(first);
    assert_eq!(
        places.admit(client(A), busy("3"), at(NOW)),
        Admission::Refused(Full::Server)
    );
    places.release(second);
    assert_eq!(places.held(), 0);
    assert!(matches!(
        places.admit(client(A), busy("3"), at(NOW)),
        Admission::Admitted(_)
    ));
}

#[test]
fn client_is_an_ipv4_address_or_an_ipv6_network() {
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
    ] {
        assert_eq!(client(one) == client(other), same, "{one} {other}");
    }
}

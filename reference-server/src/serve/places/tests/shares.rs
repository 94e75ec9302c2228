//! Many clients: their shares, and those of their networks.

use super::*;

/// The connection that gives way to one of `newcomer`, when all of 1024 places are taken. The share of a client is 16 then.
fn gives_way_of_1024(held: impl Iterator<Item = (String, Fixed)>, newcomer: &str) -> &'static str {
    let held: Vec<_> = held.collect();
    assert_eq!(held.len(), 1024);
    let held: Vec<_> = held
        .iter()
        .map(|(owner, connection)| (owner.as_str(), connection.clone()))
        .collect();
    gives_way(&held, newcomer).expect("an eviction")
}

/// This many connections, each of another address in another network.
fn strangers(count: usize, connection: Fixed) -> impl Iterator<Item = (String, Fixed)> {
    let networks = (0..4).flat_map(|high| (0..=u8::MAX).map(move |low| format!("198.{high}.{low}.1")));
    let addresses = networks.take(count);
    addresses.map(move |address| (address, connection.clone()))
}

fn normal(count: usize, connection: Fixed) -> impl Iterator<Item = (String, Fixed)> {
    std::iter::repeat_n((A.to_owned(), connection), count)
}

#[test]
fn many_clients_with_one_connection_do_not_take_the_places_of_a_client_within_its_share() {
    let used = idle("used", 90);
    for stranger in [
        idle("stranger", 50),
        head("stranger", 50),
        waiting("stranger", 50),
    ] {
        let held = strangers(1014, stranger.clone()).chain(normal(10, used.clone()));
        assert_eq!(gives_way_of_1024(held, "203.0.113.1"), "stranger", "{stranger:?}");
    }
    // Above its share, the client with the most gives way.
    let held = strangers(1007, idle("stranger", 50)).chain(normal(17, used));
    assert_eq!(gives_way_of_1024(held, "203.0.113.1"), "used");
}

#[test]
fn connection_that_was_just_accepted_stays_while_an_older_one_waits() {
    let new = head("new", NOW);
    for older in [idle("older", 99), head("older", 98), waiting("older", 98)] {
        let held = strangers(1014, older.clone()).chain(normal(10, new.clone()));
        assert_eq!(gives_way_of_1024(held, "203.0.113.1"), "older", "{older:?}");
        let held = strangers(1014, new.clone()).chain(normal(10, older.clone()));
        assert_eq!(gives_way_of_1024(held, "203.0.113.1"), "older", "{older:?}");
    }
}

#[test]
fn crowded_network_gives_way_before_clients_of_other_networks() {
    let crowd = |network: &'static str, count: u8, name| {
        (1..=count).map(move |host| (format!("{network}{host}"), idle(name, 99)))
    };
    for network in ["203.0.113.", "2001:db8:1:"] {
        let suffix = if network.contains(':') { "::1" } else { "" };
        let crowded = |count, name| {
            crowd(network, count, name).map(move |(address, connection)| (address + suffix, connection))
        };
        let held = strangers(959, idle("stranger", 50)).chain(crowded(65, "crowd"));
        assert_eq!(gives_way_of_1024(held, A), "crowd", "{network}");
        let held = strangers(960, idle("stranger", 50)).chain(crowded(64, "crowd"));
        assert_eq!(
            gives_way_of_1024(held, A),
            "stranger",
            "within its share: {network}"
        );
        let held = strangers(960, idle("stranger", 50)).chain(crowded(64, "crowd"));
        let newcomer = format!("{network}200{suffix}");
        assert_eq!(
            gives_way_of_1024(held, &newcomer),
            "crowd",
            "takes no place of others: {network}"
        );
    }
}

#[test]
fn client_at_its_share_takes_no_place_of_a_client_within_its_share() {
    let held = strangers(1008, idle("stranger", 1)).chain(normal(16, idle("own", 90)));
    assert_eq!(gives_way_of_1024(held, A), "own");
    let held = strangers(1009, idle("stranger", 1)).chain(normal(15, idle("own", 90)));
    assert_eq!(gives_way_of_1024(held, A), "stranger");
}

#[test]
fn search_among_more_connections_than_one_admission_examines_goes_on_at_the_next_one() {
    let mut places = Places::new(5000, usize::MAX);
    let address = |number: usize| format!("10.{}.{}.1", number / 256, number % 256);
    for number in 0..5000 {
        let connection = if number == 4999 {
            idle("idle", 50)
        } else {
            busy("busy")
        };
        places.admit(client(&address(number)), connection, at(NOW));
    }
    let mut admit = || places.admit(client("203.0.113.1"), busy("new"), at(NOW));
    assert!(matches!(admit(), Admission::Refused(Full::Server)));
    let Admission::Replaces(_, evicted) = admit() else {
        panic!("the second search must reach the idle connection");
    };
    assert_eq!(evicted.connection.0, "idle");
}

//! The entries of admin keys: each mistake is reported with its entry.

use super::*;
use crate::{
    clock::Timestamp,
    master_auth::admin_key_entry::{parse_entries, parse_time},
};

const AGENT: &str = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11";

fn good(name: &str, digit: char) -> AdminKeyEntry {
    AdminKeyEntry::new(name, digit.to_string().repeat(64), ["open"])
}

fn issues(entries: impl IntoIterator<Item = AdminKeyEntry>) -> Vec<String> {
    parse_entries(entries).err().map_or_else(Vec::new, |error| {
        error.issues().iter().map(ToString::to_string).collect()
    })
}

#[test]
fn every_mistake_of_every_entry_is_reported_with_its_entry() {
    let mut wrong = good("two", '0');
    wrong.hash = "wai_admin_hunter2".to_owned();
    wrong.rights = vec!["opne".to_owned(), "list".to_owned(), "x".to_owned()];
    wrong.agents = Some(vec!["no".to_owned(), AGENT.to_owned()]);
    wrong.expires_at = Some("tomorrow".to_owned());
    let found = issues([good("one", '1'), wrong, good("one", '2'), good("four", '1')]);
    let starts = [
        "admin key 2 (two): hash: is the secret itself",
        "admin key 2 (two): rights: \"opne\" must be one of open, list,",
        "admin key 2 (two): rights: \"x\" must be one of",
        "admin key 2 (two): agents: \"no\" must be a UUID",
        "admin key 2 (two): expires_at: \"tomorrow\" must be",
        "admin key 3 (one): name: is also the name of admin key 1",
        "admin key 4 (four): hash: is also the hash of admin key 1",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (issue, start) in found.iter().zip(starts) {
        assert!(issue.starts_with(start), "{issue}");
        assert!(!issue.contains("hunter2"), "{issue}");
    }
}

#[test]
fn each_field_has_its_rule() {
    type Change = fn(&mut AdminKeyEntry);
    let cases: &[(&str, Change, bool)] = &[
        ("as it is", |_| (), true),
        ("upper-case hash", |entry| entry.hash = "A".repeat(64), true),
        ("short hash", |entry| entry.hash.truncate(63), false),
        ("hash that is not hex", |entry| entry.hash = "g".repeat(64), false),
        ("hash with a sign", |entry| entry.hash = "+1".repeat(32), false),
        ("no hash", |entry| entry.hash.clear(), false),
        ("no name", |entry| entry.name.clear(), false),
        ("reserved name", |entry| entry.name = "master".to_owned(), false),
        ("name with a colon", |entry| entry.name = "a:b".to_owned(), false),
        ("name of 64 bytes", |entry| entry.name = "n".repeat(64), true),
        ("name of 65 bytes", |entry| entry.name = "n".repeat(65), false),
        ("no right", |entry| entry.rights.clear(), false),
        ("no agent", |entry| entry.agents = Some(Vec::new()), false),
        (
            "one agent",
            |entry| entry.agents = Some(vec![AGENT.to_owned()]),
            true,
        ),
    ];
    for (name, change, valid) in cases {
        let mut entry = good("ci", '1');
        change(&mut entry);
        assert_eq!(issues([entry]).is_empty(), *valid, "{name}");
    }
}

#[test]
fn expiry_is_a_date_or_a_time_with_its_offset() {
    for (text, at) in [
        ("1970-01-02", Some(86_400)),
        ("1970-01-01T00:00:10Z", Some(10)),
        ("1970-01-01T01:00:10+01:00", Some(10)),
        ("1970-01-01T00:00:10.9Z", Some(10)),
        ("1970-01-01T00:00:10", None),
        ("1970-13-01", None),
        ("1969-12-31", None),
        ("10", None),
        ("", None),
    ] {
        assert_eq!(parse_time(text), at.map(Timestamp), "{text}");
    }
}

//! The rules of one shard, each at its boundary.

use super::*;

/// A shard with a lease until 1,000.
fn shard() -> Shard<u8, &'static str> {
    let mut shard = Shard::new(4);
    shard.begin_epoch(1);
    shard.extend_lease(1, 1_000);
    shard
}

#[test]
fn an_entry_is_used_before_its_age_and_the_lease_end_and_never_after() {
    let mut shard = shard();
    let version = shard.version(0).unwrap();
    for (until, now, hit) in [
        (500, 499, true),
        (500, 500, false),
        (2_000, 999, true),
        (2_000, 1_000, false),
    ] {
        shard.insert(version, 1, Arc::new("record"), 0, until);
        assert_eq!(shard.get(&1, now).is_some(), hit, "until {until} at {now}");
    }
}

#[test]
fn a_read_in_flight_is_not_cached_after_an_invalidation_or_a_new_epoch() {
    type Change = fn(&mut Shard<u8, &'static str>);
    let changes: [(&str, Change); 6] = [
        ("invalidation of the record", |shard| shard.invalidate(&1)),
        ("invalidation of the record, then of others", |shard| {
            shard.invalidate(&1);
            (0..REMEMBERED - 1).for_each(|_| shard.invalidate(&2));
        }),
        ("more invalidations than are remembered", |shard| {
            (0..=REMEMBERED).for_each(|_| shard.invalidate(&2));
        }),
        ("invalidation of all records", Shard::invalidate_all),
        ("invalidation of all records, then of others", |shard| {
            shard.invalidate_all();
            (0..REMEMBERED).for_each(|_| shard.invalidate(&2));
        }),
        ("new epoch", |shard| {
            shard.begin_epoch(2);
            shard.extend_lease(2, 1_000);
        }),
    ];
    for (name, change) in changes {
        let mut shard = shard();
        let version = shard.version(0).unwrap();
        change(&mut shard);
        shard.insert(version, 1, Arc::new("old"), 1, 500);
        assert_eq!(shard.get(&1, 1), None, "{name}");
    }
}

#[test]
fn a_read_in_flight_is_cached_after_invalidations_of_other_records() {
    let mut shard = shard();
    let version = shard.version(0).unwrap();
    (0..REMEMBERED).for_each(|_| shard.invalidate(&2));
    shard.insert(version, 1, Arc::new("record"), 1, 500);
    assert!(shard.get(&1, 1).is_some());
    // An invalidation before the read was sent does not count.
    shard.invalidate(&1);
    let version = shard.version(1).unwrap();
    shard.insert(version, 1, Arc::new("new"), 1, 500);
    assert!(shard.get(&1, 1).is_some());
}

#[test]
fn invalidation_of_all_records_keeps_the_lease() {
    let mut shard = shard();
    let version = shard.version(0).unwrap();
    shard.insert(version, 1, Arc::new("record"), 0, 500);
    shard.invalidate_all();
    assert_eq!((shard.get(&1, 1), shard.len()), (None, 0));
    let version = shard.version(1).unwrap();
    shard.insert(version, 1, Arc::new("new"), 1, 500);
    assert!(shard.get(&1, 1).is_some());
}

#[test]
fn a_ping_of_an_earlier_epoch_extends_no_lease() {
    let mut shard = shard();
    shard.begin_epoch(2);
    shard.extend_lease(1, 1_000);
    assert!(!shard.has_lease(1));
}

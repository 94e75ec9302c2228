use super::*;
use crate::testing::{self, NOW, TTL};

/// The record of a fresh session under the default policy.
fn fresh() -> SessionRecord {
    let id = SessionId::generate(testing::agent(), NOW.0 * 1000 + 999).unwrap();
    SessionRecord {
        id,
        agent_id: testing::agent(),
        token_hash: TokenHash::of("current"),
        generation: 0,
        renewal_count: 0,
        max_renewals: 30,
        ttl: 86_400,
        expires_at: NOW.plus(86_400),
        absolute_expires_at: NOW.plus(2_592_000),
        last_renewed_at: None,
        previous_token_hash: None,
        retry_hash: None,
        rotated_generation: None,
        revoked_at: None,
        constraints: None,
    }
}

fn renewed() -> SessionRecord {
    SessionRecord {
        generation: 30,
        renewal_count: 30,
        last_renewed_at: Some(NOW.plus(2_591_000)),
        expires_at: NOW.plus(2_592_000),
        ..fresh()
    }
}

/// One with everything that a record can have.
fn full() -> SessionRecord {
    SessionRecord {
        generation: 7,
        renewal_count: 4,
        rotated_generation: Some(6),
        last_renewed_at: Some(NOW.plus(50_000)),
        expires_at: NOW.plus(99_999),
        previous_token_hash: Some(TokenHash::of("previous")),
        retry_hash: Some(RetryHash::from_bytes([7; 32])),
        constraints: Some(Constraints::new(r#"{"tools":["search"]}"#).unwrap()),
        ..fresh()
    }
}

/// What the scripts do.
fn revoke(packed: &[u8], at: Timestamp) -> Vec<u8> {
    let (head, tail) = packed.split_at(49);
    let mut revoked = head.to_vec();
    revoked[0] |= 1 << 7;
    revoked.extend_from_slice(&moment(at));
    revoked.extend_from_slice(tail);
    revoked
}

#[test]
fn what_is_packed_is_read_as_it_was() {
    let odd = SessionRecord {
        max_renewals: u32::MAX,
        ttl: 86_399,
        absolute_expires_at: NOW.plus(100_001),
        ..fresh()
    };
    let far = SessionRecord {
        ttl: u64::MAX >> 1,
        absolute_expires_at: Timestamp(u64::MAX >> 1),
        expires_at: Timestamp(u64::MAX),
        ..fresh()
    };
    let before = SessionRecord {
        last_renewed_at: Some(Timestamp(5)),
        expires_at: Timestamp(0),
        ..renewed()
    };
    let timeless = SessionRecord {
        last_renewed_at: None,
        ..renewed()
    };
    for record in [fresh(), renewed(), full(), odd, far, before, timeless] {
        assert_eq!(unpack(record.id, &pack(&record)).unwrap(), record);
        let revoked = SessionRecord {
            revoked_at: Some(NOW.plus(TTL)),
            ..record.clone()
        };
        assert_eq!(unpack(record.id, &pack(&revoked)).unwrap(), revoked);
        let packed = revoke(&pack(&record), NOW.plus(TTL));
        assert_eq!(unpack(record.id, &packed).unwrap(), revoked);
    }
}

/// 64 bytes with the header and the end of a Redis string.
#[test]
fn a_session_of_the_default_policy_takes_at_most_60_bytes() {
    assert_eq!(pack(&fresh()).len(), 55);
    assert_eq!(pack(&renewed()).len(), 60);
}

#[test]
fn the_head_is_where_scripts_look_for_it() {
    for record in [fresh(), full()] {
        let packed = pack(&record);
        assert_eq!(packed[1..33], *record.token_hash.as_bytes());
        let (first, last) = AGENT_RANGE;
        assert_eq!(packed[first..=last], *record.agent_id.as_uuid().as_bytes());
    }
    assert_eq!(pack(&fresh())[0], 0);
    assert_eq!(pack(&renewed())[0], 1);
    // 50,000 seconds after the creation, from the 50th byte on.
    assert_eq!(pack(&full())[49..52], [0xd0, 0x86, 0x03]);
}

#[test]
fn what_is_cut_off_is_an_error() {
    for record in [fresh(), renewed(), full()] {
        for packed in [pack(&record), revoke(&pack(&record), NOW)] {
            for len in 0..packed.len() {
                assert!(unpack(record.id, &packed[..len]).is_err(), "{len} of {packed:?}");
            }
        }
    }
}

#[test]
fn what_this_version_does_not_know_is_an_error() {
    let changed = |at: usize, byte: u8| {
        let mut packed = pack(&full());
        packed[at] = byte;
        unpack(full().id, &packed)
    };
    let packed = pack(&full());
    assert!(changed(0, packed[0]).is_ok());
    for bit in 3..6 {
        assert!(changed(0, packed[0] | 1 << bit).is_err(), "bit {bit} of the head");
    }
    let rare = packed.len() - r#"{"tools":["search"]}"#.len() - 32 - 32 - 2 - 1;
    assert_eq!(packed[rare], 0b1111);
    for bit in 5..8 {
        assert!(changed(rare, packed[rare] | 1 << bit).is_err(), "rare bit {bit}");
    }
    let mut longer = pack(&fresh());
    longer.push(0);
    assert!(unpack(fresh().id, &longer).is_err(), "bytes behind the record");
    assert!(
        changed(packed.len() - 1, b']').is_err(),
        "constraints that are none"
    );
    assert!(
        changed(packed.len() - 1, 0xff).is_err(),
        "constraints that are no text"
    );
}

#[test]
fn a_number_too_long_is_an_error() {
    let mut eleven: &[u8] = &[0x80; 11];
    assert_eq!(number(&mut eleven), None);
    let mut over: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    assert_eq!(number(&mut over), None);
    let mut most: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(number(&mut most), Some(u64::MAX));
    let mut long: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x1f];
    assert_eq!(small_number(&mut long), None);
}

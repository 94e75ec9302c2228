use super::*;
use crate::test_support::{self, NOW, TTL};

/// Unpacks a record of a store without a key prefix.
fn unpacked(id: SessionId, packed: &[u8]) -> Result<SessionRecord, StoreError> {
    unpack(&Keys::new(""), id, packed)
}

/// The record of a new session under the default policy.
fn fresh() -> SessionRecord {
    let id = SessionId::generate(test_support::agent(), NOW.0 * 1000 + 999).unwrap();
    let limits = SessionLimits::new(86_400, 30, NOW.plus(2_592_000));
    SessionRecord::new(id, test_support::agent(), TokenHash::of("current"), &limits)
}

fn renewed() -> SessionRecord {
    SessionRecord {
        generation: 30,
        last_renewal: Some(LastRenewal::new(
            NOW.plus(2_591_000),
            30,
            ReplacedTokenPolicy::default(),
        )),
        ..fresh()
    }
}

/// A record with every optional field.
fn full() -> SessionRecord {
    let replaced = ReplacedTokenPolicy {
        retry_window: 300,
        previous_token_overlap: 5,
        on_reuse: OnReuse::Revoke,
    };
    SessionRecord {
        generation: 7,
        rotated_generation: Some(6),
        last_renewal: Some(LastRenewal {
            previous_token_hash: Some(TokenHash::of("previous")),
            retry_hash: Some(RetryHash::from_bytes([7; 32])),
            ..LastRenewal::new(NOW.plus(50_000), 4, replaced)
        }),
        scopes: "search:read search:write".parse().unwrap(),
        constraints: Some(Constraints::new(r#"{"tools":["search"]}"#).unwrap()),
        ..fresh()
    }
}

fn in_epoch(epoch: u32, record: SessionRecord) -> SessionRecord {
    SessionRecord {
        agent_epoch: AgentEpoch(epoch),
        ..record
    }
}

/// Revokes a packed record as the scripts do.
fn revoke(packed: &[u8], at: Timestamp) -> Vec<u8> {
    let mut revoked = packed.to_vec();
    revoked[0] |= 1 << 7;
    revoked.extend_from_slice(&pack_time(at));
    revoked
}

#[test]
fn record_survives_packing() {
    let odd = SessionRecord {
        max_renewals: u32::MAX,
        ttl: 86_399,
        absolute_expires_at: NOW.plus(100_001),
        ..fresh()
    };
    let far = SessionRecord {
        ttl: u64::MAX >> 1,
        absolute_expires_at: Timestamp(u64::MAX >> 1),
        ..fresh()
    };
    let behind = SessionRecord {
        generation: 3,
        ..renewed()
    };
    let rotated = SessionRecord {
        generation: 1,
        rotated_generation: Some(1),
        ..fresh()
    };
    for record in [fresh(), renewed(), full(), odd, far, behind, rotated] {
        assert_eq!(unpacked(record.id, &pack(&record)).unwrap(), record);
        let revoked = SessionRecord {
            revoked_at: Some(NOW.plus(TTL)),
            ..record.clone()
        };
        assert_eq!(unpacked(record.id, &pack(&revoked)).unwrap(), revoked);
        let packed = revoke(&pack(&record), NOW.plus(TTL));
        assert_eq!(unpacked(record.id, &packed).unwrap(), revoked);
    }
}

/// Equality ignores the epoch.
#[test]
fn agent_epoch_survives_packing_and_revocation() {
    for epoch in [0, 1, 1_760_000_000, u32::MAX] {
        for record in [fresh(), renewed(), full()] {
            let record = in_epoch(epoch, record);
            for packed in [pack(&record), revoke(&pack(&record), NOW)] {
                let read = unpacked(record.id, &packed).unwrap();
                assert_eq!(read.agent_epoch.0, epoch);
                assert_eq!(pack(&read), packed);
            }
        }
    }
}

/// create.lua writes the epoch of an agent in this form.
#[test]
fn agent_epoch_is_bit_2_and_4_bytes_at_the_end() {
    for record in [fresh(), full()] {
        let packed = pack(&record);
        let expected = [&[packed[0] + 2], &packed[1..], &[0, 0, 1, 2]].concat();
        assert_eq!(pack(&in_epoch(0x102, record)), expected);
    }
}

#[test]
fn any_other_first_byte_is_an_error() {
    for record in [fresh(), renewed(), full()] {
        let with_epoch = pack(&in_epoch(1_760_000_000, record.clone()));
        let revoked = revoke(&pack(&record), NOW);
        for packed in [pack(&record), with_epoch, revoked] {
            for first in (0..=u8::MAX).filter(|first| *first != packed[0]) {
                let changed = [&[first], &packed[1..]].concat();
                let read = unpacked(record.id, &changed);
                assert!(
                    read.is_err(),
                    "{:#x} instead of {:#x}: {read:?}",
                    first,
                    packed[0]
                );
            }
        }
    }
}

#[test]
fn error_names_the_key_of_the_record() {
    let (keys, id) = (Keys::new("app:"), fresh().id);
    let error = unpack(&keys, id, b"").unwrap_err().to_string();
    assert!(error.contains(&keys.session(id)), "{error}");
}

/// 64 bytes with the header and the terminator of a Redis string.
#[test]
fn session_of_the_default_policy_takes_at_most_60_bytes() {
    assert_eq!(pack(&fresh()).len(), 55);
    assert_eq!(pack(&renewed()).len(), 60);
}

#[test]
fn head_has_fixed_offsets_for_scripts() {
    for record in [fresh(), full()] {
        let packed = pack(&record);
        assert_eq!(packed[1..33], *record.token_hash.as_bytes());
        let (first, last) = AGENT_RANGE;
        assert_eq!(packed[first..=last], *record.agent_id.as_uuid().as_bytes());
    }
    assert_eq!(pack(&fresh())[0], 0);
    assert_eq!(pack(&renewed())[0], 1);
    // 50,000 seconds after the creation, from the 50th byte on.
    assert_eq!(pack(&full())[49..53], 50_000_u32.to_be_bytes());
}

#[test]
fn truncated_record_is_an_error() {
    for record in [
        fresh(),
        renewed(),
        full(),
        in_epoch(7, fresh()),
        in_epoch(7, full()),
    ] {
        for packed in [pack(&record), revoke(&pack(&record), NOW)] {
            for len in 0..packed.len() {
                assert!(
                    unpacked(record.id, &packed[..len]).is_err(),
                    "{len} of {packed:?}"
                );
            }
        }
    }
}

#[test]
fn unknown_bits_and_bytes_are_an_error() {
    let record = full();
    let packed = pack(&record);
    let changed = |at: usize, byte: u8| {
        let mut changed = packed.clone();
        changed[at] = byte;
        unpacked(record.id, &changed)
    };
    assert!(changed(0, packed[0]).is_ok());
    for bit in [4, 5] {
        assert!(changed(0, packed[0] | 1 << bit).is_err(), "bit {bit} of the head");
    }
    // Behind the extra byte: two numbers of a byte, a number of two bytes and one of a byte, two hashes, the scopes, the constraints.
    let extra = packed.len() - r#"{"tools":["search"]}"#.len() - 25 - 32 - 32 - 3 - 2 - 1;
    assert_eq!(packed[extra], 0b11_1111);
    for bit in [6, 7] {
        assert!(
            changed(extra, packed[extra] | 1 << bit).is_err(),
            "extra bit {bit}"
        );
    }
    let mut longer = pack(&fresh());
    longer.push(0);
    assert!(unpacked(fresh().id, &longer).is_err(), "bytes after the record");
    let without_epoch = [&[2], &pack(&fresh())[1..], &[0; 4]].concat();
    assert!(unpacked(fresh().id, &without_epoch).is_err(), "an epoch of 0");
    let without_extra = [&[64], &pack(&fresh())[1..], &[0]].concat();
    assert!(
        unpacked(fresh().id, &without_extra).is_err(),
        "an extra byte of 0"
    );
    let last = packed.len() - 1;
    assert!(changed(last, b']').is_err(), "constraints that are no JSON");
    assert!(changed(last, 0xff).is_err(), "constraints that are no text");
}

#[test]
fn rules_for_a_replaced_token_need_a_renewal() {
    let mut packed = pack(&fresh());
    packed[0] |= 1 << 6;
    packed.push(1 << 5);
    assert!(unpacked(fresh().id, &packed).is_err());
}

/// A renewed record of the layout before: the seconds to the last renewal were LEB128.
fn record_with_leb128_offset(after_creation: u64, extra: &[u8]) -> (SessionRecord, Vec<u8>) {
    let record = fresh();
    let mut packed = vec![if extra.is_empty() { 1 } else { 0x41 }];
    packed.extend_from_slice(record.token_hash.as_bytes());
    packed.extend_from_slice(record.agent_id.as_uuid().as_bytes());
    for number in [after_creation, 25, 30, 1440 * 2, 43_200 * 2] {
        write_number(&mut packed, number);
    }
    packed.extend_from_slice(extra);
    (record, packed)
}

#[test]
fn record_of_the_layout_with_leb128_offsets_is_an_error() {
    // Renewed 25 days after its creation: the offset took four bytes, as it does now.
    let (record, packed) = record_with_leb128_offset(25 * 86_400, &[]);
    assert!(unpacked(record.id, &packed).is_err());
    let (record, packed) = record_with_leb128_offset(12 * 3600, &[3, 1, 2]);
    assert!(unpacked(record.id, &packed).is_err());
}

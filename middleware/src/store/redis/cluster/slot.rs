//! The hash slot of a key (Redis Cluster specification, "Key distribution model").

use crc16::{State, XMODEM};

/// The number of slots of a cluster.
pub(in super::super) const SLOTS: u16 = 16384;

/// A hash slot: a number below [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Slot(pub(super) u16);

impl Slot {
    /// The slot of a key: of its hash tag, which is the text between the first `{` and the next `}`, unless that is empty.
    pub(in super::super) fn of(key: &[u8]) -> Self {
        let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
            let rest = &key[open + 1..];
            let length = rest.iter().position(|&byte| byte == b'}')?;
            (length > 0).then(|| &rest[..length])
        });
        Self(State::<XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS)
    }

    /// The slot of the keys of a bucket: its four hexadecimal digits are their hash tag.
    pub(super) fn of_bucket(bucket: u16) -> Self {
        let digit = |shift: u16| b"0123456789abcdef"[usize::from(bucket >> shift & 15)];
        Self::of(&[digit(12), digit(8), digit(4), digit(0)])
    }

    pub(super) fn place(self) -> usize {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected slots are those of `CLUSTER KEYSLOT`.
    #[test]
    fn slot_is_that_of_the_hash_tag_or_of_the_whole_key() {
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("bar{foo}baz", 12182),
            ("{foo}{bar}", 12182),
            ("foo{}", 5542),
            ("", 0),
        ] {
            assert_eq!(Slot::of(key.as_bytes()), Slot(slot), "{key}");
        }
        assert_eq!(
            Slot::of(b"a{}{foo}"),
            Slot(State::<XMODEM>::calculate(b"a{}{foo}") % SLOTS)
        );
        assert_eq!(Slot::of_bucket(0x9b1f), Slot::of(b"session:{9b1f}:0190"));
        assert_eq!(
            Slot::of(b"a{foo"),
            Slot(State::<XMODEM>::calculate(b"a{foo") % SLOTS)
        );
    }
}

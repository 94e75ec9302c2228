//! The numbers of a packed record: LEB128, and spans of time that are mostly whole minutes.

/// Writes LEB128: seven bits a byte, the lowest first. The eighth bit is set if more bytes follow.
pub(super) fn write_number(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    packed.push(number.to_le_bytes()[0]);
}

/// Writes whole minutes as 2 · minutes, and other seconds as 2 · seconds + 1. Whole minutes take a byte less.
pub(super) fn write_span(packed: &mut Vec<u8>, seconds: u64) {
    let seconds = seconds.min(u64::MAX >> 1);
    let span = if seconds.is_multiple_of(60) {
        seconds / 60 * 2
    } else {
        seconds * 2 + 1
    };
    write_number(packed, span);
}

/// The bytes of a packed record that are still to be read. Every method returns `None` if they are too few or malformed.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small_number(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn span(&mut self) -> Option<u64> {
        let span = self.number()?;
        let count = span / 2;
        if span % 2 == 1 {
            Some(count)
        } else {
            count.checked_mul(60)
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes all bytes that are left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_beyond_its_range_is_an_error() {
        let number = |bytes: &[u8]| Reader(bytes).number();
        assert_eq!(number(&[0x80; 11]), None);
        assert_eq!(
            number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            None
        );
        assert_eq!(
            number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Some(u64::MAX)
        );
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).small_number(), None);
    }

    #[test]
    fn span_survives_packing() {
        for seconds in [0, 1, 59, 60, 61, 86_400, u64::MAX >> 1] {
            let mut packed = Vec::new();
            write_span(&mut packed, seconds);
            assert_eq!(Reader(&packed).span(), Some(seconds), "{seconds}");
        }
    }
}

//! The preface of HTTP/2, with which a client begins a connection.

/// HTTP/1.1 has no method of this name (RFC 9113, section 11.6).
const PREFACE: &[u8] = b"PRI";

/// Compares the first bytes of a connection with the preface.
#[derive(Debug)]
pub(super) struct Preface {
    /// The number of its bytes that were read. `None` for another begin.
    matched: Option<usize>,
}

impl Preface {
    pub(super) const fn new() -> Self {
        Self { matched: Some(0) }
    }

    /// Bytes were read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if let Some(matched) = self.matched {
            let expected = &PREFACE[matched..];
            let length = expected.len().min(bytes.len());
            self.matched = (expected[..length] == bytes[..length]).then_some(matched + length);
        }
    }

    /// True if the connection has begun with the preface.
    pub(super) fn is_http2(&self) -> bool {
        self.matched == Some(PREFACE.len())
    }
}

//! Text read from a file.

/// Removes a UTF-8 byte order mark at the start, and ASCII whitespace at both ends.
///
/// Shell redirections end a file with a newline, and some editors begin it with a byte order mark.
pub(crate) fn trim(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_at_both_ends_and_one_byte_order_mark_are_removed() {
        for (text, trimmed) in [
            ("key", "key"),
            ("key\n", "key"),
            ("\u{feff}key\r\n", "key"),
            ("\u{feff} \tkey\x0c\n\n", "key"),
            ("a key", "a key"),
            ("key\u{feff}", "key\u{feff}"),
            ("\u{feff}\u{feff}key", "\u{feff}key"),
            ("\u{a0}key", "\u{a0}key"),
            ("\n", ""),
        ] {
            assert_eq!(trim(text), trimmed, "{text:?}");
        }
    }
}

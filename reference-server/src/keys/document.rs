//! A key file as text that can be edited: keys, the dates before them, and all other lines as they are.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_session_auth::{KeySet, SigningKey, VerifyingKey, clock::Timestamp, token::KeyFileError};

/// A parsed key file.
#[derive(Clone)]
pub(super) struct KeyDocument {
    /// The lines at the top, up to a blank line. They stay at the top.
    header: Vec<String>,
    pub(super) entries: Vec<Entry>,
    /// The lines after the last key.
    trailer: Vec<String>,
    newline: &'static str,
}

/// A key and the comments before it.
#[derive(Clone)]
pub(super) struct Entry {
    comments: Vec<String>,
    pub(super) mark: Option<Mark>,
    pub(super) id: String,
    pub(super) is_secret: bool,
    /// The line with the key.
    line: String,
}

/// A comment with a date that `keys rotate` has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `# added DATE`: the key signs nothing yet.
    Added(Timestamp),
    /// `# signing since DATE`.
    SigningSince(Timestamp),
    /// `# signed until DATE, tokens until DATE`: the key signs nothing any more.
    SignedUntil { at: Timestamp, tokens_until: Timestamp },
}

impl KeyDocument {
    /// # Errors
    /// Those of [`KeySet::parse`].
    pub(super) fn parse(text: &str) -> Result<Self, KeyFileError> {
        KeySet::parse(text)?;
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut document = Self {
            header: Vec::new(),
            entries: Vec::new(),
            trailer: Vec::new(),
            newline,
        };
        let mut comments: Vec<String> = Vec::new();
        let mut mark = None;
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
            let trimmed = line.trim_ascii();
            if let Some(found) = Mark::parse(trimmed) {
                mark = Some(found);
                continue;
            }
            let key = match SigningKey::from_paserk(trimmed) {
                Ok(secret) => Some((secret.verifying_key().id().to_owned(), true)),
                Err(_) => VerifyingKey::from_paserk(trimmed)
                    .ok()
                    .map(|public| (public.id().to_owned(), false)),
            };
            let Some((id, is_secret)) = key else {
                comments.push(line.to_owned());
                continue;
            };
            let mut comments = std::mem::take(&mut comments);
            if document.entries.is_empty() {
                let blank = comments.iter().rposition(|line| line.trim_ascii().is_empty());
                let own = comments.split_off(blank.map_or(0, |blank| blank + 1));
                document.header = std::mem::replace(&mut comments, own);
            }
            document.entries.push(Entry {
                comments,
                mark: mark.take(),
                id,
                is_secret,
                line: line.to_owned(),
            });
        }
        document.trailer = comments;
        Ok(document)
    }

    pub(super) fn to_text(&self) -> String {
        let mut lines: Vec<String> = self.header.clone();
        for entry in &self.entries {
            lines.extend(entry.comments.iter().cloned());
            lines.extend(entry.mark.map(Mark::to_line));
            lines.push(entry.line.clone());
        }
        lines.extend(self.trailer.iter().cloned());
        lines.iter().flat_map(|line| [line, self.newline]).collect()
    }

    /// Removes a key and its date. Other comments before it stay.
    pub(super) fn remove(&mut self, index: usize) {
        let removed = self.entries.remove(index);
        let after = match self.entries.get_mut(index) {
            Some(next) => &mut next.comments,
            None => &mut self.trailer,
        };
        after.splice(0..0, removed.comments);
    }
}

impl Entry {
    pub(super) fn new(key: &SigningKey, mark: Mark) -> Self {
        Self {
            comments: Vec::new(),
            mark: Some(mark),
            id: key.verifying_key().id().to_owned(),
            is_secret: true,
            line: key.to_paserk(),
        }
    }
}

impl Mark {
    fn parse(line: &str) -> Option<Self> {
        let comment = line.strip_prefix('#')?.trim_ascii_start();
        if let Some(at) = comment.strip_prefix("added ") {
            return parse_date(at).map(Self::Added);
        }
        if let Some(at) = comment.strip_prefix("signing since ") {
            return parse_date(at).map(Self::SigningSince);
        }
        let (at, tokens_until) = comment
            .strip_prefix("signed until ")?
            .split_once(", tokens until ")?;
        Some(Self::SignedUntil {
            at: parse_date(at)?,
            tokens_until: parse_date(tokens_until)?,
        })
    }

    fn to_line(self) -> String {
        match self {
            Self::Added(at) => format!("# added {}", date(at)),
            Self::SigningSince(at) => format!("# signing since {}", date(at)),
            Self::SignedUntil { at, tokens_until } => {
                format!("# signed until {}, tokens until {}", date(at), date(tokens_until))
            }
        }
    }
}

/// A time in the form of RFC 3339, in UTC.
pub(crate) fn date(at: Timestamp) -> String {
    let date = i64::try_from(at.0)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| format!("{} s after 1970", at.0))
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text.trim_ascii(), &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_changes_stays_the_same() {
        let [one, two] = [(); 2].map(|()| SigningKey::generate().unwrap());
        let text = format!(
            "# keys of the API\n\n# from May\n# signing since 2026-11-28T10:00:00Z\n{}\n\n  # a foreign one\n {}\n# end\n",
            one.to_paserk(),
            two.verifying_key().to_paserk()
        );
        let document = KeyDocument::parse(&text).unwrap();
        assert_eq!(document.to_text(), text);
        let windows = text.replace('\n', "\r\n");
        let document = KeyDocument::parse(&format!("\u{feff}{windows}")).unwrap();
        assert_eq!(document.to_text(), windows);
    }

    #[test]
    fn dates_are_read_in_any_time_zone_and_other_comments_are_no_dates() {
        let at = Timestamp(1_795_860_000);
        assert_eq!(date(at), "2026-11-28T10:00:00Z");
        let later = at.plus(60);
        let signed = Mark::SignedUntil {
            at,
            tokens_until: later,
        };
        for (line, mark) in [
            ("# added 2026-11-28T10:00:00Z", Some(Mark::Added(at))),
            ("#added 2026-11-28T11:00:00+01:00", Some(Mark::Added(at))),
            (
                "# signing since 2026-11-28T10:00:00Z",
                Some(Mark::SigningSince(at)),
            ),
            (signed.to_line().as_str(), Some(signed)),
            ("# added by Kim", None),
            ("# added 2026-13-28T10:00:00Z", None),
            ("# signed until 2026-11-28T10:00:00Z", None),
            ("added 2026-11-28T10:00:00Z", None),
        ] {
            assert_eq!(Mark::parse(line), mark, "{line}");
        }
    }

    #[test]
    fn removal_keeps_the_comments_of_the_key() {
        let [one, two, three] = [(); 3].map(|()| SigningKey::generate().unwrap().to_paserk());
        let text = format!("{one}\n# B\n# added 2026-11-28T10:00:00Z\n{two}\n# C\n{three}\n");
        let mut document = KeyDocument::parse(&text).unwrap();
        document.remove(1);
        assert_eq!(document.to_text(), format!("{one}\n# B\n# C\n{three}\n"));
        document.remove(1);
        assert_eq!(document.to_text(), format!("{one}\n# B\n# C\n"));
    }
}

//! The steps of a rotation: pure functions of (file, time).

use std::fmt;

use tower_session_auth::{
    SigningKey, clock::Timestamp, session::SessionPolicy, token::PUBLISHED_KEYS_MAX_AGE,
};

use super::{
    RotateError,
    document::{Entry, KeyDocument, Mark, date},
};

/// The times after which a step is safe, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationTimes {
    /// From adding a key to signing with it. All servers and followers have the key then.
    pub publication: u64,
    /// From the last signature with a key to its removal. No token of the key is valid then.
    pub tokens: u64,
}

impl RotationTimes {
    /// The times of servers with this policy.
    ///
    /// Publication takes twice the `max-age` of `GET /v1/keys`: one for the reload of the slowest server, one for the slowest
    /// follower. A token of the old key lives for `max_ttl` after that reload, and its renewal can be repeated in the retry window.
    #[must_use]
    pub fn of(policy: &SessionPolicy) -> Self {
        let publication = 2 * PUBLISHED_KEYS_MAX_AGE.as_secs();
        let tokens = policy.max_ttl.saturating_add(policy.replaced_tokens.retry_window);
        Self {
            publication,
            tokens: tokens.saturating_add(publication),
        }
    }
}

/// The next step of a rotation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Adds a key behind the signing one.
    Add,
    /// Signs with the key at this index.
    Sign(usize),
    /// Removes the keys at these indices, which are ascending.
    Remove(Vec<usize>),
}

/// A step that was taken. `Display` says what has changed, and when the next step is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotated {
    /// A key was added.
    Added {
        /// Its id.
        id: String,
        /// When it may sign.
        signs_from: Timestamp,
    },
    /// Another key signs.
    Signing {
        /// Its id.
        id: String,
        /// The id of the key that signed before.
        before: String,
        /// When that key may be removed.
        removable_from: Timestamp,
    },
    /// Keys were removed.
    Removed {
        /// Their ids.
        ids: Vec<String>,
    },
}

impl Step {
    pub(super) fn next(
        document: &KeyDocument,
        now: Timestamp,
        times: RotationTimes,
        force: bool,
    ) -> Result<Self, RotateError> {
        let too_early = |reason: String, from| Err(RotateError::TooEarly { reason, now, from });
        let mut signed = Vec::new();
        for (index, entry) in document.entries.iter().enumerate().skip(1) {
            match entry.mark.filter(|_| entry.is_secret) {
                Some(Mark::Added(at)) => {
                    let from = at.plus(times.publication);
                    if now < from && !force {
                        let added = date(at);
                        let id = &entry.id;
                        let reason = format!(
                            "key {id} was added at {added}. Other servers and services may not have it yet"
                        );
                        return too_early(reason, from);
                    }
                    return Ok(Self::Sign(index));
                }
                Some(Mark::SignedUntil { at, tokens_until }) => {
                    signed.push((index, at.plus(times.tokens).max(tokens_until)));
                }
                _ => {}
            }
        }
        let Some((first, from)) = signed.iter().copied().min_by_key(|(_, from)| *from) else {
            return Ok(Self::Add);
        };
        let removable = signed.iter().filter(|(_, from)| now >= *from || force);
        let removable: Vec<_> = removable.map(|(index, _)| *index).collect();
        if removable.is_empty() {
            let id = &document.entries[first].id;
            return too_early(format!("tokens of key {id} may still be valid"), from);
        }
        Ok(Self::Remove(removable))
    }

    pub(super) fn take(
        self,
        document: &mut KeyDocument,
        now: Timestamp,
        times: RotationTimes,
    ) -> Result<Rotated, RotateError> {
        let entries = &mut document.entries;
        Ok(match self {
            Self::Add => {
                let entry = Entry::new(&SigningKey::generate()?, Mark::Added(now));
                let id = entry.id.clone();
                entries.insert(1.min(entries.len()), entry);
                Rotated::Added {
                    id,
                    signs_from: now.plus(times.publication),
                }
            }
            Self::Sign(index) => {
                let removable_from = now.plus(times.tokens);
                let mut next = entries.remove(index);
                next.mark = Some(Mark::SigningSince(now));
                let id = next.id.clone();
                entries.insert(0, next);
                let before = &mut entries[1];
                before.mark = Some(Mark::SignedUntil {
                    at: now,
                    tokens_until: removable_from,
                });
                Rotated::Signing {
                    id,
                    before: before.id.clone(),
                    removable_from,
                }
            }
            Self::Remove(indices) => {
                let ids = indices.iter().map(|index| entries[*index].id.clone());
                let ids = ids.collect();
                for index in indices.into_iter().rev() {
                    document.remove(index);
                }
                Rotated::Removed { ids }
            }
        })
    }
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { id, signs_from } => {
                write!(f, "added {id}. Bring this file to all servers now. ")?;
                let from = date(*signs_from);
                write!(f, "Next: keys rotate from {from} on, then this key signs.")
            }
            Self::Signing {
                id,
                before,
                removable_from,
            } => {
                write!(f, "{id} signs now. Bring this file to all servers now. ")?;
                let from = date(*removable_from);
                write!(f, "Next: keys rotate from {from} on, then {before} is removed.")
            }
            Self::Removed { ids } => {
                let ids = ids.join(" and ");
                write!(
                    f,
                    "removed {ids}. Bring this file to all servers now. The rotation is complete."
                )
            }
        }
    }
}

/// One line for each key: id, status, dates.
pub(super) fn describe(document: &KeyDocument, now: Timestamp, times: RotationTimes) -> String {
    let lines = document.entries.iter().enumerate().map(|(index, entry)| {
        let from = |at: Timestamp| {
            let note = if now >= at { " (now)" } else { "" };
            format!("{}{note}", date(at))
        };
        let status = match (index, entry.is_secret, entry.mark) {
            (0, _, Some(Mark::SigningSince(at))) => format!("signing   since {}", date(at)),
            (0, ..) => "signing".to_owned(),
            (_, false, _) => "accepted  public key".to_owned(),
            (_, true, Some(Mark::Added(at))) => {
                let signs = from(at.plus(times.publication));
                format!("added     {}, may sign from {signs}", date(at))
            }
            (_, true, Some(Mark::SignedUntil { at, tokens_until })) => {
                let removable = from(at.plus(times.tokens).max(tokens_until));
                format!("accepted  signed until {}, removable from {removable}", date(at))
            }
            (_, true, _) => "accepted  no date: keys rotate neither signs with it nor removes it".to_owned(),
        };
        format!("{}  {status}", entry.id)
    });
    lines.collect::<Vec<_>>().join("\n")
}

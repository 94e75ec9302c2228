use std::fmt;

use crate::token::{KeySet, VerifyingKey};

/// The difference between two sets of keys. `Display` is one line for a log. It has key ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The id of the key that signs now.
    pub signing: String,
    /// The id of the key that signed before, if it is another one.
    pub signed_before: Option<String>,
    /// The keys that are accepted now and were not before.
    pub added: Vec<String>,
    /// The keys whose tokens are rejected from now on.
    pub removed: Vec<String>,
}

impl KeyChange {
    pub(super) fn new(signed_before: &str, before: &[VerifyingKey], now: &KeySet) -> Self {
        let signing = now.signing_key().verifying_key().id().to_owned();
        let contains = |id: &str| before.iter().any(|key| key.id() == id);
        let mut added: Vec<_> = now
            .verifying_keys()
            .iter()
            .map(|key| key.id().to_owned())
            .collect();
        let is_kept = |key: &&VerifyingKey| added.iter().any(|id| id == key.id());
        let removed = before.iter().filter(|key| !is_kept(key));
        let removed = removed.map(|key| key.id().to_owned()).collect();
        added.retain(|id| !contains(id));
        Self {
            signed_before: (signed_before != signing).then(|| signed_before.to_owned()),
            signing,
            added,
            removed,
        }
    }

    /// True if nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signed_before.is_none() && self.added.is_empty() && self.removed.is_empty()
    }

    /// True if the new signing key was not accepted before. Other servers and services may not have it yet, and then reject its
    /// tokens.
    #[must_use]
    pub fn signs_with_unpublished_key(&self) -> bool {
        self.added.contains(&self.signing)
    }

    /// True if the key that signed until now is not accepted any more. All current tokens are rejected.
    #[must_use]
    pub fn removes_signing_key(&self) -> bool {
        self.signed_before
            .as_ref()
            .is_some_and(|id| self.removed.contains(id))
    }

    /// True if neither of the two mistakes was made. Other removed keys must have no valid token left, which this type cannot know.
    #[must_use]
    pub fn keeps_all_requests(&self) -> bool {
        !self.signs_with_unpublished_key() && !self.removes_signing_key()
    }
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("the keys are unchanged");
        }
        write!(f, "signing key {}", self.signing)?;
        if let Some(before) = &self.signed_before {
            write!(f, " (before: {before})")?;
        }
        for (word, ids) in [("added", &self.added), ("removed", &self.removed)] {
            if !ids.is_empty() {
                write!(f, ", {word} {}", ids.join(" "))?;
            }
        }
        if self.signs_with_unpublished_key() {
            f.write_str("; other servers and services may not have the new signing key yet")?;
        }
        if self.removes_signing_key() {
            f.write_str("; the tokens of the removed signing key are rejected")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    #[test]
    fn each_step_of_a_rotation_keeps_all_requests() {
        let [old, new] = [(); 2].map(|()| SigningKey::generate().unwrap());
        let id = |key: &SigningKey| key.verifying_key().id().to_owned();
        let steps = [
            KeySet::single(old.clone()),
            KeySet::single(old.clone()).with_previous(new.clone()),
            KeySet::single(new.clone()).with_previous(old.clone()),
            KeySet::single(new.clone()),
        ];
        let change = |before: &KeySet, now| {
            let keys: Vec<_> = before.verifying_keys().iter().cloned().collect();
            KeyChange::new(before.signing_key().verifying_key().id(), &keys, now)
        };
        for pair in steps.windows(2) {
            let change = change(&pair[0], &pair[1]);
            assert!(change.keeps_all_requests() && !change.is_empty(), "{change}");
        }
        assert!(change(&steps[1], &steps[1]).is_empty());

        let skipped = change(&steps[0], &steps[2]);
        assert!(skipped.signs_with_unpublished_key() && !skipped.removes_signing_key());
        assert_eq!(skipped.added, [id(&new)]);
        let replaced = change(&steps[1], &steps[3]);
        assert!(replaced.removes_signing_key() && !replaced.signs_with_unpublished_key());
        assert_eq!(replaced.removed, [id(&old)]);
        assert_eq!(replaced.signed_before, Some(id(&old)));
    }
}

//! The mistakes in a configuration. All of them are reported at once.

use std::fmt;

use super::origin::Origins;

/// All mistakes in a configuration. None of them contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is invalid:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects mistakes while settings are read and checked.
#[derive(Debug, Default)]
pub(super) struct Errors {
    messages: Vec<String>,
    /// The settings with a mistake, which are not reported as missing too.
    wrong: Vec<&'static str>,
}

impl Errors {
    /// Adds a mistake that concerns no single setting.
    pub(super) fn add(&mut self, message: impl Into<String>) {
        self.messages.push(message.into());
    }

    /// Adds a mistake in a setting.
    pub(super) fn wrong(&mut self, origins: &Origins, setting: &'static str, message: impl fmt::Display) {
        self.wrong.push(setting);
        self.messages
            .push(format!("{}: {message}", origins.name(setting)));
    }

    /// Adds a mistake in the way in which a setting was given. The message names the setting.
    pub(super) fn wrong_form(&mut self, setting: &'static str, message: impl Into<String>) {
        self.wrong.push(setting);
        self.add(message);
    }

    pub(super) fn is_wrong(&self, setting: &str) -> bool {
        self.wrong.contains(&setting)
    }

    pub(super) const fn none(&self) -> bool {
        self.messages.is_empty()
    }

    /// `Err` if there is a mistake.
    pub(super) fn check(self) -> Result<(), ConfigErrors> {
        if self.none() {
            Ok(())
        } else {
            Err(ConfigErrors(self.messages))
        }
    }
}

//! The places in which settings were looked for, for messages about missing ones.

use super::{
    Loaded, SETTINGS,
    setting::{VARIABLE_PREFIX, flag, variable},
    sources::CONFIG,
};

impl<C> Loaded<C> {
    /// True if no setting was given.
    pub(crate) fn is_unset(&self) -> bool {
        SETTINGS
            .iter()
            .all(|setting| self.settings.origins.get(setting.name).is_none())
    }

    /// Names a missing setting in each of its forms, and the places in which it was looked for.
    pub(crate) fn missing(&self, setting: &str) -> String {
        let (flag, variable) = (flag(setting), variable(setting));
        let places = self.places();
        format!(
            "{setting} is missing: set {flag}, {variable}, or {setting} in the configuration file. {places}"
        )
    }

    /// Says where settings were looked for.
    pub(crate) fn places(&self) -> String {
        let file = match &self.config_file {
            Some(file) => format!("The configuration file was {}.", file.display()),
            None => {
                let (flag, variable) = (flag(CONFIG), variable(CONFIG));
                format!("No configuration file was named by {flag} or {variable}.")
            }
        };
        format!("Settings were looked for in flags and in environment variables ({VARIABLE_PREFIX}…). {file}")
    }
}

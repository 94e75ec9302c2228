//! The place where a setting was given, for messages that name it as the user wrote it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::setting::{flag, variable};

/// The place where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Variable,
    /// A line of the configuration file.
    File {
        /// The configuration file.
        path: Arc<Path>,
        /// The line, from 1 on.
        line: usize,
    },
}

/// A setting as it was given: by its name, or by the name of its `_file` form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The place.
    pub origin: Origin,
    /// The name that was used, such as `redis_url_file`.
    pub name: String,
    /// With a `_file` form: the file with the value.
    pub value_file: Option<PathBuf>,
}

/// The places of all settings that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub(super) BTreeMap<&'static str, Given>);

impl Origins {
    /// Returns the place of a setting. `None` if it has its default.
    #[must_use]
    pub fn get(&self, setting: &str) -> Option<&Given> {
        self.0.get(setting)
    }

    /// Names a setting as the user wrote it. A setting that was not given has its plain name.
    pub(super) fn name(&self, setting: &str) -> String {
        self.get(setting)
            .map_or_else(|| setting.to_owned(), Given::to_string)
    }

    /// Names a setting that is missing, in the form that the user used for another setting.
    pub(super) fn name_beside(&self, missing: &str, other: &str) -> String {
        match self.get(other).map(|given| &given.origin) {
            Some(Origin::Flag) => flag(missing),
            Some(Origin::Variable) => variable(missing),
            _ => missing.to_owned(),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Flag => f.write_str(&flag(&self.name))?,
            Origin::Variable => f.write_str(&variable(&self.name))?,
            Origin::File { path, line } => write!(f, "{}, line {line}: {}", path.display(), self.name)?,
        }
        match &self.value_file {
            Some(file) => write!(f, " ({})", file.display()),
            None => Ok(()),
        }
    }
}

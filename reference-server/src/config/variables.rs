//! The environment variables.

use std::{ffi::OsString, fmt};

use super::{
    errors::Errors,
    origin::{Given, Origin},
    setting::VARIABLE_PREFIX,
    similar,
    sources::{Source, Texts},
};

/// The environment variables that begin with the prefix of settings.
#[derive(Clone, Default)]
pub(super) struct Variables(Vec<(String, OsString)>);

impl Variables {
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(VARIABLE_PREFIX).then_some((name, value))
        });
        Self(variables.collect())
    }
}

/// Reads the variables. Blanks around a value are removed, and an empty variable counts as not set.
pub(super) fn read(variables: &Variables, errors: &mut Errors, warnings: &mut Vec<String>) -> Source {
    let mut source = Source::new();
    for (variable, value) in &variables.0 {
        let name = variable[VARIABLE_PREFIX.len()..].to_ascii_lowercase();
        if !similar::is_known(&name) || *variable != super::setting::variable(&name) {
            unknown(variable, &name, value, errors, warnings);
            continue;
        }
        let Some(value) = value.to_str() else {
            errors.add(format!("{variable}: is not valid UTF-8"));
            continue;
        };
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let given = Given {
            origin: Origin::Variable,
            name: name.clone(),
            value_file: None,
        };
        let texts = vec![value.to_owned()];
        source.insert(name, Texts { texts, given });
    }
    source
}

/// An unknown variable that was probably meant as a setting is a mistake: the server must not run without it. Any other one is only a
/// warning, since Kubernetes sets such variables for a service with the name `session-auth`.
fn unknown(variable: &str, name: &str, value: &OsString, errors: &mut Errors, warnings: &mut Vec<String>) {
    if is_of_kubernetes(variable, value) {
        return;
    }
    match similar::meant(name) {
        Some(meant) => {
            let meant = super::setting::variable(&meant);
            errors.add(format!(
                "{variable}: there is no such setting; did you mean {meant}?"
            ));
        }
        None => warnings.push(format!(
            "the environment variable {variable} looks like a setting, but is unknown and ignored"
        )),
    }
}

/// Kubernetes sets `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT…`, `NAME_PORT` and `NAME_PORT_3100_TCP…` for each service.
fn is_of_kubernetes(variable: &str, value: &OsString) -> bool {
    let is_url = value.to_str().is_some_and(|value| value.starts_with("tcp://"));
    let (_, port) = variable.rsplit_once("_PORT").unwrap_or_default();
    variable.contains("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || (port.is_empty() && is_url)
        || (port.starts_with('_') && port.ends_with(|last: char| last.is_ascii_alphabetic()))
            && port[1..].starts_with(|first: char| first.is_ascii_digit())
}

impl fmt::Debug for Variables {
    /// Leaves out the values, since some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

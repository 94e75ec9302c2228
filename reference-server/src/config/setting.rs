//! The description of one setting: the single source of the help text, the example file and the documentation.

/// A setting of the server.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name, as the configuration file has it.
    pub name: &'static str,
    /// The meaning, in sentences, with the unit. Its links are relative to the folder `docs/`.
    pub help: &'static str,
    /// The default, for people. `none` if there is no value by default.
    pub default: &'static str,
    /// An example value in TOML. It is the default if that is a value.
    pub example: &'static str,
    /// The expected form of the value, for messages about mistakes.
    pub expected: &'static str,
    /// True if the value is a secret, or a URL that can contain one. It is never printed, and it can be read from a file.
    pub secret: bool,
}

impl Setting {
    /// The help without links, for a terminal.
    pub(super) fn plain_help(&self) -> String {
        let mut plain = String::new();
        let mut rest = self.help;
        while let Some((before, after)) = rest.split_once("](") {
            let link = after.split_once(')');
            plain += &before.replacen('[', "", 1);
            rest = link.map_or("", |(_, rest)| rest);
        }
        plain + rest
    }

    /// True for the name, and for that of its `_file` form.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name == self.name || self.file_form().is_some_and(|form| form == name)
    }

    /// The flag: `--redis-url`.
    #[must_use]
    pub fn flag(&self) -> String {
        flag(self.name)
    }

    /// The environment variable: `SESSION_AUTH_REDIS_URL`.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(self.name)
    }

    /// The name of the form that reads the value from a file: `redis_url_file`. Only secrets and URLs have one.
    #[must_use]
    pub fn file_form(&self) -> Option<String> {
        self.secret.then(|| format!("{}_file", self.name))
    }
}

/// The prefix of the environment variables.
pub(super) const VARIABLE_PREFIX: &str = "SESSION_AUTH_";

pub(super) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

pub(super) fn variable(name: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase())
}

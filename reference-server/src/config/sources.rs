//! The three sources of settings: flags, environment variables and the configuration file, in this order of precedence.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use super::{
    Config, ConfigErrors, KeySettings, Settings, Store,
    errors::Errors,
    file, file_modes,
    flags::Flags,
    origin::{Given, Origin, Origins},
    setting::Setting,
    settings::SETTINGS,
    value::Value,
    value_file,
    variables::{self, Variables},
};

/// The name of the flag and the variable for the configuration file.
pub(super) const CONFIG: &str = "config";

/// The sources of a configuration. They can be read again, to find out what has changed.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    flags: Flags,
    variables: Variables,
}

/// A configuration, and what was read for it.
#[derive(Debug)]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// The settings that it was made from.
    pub settings: Settings,
    /// Remarks that stop nothing, such as an unknown environment variable.
    pub warnings: Vec<String>,
    /// All files that were read.
    pub files: Vec<PathBuf>,
    /// The configuration file.
    pub config_file: Option<PathBuf>,
}

/// The texts of a setting, and their place.
pub(super) struct Texts {
    pub(super) texts: Vec<String>,
    pub(super) given: Given,
}

/// The texts of a source, by the name that the user wrote.
pub(super) type Source = BTreeMap<String, Texts>;

impl Sources {
    /// Takes flags and environment variables.
    #[must_use]
    pub fn new(flags: Flags, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            flags,
            variables: Variables::new(variables),
        }
    }

    /// Reads all settings and checks them.
    ///
    /// # Errors
    /// All mistakes: a value in another form than expected, an unknown name, a file that cannot be read, settings that do not fit
    /// together.
    pub fn load(&self) -> Result<Loaded<Config>, ConfigErrors> {
        self.load_as(Config::check)
    }

    /// Reads all settings, and checks those about the store.
    pub(crate) fn load_store(&self) -> Result<Loaded<Store>, ConfigErrors> {
        self.load_as(Store::check)
    }

    /// Reads all settings, and checks those about a rotation of the keys.
    pub(crate) fn load_key_settings(&self) -> Result<Loaded<KeySettings>, ConfigErrors> {
        self.load_as(KeySettings::check)
    }

    /// Reads all settings, and checks the form of each one alone.
    pub(crate) fn load_settings(&self) -> Result<Settings, ConfigErrors> {
        let loaded = self.load_as(|_, errors| errors.check())?;
        Ok(loaded.settings)
    }

    fn load_as<C>(
        &self,
        check: impl FnOnce(&Settings, Errors) -> Result<C, ConfigErrors>,
    ) -> Result<Loaded<C>, ConfigErrors> {
        let mut errors = Errors::default();
        let mut warnings = Vec::new();
        let mut files = Vec::new();
        let mut flags = flags(&self.flags);
        let mut variables = variables::read(&self.variables, &mut errors, &mut warnings);
        let config = [flags.remove(CONFIG), variables.remove(CONFIG)];
        let config = config.into_iter().flatten().next();
        let config_file = config.and_then(|config| config_path(&config, &mut errors));
        files.extend(config_file.clone());
        let file = config_file.as_deref().map(|path| file::read(path, &mut errors));
        let mut sources = [flags, variables, file.unwrap_or_default()];
        let mut texts = BTreeMap::new();
        for setting in SETTINGS {
            // Every source is read, so that mistakes in an overridden one are found too.
            let found = sources
                .each_mut()
                .map(|source| take(source, setting, &mut errors));
            if let Some(found) = found.into_iter().flatten().next() {
                files.extend(found.given.value_file.clone());
                texts.insert(setting.name, found);
            }
        }
        let settings = Settings::parse(texts, &mut errors);
        files.extend(settings.named_files());
        let config = check(&settings, errors)?;
        warnings.extend(file_modes::warnings(&settings));
        Ok(Loaded {
            config,
            settings,
            warnings,
            files,
            config_file,
        })
    }
}

fn flags(flags: &Flags) -> Source {
    let texts = flags.0.iter().map(|(name, texts)| {
        let given = Given {
            origin: Origin::Flag,
            name: name.clone(),
            value_file: None,
        };
        let texts = texts.iter().map(|text| text.trim().to_owned()).collect();
        (name.clone(), Texts { texts, given })
    });
    texts.collect()
}

fn config_path(config: &Texts, errors: &mut Errors) -> Option<PathBuf> {
    match &config.texts[..] {
        [path] if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            errors.add(format!("{}: expected the path of one file", config.given));
            None
        }
    }
}

/// Takes a setting out of a source: its value, or the content of the file that its `_file` form names.
fn take(source: &mut Source, setting: &'static Setting, errors: &mut Errors) -> Option<Texts> {
    let plain = source.remove(setting.name);
    let form = setting.file_form().and_then(|form| source.remove(&form));
    match (plain, form) {
        (Some(plain), Some(form)) => {
            let message = format!("{} and {}: set only one of them", plain.given, form.given);
            errors.wrong_form(setting.name, message);
            None
        }
        (Some(plain), None) => Some(plain),
        (None, Some(form)) => value_file::read(form)
            .map_err(|message| errors.wrong_form(setting.name, message))
            .ok(),
        (None, None) => None,
    }
}

/// Parses the texts of a setting.
pub(super) fn parse<T: Value>(
    setting: &'static Setting,
    found: Option<Texts>,
    origins: &mut Origins,
    errors: &mut Errors,
) -> Option<T> {
    let Texts { texts, given } = found?;
    origins.0.insert(setting.name, given);
    if let [text] = &texts[..]
        && text.is_empty()
    {
        errors.wrong(origins, setting.name, "is set, but empty");
        return None;
    }
    T::from_texts(&texts)
        .map_err(|wrong| {
            let expected = T::EXPECTED;
            if setting.secret {
                errors.wrong(origins, setting.name, format_args!("expected {expected}"));
            } else {
                let wrong: Vec<_> = wrong.iter().map(|text| format!("{text:?}")).collect();
                let wrong = wrong.join(" and ");
                errors.wrong(
                    origins,
                    setting.name,
                    format_args!("expected {expected}, not {wrong}"),
                );
            }
        })
        .ok()
}

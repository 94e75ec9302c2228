//! The flags of the command line. They are only collected here, as texts: see [`sources`](super::sources).

use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::{
    setting::{Setting, flag, variable},
    settings::SETTINGS,
    similar,
    sources::CONFIG,
};

/// The settings that were given by flags, with their texts.
#[derive(Clone, Default)]
pub struct Flags(pub(super) Vec<(String, Vec<String>)>);

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = similar::known().filter_map(|name| {
            let texts = matches.get_many::<String>(&name)?.cloned().collect();
            Some((name, texts))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = "A TOML file with settings. Flags and environment variables override it.";
        let command = command
            .next_help_heading("Settings")
            .arg(arg(CONFIG, config.to_owned()));
        SETTINGS.iter().fold(command, |command, setting| {
            let command = command.arg(setting_arg(setting));
            match setting.file_form() {
                Some(form) => {
                    let help = format!("A file that contains the value of {}.", setting.flag());
                    command.arg(arg(&form, help))
                }
                None => command,
            }
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn setting_arg(setting: &Setting) -> Arg {
    arg(
        setting.name,
        format!("{} (default: {})", setting.plain_help(), setting.default),
    )
}

fn arg(name: &str, help: String) -> Arg {
    // Several values belong to lists. A repeated flag of any other setting is a mistake that `sources` reports.
    let arg = Arg::new(name.to_owned()).long(flag(name)[2..].to_owned());
    arg.help(format!("{help} [variable: {}]", variable(name)))
        .action(ArgAction::Append)
        .allow_hyphen_values(true)
        .value_name(name.to_ascii_uppercase())
        .hide_possible_values(true)
        .global(true)
}

impl fmt::Debug for Flags {
    /// Leaves out the texts, since some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

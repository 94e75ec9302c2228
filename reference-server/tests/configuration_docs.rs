//! `docs/configuration.md` lists every setting with its default.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use clap::{Args, Command};
use session_auth_server::config::Settings;

const PAGE: &str = include_str!("../../docs/configuration.md");

/// The names and defaults in the table of the page.
fn documented() -> BTreeMap<String, String> {
    let (_, settings) = PAGE.split_once("\n## Settings\n").expect("a part about settings");
    let settings = settings.split("\n## ").next().unwrap_or_default();
    let rows = settings.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let name = cells.next().expect("a name").trim_matches('`');
        let default = cells.next().expect("a default");
        (name.to_owned(), default.to_owned())
    })
    .collect()
}

/// The names and defaults in the help of the command line. `generated` stands for a setting without a default.
fn defined() -> BTreeMap<String, String> {
    let command = Settings::augment_args(Command::new("session-auth-server"));
    let settings = command
        .get_arguments()
        .filter(|setting| setting.get_id() != "config");
    settings
        .map(|setting| {
            let help = setting.get_help().expect("a help text").to_string();
            let default = help
                .split_once("(default: ")
                .and_then(|(_, rest)| rest.rsplit_once(')'))
                .map_or("generated", |(default, _)| default);
            (setting.get_id().to_string(), default.to_owned())
        })
        .collect()
}

#[test]
fn configuration_page_lists_every_setting_with_its_default() {
    assert_eq!(documented(), defined());
}

#[test]
fn every_setting_has_one_name_in_all_three_ways() {
    let command = Settings::augment_args(Command::new("session-auth-server"));
    for setting in command.get_arguments() {
        let name = setting.get_id().to_string();
        assert_eq!(setting.get_long(), Some(name.replace('_', "-").as_str()));
        let variable = setting.get_env().and_then(|variable| variable.to_str());
        assert_eq!(
            variable,
            Some(format!("SESSION_AUTH_{}", name.to_uppercase()).as_str())
        );
    }
}

//! The command `check-config`.

use clap::Args;
use tower_session_auth::{
    clock::{Clock as _, SystemClock},
    store::{RedisServerInfo, RedisStoreConfig},
};

use super::{Failure, note, print, redis_contact, runtime};
use crate::config::{Config, Loaded, RedisAddress, Sources, Store};

/// The options of the command.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Options {
    /// Also connect to Redis, and print what was found there.
    #[arg(long)]
    connect: bool,
    /// Print the effective configuration in TOML, without secrets.
    #[arg(long)]
    print: bool,
}

pub(super) fn run(sources: &Sources, options: &Options) -> Result<(), Failure> {
    let loaded = sources.load()?;
    let expired = loaded
        .config
        .expired_admin_keys(&loaded.settings, SystemClock.now());
    for warning in loaded.warnings.iter().chain(&expired) {
        note(&format!("warning: {warning}"));
    }
    let found = match &loaded.config.store {
        _ if !options.connect => None,
        Store::Redis(redis) => Some(contact(redis, &loaded)?),
        Store::Memory => return Err(nothing_to_contact(&loaded)),
    };
    if options.print {
        print(loaded.config.print(&loaded.settings).trim_end())?;
    } else {
        print(&verdict(&loaded, found.is_some()))?;
    }
    let Some(found) = found else { return Ok(()) };
    let server = format!("found: {found}");
    if options.print {
        // Standard output is the configuration.
        note(&server);
    } else {
        print(&server)?;
    }
    for (_, warning) in found.warnings() {
        note(&format!("warning: {warning}"));
    }
    Ok(())
}

fn verdict(loaded: &Loaded<Config>, is_contacted: bool) -> String {
    let config = &loaded.config;
    if loaded.is_unset() {
        let places = loaded.places();
        return format!(
            "no setting was given, so the defaults apply, and sessions end with the process: {config}\n{places}"
        );
    }
    let contacted = if is_contacted {
        "Redis was contacted"
    } else {
        "nothing was contacted"
    };
    format!("the configuration is good ({contacted}): {config}")
}

fn nothing_to_contact(loaded: &Loaded<Config>) -> Failure {
    let missing = loaded.missing("redis_url");
    Failure::Input(format!("nothing was contacted. {missing}"))
}

fn contact(redis: &RedisStoreConfig, loaded: &Loaded<Config>) -> Result<RedisServerInfo, Failure> {
    let url = loaded.settings.redis_url.as_deref().unwrap_or_default();
    let contact = redis_contact::contact(redis, RedisAddress::of(url));
    runtime()?.block_on(contact).map_err(|problem| {
        let setting = loaded.settings.origins.get(problem.setting);
        let setting = setting.map_or_else(|| problem.setting.to_owned(), ToString::to_string);
        let remark = if problem.is_of_the_settings() {
            ""
        } else {
            ". The settings themselves have no mistake"
        };
        Failure::Other(format!(
            "{setting}: Redis cannot be used: {}{remark}",
            problem.reason
        ))
    })
}

//! The command `check-config`.

use clap::Args;
use tower_session_auth::RedisStore;

use super::{Failure, print, runtime};
use crate::config::{Sources, Store};

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

#[expect(clippy::print_stderr, reason = "not part of the command's output")]
pub(super) fn run(sources: &Sources, options: &Options) -> Result<(), Failure> {
    let loaded = sources.load()?;
    let config = &loaded.config;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if options.print {
        return print(config.print(&loaded.settings).trim_end());
    }
    let contacted = match (&config.store, options.connect) {
        (_, false) => "nothing was contacted",
        (Store::Memory, true) => "there is no redis_url to contact",
        (Store::Redis(_), true) => "Redis was contacted",
    };
    print(&format!("the configuration is good ({contacted}): {config}"))?;
    match &config.store {
        Store::Redis(redis) if options.connect => {
            let found = runtime()?.block_on(async {
                let store = RedisStore::open(redis).map_err(Failure::other)?;
                store.server_info().await.map_err(|error| {
                    let url = loaded.settings.origins.get("redis_url");
                    let url = url.map(ToString::to_string).unwrap_or_default();
                    Failure::Other(format!("{url}: Redis cannot be used: {error}"))
                })
            })?;
            print(&format!("found: {found}"))?;
            for warning in found.warnings() {
                eprintln!("warning: {warning}");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

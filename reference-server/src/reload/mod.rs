//! Reloading: the configuration is read again on SIGHUP, and when one of its files changes.
//!
//! A reload replaces all reloaded settings or, if the configuration has a mistake, none. Other settings apply at the next start, and
//! a change of them is logged.

mod apply;

pub(crate) use apply::Reloadable;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};

use crate::config::{Config, ConfigErrors, Loaded, Settings, Sources};

/// The time between two looks at the files. Kubernetes replaces mounted files by renaming a folder, and some network file systems
/// report no changes, so the files are read instead of watched.
const INTERVAL: Duration = Duration::from_secs(1);

/// After SIGHUP: the pause between two looks at files that may still be written, and the maximum number of looks.
const COMPLETE_PAUSE: Duration = Duration::from_millis(50);
const COMPLETE_LOOKS: usize = 10;

const HANG_UP: &str = "SIGHUP";

/// The settings that a reload applies.
const RELOADED: &[&str] = &[
    "admin_keys_file",
    "key_file",
    "master_password_hash",
    "tls_cert_file",
    "tls_key_file",
    "trusted_proxies",
];

/// The outcome of reading the configuration again.
#[derive(Debug)]
pub enum Reload {
    /// The new configuration. It is complete and valid.
    New(Box<Config>),
    /// The configuration has a mistake, which was logged. The current one remains.
    Rejected,
}

/// Reads the configuration again.
#[derive(Debug, Clone)]
pub(crate) struct Reloader {
    sources: Sources,
    current: Config,
    settings: Settings,
    files: Vec<PathBuf>,
    /// The contents of the files at the last reload.
    fingerprint: u64,
    /// Their contents at the last look.
    last_look: u64,
}

impl Reloader {
    /// A reloader for a configuration that was just loaded.
    #[must_use]
    pub(crate) fn new(sources: Sources, loaded: &Loaded<Config>) -> Self {
        let fingerprint = fingerprint(&loaded.files);
        Self {
            sources,
            current: loaded.config.clone(),
            settings: loaded.settings.clone(),
            files: loaded.files.clone(),
            fingerprint,
            last_look: fingerprint,
        }
    }

    /// Reads the configuration again.
    ///
    /// # Errors
    /// All mistakes in it. The current configuration remains.
    pub(crate) fn reload(&mut self) -> Result<Config, ConfigErrors> {
        // A change during the reload is then found at the next look.
        self.fingerprint = self.complete_files();
        let mut loaded = self.sources.load()?;
        loaded.config.continue_from(&self.current)?;
        for name in self.changed_without_effect(&loaded) {
            tracing::warn!(setting = name, "a changed setting applies at the next start");
        }
        if self.files != loaded.files {
            self.files = loaded.files;
            self.fingerprint = fingerprint(&self.files);
        }
        self.settings = loaded.settings;
        self.current = loaded.config.clone();
        Ok(loaded.config)
    }

    /// Waits until no file changes between two looks, for a short time. A file that is being written is half empty.
    fn complete_files(&self) -> u64 {
        let mut last = fingerprint(&self.files);
        for _ in 0..COMPLETE_LOOKS {
            std::thread::sleep(COMPLETE_PAUSE);
            let next = fingerprint(&self.files);
            if std::mem::replace(&mut last, next) == next {
                break;
            }
        }
        last
    }

    /// True if the files have changed since the last reload, and have not changed between this call and the last one. A file that is
    /// still being written is not read.
    fn files_have_changed(&mut self) -> bool {
        let fingerprint = fingerprint(&self.files);
        let is_complete = std::mem::replace(&mut self.last_look, fingerprint) == fingerprint;
        is_complete && fingerprint != self.fingerprint
    }

    fn changed_without_effect(&self, loaded: &Loaded<Config>) -> Vec<&'static str> {
        let before = self.current.effective(&self.settings);
        let after = loaded.config.effective(&loaded.settings);
        let changed = before
            .into_iter()
            .zip(after)
            .filter(|(before, after)| before != after);
        let without_effect = changed.filter(|((name, before), (_, after))| {
            // A listener cannot begin or end to use TLS.
            let begins_or_ends_tls = name.starts_with("tls_") && before.is_some() != after.is_some();
            begins_or_ends_tls || !RELOADED.contains(name)
        });
        without_effect.map(|((name, _), _)| name).collect()
    }
}

/// Sends the new configuration after each hang-up and each change of a file. Returns when the receiver is dropped.
pub(crate) async fn watch(
    mut reloader: Reloader,
    mut hang_ups: mpsc::Receiver<()>,
    reloads: mpsc::Sender<Reload>,
) {
    loop {
        let trigger = tokio::select! {
            Some(()) = hang_ups.recv() => HANG_UP,
            () = sleep(INTERVAL) => "a file has changed",
            () = reloads.closed() => return,
        };
        let before = reloader.clone();
        let work = tokio::task::spawn_blocking(move || {
            let due = trigger == HANG_UP || reloader.files_have_changed();
            let result = due.then(|| reloader.reload());
            (reloader, result)
        });
        let Ok((returned, result)) = work.await else {
            tracing::error!("the reload failed because of an internal error: nothing was changed");
            reloader = before;
            continue;
        };
        reloader = returned;
        let reload = match result {
            None => continue,
            Some(Ok(config)) => {
                tracing::info!(trigger, "configuration read again");
                Reload::New(Box::new(config))
            }
            Some(Err(errors)) => {
                tracing::error!(trigger, %errors, "configuration not reloaded: nothing was changed");
                Reload::Rejected
            }
        };
        if reloads.send(reload).await.is_err() {
            return;
        }
    }
}

/// A hash of the contents of files. A file that cannot be read counts as an empty one.
fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        // A pipe would block, and can be read only once.
        if file.is_file() {
            std::fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
    }
    hasher.finish()
}

//! Configurations with a mistake, and with a valid change that would be noticed: nothing may change.

use std::{fs, time::Duration};

use tokio::time::sleep;
use tower_session_auth::SigningKey;

use super::{
    files::{new_admin, replace},
    operator::Operator,
};

/// How long the agents work beside the mistake.
const HELD: Duration = Duration::from_millis(700);

/// The file with the mistake.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mistake {
    /// The key file. The admin keys of all agents are removed at the same time.
    Keys,
    /// The file of the admin keys. All signing keys are replaced at the same time.
    Admins,
    /// The settings of each server. All signing keys are replaced at the same time.
    Settings,
}

impl Operator {
    /// Breaks the configuration, waits until every server has rejected it, and restores it.
    pub(super) async fn break_files(&self, mistake: Mistake) {
        let files = &self.soak.files;
        let (keys, admins) = (read(&files.keys()), read(&files.admins()));
        let settings: Vec<_> = files
            .servers()
            .iter()
            .map(|server| read(&server.config))
            .collect();
        let rejected = self.counts("rejected").await;

        // The mistake comes first and goes last: no server ever finds the valid change alone.
        match mistake {
            Mistake::Keys => replace(&files.keys(), "k4.secret.broken"),
            Mistake::Admins => replace(&files.admins(), "[[admin_key]]\nname = \"incomplete\"\n"),
            Mistake::Settings => {
                for (server, text) in files.servers().iter().zip(&settings) {
                    replace(&server.config, &format!("{text}unknown_setting = 1\n"));
                }
            }
        }
        match mistake {
            Mistake::Keys => files.write_admins(&[&new_admin()]),
            Mistake::Admins | Mistake::Settings => {
                replace(&files.keys(), &SigningKey::generate().expect("a key").to_paserk());
            }
        }
        self.hang_up();
        self.confirm("a broken configuration", |server| {
            self.is_more(&rejected, server, "rejected")
        })
        .await;
        sleep(HELD).await;

        let applied = self.counts("applied").await;
        match mistake {
            Mistake::Keys => replace(&files.admins(), &admins),
            Mistake::Admins | Mistake::Settings => replace(&files.keys(), &keys),
        }
        match mistake {
            Mistake::Keys => replace(&files.keys(), &keys),
            Mistake::Admins => replace(&files.admins(), &admins),
            Mistake::Settings => {
                for (server, text) in files.servers().iter().zip(&settings) {
                    replace(&server.config, text);
                }
            }
        }
        self.hang_up();
        self.confirm("the restored configuration", |server| {
            self.is_more(&applied, server, "applied")
        })
        .await;
        self.soak.tally.change(|changes| changes.broken += 1);
    }

    async fn counts(&self, outcome: &str) -> Vec<Option<u64>> {
        let mut counts = Vec::new();
        for server in 0..self.soak.options.servers {
            counts.push(self.reloads(server, outcome).await);
        }
        counts
    }

    async fn is_more(&self, before: &[Option<u64>], server: usize, outcome: &str) -> Option<bool> {
        let now = self.reloads(server, outcome).await?;
        Some(now > before[server]?)
    }
}

fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).expect("a file")
}

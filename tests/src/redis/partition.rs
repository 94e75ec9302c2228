//! A master that sentinels cannot reach, and that other clients can.

use super::{Sentinels, command, sentinels::url};

/// Makes the user of the clients.
pub(super) const USER: [&str; 8] = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all"];
const LOGIN: &str = "app:secret@";

/// A partition between the sentinels and the master. Its clients have a user of their own, and the sentinels lose theirs. So the sentinels
/// replace the master and cannot tell it: it goes on as a master.
pub struct Partition {
    master: String,
}

impl Partition {
    /// Makes the user of the clients.
    ///
    /// # Panics
    /// If a server does not answer. All functions do this.
    #[track_caller]
    pub fn prepare(sentinels: &Sentinels) -> Self {
        for server in [&sentinels.master, &sentinels.replica] {
            let _: redis::Value = server.command(&USER).expect("an answer");
        }
        Self {
            master: with_login(&sentinels.master.url()),
        }
    }

    /// The URL of the clients, with the sentinels at these ports.
    pub fn url(&self, sentinels: &[u16]) -> String {
        url(LOGIN, sentinels, 0)
    }

    /// The URL of the master for the clients.
    pub fn url_of_the_old_master(&self) -> &str {
        &self.master
    }

    /// Begins the partition.
    #[track_caller]
    pub fn isolate_master(&self) {
        let _: redis::Value =
            command(&self.master, &["ACL", "SETUSER", "default", "off"]).expect("an answer");
        // The replica stays connected.
        for kind in ["normal", "pubsub"] {
            let kill = ["CLIENT", "KILL", "USER", "default", "TYPE", kind];
            let _: redis::Value = command(&self.master, &kill).expect("an answer");
        }
    }

    /// `master` or `slave`.
    #[track_caller]
    pub fn role_of_the_old_master(&self) -> String {
        let info: redis::InfoDict = command(&self.master, &["INFO", "replication"]).expect("an answer");
        info.get("role").expect("a role")
    }
}

/// The URL, with the user of the clients.
pub(super) fn with_login(url: &str) -> String {
    url.replace("://", &format!("://{LOGIN}"))
}

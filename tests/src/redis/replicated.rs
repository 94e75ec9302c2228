//! A master with a replica.

use super::{TestRedis, poll};
use crate::folder::Folder;

/// The servers. They end when this is dropped.
pub struct Replicated {
    pub master: TestRedis,
    pub replica: TestRedis,
    pub(super) folder: Folder,
}

impl Replicated {
    /// Starts both from an installed binary, and waits until the replica is connected. Servers in containers cannot reach each other by the
    /// addresses that a client uses.
    ///
    /// # Panics
    /// If there is no binary, or if a server does not start.
    #[track_caller]
    pub fn start() -> Self {
        let folder = Folder::new("replicated");
        // A replica writes the snapshot that it gets from its master into its folder, also without persistence.
        let start = |name: &str, options: &[&str]| {
            let common = ["--dbfilename", name, "--repl-diskless-sync-delay", "0"];
            TestRedis::start_in(&folder, &[&common, options].concat())
        };
        let master = start("master.rdb", &[]);
        let port = master.port().to_string();
        let replica = start("replica.rdb", &["--replicaof", "127.0.0.1", &port]);
        let connected = || {
            master
                .command(&["WAIT", "1", "100"])
                .is_ok_and(|count: u32| count == 1)
        };
        assert!(poll(connected), "the replica does not connect");
        Self {
            master,
            replica,
            folder,
        }
    }
}

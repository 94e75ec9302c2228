//! The settings of a cluster, as options of its servers.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Cluster, MASTERS};
use crate::{folder::Folder, free_address::free_port};

/// The `cluster-node-timeout` while the cluster starts. Redis serves no slot for this long after a start, and for 2 seconds at least.
const NODE_TIMEOUT_AT_START: Duration = Duration::from_secs(2);

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    pub(super) program: Option<PathBuf>,
    replicas: bool,
    pub(super) node_timeout: Duration,
    full_coverage: bool,
}

impl ClusterBuilder {
    pub(super) const fn new() -> Self {
        Self {
            program: None,
            replicas: true,
            node_timeout: Duration::from_secs(15),
            full_coverage: true,
        }
    }

    /// Starts only masters.
    #[must_use]
    pub const fn without_replicas(mut self) -> Self {
        self.replicas = false;
        self
    }

    /// Sets the time after which a silent node counts as failed. The default, 15 seconds, prevents failovers on a machine under load.
    #[must_use]
    pub const fn node_timeout_ms(mut self, milliseconds: u64) -> Self {
        self.node_timeout = Duration::from_millis(milliseconds);
        self
    }

    /// Lets the other nodes serve their slots while a master is dead (`cluster-require-full-coverage no`).
    #[must_use]
    pub const fn without_full_coverage(mut self) -> Self {
        self.full_coverage = false;
        self
    }

    /// Starts the servers with this program.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// Starts the servers and waits until all of them serve the cluster.
    ///
    /// # Panics
    /// If there is no binary, or if a server does not start.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Cluster {
        let mut cluster = Cluster {
            nodes: Vec::new(),
            folder: Folder::new("cluster"),
            builder: self,
            _clean_up: None,
        };
        let nodes = if cluster.builder.replicas {
            2 * MASTERS
        } else {
            MASTERS
        };
        for _ in 0..nodes {
            cluster.start_node();
        }
        cluster.form();
        cluster
    }

    /// The options of a node on this port, with its data below this folder.
    pub(super) fn options_of_node(&self, port: u16, all: &Folder) -> Vec<String> {
        let folder = all.join(port.to_string());
        fs::create_dir_all(&folder).expect("a folder");
        let coverage = if self.full_coverage { "yes" } else { "no" };
        let timeout = self.node_timeout.min(NODE_TIMEOUT_AT_START);
        let options: [(&str, &str); 8] = [
            ("--dir", &folder.display().to_string()),
            ("--cluster-enabled", "yes"),
            ("--cluster-port", &bus_port(port).to_string()),
            ("--cluster-node-timeout", &timeout.as_millis().to_string()),
            ("--cluster-require-full-coverage", coverage),
            // A replica takes over however long its master was away.
            ("--cluster-replica-validity-factor", "0"),
            // A replica stays with its master.
            ("--cluster-allow-replica-migration", "no"),
            ("--repl-diskless-sync-delay", "0"),
        ];
        let words = options
            .iter()
            .flat_map(|&(name, value)| [name.to_owned(), value.to_owned()]);
        words.collect()
    }
}

/// A free port for the connections between the nodes.
fn bus_port(port: u16) -> u16 {
    loop {
        let free = free_port();
        if free != port {
            return free;
        }
    }
}

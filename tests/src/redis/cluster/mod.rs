//! A Redis Cluster of real servers on this machine, from an installed binary. Servers in containers cannot reach each other by
//! the addresses that a client uses.

mod formation;
mod resharding;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use redis::{FromRedisValue, RedisResult};

use super::{TestRedis, backend::Backend, poll, process::Process, server::Watchdog, shared::Lasting, valkey};
use crate::{folder::Folder, free_address::free_port};

/// The `cluster-node-timeout` while the cluster starts. Redis serves no slot for this long after a start, and for 2 seconds at least.
const NODE_TIMEOUT_AT_START: Duration = Duration::from_secs(2);
/// The number of masters at the start.
const MASTERS: usize = 3;

/// The servers. Nodes 0 to 2 are the masters at the start. The replica of master N is node N + 3. All end when this is dropped.
pub struct Cluster {
    nodes: Vec<Node>,
    builder: ClusterBuilder,
    folder: Folder,
    /// Removes the folder after the process, if this is never dropped.
    _clean_up: Option<Watchdog>,
}

struct Node {
    server: TestRedis,
    /// The id in the cluster.
    id: String,
    /// False while it is killed or paused.
    answers: bool,
}

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    program: Option<PathBuf>,
    replicas: bool,
    node_timeout: Duration,
    full_coverage: bool,
}

impl ClusterBuilder {
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
}

impl Cluster {
    /// Starts three masters with a replica each.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    #[must_use]
    pub const fn builder() -> ClusterBuilder {
        ClusterBuilder {
            program: None,
            replicas: true,
            node_timeout: Duration::from_secs(15),
            full_coverage: true,
        }
    }

    /// The cluster that the tests of this process share: three masters with a replica each.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: Lasting<Cluster> = Lasting::new();
        SHARED.get(|| Self::start().lasting())
    }

    /// The Valkey cluster that the tests of this process share: three masters. `None` if the tests about Valkey are skipped.
    #[track_caller]
    pub fn shared_valkey() -> Option<Arc<Self>> {
        static SHARED: Lasting<Cluster> = Lasting::new();
        let program = valkey()?;
        Some(SHARED.get(|| {
            let builder = Self::builder().without_replicas();
            builder.program(program).start().lasting()
        }))
    }

    fn lasting(mut self) -> Self {
        // The servers end after this process too, and may write into their folders until then.
        let script = "while read -r _; do echo; done\nsleep 1\nrm -rf \"$1\"";
        self._clean_up = Watchdog::spawn(script, &[self.folder.as_os_str()]).ok();
        self
    }

    /// The URL with all nodes.
    pub fn url(&self) -> String {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.url_of(&all)
    }

    /// The URL with these nodes.
    pub fn url_of(&self, nodes: &[usize]) -> String {
        let hosts = nodes
            .iter()
            .map(|&node| format!("127.0.0.1:{}", self.nodes[node].server.port()));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// A node.
    pub fn node(&self, number: usize) -> &TestRedis {
        &self.nodes[number].server
    }

    /// The numbers of all nodes.
    pub fn numbers(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    /// Kills a node, as SIGKILL does.
    #[track_caller]
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].answers = false;
        self.nodes[node].server.kill();
    }

    /// Starts a killed node on its old port. It has no data, but still knows the cluster.
    #[track_caller]
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].server.restart();
        self.nodes[node].answers = true;
    }

    /// Pauses a node, as SIGSTOP does.
    #[track_caller]
    pub fn pause(&mut self, node: usize) {
        self.nodes[node].answers = false;
        self.nodes[node].server.pause();
    }

    /// Resumes a paused node.
    #[track_caller]
    pub fn resume(&mut self, node: usize) {
        self.nodes[node].server.resume();
        self.nodes[node].answers = true;
    }

    /// Executes one command on a node.
    pub fn command<T: FromRedisValue>(&self, node: usize, arguments: &[&str]) -> RedisResult<T> {
        self.node(node).command(arguments)
    }

    /// Executes one command on each node that is neither killed nor paused.
    ///
    /// # Panics
    /// If a node rejects it.
    #[track_caller]
    pub fn command_on_each(&self, arguments: &[&str]) {
        for node in self.answering() {
            let reply: RedisResult<redis::Value> = self.command(node, arguments);
            assert!(reply.is_ok(), "node {node}: {arguments:?}: {reply:?}");
        }
    }

    fn answering(&self) -> impl Iterator<Item = usize> + '_ {
        self.numbers().filter(|&node| self.nodes[node].answers)
    }

    fn start_node(&mut self) {
        let node = {
            let program = self.builder.program.clone().unwrap_or_else(Backend::installed);
            let server = TestRedis::start_server(None, |port| {
                let options = self.options_of_node(port);
                Box::new(Process::new(&program, port, &options))
            });
            let id: String = server.command(&["CLUSTER", "MYID"]).expect("an answer");
            Node {
                server,
                id,
                answers: true,
            }
        };
        self.nodes.push(node);
    }

    fn options_of_node(&self, port: u16) -> Vec<String> {
        let folder = self.folder.join(port.to_string());
        fs::create_dir_all(&folder).expect("a folder");
        let coverage = if self.builder.full_coverage { "yes" } else { "no" };
        let timeout = self.builder.node_timeout.min(NODE_TIMEOUT_AT_START);
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

//! A Redis Cluster of real servers on this machine, from an installed binary. Servers in containers cannot reach each other by
//! the addresses that a client uses.

mod builder;
mod formation;
mod resharding;

use std::{ops::Range, sync::Arc};

use redis::{FromRedisValue, RedisResult};

pub use self::builder::ClusterBuilder;
use super::{TestRedis, backend::Backend, poll, process::Process, server::Watchdog, shared::Lasting, valkey};
use crate::folder::Folder;

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

impl Cluster {
    /// Starts three masters with a replica each.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    #[must_use]
    pub const fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
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
    pub fn numbers(&self) -> Range<usize> {
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
                let options = self.builder.options_of_node(port, &self.folder);
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
}

//! A master with a replica, and three sentinels that watch it.

use super::{Replicated, TestRedis, backend::Backend, poll, process::Process};
use crate::folder::Folder;

/// The name of the master.
const NAME: &str = "main";

/// The servers. They end when this is dropped.
pub struct Sentinels {
    pub master: TestRedis,
    pub replica: TestRedis,
    pub sentinels: Vec<TestRedis>,
    _folder: Folder,
}

impl Sentinels {
    /// Starts all of them from an installed binary, with `down-after-milliseconds 500`. Servers in containers cannot reach each other by
    /// the addresses that a client uses.
    ///
    /// # Panics
    /// If there is no binary, or if a server does not start.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Like [`start`](Self::start). With a password, the sentinels themselves demand it.
    #[track_caller]
    pub fn start_with(password: Option<&str>) -> Self {
        let password = password.map(str::to_owned);
        let program = Backend::installed();
        let Replicated {
            master,
            replica,
            folder,
        } = Replicated::start();
        let sentinels = (0..3).map(|_| {
            TestRedis::start_server(password.as_ref(), |port| {
                let file = folder.write(
                    &format!("{port}.conf"),
                    &configuration(port, master.port(), &folder, password.as_deref()),
                );
                let program = program.display().to_string();
                Box::new(Process::of(vec![program, file, "--sentinel".to_owned()]))
            })
        });
        let started = Self {
            sentinels: sentinels.collect(),
            master,
            replica,
            _folder: folder,
        };
        let ready = poll(|| {
            let replicas = started.of_each("SENTINEL REPLICAS", |reply: Vec<redis::Value>| reply.len() == 1);
            let peers = started.of_each("SENTINEL SENTINELS", |reply: Vec<redis::Value>| reply.len() == 2);
            replicas && peers
        });
        assert!(ready, "the sentinels do not find the replica and each other");
        started
    }

    /// The URL of a database of the master.
    pub fn url(&self, database: u32) -> String {
        url("", &self.ports(), database)
    }

    /// The ports of the sentinels.
    pub fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(TestRedis::port).collect()
    }

    /// Waits until the replica has all changes that the master has now.
    pub fn wait_for_replica(&self) {
        let offset = |server: &TestRedis| {
            let info: redis::InfoDict = server.command(&["INFO", "replication"]).ok()?;
            info.get::<u64>("master_repl_offset")
        };
        let wanted = offset(&self.master).expect("an answer");
        let replicated = poll(|| offset(&self.replica).is_some_and(|offset| offset >= wanted));
        assert!(replicated, "the replica does not have the changes");
    }

    /// The URL of the first sentinel, as if it were a server.
    pub fn url_of_a_sentinel(&self) -> String {
        self.sentinels[0].url()
    }

    /// Pauses the first sentinel: it accepts connections and does not answer.
    pub fn pause_the_first(&mut self) {
        self.sentinels[0].pause();
    }

    /// Makes the first sentinel name this port, as if it had been cut off before a failover.
    pub fn cut_off_the_first(&self, port: u16) {
        Self::monitor_anew(&self.sentinels[..1], port);
    }

    /// Makes all sentinels name this port and know of no failover, as if they had restarted with their first configuration.
    pub fn forget_failovers(&self, port: u16) {
        Self::monitor_anew(&self.sentinels, port);
    }

    fn monitor_anew(sentinels: &[TestRedis], port: u16) {
        let port = port.to_string();
        let remove = ["SENTINEL", "REMOVE", NAME];
        let monitor = ["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "2"];
        // A sentinel that still knows the failover would tell the others.
        for command in [&remove[..], &monitor] {
            for sentinel in sentinels {
                let _: redis::Value = sentinel.command(command).expect("an answer");
            }
        }
    }

    /// Pauses the replica and cuts it off from the master, so that it lacks every later write.
    pub fn stop_replication(&mut self) {
        self.replica.pause();
        let master = &self.master;
        let _: redis::Value = master
            .command(&["CLIENT", "KILL", "TYPE", "replica"])
            .expect("an answer");
    }

    /// Kills the master, and waits until the replica is the master.
    pub fn fail_over(&mut self) {
        self.master.kill();
        self.replica.resume();
        self.wait_for_master(self.replica.port());
    }

    /// The port of the master, by the word of the first sentinel.
    pub fn named_master(&self) -> u16 {
        let named: (String, u16) = self.sentinels[0]
            .command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
            .expect("an answer");
        named.1
    }

    /// Waits until all sentinels name this port.
    pub fn wait_for_master(&self, port: u16) {
        let named = poll(|| {
            self.of_each("SENTINEL GET-MASTER-ADDR-BY-NAME", |(_, named): (String, u16)| {
                named == port
            })
        });
        assert!(named, "the sentinels do not name port {port}");
    }

    fn of_each<T: redis::FromRedisValue>(&self, command: &str, holds: impl Fn(T) -> bool) -> bool {
        let words: Vec<&str> = command.split(' ').chain([NAME]).collect();
        let mut sentinels = self.sentinels.iter();
        sentinels.all(|sentinel| sentinel.command(&words).is_ok_and(&holds))
    }
}

/// The URL of a database of the master, with these sentinels.
pub(super) fn url(login: &str, sentinels: &[u16], database: u32) -> String {
    let hosts: Vec<_> = sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+sentinel://{login}{}/{NAME}/{database}", hosts.join(","))
}

fn configuration(port: u16, master: u16, folder: &Folder, password: Option<&str>) -> String {
    let password = password.map(|word| format!("requirepass {word}\n"));
    format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor {NAME} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {NAME} 500\n\
         sentinel failover-timeout {NAME} 3000\n{}",
        folder.display(),
        password.unwrap_or_default()
    )
}

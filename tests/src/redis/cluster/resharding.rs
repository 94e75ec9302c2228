//! Moves slots to another master, as `redis-cli --cluster reshard` does.

use redis::{Connection, RedisResult, Value, cmd};

use super::{
    super::{COMMAND_LIMIT, connect},
    Cluster,
};

/// The time limit of moving one key, in milliseconds.
const MIGRATE_LIMIT: u32 = 5_000;

impl Cluster {
    /// Moves slots from one master to another, key by key, while clients may use them. Returns the number of keys moved.
    ///
    /// # Panics
    /// If a node rejects a step.
    #[track_caller]
    pub fn reshard(&self, slots: &[u16], from: usize, to: usize) -> usize {
        let mut connections: Vec<_> = self
            .numbers()
            .map(|node| connect(&self.node(node).url(), COMMAND_LIMIT).ok())
            .collect();
        let mut moved = 0;
        for &slot in slots {
            moved += self
                .move_slot(&mut connections, slot, from, to)
                .unwrap_or_else(|error| panic!("slot {slot} from node {from} to {to}: {error}"));
        }
        moved
    }

    fn move_slot(
        &self,
        connections: &mut [Option<Connection>],
        slot: u16,
        from: usize,
        to: usize,
    ) -> RedisResult<usize> {
        let (source, target) = (&self.nodes[from].id, &self.nodes[to].id);
        let setslot = |words: &[&str]| {
            let mut command = cmd("CLUSTER");
            command.arg("SETSLOT").arg(slot).arg(words);
            command
        };
        setslot(&["IMPORTING", source]).exec(connection(connections, to)?)?;
        setslot(&["MIGRATING", target]).exec(connection(connections, from)?)?;
        let mut moved = 0;
        loop {
            let source = connection(connections, from)?;
            let mut next = cmd("CLUSTER");
            let keys: Vec<Vec<u8>> = next.arg("GETKEYSINSLOT").arg(slot).arg(16).query(source)?;
            if keys.is_empty() {
                break;
            }
            moved += keys.len();
            // One at a time, so that the keys of an agent are on two nodes for a while.
            for key in keys {
                let port = self.node(to).port();
                let mut migrate = cmd("MIGRATE");
                migrate
                    .arg("127.0.0.1")
                    .arg(port)
                    .arg(key)
                    .arg(0)
                    .arg(MIGRATE_LIMIT);
                let _: Value = migrate.query(source)?;
            }
        }
        let done = ["NODE", target.as_str()];
        setslot(&done).exec(connection(connections, to)?)?;
        setslot(&done).exec(connection(connections, from)?)?;
        for other in self.answering().filter(|&other| other != from && other != to) {
            // A replica follows its master.
            let _ = setslot(&done).exec(connection(connections, other)?);
        }
        Ok(moved)
    }
}

fn connection(connections: &mut [Option<Connection>], node: usize) -> RedisResult<&mut Connection> {
    connections[node]
        .as_mut()
        .ok_or_else(|| (redis::ErrorKind::Io, "the node does not answer").into())
}

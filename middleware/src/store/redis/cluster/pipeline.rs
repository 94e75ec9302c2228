//! Pipelines of a cluster: their commands, grouped by the master that has their hash slot.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, Value};

use super::{
    super::{call_error::Redirect, request::Request},
    Cluster,
    map::{Node, SlotMap},
    slot::Slot,
};
use crate::store::StoreError;

/// A master, and the places of the commands of a pipeline that are for it.
type Group<'a> = (&'a Arc<Node>, Vec<usize>);

impl Cluster {
    /// Sends the commands of each node in one round trip, at the same time. Redirected ones are sent again one by one.
    pub(in super::super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        let mut replies: Vec<Value> = vec![Value::Nil; commands.len()];
        let mut again: Vec<usize> = Vec::new();
        let map = self.map().await?;
        let groups = self.groups(&map, &commands)?;
        let calls = groups.iter().map(|(node, places)| {
            let mut part = redis::pipe();
            for place in places {
                part.add_command(commands[*place].clone());
            }
            async move { node.connection.pipeline(&part).await }
        });
        for ((node, places), answer) in groups.iter().zip(join_all(calls).await) {
            for (place, reply) in places.iter().zip(answer?) {
                let slot = Slot::of(Request::Command(commands[*place]).key());
                if Redirect::of_reply(&reply).is_some() || !self.is_owner(slot, node) {
                    again.push(*place);
                } else {
                    replies[*place] = reply;
                }
            }
        }
        for place in again {
            replies[place] = self.call(Request::Command(commands[place])).await?;
        }
        Ok(replies)
    }

    /// The places of the commands, by the master that has their slot.
    fn groups<'a>(&self, map: &'a SlotMap, commands: &[&Cmd]) -> Result<Vec<Group<'a>>, StoreError> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            let node = self.owner_in(map, Slot::of(Request::Command(command).key()))?;
            match groups.iter_mut().find(|(other, _)| Arc::ptr_eq(other, node)) {
                Some((_, places)) => places.push(place),
                None => groups.push((node, vec![place])),
            }
        }
        Ok(groups)
    }
}

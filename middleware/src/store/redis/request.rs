//! Requests to a server: commands and scripts.

use redis::{Cmd, FromRedisValue, RedisResult, Value};

use super::{
    endpoint::RedisConnection,
    script::{LuaScript, ScriptCall},
};

/// A request to one server.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    /// Its second word is a key. It is idempotent: a read, or a change of one member of a sorted set.
    Command(&'a Cmd),
    /// By its hash, or by its text if the server has not cached it.
    Script(&'a LuaScript, &'a ScriptCall),
}

impl<'a> Request<'a> {
    /// True if the request may be sent again after it was executed. A script may have been executed before its slot moved, or by a master that
    /// was replaced.
    pub(super) const fn is_repeatable(&self) -> bool {
        matches!(self, Self::Command(_))
    }

    /// True for a script that must not run late.
    pub(super) const fn is_timely(&self) -> bool {
        matches!(self, Self::Script(_, call) if call.timely)
    }

    /// The keys of an `MGET`. `None` for any other request. It is parsed, since the commands of a pipeline have no types.
    pub(super) fn keys_of_mget(&self) -> Option<Vec<&'a [u8]>> {
        let Self::Command(command) = self else {
            return None;
        };
        let mut words = command.args_iter();
        if !matches!(words.next(), Some(redis::Arg::Simple(b"MGET"))) {
            return None;
        }
        let key = |word| match word {
            redis::Arg::Simple(key) => Some(key),
            _ => None,
        };
        words.map(key).collect()
    }

    /// The first key. All keys of a request are in one hash slot.
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Command(command) => match command.args_iter().nth(1) {
                Some(redis::Arg::Simple(key)) => key,
                _ => &[],
            },
            Self::Script(_, call) => call.first_key(),
        }
    }
}

/// Decodes the reply to a command. An error is the whole reply: only transactions have errors inside of a reply, and there are none here.
pub(super) fn decode<T: FromRedisValue>(reply: Value) -> RedisResult<T> {
    match reply {
        Value::ServerError(error) => Err(error.into()),
        reply => Ok(T::from_redis_value(reply)?),
    }
}

/// Sends a command behind `ASKING`, which applies to the next command only.
pub(super) async fn ask<T: FromRedisValue>(
    connection: &mut RedisConnection,
    command: &Cmd,
) -> RedisResult<T> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("ASKING").ignore().add_command(command.clone());
    let (reply,) = pipeline.query_async(&mut **connection).await?;
    Ok(reply)
}

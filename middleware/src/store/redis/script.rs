//! The Lua scripts, and their calls.

use std::sync::LazyLock;

use redis::{Cmd, FromRedisValue, RedisResult, Script, ScriptInvocation, aio::MultiplexedConnection};

use super::{endpoint::RedisConnection, request::ask};
use crate::store::StoreError;

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<LuaScript> =
            LazyLock::new(|| LuaScript::with_common_functions(include_str!(concat!("lua/", $file, ".lua"))));
    };
}

/// The functions that the scripts share.
const COMMON: &str = include_str!("lua/common.lua");

/// Does not use the shared functions: it runs when nothing is known about the server yet.
pub(super) static PRECONDITIONS: LazyLock<LuaScript> =
    LazyLock::new(|| LuaScript::new(include_str!("lua/preconditions.lua").to_owned()));

script!(CREATE, "create");
script!(REVOKE_UNDELIVERED, "revoke_undelivered");
script!(REPLACE_TOKEN, "replace_token");
script!(REVOKE, "revoke");
script!(REVOKE_AGENT, "revoke_agent");
script!(REGISTER_AGENT, "register_agent");
script!(RESERVE_AGENT, "reserve_agent");

/// A script: its text, and its hash.
pub(super) struct LuaScript {
    text: String,
    script: Script,
}

impl LuaScript {
    fn new(text: String) -> Self {
        Self {
            script: Script::new(&text),
            text,
        }
    }

    /// Inserts the shared functions after the first line, which has the flags of the script.
    fn with_common_functions(text: &str) -> Self {
        let (flags, body) = text.split_once('\n').unwrap_or((text, ""));
        Self::new([flags, "\n", COMMON, body].concat())
    }

    /// A call by hash. `deadline` comes before the other arguments.
    pub(super) fn invocation(&self, call: &ScriptCall, deadline: Option<&str>) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        for key in &call.keys {
            invocation.key(key);
        }
        if let Some(deadline) = deadline {
            invocation.arg(deadline);
        }
        for arg in &call.args {
            invocation.arg(arg.as_slice());
        }
        invocation
    }

    /// Runs the script. With `asking`, a node of a cluster runs it although it does not have the hash slot yet.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut RedisConnection,
        call: &ScriptCall,
        deadline: Option<&str>,
        asking: bool,
    ) -> RedisResult<T> {
        if asking {
            return ask(connection, &self.eval(call, deadline)).await;
        }
        self.invocation(call, deadline)
            .invoke_async(&mut **connection)
            .await
    }

    /// Makes the server cache the script, for calls by [`evalsha`](Self::evalsha).
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.script.load_async(connection).await.map(drop)
    }

    /// A call by hash, for a pipeline.
    pub(super) fn evalsha(&self, call: &ScriptCall) -> Cmd {
        let mut evalsha = redis::cmd("EVALSHA");
        evalsha.arg(self.script.get_hash()).arg(call.keys.len());
        for word in call
            .keys
            .iter()
            .map(String::as_bytes)
            .chain(call.args.iter().map(Vec::as_slice))
        {
            evalsha.arg(word);
        }
        evalsha
    }

    /// A call by text. It works even if the server has not cached the script.
    fn eval(&self, call: &ScriptCall, deadline: Option<&str>) -> Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(&self.text).arg(call.keys.len()).arg(&call.keys);
        eval.arg(deadline);
        for arg in &call.args {
            eval.arg(arg.as_slice());
        }
        eval
    }
}

/// Makes a script that revokes write also if everything was revoked earlier.
pub(super) const WRITE_IN_ANY_CASE: &str = "w";

/// The keys and arguments of a script.
#[derive(Default)]
pub(super) struct ScriptCall {
    /// True if the first argument is the deadline, after which the script has no effect.
    pub(super) timely: bool,
    /// True if the script does what matters with its first key alone.
    pub(super) first_key_suffices: bool,
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Vec<u8>>,
}

impl ScriptCall {
    /// A call that has no effect if it runs long after it was sent.
    pub(super) fn timely() -> Self {
        Self {
            timely: true,
            ..Self::default()
        }
    }

    pub(super) fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// The same call with its first key alone, if that suffices: while a slot is being moved, a node refuses keys that it does not have
    /// together.
    pub(super) fn with_first_key(&self) -> Option<Self> {
        (self.first_key_suffices && self.keys.len() > 1).then(|| Self {
            keys: self.keys.iter().take(1).cloned().collect(),
            args: self.args.clone(),
            ..*self
        })
    }

    /// It decides where the script runs: all keys are in one hash slot.
    pub(super) fn first_key(&self) -> &[u8] {
        self.keys.first().map_or(&[], |key| key.as_bytes())
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn number(self, number: impl ToString) -> Self {
        self.arg(number.to_string())
    }

    pub(super) fn fields(mut self, fields: Vec<(&'static str, Vec<u8>)>) -> Self {
        for (name, value) in fields {
            self.args.push(name.into());
            self.args.push(value);
        }
        self
    }
}

/// The error for a reply that the script's header does not list.
pub(super) fn unknown_reply(script: &str, reply: impl std::fmt::Debug) -> StoreError {
    StoreError::Unexpected(format!("{script}.lua answered {reply:?}"))
}

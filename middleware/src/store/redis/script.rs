//! The Lua scripts, and their calls.

use std::sync::LazyLock;

use redis::Script;

use crate::store::StoreError;

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| with_common_functions(include_str!(concat!("lua/", $file, ".lua"))));
    };
}

/// The functions that the scripts share.
const COMMON: &str = include_str!("lua/common.lua");

/// Inserts the shared functions after the first line, which has the flags of the script.
fn with_common_functions(text: &str) -> Script {
    let (flags, body) = text.split_once('\n').unwrap_or((text, ""));
    Script::new(&[flags, "\n", COMMON, body].concat())
}

/// Does not use the shared functions: it runs when nothing is known about the server yet.
pub(super) static PRECONDITIONS: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/preconditions.lua")));

script!(CREATE, "create");
script!(REVOKE_UNDELIVERED, "revoke_undelivered");
script!(REPLACE_TOKEN, "replace_token");
script!(REVOKE, "revoke");
script!(REVOKE_AGENT, "revoke_agent");
script!(REGISTER_AGENT, "register_agent");
script!(RESERVE_AGENT, "reserve_agent");

/// The keys and arguments of a script.
#[derive(Default)]
pub(super) struct ScriptCall {
    /// True if the first argument is the deadline, after which the script has no effect.
    pub(super) timely: bool,
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

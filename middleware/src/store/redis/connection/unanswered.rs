//! A call that is not answered yet.

use redis::RedisResult;

use super::{
    super::{call_error::CallError, link::FaultKind},
    Connection,
};

impl Connection {
    /// A call that begins now, over the connection of this attempt.
    pub(super) const fn unanswered(&self, attempt: u64) -> UnansweredCall<'_> {
        UnansweredCall {
            connection: self,
            attempt,
        }
    }
}

/// A call without an answer. A caller that drops it has missed its deadline: the supervisor then checks the connection's health.
///
/// It takes the reply and not its future. A future in a future would be stored twice in each read.
pub(super) struct UnansweredCall<'a> {
    connection: &'a Connection,
    attempt: u64,
}

impl UnansweredCall<'_> {
    /// Classifies an error, and checks that the connection is still in use.
    pub(super) fn end<T>(self, reply: RedisResult<T>) -> Result<T, CallError> {
        let Self { connection, attempt } = self;
        std::mem::forget(self);
        match reply {
            Ok(reply) => Ok(connection.ensure_current(attempt).map(|()| reply)?),
            Err(error) => Err(connection.classify_call(attempt, &error)),
        }
    }
}

impl Drop for UnansweredCall<'_> {
    fn drop(&mut self) {
        self.connection.report(self.attempt, FaultKind::DeadlineMissed);
    }
}

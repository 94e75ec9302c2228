//! Scripts that revoke, and wait for acknowledgements.

use redis::FromRedisValue;
use tokio::time::timeout;

use super::{
    super::{
        call_error::CallError,
        script::{LuaScript, ScriptCall},
    },
    Connection,
};
use crate::store::StoreError;

impl Connection {
    /// Runs a script that revokes, and waits for the acknowledgements if its reply shows a revocation. `None` if
    /// the store waits for none.
    ///
    /// `revoked` is called before the check that the connection was not replaced. So a revocation that is acknowledged was kept before the
    /// next connection is recovered.
    pub(in super::super) async fn script_durably<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        call: &ScriptCall,
        revoked: &impl Fn(&T) -> bool,
        asking: bool,
    ) -> Result<(T, Option<bool>), CallError> {
        let link = self.link().await?;
        let attempt = link.attempt;
        let mut shared = link.connection.clone();
        let on_the_shared_connection = async {
            let unanswered = self.unanswered(attempt);
            let reply = script.run::<T>(&mut shared, call, None, asking).await;
            unanswered.end(reply.map(|reply| {
                let is_revoked = revoked(&reply);
                (reply, is_revoked)
            }))
        };
        let Some(durable) = &self.durable else {
            let (reply, _) = on_the_shared_connection.await?;
            return Ok((reply, None));
        };
        // The first connection needs more round trips than a call has time for.
        let connection = durable.connection(&link).await;
        let Some(connection) = connection.map_err(|error| StoreError::from(&error))? else {
            let reply = timeout(self.deadline, on_the_shared_connection).await;
            let (reply, is_revoked) = reply.map_err(|_| StoreError::Timeout)??;
            return Ok((reply, is_revoked.then_some(false)));
        };
        let write = durable.write(&link, connection, script, call, asking);
        let written = timeout(self.deadline, write).await;
        let (reply, written) = written
            .map_err(|_| StoreError::Timeout)?
            .map_err(|error| self.classify_call(attempt, &error))?;
        let reached = if revoked(&reply) {
            Some(durable.confirm(written).await)
        } else {
            durable.release(written);
            None
        };
        self.ensure_current(attempt)?;
        Ok((reply, reached))
    }
}

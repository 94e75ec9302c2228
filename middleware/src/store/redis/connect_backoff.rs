//! The pauses between attempts to connect. A failover ends a pause.

use std::{future::Future, sync::Arc};

use super::{address::Address, background::Backoff, endpoint::Endpoint};

/// A back-off that ends early when the address names another server than that of the last attempt.
pub(super) struct ConnectBackoff {
    backoff: Backoff,
    /// The server of the last attempt. `None` if none was found.
    tried: Option<Arc<Endpoint>>,
    /// The last server whose successor ended a pause.
    superseded: Option<Arc<Endpoint>>,
}

impl ConnectBackoff {
    pub(super) const fn new() -> Self {
        Self {
            backoff: Backoff::new(),
            tried: None,
            superseded: None,
        }
    }

    /// The next pause is the shortest again.
    pub(super) const fn reset(&mut self) {
        self.backoff.reset();
    }

    /// An attempt to connect to this server begins.
    pub(super) fn begin_attempt(&mut self, server: &Arc<Endpoint>) {
        self.tried = Some(server.clone());
    }

    /// Waits before the next attempt.
    pub(super) async fn wait(&mut self, address: &Address) {
        self.wait_or(async |tried| address.superseded(&tried).await).await;
    }

    /// A server that was superseded ends one pause only: a majority of the sentinels may still name it for a while.
    async fn wait_or<F: Future<Output = ()>>(&mut self, superseded: impl FnOnce(Arc<Endpoint>) -> F) {
        let tried = self.tried.take();
        let is_same = |one: &Arc<Endpoint>| {
            let other = self.superseded.as_ref();
            other.is_some_and(|other| {
                (one.server(), one.config_epoch()) == (other.server(), other.config_epoch())
            })
        };
        match tried.filter(|tried| !is_same(tried)) {
            None => self.backoff.wait().await,
            Some(tried) => tokio::select! {
                () = self.backoff.wait() => {}
                () = superseded(tried.clone()) => {
                    self.backoff.reset();
                    self.superseded = Some(tried);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::{Instant, sleep};

    use super::{
        super::{
            endpoint::Login,
            lease::Lease,
            url::{Host, Server},
        },
        *,
    };

    fn server(epoch: u64) -> Arc<Endpoint> {
        let host = Host {
            name: "127.0.0.1".into(),
            port: 6379,
        };
        let server = Endpoint::new(&Server::Tcp(host), &Login::default()).unwrap();
        Arc::new(server.named_in(epoch, Lease::permanent()))
    }

    /// The length of a pause, in milliseconds, if the server of the last attempt is superseded after a while.
    async fn pause(backoff: &mut ConnectBackoff, superseded_after: Option<u64>) -> u128 {
        let began = Instant::now();
        let superseded = async move |_| match superseded_after {
            Some(millis) => sleep(Duration::from_millis(millis)).await,
            None => pending().await,
        };
        backoff.wait_or(superseded).await;
        began.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn successor_of_a_server_ends_one_pause_and_shortens_the_next_ones() {
        let (mut backoff, [first, second]) = (ConnectBackoff::new(), [1, 2].map(server));
        for expected in [20, 40, 80] {
            backoff.begin_attempt(&first);
            assert_eq!(pause(&mut backoff, None).await, expected);
        }
        backoff.begin_attempt(&first);
        assert_eq!(pause(&mut backoff, Some(30)).await, 30);
        // A majority still names it.
        for expected in [20, 40] {
            backoff.begin_attempt(&server(1));
            assert_eq!(pause(&mut backoff, Some(0)).await, expected);
        }
        // No majority names one.
        assert_eq!(pause(&mut backoff, Some(0)).await, 80);
        backoff.begin_attempt(&second);
        assert_eq!(pause(&mut backoff, Some(5)).await, 5);
        assert_eq!(pause(&mut backoff, None).await, 20);
    }
}

//! Services that verify tokens without a store, with keys that follow those of the servers.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_session_auth::{key_follower::KeyFollower, verify_only::VerifyOnlyLayer};

use crate::api::http_client;

/// The path of a verifying service that needs a token.
pub(super) const PATH: &str = "/hello";
/// The body of its responses, without the quotes of JSON.
pub(super) const RESPONSE: &str = "hello";

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(100);

/// A service in this process. It ends when dropped.
pub(super) struct VerifyingService {
    pub(super) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl VerifyingService {
    /// Starts a service that fetches the keys all the time, and one that fetches them only when it sees a new key.
    pub(super) async fn start_all(servers: SocketAddr) -> Vec<Self> {
        vec![
            Self::start(servers, (SHORT, SHORT)).await,
            Self::start(servers, (HOUR, HOUR)).await,
        ]
    }

    async fn start(servers: SocketAddr, (min, max): (Duration, Duration)) -> Self {
        let url = format!("http://{servers}/v1/keys").parse().expect("a URL");
        let keys = KeyFollower::builder(http_client(), url)
            .refresh_bounds(min, max)
            .early_refresh_interval(SHORT);
        let keys = keys.start().await.expect("the keys of the servers");
        let app = Router::new()
            .route(PATH, get(async || format!("\"{RESPONSE}\"")))
            .route_layer(VerifyOnlyLayer::new(keys.verifier()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move {
            let _keys = keys;
            axum::serve(listener, app).await.expect("an endless server");
        });
        Self { address, serving }
    }
}

impl VerifyingService {
    /// Ends the service, and its requests for keys.
    pub(super) fn stop(&self) {
        self.serving.abort();
    }
}

impl Drop for VerifyingService {
    fn drop(&mut self) {
        self.stop();
    }
}

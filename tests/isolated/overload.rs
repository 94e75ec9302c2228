//! Four times as many requests as the server admits: the admitted ones are served almost as fast as without the others.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use session_auth_tests::{raw_http::RawClient, server::TestServer};
use tokio::{task::JoinSet, time::sleep};

use crate::alone;

const CAPACITY: usize = 16;
/// The time after which a refused client tries again: a hundredth of the `Retry-After` that it gets.
const IMPATIENCE: Duration = Duration::from_millis(10);
const WINDOW: Duration = Duration::from_millis(1500);

struct Outcome {
    p99: Duration,
    refused: usize,
}

/// Runs this many clients. Each sends its next request after the last response.
async fn load(address: SocketAddr, request: &str, clients: usize) -> Outcome {
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let request = request.to_owned();
        running.spawn(async move {
            let mut client = RawClient::connect(address).await;
            let (mut admitted, mut refused) = (Vec::new(), 0);
            let end = Instant::now() + WINDOW;
            while Instant::now() < end {
                let sent = Instant::now();
                let response = client.request(&request).await;
                if response.starts_with("HTTP/1.1 200") {
                    admitted.push(sent.elapsed());
                } else {
                    assert_overloaded(&response);
                    refused += 1;
                    sleep(IMPATIENCE).await;
                }
            }
            (admitted, refused)
        });
    }
    let (mut admitted, mut refused) = (Vec::new(), 0);
    for (times, refusals) in running.join_all().await {
        admitted.extend(times);
        refused += refusals;
    }
    admitted.sort();
    Outcome {
        p99: admitted[admitted.len() * 99 / 100],
        refused,
    }
}

/// A refusal does not reach the layers of other requests, and has all that their responses have.
fn assert_overloaded(response: &str) {
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    for part in [
        "retry-after: 1\r\n",
        "x-request-id: ",
        "content-type: application/problem+json\r\n",
        r#""code":"OVERLOADED""#,
        r#""requestId":""#,
    ] {
        assert!(response.contains(part), "{part}: {response}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admitted_requests_are_served_in_time_at_four_times_the_capacity() {
    let _alone = alone();
    let server = TestServer::redis_with(|settings| settings.max_requests = Some(CAPACITY)).await;
    let session = server.api.session(&server.api.agent().await).await;
    let token = session.token;
    let request = format!("GET /v1/session HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    load(server.address, &request, CAPACITY).await;
    // Other programs of the machine can disturb one of the attempts.
    let mut measured = Vec::new();
    for _ in 0..3 {
        let normal = load(server.address, &request, CAPACITY).await;
        let overloaded = load(server.address, &request, 4 * CAPACITY).await;
        assert!(overloaded.refused > 100, "{} refused", overloaded.refused);
        measured.push(format!("{:?} → {:?}", normal.p99, overloaded.p99));
        if overloaded.p99 <= normal.p99 * 3 {
            return;
        }
    }
    panic!("p99 of the admitted requests: {measured:?}");
}

//! Figures for many sessions: memory in Redis, and the time of a list page.

use std::time::Instant;

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{
    RedisStore,
    store::{PageRequest, SessionCursor, SessionStore as _},
};

use crate::{
    figures::{Figure, Target, median},
    test_sessions,
};

const PAGE_SIZE: usize = 100;
/// Number of pages that are read. After the last page of a list, reading starts again.
const SAMPLES: usize = 300;

/// Creates `few` sessions in one database and `many` in another. Reads pages of both in turn. The memory is measured once
/// `for_memory` sessions exist in the larger one.
pub(crate) async fn figures(redis: &TestRedis, few: usize, for_memory: usize, many: usize) -> Vec<Figure> {
    let (small, large) = (redis.fresh_database(), redis.fresh_database());
    test_sessions::create_without_tokens(&small, 0..few).await;
    let (began, before) = (Instant::now(), used_memory(redis));
    test_sessions::create_without_tokens(&large, 0..for_memory).await;
    let memory = (used_memory(redis) - before) / for_memory as f64;
    test_sessions::create_without_tokens(&large, for_memory..many).await;
    let creation_time = began.elapsed();
    let (few_micros, many_micros) = page_micros(&small, &large).await;
    vec![
        Figure::new("Redis memory per session", memory, "bytes")
            .target(Target::AtMost(300.0))
            .note(format!(
                "{for_memory} sessions, 5 per agent, including keys and indexes"
            )),
        Figure::new(
            "list page of 100, many sessions relative to few",
            many_micros / few_micros,
            "times",
        )
        .target(Target::AtMost(1.5))
        .note(format!(
            "{few_micros:.0} µs with {few}, {many_micros:.0} µs with {many} sessions, created in {:.0} s",
            creation_time.as_secs_f64()
        )),
    ]
}

fn used_memory(redis: &TestRedis) -> f64 {
    let info: String = redis.command(&["INFO", "memory"]).expect("a response of Redis");
    info.lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .expect("used_memory in the response of Redis")
}

/// Median microseconds per page of two lists, read in turn.
async fn page_micros(small: &str, large: &str) -> (f64, f64) {
    let (mut small, mut large) = (ListReader::new(small), ListReader::new(large));
    for _ in 0..SAMPLES {
        small.read_page().await;
        large.read_page().await;
    }
    (small.median(), large.median())
}

struct ListReader {
    store: RedisStore,
    after: Option<SessionCursor>,
    micros: Vec<f64>,
}

impl ListReader {
    fn new(url: &str) -> Self {
        Self {
            store: test_sessions::open_store(url),
            after: None,
            micros: Vec::new(),
        }
    }

    async fn read_page(&mut self) {
        let (began, after) = (Instant::now(), self.after.take());
        let page = self
            .store
            .list(
                None,
                PageRequest {
                    after,
                    limit: PAGE_SIZE,
                },
            )
            .await;
        self.micros.push(began.elapsed().as_secs_f64() * 1e6);
        self.after = page.expect("read a page").next;
    }

    fn median(self) -> f64 {
        median(self.micros).expect("at least one sample")
    }
}

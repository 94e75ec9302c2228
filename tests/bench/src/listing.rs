//! What many sessions cost: memory in Redis, and a page of the list.

use std::time::Instant;

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{
    RedisStore,
    store::{PageRequest, SessionCursor, SessionStore as _},
};

use crate::{
    figures::{Figure, Target, median},
    fill,
};

const PAGE: usize = 100;
/// Pages that are read; from the start again when the list ends.
const SAMPLES: usize = 300;

/// Fills two fresh databases, one with the first and one with the last number of these, and measures them in turns; memory after
/// the number in between.
pub(crate) async fn figures(redis: &TestRedis, few: usize, for_memory: usize, many: usize) -> Vec<Figure> {
    let (small, large) = (redis.fresh_database(), redis.fresh_database());
    fill::without_tokens(&small, 0..few).await;
    let (began, before) = (Instant::now(), used_memory(redis));
    fill::without_tokens(&large, 0..for_memory).await;
    let memory = (used_memory(redis) - before) / for_memory as f64;
    fill::without_tokens(&large, for_memory..many).await;
    let filled = began.elapsed();
    let (at_few, at_many) = page_micros(&small, &large).await;
    vec![
        Figure::new("Redis memory per session", memory, "bytes")
            .target(Target::AtMost(300.0))
            .note(format!("{for_memory} sessions, 5 per agent, everything included")),
        Figure::new(
            "list page of 100, many sessions against few",
            at_many / at_few,
            "times",
        )
        .target(Target::AtMost(1.5))
        .note(format!(
            "{at_few:.0} us at {few}, {at_many:.0} us at {many}, filled in {:.0} s",
            filled.as_secs_f64()
        )),
    ]
}

fn used_memory(redis: &TestRedis) -> f64 {
    let info: String = redis.command(&["INFO", "memory"]).expect("an answer of Redis");
    info.lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .expect("used_memory")
}

/// The medians of walking through two lists, page by page and in turns.
async fn page_micros(small: &str, large: &str) -> (f64, f64) {
    let (mut small, mut large) = (Walk::through(small), Walk::through(large));
    for _ in 0..SAMPLES {
        small.step().await;
        large.step().await;
    }
    (small.median(), large.median())
}

struct Walk {
    store: RedisStore,
    after: Option<SessionCursor>,
    micros: Vec<f64>,
}

impl Walk {
    fn through(url: &str) -> Self {
        Self {
            store: fill::open(url),
            after: None,
            micros: Vec::new(),
        }
    }

    async fn step(&mut self) {
        let (began, after) = (Instant::now(), self.after.take());
        let page = self.store.list(None, PageRequest { after, limit: PAGE }).await;
        self.micros.push(began.elapsed().as_secs_f64() * 1e6);
        self.after = page.expect("a page").next;
    }

    fn median(self) -> f64 {
        median(self.micros).expect("samples")
    }
}

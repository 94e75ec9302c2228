//! What many sessions cost: memory in Redis, and a page of the list.

use std::time::Instant;

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{PageRequest, SessionStore as _};

use crate::{
    figures::{Figure, Target, median},
    fill,
};

const PAGE: usize = 100;
/// Pages that are read; from the start again when the list ends.
const SAMPLES: usize = 300;

/// Fills a fresh database in steps, up to the last number of these, and measures at each.
pub(crate) async fn figures(redis: &TestRedis, few: usize, for_memory: usize, many: usize) -> Vec<Figure> {
    let url = redis.fresh_database();
    let began = Instant::now();
    let before = used_memory(redis);
    fill::without_tokens(&url, 0..few).await;
    let at_few = page_micros(&url).await;
    fill::without_tokens(&url, few..for_memory).await;
    let memory = (used_memory(redis) - before) / for_memory as f64;
    fill::without_tokens(&url, for_memory..many).await;
    let filled = began.elapsed();
    let at_many = page_micros(&url).await;
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

/// The median of walking through the list, page by page.
async fn page_micros(url: &str) -> f64 {
    let store = fill::open(url);
    let mut times = Vec::new();
    let mut after = None;
    for _ in 0..SAMPLES {
        let began = Instant::now();
        let page = store.list(None, PageRequest { after, limit: PAGE }).await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        after = page.expect("a page").next;
    }
    median(times).expect("samples")
}

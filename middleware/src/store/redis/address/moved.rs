//! A host name that moves to another server while the old one still answers.

use std::{collections::BTreeSet, io, net::IpAddr, time::Duration};

use tokio::time::sleep;

use super::super::url::Host;

/// The interval in which the name is resolved again.
const INTERVAL: Duration = Duration::from_secs(10);

/// The number of answers in sequence without any of the first addresses. A name that alternates between servers has them again before.
const ANSWERS: u32 = 6;

/// Resolves when the name has none of the addresses that it had at the beginning, for a minute. Failures of the resolver are ignored.
pub(super) async fn moved(host: &Host) {
    let resolve = || async {
        let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await?;
        Ok(found.map(|address| address.ip()).collect())
    };
    watch(resolve).await;
}

async fn watch<F>(resolve: impl Fn() -> F)
where
    F: Future<Output = io::Result<BTreeSet<IpAddr>>>,
{
    let mut before = BTreeSet::new();
    let mut others = 0;
    loop {
        if let Ok(now) = resolve().await
            && !now.is_empty()
        {
            if before.is_empty() {
                before = now;
            } else if before.is_disjoint(&now) {
                others += 1;
                if others == ANSWERS {
                    return;
                }
            } else {
                others = 0;
            }
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use tokio::time::Instant;

    use super::*;

    fn addresses(text: &str) -> io::Result<BTreeSet<IpAddr>> {
        match text {
            "failure" => Err(io::ErrorKind::TimedOut.into()),
            "" => Ok(BTreeSet::new()),
            list => Ok(list.split(' ').map(|address| address.parse().unwrap()).collect()),
        }
    }

    /// The seconds after which a move is found, if the name resolves to these addresses in turn.
    async fn found_after(answers: &[&str]) -> u64 {
        let answers = RefCell::new(VecDeque::from(answers.to_vec()));
        let began = Instant::now();
        watch(|| async { addresses(answers.borrow_mut().pop_front().unwrap()) }).await;
        assert!(answers.borrow().is_empty());
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn move_is_found_when_no_address_is_left() {
        let moved = |before: &[&'static str]| [before, &["10.0.0.9"; 6]].concat();
        assert_eq!(found_after(&moved(&["10.0.0.1"])).await, 60);
        assert_eq!(
            found_after(&moved(&["10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.9"])).await,
            70
        );
        let alternating = ["10.0.0.1", "10.0.0.9", "10.0.0.9", "10.0.0.1"];
        assert_eq!(found_after(&moved(&alternating)).await, 90);
        assert_eq!(
            found_after(&moved(&["failure", "10.0.0.1", "", "failure"])).await,
            90
        );
    }
}

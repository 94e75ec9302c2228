//! The id of a request.

use std::cell::RefCell;

use fastrand::Rng;
use http::{HeaderMap, HeaderValue};

use super::X_REQUEST_ID;

/// The longest request id that is accepted from a client, in bytes.
const MAX_LEN: usize = 128;

/// Keeps the `X-Request-Id` of a request if there is exactly one, of 1 to 128 visible ASCII characters without spaces. Otherwise, sets a random
/// UUID. Returns the id.
///
/// For a server that logs requests: [`Endpoints`](crate::endpoints::Endpoints) do it themselves.
pub fn ensure_request_id(headers: &mut HeaderMap) -> HeaderValue {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    if let (Some(id), None) = (ids.next(), ids.next())
        && is_usable(id)
    {
        return id.clone();
    }
    let id = random();
    headers.insert(X_REQUEST_ID, id.clone());
    id
}

fn is_usable(id: &HeaderValue) -> bool {
    (1..=MAX_LEN).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

thread_local! {
    /// Seeded once by the operating system. An id must be unique, but need not be hard to guess.
    static GENERATOR: RefCell<Rng> = RefCell::new(generator());
}

/// The generator of the library serves if the operating system has no randomness.
fn generator() -> Rng {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_or_else(|_| Rng::new(), |()| Rng::with_seed(u64::from_ne_bytes(seed)))
}

#[expect(clippy::expect_used, reason = "a UUID is made of digits and hyphens")]
fn random() -> HeaderValue {
    let random = GENERATOR
        .with_borrow_mut(|generator| generator.u128(..))
        .to_ne_bytes();
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).expect("a UUID is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_id_is_replaced_by_a_uuid() {
        let long = "x".repeat(MAX_LEN);
        let too_long = "x".repeat(MAX_LEN + 1);
        for (sent, kept) in [
            (&["a-1"][..], true),
            (&[&*long], true),
            (&[&*too_long], false),
            (&[""], false),
            (&["a b"], false),
            (&["a", "a"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for id in sent {
                headers.append(X_REQUEST_ID, id.parse().unwrap());
            }
            let id = ensure_request_id(&mut headers);
            assert_eq!(headers.get_all(X_REQUEST_ID).iter().collect::<Vec<_>>(), [&id]);
            assert_eq!(sent == [id.to_str().unwrap()], kept, "{sent:?}");
            assert_eq!(uuid::Uuid::try_parse(id.to_str().unwrap()).is_ok(), !kept);
        }
    }

    #[test]
    fn ids_differ_between_requests_and_threads() {
        let mut ids: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| [random(), random()]))
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}

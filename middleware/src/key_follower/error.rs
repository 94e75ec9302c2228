use http::StatusCode;
use tower::BoxError;

use crate::token::InvalidPublishedKeys;

/// The reason why the keys could not be fetched. It contains neither the URL nor any text of the response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFetchError {
    /// Not an absolute `http` or `https` URL.
    #[error("the URL of the keys must be absolute, with http or https")]
    Url,
    /// An `http` URL whose host is not a loopback host.
    #[error(
        "keys must be fetched with https, except from a loopback host: they decide which tokens are accepted"
    )]
    Plaintext,
    /// The HTTP client has failed.
    #[error("the server of the keys cannot be reached: {}", with_causes(&**.0))]
    Unreachable(#[source] BoxError),
    /// There was no complete response within the deadline.
    #[error("the server of the keys did not answer in time")]
    Timeout,
    /// The status is not 200. Redirects are not followed.
    #[error("the server of the keys answered {0}")]
    Status(StatusCode),
    /// The body has more than 64 KiB.
    #[error("the response with the keys is longer than 64 KiB")]
    TooLarge,
    /// The body has no usable keys.
    #[error(transparent)]
    Keys(#[from] InvalidPublishedKeys),
    /// The HTTP client has panicked.
    #[error("the HTTP client has panicked")]
    Panicked,
}

/// An error's text and those of its causes, which HTTP clients leave out.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

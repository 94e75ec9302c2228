//! Reads the rest of a refused HTTP/2 request. For HTTP/1.1, `io` does this at the end of the connection.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

/// How much is read, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How long it is read.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a pause may be.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Reads and discards the rest of a body, within bounds.
///
/// Otherwise, hyper would reset the stream when the body is dropped. A client that still sends, such as curl 7.88, then fails
/// without reading the response, although RFC 9113 (section 8.1) forbids that.
pub(super) fn discard(mut body: Incoming) {
    // Without a runtime, the connection ends anyway.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(LIMIT, async move {
            let mut bytes = 0;
            while let Ok(Some(Ok(frame))) = timeout(MAX_PAUSE, body.frame()).await {
                bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
                if bytes > MAX_BYTES {
                    return;
                }
            }
        }));
    }
}

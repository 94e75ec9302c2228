//! The limits of HTTP/1.1 and HTTP/2 that hyper enforces.

use std::time::Duration;

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};

use crate::config::Limits;

/// Serves HTTP/1.1, and HTTP/2 with prior knowledge (RFC 9113, section 3.3) or by ALPN.
pub(super) type Builder = auto::Builder<TokioExecutor>;

/// The largest head of a request, and the most of a response that is buffered, in bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// The largest head of an HTTP/2 request, in bytes (`SETTINGS_MAX_HEADER_LIST_SIZE`).
const MAX_HEADER_LIST: u32 = 16 * 1024;
/// The flow-control windows of HTTP/2, in bytes. The largest body fits into that of a stream.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Streams that the client has reset before they were accepted. More of them end the connection (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 20;
/// Streams that the server has reset because of a mistake of the client. More of them end the connection.
const MAX_LOCAL_RESET_STREAMS: usize = 100;
/// An HTTP/2 connection without traffic is checked by a ping after this time.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Without an answer to the ping, the connection ends after this time.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn builder(limits: &Limits) -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        // It would count idle time too. `Activity` has the time limits.
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_LOCAL_RESET_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

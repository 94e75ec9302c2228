//! The I/O wrapper of a connection: it reports reads and writes, and it reads the rest of a refused request before the socket is
//! closed.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::connection::Connection;

/// The bytes of a connection: a socket, or TLS over one.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Reports the reads and writes of a connection to its [`Activity`](super::activity::Activity).
pub(super) struct ObservedIo {
    io: Box<dyn Io>,
    connection: Arc<Connection>,
    /// The write side is closed.
    write_closed: bool,
}

impl ObservedIo {
    pub(super) fn new(io: Box<dyn Io>, connection: Arc<Connection>) -> Self {
        Self {
            io,
            connection,
            write_closed: false,
        }
    }

    fn observe_write<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() {
            self.connection.activity().write_is_blocked(Instant::now());
        }
        result
    }

    /// Reads and discards what the client still sends, within the bounds of the activity. Without it, the kernel would answer those
    /// bytes with a reset, and the client could lose the response.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
            let bytes = buffer.filled().len();
            let mut activity = self.connection.activity();
            match read {
                Poll::Pending if activity.must_linger() => return Poll::Pending,
                Poll::Ready(Ok(())) if bytes > 0 && activity.discarded(bytes, Instant::now()) => {}
                // The client has closed its side, or the bound is reached.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncRead for ObservedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.connection.activity().read(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ObservedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, data);
        let written = ready!(self.observe_write(result))?;
        self.connection.activity().wrote(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        let written = ready!(self.observe_write(result))?;
        self.connection.activity().wrote(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.observe_write(result))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_closed {
            let result = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.observe_write(result))?;
            self.write_closed = true;
            let mut activity = self.connection.activity();
            let now = Instant::now();
            activity.wrote(now);
            activity.linger(now);
        }
        self.poll_linger(cx)
    }
}

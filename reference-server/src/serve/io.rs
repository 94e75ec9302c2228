//! The I/O wrapper of a connection: it reports reads and writes, and it reads the rest of a refused request before the socket is
//! closed.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::connection::Connection;

/// A socket, or TLS over one.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Holds the socket while hyper uses it. The driver takes it to answer in place of hyper.
#[derive(Clone)]
pub(super) struct IoSlot(Arc<Mutex<Option<Box<dyn Io>>>>);

impl IoSlot {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self(Arc::new(Mutex::new(Some(io))))
    }

    /// Takes the socket from hyper, whose next read or write then fails.
    pub(super) fn take(&self) -> Option<Box<dyn Io>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Io>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        poll: impl FnOnce(Pin<&mut Box<dyn Io>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self.lock().as_mut() {
            Some(io) => poll(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Reports the reads and writes of a connection to its [`Activity`](super::activity::Activity).
pub(super) struct ObservedIo {
    io: IoSlot,
    connection: Arc<Connection>,
    /// The write side is closed.
    write_closed: bool,
}

impl ObservedIo {
    pub(super) fn new(io: IoSlot, connection: Arc<Connection>) -> Self {
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
    fn poll_linger(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = self.io.with(|io| io.poll_read(cx, &mut buffer));
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.io.with(|io| io.poll_read(cx, buffer)))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.connection.activity().read(read, Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ObservedIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = self.io.with(|io| io.poll_write(cx, data));
        let written = ready!(self.observe_write(result))?;
        self.connection.activity().wrote(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.io.with(|io| io.poll_write_vectored(cx, data));
        let written = ready!(self.observe_write(result))?;
        self.connection.activity().wrote(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.lock().as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.io.with(|io| io.poll_flush(cx));
        ready!(self.observe_write(result))?;
        // TLS can take all data in a write, and send it in a flush.
        self.connection.activity().flushed(Instant::now());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_closed {
            let result = self.io.with(|io| io.poll_shutdown(cx));
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

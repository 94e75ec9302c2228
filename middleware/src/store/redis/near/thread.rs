//! The thread on which the tracking connections run.
//!
//! It is a separate thread, because a busy runtime would process invalidations late.

use std::{io, sync::mpsc, thread};

use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
};

/// The thread of a store. It ends when this is dropped.
pub(in super::super) struct TrackingThread {
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

impl TrackingThread {
    pub(in super::super) fn start() -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, result) = mpsc::channel();
        thread::Builder::new()
            .name("session-tracking".into())
            .spawn(move || {
                // Built on the thread itself: a runtime must not be dropped inside another one.
                match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => {
                        let _ = started.send(Ok(runtime.handle().clone()));
                        let _ = runtime.block_on(stopped);
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            })?;
        Ok(Self {
            runtime: result.recv().map_err(io::Error::other)??,
            _stop: stop,
        })
    }

    pub(in super::super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

//! The body of a response: it reports which data the client has read.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Exchange;

pin_project! {
    /// The body of a response.
    pub(crate) struct ObservedBody<B> {
        #[pin]
        pub(super) inner: B,
        pub(super) exchange: Option<Arc<Exchange>>,
        pub(super) is_http2: bool,
    }
}

/// Data of a response.
///
/// hyper takes all data of an HTTP/2 response at once, and sends it as far as the client opens its window. So with HTTP/2, the
/// response is complete when hyper has dropped its data. HTTP/1.1 has no windows: the [I/O wrapper](super::super::io) sees its
/// progress.
pub(crate) struct ObservedData {
    bytes: Bytes,
    exchange: Option<Arc<Exchange>>,
}

impl<B: Body<Data = Bytes>> Body for ObservedBody<B> {
    type Data = ObservedData;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ObservedData>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        match &polled {
            // Data is ready. The client must read it.
            Poll::Ready(Some(Ok(_))) => {
                if let Some(exchange) = this.exchange {
                    exchange.ready();
                }
            }
            // The source of the body is slow, not the client.
            Poll::Pending => {
                if let Some(exchange) = this.exchange {
                    exchange.sent();
                }
            }
            Poll::Ready(None | Some(Err(_))) => *this.exchange = None,
        }
        let exchange = if *this.is_http2 {
            this.exchange.as_ref()
        } else {
            None
        };
        polled.map(|frame| {
            frame.map(|frame| {
                frame.map(|frame| {
                    frame.map_data(|bytes| ObservedData {
                        bytes,
                        exchange: exchange.cloned(),
                    })
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Buf for ObservedData {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(exchange) = &self.exchange {
            exchange.progressed();
        }
    }
}

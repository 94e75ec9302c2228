use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a layer's response: that of the inner service, or that of a rejection or another response of this crate.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        // The trailers are those of a gRPC response. Boxed, since most responses have none.
        Own { #[pin] body: Full<Bytes>, trailers: Option<Box<HeaderMap>> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) const fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }

    pub(crate) const fn own(body: Full<Bytes>) -> Self {
        Self {
            kind: Kind::Own { body, trailers: None },
        }
    }

    /// The body of a gRPC response. A trailers-only response has no trailers here: its status is among its headers.
    #[cfg(feature = "ext-authz")]
    pub(crate) fn with_trailers(body: Full<Bytes>, trailers: Option<HeaderMap>) -> Self {
        Self {
            kind: Kind::Own {
                body,
                trailers: trailers.map(Box::new),
            },
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// The default body of the inner service. Outer layers such as tower-http's `Timeout` need it for their own responses.
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Own { body, trailers } => match body.poll_frame(cx) {
                Poll::Ready(None) => {
                    Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
                }
                polled => polled.map_err(|never| match never {}),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { body, trailers } => trailers.is_none() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { body, .. } => body.size_hint(),
        }
    }
}

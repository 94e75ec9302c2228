//! The service wrapper of a connection: it reports the requests, and it tells the client when the connection ends.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

use super::{connection::Connection, counters::Closed, discard::discard};

/// Serves the requests of one connection.
#[derive(Clone)]
pub(super) struct ObservedService<S> {
    inner: S,
    connection: Arc<Connection>,
}

impl<S> ObservedService<S> {
    pub(super) const fn new(inner: S, connection: Arc<Connection>) -> Self {
        Self { inner, connection }
    }
}

impl<S, ResBody> Service<Request<Incoming>> for ObservedService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>, Error = Infallible>,
{
    type Response = Response<ObservedBody<ResBody>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let exchange = Exchange::start(self.connection.clone(), version);
        let connection = self.connection.clone();
        let mut request = request.map(|body| RequestBody {
            inner: Some(body),
            connection,
            is_http2: version == Version::HTTP_2,
            awaited: false,
            ended: false,
        });
        let client = self.connection.client_of(request.headers());
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(self.connection.clone());
        ResponseFuture {
            inner: self.inner.call(request),
            exchange: Some(exchange),
            version,
        }
    }
}

pin_project! {
    /// The response future of [`ObservedService`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
        version: Version,
    }
}

impl<F, ResBody> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, Infallible>>,
{
    type Output = Result<Response<ObservedBody<ResBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let mut exchange = this.exchange.take();
        if let Some(exchange) = &mut exchange {
            exchange.answered = true;
            exchange.set_outgoing(true);
            if *this.version < Version::HTTP_2 && exchange.connection.ends_soon() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
        }
        Poll::Ready(Ok(response.map(|inner| ObservedBody { inner, exchange })))
    }
}

/// A request whose response is not complete.
struct Exchange {
    connection: Arc<Connection>,
    answered: bool,
    /// True while the response has data for the client.
    outgoing: bool,
}

impl Exchange {
    fn start(connection: Arc<Connection>, version: Version) -> Self {
        connection.activity().request_started(version == Version::HTTP_2);
        Self {
            connection,
            answered: false,
            outgoing: false,
        }
    }

    fn set_outgoing(&mut self, outgoing: bool) {
        if self.outgoing != outgoing {
            self.outgoing = outgoing;
            let mut activity = self.connection.activity();
            if outgoing {
                activity.response_ready(Instant::now());
            } else {
                activity.response_taken();
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.set_outgoing(false);
        let mut activity = self.connection.activity();
        activity.request_ended(self.answered, Instant::now());
        if !self.answered && activity.resets_rapidly() {
            self.connection.end(Closed::RapidReset, false);
        }
    }
}

/// The body of a request.
pub(crate) struct RequestBody {
    /// `None` when it is dropped.
    inner: Option<Incoming>,
    connection: Arc<Connection>,
    is_http2: bool,
    /// True while the service waits for the next part.
    awaited: bool,
    /// True after the end was read.
    ended: bool,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(inner).poll_frame(cx);
        if self.awaited != polled.is_pending() {
            self.awaited = polled.is_pending();
            let mut activity = self.connection.activity();
            if polled.is_pending() {
                activity.body_awaited(Instant::now());
            } else {
                activity.body_arrived();
            }
        }
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::new, Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.inner.take();
        let rest = rest.filter(|inner| !self.ended && !inner.is_end_stream());
        if self.awaited {
            self.connection.activity().body_arrived();
        }
        match rest {
            Some(rest) if self.is_http2 => discard(rest),
            Some(_) => self.connection.activity().body_unread(),
            None => {}
        }
    }
}

pin_project! {
    /// The body of a response.
    pub(super) struct ObservedBody<B> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
    }
}

impl<B: Body> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        match &polled {
            // Data is ready. The client must read it.
            Poll::Ready(Some(Ok(_))) => {
                if let Some(exchange) = this.exchange {
                    exchange.set_outgoing(true);
                }
            }
            // The source of the body is slow, not the client.
            Poll::Pending => {
                if let Some(exchange) = this.exchange {
                    exchange.set_outgoing(false);
                }
            }
            Poll::Ready(None | Some(Err(_))) => *this.exchange = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

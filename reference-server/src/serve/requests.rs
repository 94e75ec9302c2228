//! The service wrapper of a connection: it reports the requests, and it tells the client when the connection ends.

mod response_body;

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

use self::response_body::ObservedBody;
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
        let exchange = this.exchange.take().map(|mut exchange| {
            exchange.answered = true;
            exchange.ready();
            if *this.version < Version::HTTP_2 && exchange.connection.ends_soon() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Arc::new(exchange)
        });
        let is_http2 = *this.version == Version::HTTP_2;
        Poll::Ready(Ok(response.map(|inner| ObservedBody {
            inner,
            exchange,
            is_http2,
        })))
    }
}

/// A request whose response is not complete.
struct Exchange {
    connection: Arc<Connection>,
    number: u64,
    answered: bool,
}

impl Exchange {
    fn start(connection: Arc<Connection>, version: Version) -> Self {
        let number = connection.activity().request_started(version == Version::HTTP_2);
        Self {
            connection,
            number,
            answered: false,
        }
    }

    /// The response has data for the client.
    fn ready(&self) {
        let mut activity = self.connection.activity();
        activity.response_ready(self.number, Instant::now());
    }

    /// A part of that data was sent.
    fn progressed(&self) {
        let mut activity = self.connection.activity();
        activity.response_progressed(self.number, Instant::now());
    }

    /// The response has no data for the client at the moment.
    fn sent(&self) {
        self.connection.activity().response_sent(self.number);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut activity = self.connection.activity();
        activity.response_sent(self.number);
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

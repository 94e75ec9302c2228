//! Drives one connection: handshake, HTTP, deadlines, and its end.

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tower::{BoxError, Service};
use tower_session_auth::ErrorKind;

use super::{
    activity::Timeout,
    connection::Connection,
    counters::Closed,
    io::{Io, IoSlot, ObservedIo},
    places::{HeldPlace, Standing},
    refuse,
    requests::{ObservedService, RequestBody},
    state::Stage,
};

/// The time in which an idle connection must end after it was told to. An HTTP/2 client answers a ping in it.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection until its end. `_running` is dropped at its end.
pub(super) async fn drive<S, ResBody>(
    connection: Arc<Connection>,
    io: Box<dyn Io>,
    service: S,
    _place: HeldPlace<Arc<Connection>>,
    _running: mpsc::Sender<()>,
) where
    S: Service<
            Request<RequestBody>,
            Response = Response<ResBody>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let peer = connection.peer();
    let Some(io) = handshake(&connection, io).await else {
        return;
    };
    let slot = IoSlot::new(io);
    let io = TokioIo::new(ObservedIo::new(slot.clone(), connection.clone()));
    let service = TowerToHyperService::new(ObservedService::new(service, connection.clone()));
    let limits = connection.limits();
    let state = connection.state().clone();
    let mut http = pin!(state.http.serve_connection(io, service));
    let mut alarm = pin!(sleep_until(Instant::now() + limits.head));
    let mut stage = state.stage.subscribe();
    let mut reached = Stage::Serving;
    let mut ending_http2 = false;

    loop {
        let event = tokio::select! {
            biased;
            event = poll_fn(|cx| {
                if let Poll::Ready(result) = http.as_mut().poll(cx) {
                    return Poll::Ready(Event::Ended(result));
                }
                let activity = connection.activity();
                // HTTP/1.1 is told by a header of the response.
                if !ending_http2 && activity.is_http2() && connection.is_in_reserve() {
                    return Poll::Ready(Event::LastRequest);
                }
                let (deadline, timeout) = activity.deadline(&limits);
                drop(activity);
                if alarm.deadline() != deadline {
                    alarm.as_mut().reset(deadline);
                }
                alarm.as_mut().poll(cx).map(|()| Event::Due(timeout))
            }) => event,
            () = connection.told_to_end() => Event::MustEnd,
            next = stage.wait_for(|stage| *stage > reached) => Event::Stage(next.map_or(Stage::Ended, |stage| *stage)),
        };
        let now = Instant::now();
        match event {
            Event::Ended(result) => {
                if let Err(error) = result {
                    tracing::debug!(error, %peer, "connection ended");
                }
                return;
            }
            Event::Due(timeout) => {
                connection.set_close_reason(Closed::TimedOut(timeout));
                tracing::debug!(?timeout, %peer, "connection timed out");
                match timeout {
                    Timeout::Idle => {
                        connection.activity().end_after_requests(now + CLOSE_GRACE);
                        http.as_mut().graceful_shutdown();
                    }
                    Timeout::Age => {
                        connection.activity().age();
                        if connection.activity().is_http2() {
                            http.as_mut().graceful_shutdown();
                        }
                    }
                    Timeout::Header => return answer_slow_head(&connection, &slot).await,
                    Timeout::Write | Timeout::Linger | Timeout::End => return,
                }
            }
            Event::MustEnd => {
                if connection.ends_at_once() {
                    return;
                }
                let mut activity = connection.activity();
                match activity.standing() {
                    Standing::Idle(_) => activity.end_at(now + CLOSE_GRACE),
                    // A request has come in the meantime: it is answered.
                    Standing::Busy => {
                        activity.age();
                        activity.end_at(now + limits.request);
                    }
                    Standing::ReadingHead(_) | Standing::WaitingForClient(_) => return,
                }
                drop(activity);
                http.as_mut().graceful_shutdown();
            }
            Event::LastRequest => {
                ending_http2 = true;
                http.as_mut().graceful_shutdown();
            }
            Event::Stage(Stage::Ended) => return,
            Event::Stage(next) => {
                reached = next;
                if next == Stage::Closing {
                    let standing = connection.activity().standing();
                    match standing {
                        // A request is on its way: it is answered if it arrives soon.
                        Standing::ReadingHead(_) => {
                            connection.activity().end_after_requests(now + CLOSE_GRACE);
                        }
                        Standing::Idle(_) | Standing::Busy | Standing::WaitingForClient(_) => {
                            http.as_mut().graceful_shutdown();
                        }
                    }
                }
            }
        }
    }
}

/// Answers a head that takes too long. A client that has sent nothing of it gets no answer.
async fn answer_slow_head(connection: &Connection, slot: &IoSlot) {
    if !connection.activity().has_part_of_head() {
        return;
    }
    let Some(io) = slot.take() else {
        return;
    };
    let response = refuse::response(ErrorKind::RequestTimeout).await;
    let mut stage = connection.state().stage.subscribe();
    tokio::select! {
        () = refuse::answer_slow_head(io, &response) => {}
        () = connection.told_to_end() => {}
        _ = stage.wait_for(|stage| *stage == Stage::Ended) => {}
    }
}

enum Event {
    Ended(Result<(), BoxError>),
    Due(Timeout),
    MustEnd,
    LastRequest,
    Stage(Stage),
}

/// Performs the TLS handshake, if there is a certificate.
async fn handshake(connection: &Connection, io: Box<dyn Io>) -> Option<Box<dyn Io>> {
    let state = connection.state();
    let Some(certificate) = state.certificate_for(connection.peer()) else {
        return Some(io);
    };
    let mut stage = state.stage.subscribe();
    let accepted = tokio::select! {
        accepted = timeout(connection.limits().head, certificate.acceptor().accept(io)) => accepted,
        () = connection.told_to_end() => return None,
        _ = stage.wait_for(|stage| *stage == Stage::Ended) => return None,
    };
    match accepted {
        Ok(Ok(io)) => {
            connection.activity().handshake_done(Instant::now());
            Some(Box::new(io))
        }
        Ok(Err(error)) => {
            state.counters.tls_failures.add();
            tracing::debug!(%error, peer = %connection.peer(), "TLS handshake failed");
            None
        }
        Err(_) => {
            connection.set_close_reason(Closed::TimedOut(Timeout::Header));
            None
        }
    }
}

//! One connection: HTTP/1.1 or HTTP/2 by what the client speaks first, with every wait bounded.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use http::{Method, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::TcpStream;

use super::accept::Shutdown;
use super::answer::Answer;
use super::endless::{self, Endless};
use super::guarded::{Activity, Guarded, Version};
use crate::access::Peer;
use crate::options::Options;

/// Most headers of one request.
const HEADERS_MAX: usize = 100;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Streams that a client may reset before they are handed out: against rapid reset.
const RESET_STREAMS_MAX: usize = 20;

/// How long a client that has just connected may take to speak when the server closes.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Bounds of each connection.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) header_read: Duration,
    pub(crate) idle: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) head_bytes_max: usize,
}

impl Limits {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            header_read: options.header_read,
            idle: options.idle,
            write_stall: options.write_stall,
            head_bytes_max: options.head_bytes_max,
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    answer: Answer,
    limits: Arc<Limits>,
    shutdown: Shutdown,
) {
    let activity = Activity::default();
    let mut socket = Guarded::new(stream, activity.clone(), limits.header_read, limits.write_stall);
    let version = tokio::select! {
        biased;
        version = socket.version() => version,
        () = shutdown.abort.cancelled() => return,
        // It has connected and is about to speak.
        () = first_words(&shutdown) => return,
    };
    let Ok(Some(version)) = version else { return };
    let handover = Handover::default();
    let service = {
        let (activity, handover) = (activity.clone(), handover.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            answered(request, answer.clone(), activity.clone(), handover.clone())
        })
    };
    // Boxed, so that its memory goes when an endless answer takes the socket over.
    match version {
        Version::Http1 => {
            let mut connection = Box::pin(http1(&limits).serve_connection(TokioIo::new(socket), service));
            if let Some(response) = drive(connection.as_mut(), &handover, &activity, &shutdown).await {
                let socket = Pin::into_inner(connection).into_parts().io.into_inner();
                let _busy = activity.begin();
                endless::answer(socket, response, &shutdown).await;
            }
        }
        Version::Http2 => {
            let mut connection = Box::pin(http2(&limits).serve_connection(TokioIo::new(socket), service));
            drive(connection.as_mut(), &handover, &activity, &shutdown).await;
        }
    }
}

/// Answers one request. Boxed, so that its memory goes with the answer's head: hyper keeps room for it as long as the
/// connection lives.
fn answered(
    request: Request<Incoming>,
    answer: Answer,
    activity: Activity,
    handover: Handover,
) -> Pin<Box<impl Future<Output = Result<Response, Infallible>>>> {
    Box::pin(async move {
        let _busy = activity.begin();
        let may_be_endless = request.version() == http::Version::HTTP_11 && request.method() == Method::GET;
        let mut response = answer.to(request).await?;
        if may_be_endless && response.extensions().get::<Endless>().is_some() {
            response.headers_mut().insert(header::DATE, answer.date());
            handover.offer(response);
            // The connection is taken from hyper, and this goes with it.
            return std::future::pending().await;
        }
        Ok(response)
    })
}

/// Ends a while after the server has begun to close.
async fn first_words(shutdown: &Shutdown) {
    shutdown.closing.cancelled().await;
    tokio::time::sleep(FIRST_WORDS).await;
}

/// Drives a connection to its end, or until an endless answer wants its socket.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    handover: &Handover,
    activity: &Activity,
    shutdown: &Shutdown,
) -> Option<Response>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut closing = false;
    loop {
        tokio::select! {
            // An idle connection asks the others only when it wakes for bytes of its own.
            biased;
            ended = handover.or_end_of(connection.as_mut()) => return ended,
            () = shutdown.abort.cancelled() => return None,
            () = shutdown.closing.cancelled(), if !closing => {}
        }
        closing = true;
        if activity.is_new() {
            // hyper would close it at once, although the client has begun to speak.
            tokio::select! {
                biased;
                ended = handover.or_end_of(connection.as_mut()) => return ended,
                () = tokio::time::sleep(FIRST_WORDS) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
    }
}

/// Where an answer without end waits to be taken out of hyper's hands.
#[derive(Clone, Default)]
struct Handover(Arc<Offer>);

#[derive(Default)]
struct Offer {
    /// Looked at whenever the connection wakes.
    is_there: AtomicBool,
    response: Mutex<Option<Response>>,
}

impl Handover {
    fn offer(&self, response: Response) {
        *self.0.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        self.0.is_there.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Response> {
        if !self.0.is_there.load(Ordering::Acquire) {
            return None;
        }
        self.0.response.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Drives a connection until there is such an answer or, with none, to its end. Answers are made while the connection
    /// is driven, so that is when to look.
    async fn or_end_of<C>(&self, mut connection: Pin<&mut C>) -> Option<Response>
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        poll_fn(|context| {
            let polled = connection.as_mut().poll(context);
            if let Poll::Ready(Err(error)) = &polled {
                // Clients that vanish, dawdle or talk nonsense are their own business.
                tracing::debug!(%error, "connection ended early");
            }
            match self.take() {
                Some(response) => Poll::Ready(Some(response)),
                None => polled.map(|_| None),
            }
        })
        .await
    }
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // hyper counts a wait for the next request as reading its head; a head that has begun is bounded in `Guarded`.
        .header_read_timeout(limits.idle.max(limits.header_read))
        .max_headers(HEADERS_MAX)
        .max_buf_size(limits.head_bytes_max);
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.write_stall)
        .keep_alive_timeout(limits.write_stall);
    builder
}

//! One connection: HTTP/1.1 or HTTP/2 by what the client speaks first, with every wait bounded.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;

use super::accept::Shutdown;
use super::answer::Answer;
use super::guarded::{Activity, Guarded};
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
pub(crate) async fn serve(stream: TcpStream, answer: Answer, limits: Arc<Limits>, shutdown: Shutdown) {
    let activity = Activity::default();
    let stream = Guarded::new(stream, activity.clone(), limits.header_read, limits.write_stall);
    let seen = activity.clone();
    let service = service_fn(move |request| {
        let (answer, activity) = (answer.clone(), activity.clone());
        // Boxed, so that its memory goes with the answer's head: hyper keeps room for it as long as the connection lives,
        // and an event stream lives long.
        Box::pin(async move {
            let _busy = activity.begin();
            answer.to(request).await
        })
    });
    let builder = builder(&limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        // An idle connection asks the other two only when it wakes for bytes of its own.
        biased;
        ended = connection.as_mut() => ended,
        () = shutdown.abort.cancelled() => return,
        () = shutdown.closing.cancelled() => {
            if seen.is_new() {
                // hyper would close it at once, although the client has connected and is about to speak.
                tokio::select! {
                    biased;
                    _ = connection.as_mut() => return,
                    () = tokio::time::sleep(FIRST_WORDS) => {}
                }
            }
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = shutdown.abort.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients that vanish, dawdle or talk nonsense are their own business.
        tracing::debug!(%error, "connection ended early");
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper counts a wait for the next request as reading its head; a head that has begun is bounded in `Guarded`.
        .header_read_timeout(limits.idle.max(limits.header_read))
        .max_headers(HEADERS_MAX)
        .max_buf_size(limits.head_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.write_stall)
        .keep_alive_timeout(limits.write_stall);
    builder
}

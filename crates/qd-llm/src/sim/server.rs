//! The simulator over HTTP: both wires on one port, and its ledger.
//!
//! | route | answers |
//! |---|---|
//! | `POST /v1/messages` | as Anthropic |
//! | `POST /v1/chat/completions` | as OpenAI |
//! | `GET /v1/models` | a list of models |
//! | `GET /ledger`, `DELETE /ledger` | what was asked and answered, by `X-Quarterdeck-Call` |

mod body;
mod route;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use qd_env::Env;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Sim;

/// Bound of reading a request's head; a connection that stays silent longer is closed.
const HEADER_READ: Duration = Duration::from_secs(30);
/// How long accepting rests when the system has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a simulator until `shutdown`; then open calls are finished and the function returns.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(listener: TcpListener, sim: Sim, env: Env, shutdown: CancellationToken) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(sim.options.max_connections));
    let all = slots.clone();
    let capacity = u32::try_from(sim.options.max_connections).unwrap_or(u32::MAX);
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_passing(&error) => {
                    tracing::warn!(%error, "cannot accept a connection to the simulator");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            },
            () = shutdown.cancelled() => break,
        };
        env.spawn(connection(stream, sim.clone(), shutdown.clone(), slot));
    }
    // Every connection holds a slot: when all are free, all connections are over.
    drop(listener);
    all.acquire_many(capacity).await.map(drop).map_err(io::Error::other)
}

/// A peer that left too early, or a shortage that ends when other connections do.
fn is_passing(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    ) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

async fn connection(stream: TcpStream, sim: Sim, shutdown: CancellationToken, slot: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    let stop = shutdown.clone();
    let service = service_fn(move |request| {
        let (sim, stop) = (sim.clone(), stop.clone());
        // A simulated reset is an error of the service: hyper closes the connection without an answer.
        async move { route::route(request, sim, stop).await.map_err(|_: route::Reset| "simulated reset") }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // Errors here are peers that left, and the faults we made ourselves.
    let _ = tokio::select! {
        result = served.as_mut() => result,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    drop(slot);
}

#[cfg(test)]
mod tests;

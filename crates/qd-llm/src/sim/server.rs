//! The simulator over HTTP: both wires on one port, and its ledger.
//!
//! | route | answers |
//! |---|---|
//! | `POST /v1/messages` | as Anthropic |
//! | `POST /v1/chat/completions` | as OpenAI |
//! | `GET /v1/models` | a list of models |
//! | `GET /ledger`, `DELETE /ledger` | what was asked and answered, by `X-Quarterdeck-Call` |
//! | `GET /ledger/summary` | its figures alone |
//! | `GET /control`, `POST /control` | an outage on and off; ledger, limits and clock anew |

mod answer;
mod body;
mod chat;
mod control;
mod route;
mod score;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
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
/// While an outage of kind `refused` is on, nothing listens at the address, and the connections that were there are cut.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(listener: TcpListener, sim: Sim, env: Env, shutdown: CancellationToken) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(sim.options.max_connections));
    let capacity = u32::try_from(sim.options.max_connections).unwrap_or(u32::MAX);
    let address = listener.local_addr()?;
    let mut listener = listener;
    loop {
        let cut = CancellationToken::new();
        tokio::select! {
            result = accept(&listener, &slots, &sim, &env, &shutdown, &cut) => result?,
            () = sim.faults.closed() => {}
        }
        drop(listener);
        if shutdown.is_cancelled() {
            break;
        }
        cut.cancel();
        let Some(opened) = reopened(address, &sim, &shutdown).await else { break };
        listener = opened;
    }
    // Every connection holds a slot: when all are free, all connections are over.
    slots.acquire_many(capacity).await.map(drop).map_err(io::Error::other)
}

/// Accepts connections until `shutdown`.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    sim: &Sim,
    env: &Env,
    shutdown: &CancellationToken,
    cut: &CancellationToken,
) -> io::Result<()> {
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(slots).acquire_owned() => slot.map_err(io::Error::other)?,
            () = shutdown.cancelled() => return Ok(()),
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
            () = shutdown.cancelled() => return Ok(()),
        };
        env.spawn(connection(stream, sim.clone(), shutdown.clone(), cut.clone(), slot));
    }
}

/// A listener at the same address once the outage is over; nothing if the server stops before.
async fn reopened(address: SocketAddr, sim: &Sim, shutdown: &CancellationToken) -> Option<TcpListener> {
    tokio::select! {
        () = sim.faults.open() => {}
        () = shutdown.cancelled() => return None,
    }
    let mut is_told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) if !is_told => {
                tracing::warn!(%error, %address, "the simulator cannot listen again yet");
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(ACCEPT_PAUSE) => {}
            () = shutdown.cancelled() => return None,
        }
    }
}

/// A peer that left too early, or a shortage that ends when other connections do.
fn is_passing(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    ) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

async fn connection(
    stream: TcpStream,
    sim: Sim,
    shutdown: CancellationToken,
    cut: CancellationToken,
    slot: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let (stop, gave_order) = (shutdown.clone(), Arc::new(AtomicBool::new(false)));
    let orders = Arc::clone(&gave_order);
    let service = service_fn(move |request: Request<Incoming>| {
        let (sim, stop) = (sim.clone(), stop.clone());
        orders.store(request.uri().path() == route::CONTROL, Ordering::Relaxed);
        // A simulated reset is an error of the service: hyper closes the connection without an answer.
        async move { route::route(request, sim, stop).await.map_err(|_: answer::Reset| "simulated reset") }
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
        // Whoever ordered the outage still hears that it has begun.
        () = cut.cancelled() => {
            if gave_order.load(Ordering::Relaxed) {
                served.as_mut().graceful_shutdown();
                served.await
            } else {
                Ok(())
            }
        }
    };
    drop(slot);
}

#[cfg(test)]
mod tests;

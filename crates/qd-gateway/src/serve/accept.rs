//! The accept loop of one port. It ends only when it is told to: what goes wrong with one connection, or with having
//! too many files open, is waited out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::addresses::Addresses;
use super::answer::Answer;
use super::connection::{self, Limits};

/// After an accept error: long enough for files to be closed, short enough not to be noticed.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Sent to connections beyond the bound, as far as it fits into the socket's buffer.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/problem+json\r\ncontent-length: 159\r\n\r\n\
    {\"type\":\"urn:quarterdeck:error:overloaded\",\"title\":\"Server overloaded\",\"status\":503,\"detail\":\
    \"too many connections; try again in a moment\",\"code\":\"overloaded\"}";

/// How a port is told to stop.
#[derive(Clone, Default)]
pub(crate) struct Shutdown {
    /// No new connections; requests under way are finished.
    pub(crate) closing: CancellationToken,
    /// Connections are cut.
    pub(crate) abort: CancellationToken,
}

/// One listening port.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) answer: Answer,
    pub(crate) limits: Arc<Limits>,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) shutdown: Shutdown,
    pub(crate) env: Env,
}

impl Port {
    /// Serves until told to close. When this returns, every connection has ended.
    pub(crate) async fn serve(self) {
        let places = Arc::new(Semaphore::new(self.max_connections));
        let addresses = Addresses::new(self.max_connections_per_address);
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.closing.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &places, &addresses),
                Err(error) => self.wait_out(&error).await,
            }
        }
        drop(self.listener);
        // Every connection holds one place: having them all means that none is left.
        let all = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        let _ = places.acquire_many(all).await;
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, places: &Arc<Semaphore>, addresses: &Addresses) {
        let place = Arc::clone(places).try_acquire_owned();
        let (Ok(place), Some(of_address)) = (place, addresses.take(peer.ip())) else {
            self.answer.connection_refused();
            tracing::debug!(%peer, "connection refused: too many");
            // A courtesy that must not block: whatever does not fit is lost.
            let _ = stream.try_write(TOO_MANY);
            return;
        };
        // Answers are small and complete: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let served = connection::serve(
            stream,
            peer.ip(),
            self.answer.clone(),
            Arc::clone(&self.limits),
            self.shutdown.clone(),
        );
        self.env.spawn(async move {
            served.await;
            drop((place, of_address));
        });
    }

    async fn wait_out(&self, error: &std::io::Error) {
        tracing::warn!(%error, "cannot accept a connection; trying again");
        tokio::select! {
            () = self.shutdown.closing.cancelled() => {}
            () = tokio::time::sleep(BACK_OFF) => {}
        }
    }
}

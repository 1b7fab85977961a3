//! Looks names up for connections, and keeps back addresses that may not be reached. It stands inside of the connector: the
//! address that is checked is the one that is connected to, so a name that changes its mind in between gains nothing.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::Bounds;

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All of them, or why there are none. Ports mean nothing.
    fn lookup(&self, name: String) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// As this machine does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    async fn lookup(&self, name: String) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect())
    }
}

/// Whether a request failed because the name stands for no address that may be reached.
#[must_use]
pub fn is_kept_back(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        source = error.source();
    }
    false
}

/// See the module.
pub(crate) struct GuardedLookup<L> {
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) lookup: Arc<L>,
}

impl<L: Lookup> Resolve for GuardedLookup<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let (bounds, lookup) = (Arc::clone(&self.bounds), Arc::clone(&self.lookup));
        Box::pin(async move {
            let name = name.as_str().to_owned();
            // The proxy is the operator's choice, and the only name that is looked up where there is one.
            let any = bounds.is_proxy(&name);
            let found = lookup.lookup(name).await?;
            let reachable: Vec<_> =
                found.into_iter().filter(|at| any || bounds.check_ip(at.ip()).is_ok()).collect();
            if reachable.is_empty() {
                // Which addresses the name has is nothing for whoever chose it.
                let why = io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the name stands for no address that may be reached",
                );
                return Err(why.into());
            }
            let addresses: Addrs = Box::new(reachable.into_iter());
            Ok(addresses)
        })
    }
}

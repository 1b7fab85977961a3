//! How the gateway behaves: addresses, bounds and defaults. Read and filled by the binary.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use qd_egress::Bounds;
use qd_store::Event;
use qd_types::CrewName;

use crate::access::Auth;
use crate::error::InvalidOptions;

/// Longest time that a client may ask to wait for the end of its job (`Prefer: wait=N`).
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Everything about the gateway that can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where probes are answered besides; `None` for no admin port.
    pub admin_listen: Option<SocketAddr>,
    /// Whether requests need a key.
    pub auth: Auth,
    /// Allows a `listen` address that other machines reach, though nobody needs a key.
    pub insecure_public: bool,
    /// What `/chat` and `/tasks` execute.
    pub default_crew: CrewName,
    /// Named sets of crews. `default`, which holds all, need not be among them.
    pub systems: BTreeMap<String, Vec<CrewName>>,
    /// Connections at once, per port.
    pub max_connections: usize,
    /// Connections at once from one address (IPv6: one /64 network).
    pub max_connections_per_address: usize,
    /// Largest body of a request.
    pub body_bytes_max: usize,
    /// Memory for large bodies that are being read at the same time. Small ones are read in any case.
    pub body_bytes_in_flight_max: usize,
    /// Event streams and waiting requests at once.
    pub watchers_max: usize,
    /// Deepest nesting of arrays and objects in a body.
    pub json_depth_max: usize,
    /// Largest head (request line and headers) of a request.
    pub head_bytes_max: usize,
    /// Time for a request's head to arrive, from its first byte.
    pub header_read: Duration,
    /// Time for a request's body to arrive.
    pub body_read: Duration,
    /// Time for an answer to begin.
    pub handler: Duration,
    /// How long a connection may be idle between requests.
    pub idle: Duration,
    /// How long a client may refuse to take bytes of its answer.
    pub write_stall: Duration,
    /// How often a silent event stream sends a comment.
    pub keep_alive: Duration,
    /// Bounds of batches.
    pub batches: BatchBounds,
    /// Running time of a job that names none.
    pub default_timeout_seconds: u32,
    /// Tries of a step for a job that names none.
    pub default_max_attempts: u32,
    /// Endpoints of webhooks, by name, to be shown and tried.
    pub webhooks: Vec<WebhookEndpoint>,
    /// What URLs that come with jobs are checked with; without it jobs may bring none.
    pub job_webhooks: Option<Arc<Bounds>>,
}

/// How large batches may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBounds {
    /// Inputs of one request in JSON.
    pub json_items_max: usize,
    /// Largest body of a request in JSON.
    pub json_bytes_max: usize,
    /// Lines of one upload.
    pub upload_items_max: usize,
    /// Bytes of one upload. A line may be as long as any other body.
    pub upload_bytes_max: usize,
    /// Uploads at once.
    pub uploads_max: usize,
    /// Time for an upload to be taken in.
    pub upload: Duration,
}

impl Default for BatchBounds {
    fn default() -> Self {
        Self {
            json_items_max: 10_000,
            json_bytes_max: 16 * 1024 * 1024,
            upload_items_max: 100_000,
            upload_bytes_max: 256 * 1024 * 1024,
            uploads_max: 16,
            upload: Duration::from_secs(900),
        }
    }
}

/// An endpoint of webhooks, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it is told of.
    pub events: Vec<Event>,
    /// Of which crews; none means all.
    pub crews: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            admin_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            auth: Auth::Open,
            insecure_public: false,
            default_crew: CrewName::new("assistant"),
            systems: BTreeMap::new(),
            max_connections: 20_000,
            max_connections_per_address: 2_000,
            body_bytes_max: 1024 * 1024,
            body_bytes_in_flight_max: 256 * 1024 * 1024,
            watchers_max: 10_000,
            json_depth_max: 64,
            head_bytes_max: 16 * 1024,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            handler: Duration::from_secs(75),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            batches: BatchBounds::default(),
            default_timeout_seconds: 300,
            default_max_attempts: 5,
            webhooks: Vec::new(),
            job_webhooks: None,
        }
    }
}

impl Options {
    /// Whether these can be served with.
    ///
    /// # Errors
    /// The first thing that cannot be, with what to do about it.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        let is_open = self.auth == Auth::Open && !self.insecure_public;
        if is_open && !self.listen.ip().to_canonical().is_loopback() {
            return Err(InvalidOptions::Public { listen: self.listen });
        }
        let counts = [
            ("max_connections", self.max_connections, 1),
            ("max_connections_per_address", self.max_connections_per_address, 1),
            ("body_bytes_max", self.body_bytes_max, 1),
            // Else the largest body would never be read.
            ("body_bytes_in_flight_max", self.body_bytes_in_flight_max, self.body_bytes_max),
            ("watchers_max", self.watchers_max, 1),
            ("batches.json_items_max", self.batches.json_items_max, 1),
            ("batches.json_bytes_max", self.batches.json_bytes_max, 1),
            ("batches.upload_items_max", self.batches.upload_items_max, 1),
            ("batches.upload_bytes_max", self.batches.upload_bytes_max, 1),
            ("batches.uploads_max", self.batches.uploads_max, 1),
            ("json_depth_max", self.json_depth_max, 1),
            // Below this hyper cannot work.
            ("head_bytes_max", self.head_bytes_max, 8 * 1024),
        ];
        if let Some((name, value, least)) = counts.into_iter().find(|(_, value, least)| value < least) {
            return Err(InvalidOptions::TooSmall { name, value, least });
        }
        // The parser of bodies recurses this deep.
        if self.json_depth_max > 100 {
            return Err(InvalidOptions::TooLarge {
                name: "json_depth_max",
                value: self.json_depth_max,
                most: 100,
            });
        }
        let spans = [
            ("header_read", self.header_read),
            ("body_read", self.body_read),
            ("handler", self.handler),
            ("batches.upload", self.batches.upload),
            ("idle", self.idle),
            ("write_stall", self.write_stall),
            ("keep_alive", self.keep_alive),
        ];
        if let Some((name, _)) = spans.into_iter().find(|(_, span)| span.is_zero()) {
            return Err(InvalidOptions::NoTime { name });
        }
        let ranges = [
            ("default_timeout_seconds", self.default_timeout_seconds, 86_400),
            ("default_max_attempts", self.default_max_attempts, 20),
        ];
        match ranges.into_iter().find(|(_, value, most)| !(1..=*most).contains(value)) {
            Some((name, value, most)) => Err(InvalidOptions::OutOfRange { name, value, most }),
            None => Ok(()),
        }
    }
}

//! The ports of the gateway and their life: bind, start, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use qd_store::Store;
use qd_telemetry::Metrics;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::access::gate::Gate;
use crate::access::{Auth, KeyBook};
use crate::context::{Context, Health};
use crate::crews::CrewBook;
use crate::error::Error;
use crate::observe::Observer;
use crate::options::Options;
use crate::places::Places;
use crate::router;
use crate::serve::answer::Answer;
use crate::serve::{Limits, Port, Shutdown};

/// Connections at once on the admin port: probes come from few places, and must get through when the API is full.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// What connections get to finish when they are cut.
const CUT: Duration = Duration::from_secs(1);

/// Listeners that were opened for this process before it began (socket activation). They replace the addresses of the
/// options, and clients that connect while the process restarts wait in them instead of being refused.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For the API.
    pub api: Option<std::net::TcpListener>,
    /// For the admin port.
    pub admin: Option<std::net::TcpListener>,
}

/// What a gateway is put together from.
pub struct Parts {
    /// Where everything ends.
    pub store: Store,
    /// The crews of that store.
    pub crews: Arc<CrewBook>,
    /// Its keys.
    pub keys: Arc<KeyBook>,
    /// The rest of the process.
    pub health: Arc<dyn Health>,
    /// Time and chance.
    pub env: Env,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The gateway with its ports open; connections wait until it is started.
pub struct Gateway {
    api: Port,
    admin: Option<Port>,
    local_addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    shutdown: Shutdown,
    keys: Arc<KeyBook>,
    env: Env,
}

impl Gateway {
    /// Opens the ports.
    ///
    /// # Errors
    /// If the options cannot be served with or an address cannot be listened on.
    pub async fn bind(options: Options, parts: Parts) -> Result<Self, Error> {
        Self::take(Listeners::default(), options, parts).await
    }

    /// The same on ports that are open already, as far as they are.
    ///
    /// # Errors
    /// As [`Gateway::bind`], and if what was handed over is no listener.
    pub async fn take(listeners: Listeners, mut options: Options, parts: Parts) -> Result<Self, Error> {
        if let Some(inherited) = &listeners.api {
            // A public address needs leave, whoever opened it.
            options.listen = local(inherited, options.listen, "API")?;
        }
        options.validate()?;
        let Parts { store, crews, keys, health, env, metrics } = parts;
        let observer = Arc::new(Observer::new(metrics));
        // Until the store answers, nobody is let in who needs a key.
        let _ = keys.refresh().await;
        let (listener, local_addr) = open(listeners.api, options.listen, "API").await?;
        let admin = open_admin(listeners.admin, options.admin_listen).await?;
        let (shutdown, limits) = (Shutdown::default(), Arc::new(Limits::of(&options)));
        let spans = [options.handler, options.batches.upload];
        let Options { max_connections, max_connections_per_address, .. } = options;
        let gate = |auth, needs| {
            Arc::new(Gate::new(auth, needs, Arc::clone(&keys), Arc::clone(&observer), env.clone()))
        };
        let (routes, needs) = router::routes().into_router();
        let api_gate = gate(options.auth, needs);
        // Who reaches this machine's own addresses may look at figures.
        let is_near = admin.as_ref().is_none_or(|(_, address)| address.ip().to_canonical().is_loopback());
        let admin_gate = gate(if is_near { Auth::Open } else { options.auth }, router::needs_of_admin());
        let context = Arc::new(Context {
            body_bytes: Semaphore::new(options.body_bytes_in_flight_max.min(Semaphore::MAX_PERMITS)),
            uploads: Places::new(options.batches.uploads_max, options.auth != Auth::Open),
            watchers: Places::new(options.watchers_max, options.auth != Auth::Open),
            store,
            crews,
            keys: Arc::clone(&keys),
            health,
            observer: Arc::clone(&observer),
            env: env.clone(),
            options,
            closing: shutdown.closing.clone(),
        });
        let port = |listener, answer, max_connections, max_connections_per_address| Port {
            listener,
            answer,
            limits: Arc::clone(&limits),
            max_connections,
            max_connections_per_address,
            shutdown: shutdown.clone(),
            env: env.clone(),
        };
        let admin_addr = admin.as_ref().map(|(_, address)| *address);
        Ok(Self {
            api: port(
                listener,
                Answer::new(
                    router::api(routes, Arc::clone(&context), api_gate),
                    env.clone(),
                    spans,
                    Some(observer),
                ),
                max_connections,
                max_connections_per_address,
            ),
            admin: admin.map(|(listener, _)| {
                // Probes and scrapes would drown what callers see of the API: this port is not counted.
                let answer = Answer::new(router::admin(context, admin_gate), env.clone(), spans, None);
                port(listener, answer, ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_MAX)
            }),
            local_addr,
            admin_addr,
            shutdown,
            keys,
            env,
        })
    }

    /// Where the API listens: the real port, if port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the admin port listens, if there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Begins to answer.
    #[must_use]
    pub fn start(self) -> Running {
        let env = self.env;
        let ports = [Some(self.api), self.admin].into_iter().flatten();
        let ports = ports.map(|port| env.spawn(port.serve())).collect();
        env.spawn(self.keys.keep_fresh(self.shutdown.closing.clone()));
        Running { ports, shutdown: self.shutdown }
    }
}

fn local(
    listener: &std::net::TcpListener,
    address: SocketAddr,
    port: &'static str,
) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source| Error::Bind { address, port, source })
}

async fn open(
    inherited: Option<std::net::TcpListener>,
    address: SocketAddr,
    port: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let fail = |source| Error::Bind { address, port, source };
    let listener = match inherited {
        Some(listener) => {
            listener.set_nonblocking(true).map_err(fail)?;
            TcpListener::from_std(listener).map_err(fail)?
        }
        None => bind(address).map_err(fail)?,
    };
    let local = listener.local_addr().map_err(fail)?;
    Ok((listener, local))
}

async fn open_admin(
    inherited: Option<std::net::TcpListener>,
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    if inherited.is_none() && address.is_none() {
        return Ok(None);
    }
    let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    open(inherited, address, "admin").await.map(Some)
}

/// Connections that may wait to be accepted: many clients come at once after a restart, and whoever finds no place waits
/// a second before trying again.
const BACKLOG: u32 = 4_096;

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As a restarted server finds its port: connections of the one before may linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A gateway that answers. Dropping it stops nothing: call [`Running::stop`].
pub struct Running {
    ports: Vec<JoinHandle<()>>,
    shutdown: Shutdown,
}

impl Running {
    /// Stops: no new connections, no new jobs, event streams end with a hint to come back, requests under way are
    /// finished. What is not finished in time is cut.
    pub async fn stop(self, timeout: Duration) {
        self.shutdown.closing.cancel();
        let mut ports = futures::future::join_all(self.ports);
        if tokio::time::timeout(timeout, &mut ports).await.is_ok() {
            return;
        }
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(timeout_ms, "requests were not finished in time and are cut");
        self.shutdown.abort.cancel();
        if tokio::time::timeout(CUT, &mut ports).await.is_err() {
            tracing::error!("connections do not end though they were cut");
        }
    }
}

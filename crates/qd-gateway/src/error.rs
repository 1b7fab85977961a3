//! Why the gateway cannot start. What goes wrong with single requests is told in `problem.rs`.

use std::io;
use std::net::SocketAddr;

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict themselves or are unsafe.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for the {port} port: {source}; {}", remedy(source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `API` or `admin`.
        port: &'static str,
        /// Why.
        source: io::Error,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the process that holds it, or choose another port (0 for any free one)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        io::ErrorKind::AddrNotAvailable => {
            "no network interface of this machine has that address: choose another"
        }
        _ => "choose another address",
    }
}

/// Options that cannot be served with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// Anybody on the network could use the API.
    #[error(
        "refusing to listen on {listen}: other machines could reach it and nobody needs a key; set `auth.mode = \"keys\"`, \
         listen on 127.0.0.1 behind a proxy that authenticates, or set `insecure_public = true` if the network is trusted"
    )]
    Public {
        /// The address.
        listen: SocketAddr,
    },
    /// A bound is too low to work with.
    #[error("`{name}` is {value}; it must be at least {least}")]
    TooSmall {
        /// The option.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The least that works.
        least: usize,
    },
    /// A bound is too high to be safe.
    #[error("`{name}` is {value}; it must be at most {most}")]
    TooLarge {
        /// The option.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The most that is safe.
        most: usize,
    },
    /// A time is zero.
    #[error("`{name}` is zero; it must be longer than that")]
    NoTime {
        /// The option.
        name: &'static str,
    },
    /// A default lies outside what requests may ask for.
    #[error("`{name}` is {value}; it must be between 1 and {most}")]
    OutOfRange {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u32,
        /// The most.
        most: u32,
    },
}

//! What may be reached, checked for a URL as it is written and for every address that is connected to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Proxy, Url};

use crate::addresses::is_public;
use crate::resolver::{GuardedLookup, Lookup, SystemLookup};

#[cfg(test)]
mod tests;

/// A longer URL is none that anybody needs.
const URL_MAX: usize = 2_048;
/// Ports below are those of mail, files and shells, except the two of the web.
const PORT_MIN: u16 = 1_024;
const WEB_PORTS: [u16; 2] = [80, 443];
/// Names under which clouds tell a machine its secrets. Their addresses are not public either; behind a proxy nobody
/// here sees those.
const METADATA_NAMES: &[&str] =
    &["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// How far requests may reach.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Networks that may be reached although they are not public, e.g. `10.1.0.0/16`.
    pub allow: Vec<String>,
    /// Networks that may not be reached although they are public; goes before `allow`.
    pub deny: Vec<String>,
    /// Whether this machine may be reached, by its loopback addresses. For development: whoever chooses a URL then speaks
    /// to every service of the machine.
    pub loopback: bool,
    /// Whether URLs must be `https`.
    pub https_only: bool,
    /// A proxy that makes the connections, e.g. `http://proxy.example:3128`. It looks names up, so that it must keep what
    /// they stand for in bounds; addresses in URLs are checked here all the same.
    pub proxy: Option<String>,
}

/// Why a guard cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// A text is no network.
    #[error("`{0}` is no network; it looks like 10.1.0.0/16 or fd00::/8")]
    Network(String),
    /// The proxy's URL is none.
    #[error("the proxy must be an http or https URL, like http://proxy.example:3128")]
    Proxy,
    /// The client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// Why a URL is not requested. Says nothing of what is where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL.
    #[error("is no URL; it looks like https://example.com/hooks")]
    NoUrl,
    /// It is too long.
    #[error("is longer than 2,048 characters")]
    TooLong,
    /// Neither http nor https.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// Plain http where https is asked for.
    #[error("must begin with https://")]
    NotHttps,
    /// It holds a user or a password.
    #[error("must not hold a user name or a password")]
    UserInfo,
    /// Its port is not one of the web.
    #[error("has a port that may not be reached; 80, 443 and those from 1024 may")]
    Port,
    /// Its host is an address, or a name for one, that is not public.
    #[error(
        "names a host that may not be reached: only public addresses may, and networks that the operator allows"
    )]
    NotPublic,
}

/// Decides what may be reached, and holds the client that reaches it. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    bounds: Arc<Bounds>,
    client: Client,
}

/// What is checked, without a client: for those who are given URLs and do not request them.
#[derive(Debug)]
pub struct Bounds {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    loopback: bool,
    https_only: bool,
    proxy_host: Option<String>,
}

impl Guard {
    /// A guard that looks names up as this machine does. Connecting may take `connect`; the rest is each request's own
    /// business.
    ///
    /// # Errors
    /// If the options make no sense.
    pub fn new(options: &Options, connect: Duration) -> Result<Self, InvalidOptions> {
        Self::with_lookup(options, connect, SystemLookup)
    }

    /// The same with another way to look names up.
    ///
    /// # Errors
    /// If the options make no sense.
    pub fn with_lookup(
        options: &Options,
        connect: Duration,
        lookup: impl Lookup,
    ) -> Result<Self, InvalidOptions> {
        let bounds = Arc::new(Bounds::new(options)?);
        let resolver = GuardedLookup { bounds: Arc::clone(&bounds), lookup: Arc::new(lookup) };
        // A redirect would lead to a URL that nobody has checked. Proxies of the environment are not asked either.
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(connect)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .dns_resolver(Arc::new(resolver));
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(|_| InvalidOptions::Proxy)?);
        }
        let client = builder.build().map_err(|error| InvalidOptions::Client(error.to_string()))?;
        Ok(Self { bounds, client })
    }

    /// A request that reaches nothing but what may be reached: names are checked as they are looked up for the connection,
    /// and redirects are not followed.
    ///
    /// # Errors
    /// If the URL may not be requested.
    pub fn request(&self, method: Method, url: &str) -> Result<reqwest::RequestBuilder, Refusal> {
        // The client parses what is parsed here: it cannot read it differently.
        Ok(self.client.request(method, self.check(url)?))
    }

    /// See [`Bounds::check`].
    ///
    /// # Errors
    /// If the URL may not be requested.
    pub fn check(&self, url: &str) -> Result<Url, Refusal> {
        self.bounds.check(url)
    }
}

impl Bounds {
    /// What the options say.
    ///
    /// # Errors
    /// If they make no sense.
    pub fn new(options: &Options) -> Result<Self, InvalidOptions> {
        let nets = |texts: &[String]| texts.iter().map(|text| network(text)).collect::<Result<Vec<_>, _>>();
        let proxy_host = match &options.proxy {
            Some(proxy) => {
                let url: Url = proxy.parse().map_err(|_| InvalidOptions::Proxy)?;
                let known = matches!(url.scheme(), "http" | "https");
                Some(url.host_str().filter(|_| known).ok_or(InvalidOptions::Proxy)?.to_owned())
            }
            None => None,
        };
        let (allow, deny) = (nets(&options.allow)?, nets(&options.deny)?);
        Ok(Self { allow, deny, loopback: options.loopback, https_only: options.https_only, proxy_host })
    }

    /// Whether a URL may be requested, as far as it can be told without looking names up. To be asked when somebody gives
    /// the URL, so that a mistake is told where it is made.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(&self, text: &str) -> Result<Url, Refusal> {
        if text.len() > URL_MAX {
            return Err(Refusal::TooLong);
        }
        let url: Url = text.parse().map_err(|_| Refusal::NoUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if self.https_only => return Err(Refusal::NotHttps),
            "http" => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let host = url.host_str().ok_or(Refusal::NoUrl)?;
        let port = url.port_or_known_default().ok_or(Refusal::Port)?;
        if !WEB_PORTS.contains(&port) && port < PORT_MIN {
            return Err(Refusal::Port);
        }
        // The parser has turned every way to write an address of IPv4 into the usual one.
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => self.check_ip(ip)?,
            Err(_) => self.check_name(host)?,
        }
        Ok(url)
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let name = name.trim_end_matches('.');
        if name.parse::<IpAddr>().is_ok() {
            return Err(Refusal::NotPublic);
        }
        let local = name == "localhost" || name.ends_with(".localhost");
        if name.is_empty() || METADATA_NAMES.contains(&name) || (local && !self.loopback) {
            return Err(Refusal::NotPublic);
        }
        Ok(())
    }

    /// Whether an address may be connected to.
    pub(crate) fn check_ip(&self, ip: IpAddr) -> Result<(), Refusal> {
        let ip = ip.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        let allowed = is_public(ip) || within(&self.allow) || (self.loopback && ip.is_loopback());
        if allowed && !within(&self.deny) { Ok(()) } else { Err(Refusal::NotPublic) }
    }

    /// Whether a name that is looked up is the proxy's.
    pub(crate) fn is_proxy(&self, name: &str) -> bool {
        self.proxy_host.as_deref() == Some(name)
    }
}

fn network(text: &str) -> Result<IpNet, InvalidOptions> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(alone).ok_or_else(|| InvalidOptions::Network(text.to_owned()))
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bounds.fmt(f)
    }
}

//! One HTTP call: sends what a wire encoded, reads the answer within its bounds, and says at which point it failed.
//!
//! No retries and no redirects: one call is one request to the configured address. Dropping the future closes it.

use std::error::Error as _;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};
use reqwest::Response;

use crate::bounds::Bounds;
use crate::error::Kind;
use crate::wires::{
    Decoded, HttpParts, Progress, Streamed, Wire, decode_whole, requests_window, seen_limits,
    told_by_headers, too_large,
};
use crate::{CallError, DeltaSink, ProviderOptions, SeenLimits, Window};

const USER_AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));
/// Carries `job/step/try`.
pub(crate) const CALL_HEADER: HeaderName = HeaderName::from_static("x-quarterdeck-call");
/// Idle connections kept for each address.
const MAX_IDLE_CONNECTIONS: usize = 256;
/// Bytes of the body of a failure that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// How long an answer that is complete may take to close, so that its connection can be used again.
const CLOSE_WAIT: Duration = Duration::from_millis(50);

/// Sets the process's TLS provider to `ring`. Building models does so too; whoever makes other clients first calls it.
pub fn install_crypto_provider() {
    // Fails if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Connections to one provider. Clones share them.
#[derive(Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    /// Over which time the provider counts requests, unless its answers tell.
    requests_per: Window,
}

/// An answer with what its headers say of limits.
pub(crate) struct Received {
    pub(crate) decoded: Decoded,
    pub(crate) limits: SeenLimits,
}

impl Transport {
    pub(crate) fn new(provider: &ProviderOptions, base_url: &str) -> Result<Self, reqwest::Error> {
        install_crypto_provider();
        let mut client = reqwest::Client::builder();
        if is_loopback(base_url) {
            // Proxies of the environment are for the world outside; they cannot reach this machine's own servers.
            client = client.no_proxy();
        }
        let client = client
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(provider.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .build()?;
        Ok(Self { client, requests_per: requests_window(base_url) })
    }

    /// Makes the call. The caller bounds the whole of it; the bounds of its parts are kept here.
    pub(crate) async fn call(
        &self,
        parts: HttpParts,
        call_id: Option<&str>,
        wire: &dyn Wire,
        bounds: &Bounds,
        sink: Option<&dyn DeltaSink>,
    ) -> Result<Received, CallError> {
        let first = tokio::time::sleep(bounds.first());
        tokio::pin!(first);
        let response = tokio::select! {
            biased;
            response = self.send(parts, call_id) => response?,
            () = &mut first => return Err(bounds.no_first_token()),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let result = if status == 200 && bounds.streams() && is_event_stream(&headers) {
            let stream = Stream {
                response,
                read: Streamed::new(wire.stream(), bounds.body_bytes),
                bounds,
                sink,
                offset: 0,
            };
            stream.read(first).await
        } else {
            let body = match status {
                200 => read_whole(response, bounds).await,
                _ => Ok(read_error(response, bounds).await),
            };
            body.and_then(|body| decode_whole(wire, status, &headers, &body))
        };
        let limits = seen_limits(&headers, self.requests_per);
        match result {
            Ok(decoded) => Ok(Received { decoded, limits }),
            Err(error) => Err(told_by_headers(error, status, &headers, limits)),
        }
    }

    async fn send(&self, parts: HttpParts, call_id: Option<&str>) -> Result<Response, CallError> {
        let mut request = self.client.post(&parts.url).headers(parts.headers).body(parts.body);
        if let Some(id) = call_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            request = request.header(CALL_HEADER, id);
        }
        request.send().await.map_err(|error| not_sent(&error))
    }
}

fn is_loopback(base_url: &str) -> bool {
    let uri = base_url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why there is no response at all.
fn not_sent(error: &reqwest::Error) -> CallError {
    let cause = root_cause(error);
    if error.is_connect() {
        return CallError::new(Kind::Unreachable, format!("cannot be reached: {cause}"));
    }
    if error.is_builder() {
        return CallError::new(Kind::InvalidRequest, format!("the request cannot be made: {cause}"));
    }
    CallError::new(Kind::StreamInterrupted, format!("the connection was closed without an answer: {cause}"))
}

/// The innermost cause: the outer ones repeat the address, which may hold what must not be logged.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause was given".to_owned(), ToString::to_string)
}

/// Some servers leave the type out; whoever was asked for a stream then gets the benefit of the doubt.
fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.trim_start().starts_with("text/event-stream")))
}

async fn read_whole(mut response: Response, bounds: &Bounds) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(&mut response, bounds).await? {
        if body.len() + chunk.len() > bounds.body_bytes {
            return Err(too_large(bounds.body_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The beginning of a body that tells of a failure; what comes after it tells no more.
async fn read_error(mut response: Response, bounds: &Bounds) -> Vec<u8> {
    let mut body = Vec::new();
    // The status is known: a body that breaks off takes nothing back.
    while let Ok(Some(chunk)) = next_chunk(&mut response, bounds).await {
        body.extend_from_slice(&chunk);
        if body.len() >= ERROR_BYTES_MAX {
            body.truncate(ERROR_BYTES_MAX);
            break;
        }
    }
    body
}

async fn next_chunk(response: &mut Response, bounds: &Bounds) -> Result<Option<bytes::Bytes>, CallError> {
    match tokio::time::timeout(bounds.idle, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => {
            let message = format!("the answer broke off: {}", root_cause(&error));
            Err(CallError::new(Kind::StreamInterrupted, message))
        }
        Err(_) => Err(bounds.stood_still()),
    }
}

/// A streamed answer and whoever listens to it.
struct Stream<'a> {
    response: Response,
    read: Streamed,
    bounds: &'a Bounds,
    sink: Option<&'a dyn DeltaSink>,
    offset: u64,
}

impl Stream<'_> {
    async fn read(mut self, first: std::pin::Pin<&mut tokio::time::Sleep>) -> Result<Decoded, CallError> {
        tokio::pin!(first);
        let (mut said, mut has_begun) = (String::new(), false);
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = next_chunk(&mut self.response, self.bounds) => chunk,
                // Pings and comments are no tokens: they do not extend the wait for the first one.
                () = &mut first, if !has_begun => Err(self.bounds.no_first_token()),
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return self.read.end(),
                Err(error) => return self.read.broken_off(error),
            };
            let progress = self.read.take(&chunk, &mut said)?;
            self.say(&mut said);
            has_begun |= progress == Progress::Content;
            if progress == Progress::Done {
                self.close().await;
                return self.read.end();
            }
        }
    }

    fn say(&mut self, said: &mut String) {
        if let Some(sink) = self.sink
            && !said.is_empty()
        {
            sink.push(self.offset, said);
        }
        self.offset += said.len() as u64;
        said.clear();
    }

    /// Reads the rest, which should be nothing, so that the connection goes back to the pool.
    async fn close(&mut self) {
        let _ = tokio::time::timeout(CLOSE_WAIT, async {
            while let Ok(Some(_)) = self.response.chunk().await {}
        })
        .await;
    }
}

#[cfg(test)]
mod tests;

//! Load that costs as little as possible: HTTP/1.1 by hand on kept connections, paced by `qd-load`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use qd_env::Env;
use qd_load::{Latency, Schedule, Sender, Shot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What to send.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) path: &'static str,
    /// More headers of the n-th request, each with its line end.
    pub(crate) headers: Headers,
    /// The body of the n-th request.
    pub(crate) body: Arc<dyn Fn(u64) -> String + Send + Sync>,
    /// The status of success.
    pub(crate) status: u16,
}

/// Headers by the number of the request.
pub(crate) type Headers = Arc<dyn Fn(u64) -> String + Send + Sync>;

/// None but those of every request.
pub(crate) fn no_headers() -> Headers {
    Arc::new(|_| String::new())
}

/// What came back.
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Latency,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.latency.ms(quantile)
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{:.0}/s over {:.1} s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, errors {}",
            self.rate(),
            self.elapsed.as_secs_f64(),
            self.ms(0.5),
            self.ms(0.99),
            self.ms(0.999),
            self.errors
        )
    }
}

/// Sends for a while over this many connections; at `rate` requests a second, or as fast as answers come.
pub(crate) async fn run(
    target: Target,
    connections: usize,
    rate: Option<f64>,
    span: Duration,
) -> anyhow::Result<Outcome> {
    let schedule = match rate {
        Some(rate) => Schedule::open(rate, span),
        None => Schedule::closed(span),
    };
    let mut senders = Vec::with_capacity(connections);
    for _ in 0..connections {
        let wire = Wire::connect(&target.address).await?;
        let (requests, errors, latency) = (0, 0, Latency::default());
        senders.push(Connection { wire, target: target.clone(), requests, errors, latency });
    }
    let start = Instant::now();
    let ended = qd_load::run(senders, schedule, &Env::system(), &CancellationToken::new()).await?;
    let (requests, errors, latency) = (0, 0, Latency::default());
    let mut total = Outcome { requests, errors, elapsed: start.elapsed(), latency };
    for part in ended {
        total.requests += part.requests;
        total.errors += part.errors;
        total.latency.add(&part.latency);
    }
    Ok(total)
}

struct Connection {
    wire: Wire,
    target: Target,
    requests: u64,
    errors: u64,
    latency: Latency,
}

impl Sender for Connection {
    type Error = anyhow::Error;

    async fn send(&mut self, shot: &Shot) -> anyhow::Result<()> {
        let status = self
            .wire
            .post_with(
                self.target.path,
                &(self.target.headers)(shot.number),
                &(self.target.body)(shot.number),
            )
            .await?;
        self.latency.note(shot.latency());
        self.requests += 1;
        self.errors += u64::from(status != self.target.status);
        Ok(())
    }
}

/// One kept connection.
pub(crate) struct Wire {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host: address.to_owned(), buffer: Vec::with_capacity(8192) })
    }

    /// Sends a JSON body and reads the answer; answers its status.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> anyhow::Result<u16> {
        self.post_with(path, "", body).await
    }

    /// The same with more headers, each with its line end.
    pub(crate) async fn post_with(&mut self, path: &str, headers: &str, body: &str) -> anyhow::Result<u16> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.exchange(request).await
    }

    /// Reads what is there; answers its status.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.exchange(request).await
    }

    /// Body of the last answer.
    pub(crate) fn body_text(&self) -> Option<&str> {
        let end = self.buffer.windows(4).position(|w| w == b"\r\n\r\n")?;
        std::str::from_utf8(&self.buffer[end + 4..]).ok()
    }

    async fn exchange(&mut self, request: String) -> anyhow::Result<u16> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let (mut head_end, mut whole) = (None, usize::MAX);
        while self.buffer.len() < whole {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                anyhow::bail!("the server closed the connection");
            }
            if head_end.is_none()
                && let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n")
            {
                head_end = Some(end);
                whole = end + 4 + content_length(&self.buffer[..end])?;
            }
        }
        Ok(std::str::from_utf8(&self.buffer[9..12])?.parse()?)
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    Ok(line.context("an answer without content-length")?.trim().parse()?)
}

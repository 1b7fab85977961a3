//! A small client of our own HTTP API. Every command that looks at jobs speaks through it, also to a server inside its
//! own process, so that there is one way in.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::cli::Target;
use crate::config::variable;
use crate::exit::{Exit, ended};
use crate::sse::{Decoder, Event};

/// Where a server is by default.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// Talks to one server.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    /// Sent with every request.
    key: Option<HeaderValue>,
}

fn bearer(key: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| {
        ended(Exit::Usage, "the API key has characters that no key has; copy it again, whole")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl Client {
    /// For the server of `--url`, `QUARTERDECK_URL`, or this machine's, with the key of `--key` or `QUARTERDECK_API_KEY`.
    pub(crate) fn of(target: &Target) -> anyhow::Result<Self> {
        Self::new(&Self::base_of(target), Self::key_of(target).as_deref())
    }

    /// The server of `--url`, `QUARTERDECK_URL`, or this machine's.
    pub(crate) fn base_of(target: &Target) -> String {
        let url = target.url.clone().or_else(|| variable("QUARTERDECK_URL"));
        url.as_deref().unwrap_or(DEFAULT_URL).trim_end_matches('/').to_owned()
    }

    fn key_of(target: &Target) -> Option<String> {
        target.key.clone().or_else(|| variable("QUARTERDECK_API_KEY"))
    }

    /// For a server of our own.
    pub(crate) fn new(base: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(ended(
                Exit::Usage,
                format!("`{base}` is no URL of a server; it looks like {DEFAULT_URL}"),
            ));
        }
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).no_proxy().build()?;
        Ok(Self { base, http, key: key.map(bearer).transpose()? })
    }

    /// For a server at these addresses and no others, which sends nobody elsewhere, with as many kept connections.
    pub(crate) fn at(
        target: &Target,
        url: &Url,
        addresses: &[SocketAddr],
        connections: usize,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .redirect(Policy::none())
            .resolve_to_addrs(url.host_str().unwrap_or_default(), addresses)
            .pool_max_idle_per_host(connections)
            .build()?;
        let key = Self::key_of(target).as_deref().map(bearer).transpose()?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), http, key })
    }

    /// A request to be sent as its caller likes.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key),
            None => request,
        }
    }

    /// Where the server is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Queues a job.
    pub(crate) async fn submit(&self, body: &Value, idempotency_key: Option<&str>) -> anyhow::Result<Value> {
        let key = idempotency_key.map(|key| ("idempotency-key", key));
        self.json(Method::POST, "/v1/jobs", Some(body), key).await
    }

    /// Cancels a job.
    pub(crate) async fn change(&self, job: &str, verb: &str) -> anyhow::Result<Value> {
        self.json(Method::POST, &format!("/v1/jobs/{job}/{verb}"), None, None).await
    }

    /// Sends something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(Method::POST, path, Some(body), None).await
    }

    /// Puts something in a place.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(Method::PUT, path, Some(body), None).await
    }

    /// Sends what is read while it is sent; answers JSON.
    pub(crate) async fn upload(
        &self,
        path: &str,
        kind: &'static str,
        body: reqwest::Body,
        idempotency_key: Option<&str>,
    ) -> anyhow::Result<Value> {
        let mut request = self.request(Method::POST, path).header(CONTENT_TYPE, kind).body(body);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", header(key)?);
        }
        Ok(refuse(self.sent(request).await?).await?.json().await?)
    }

    /// What comes line by line.
    pub(crate) async fn lines(&self, path: &str) -> anyhow::Result<Lines> {
        let response = refuse(self.send(Method::GET, path, None, None).await?).await?;
        Ok(Lines { response, buffer: Vec::new() })
    }

    /// Publishes a crew file; on top of a version only, or with 0 as a new crew only.
    pub(crate) async fn put_crew(
        &self,
        name: &str,
        text: String,
        if_version: Option<u32>,
    ) -> anyhow::Result<Value> {
        let mut request = self.request(Method::PUT, &format!("/v1/crews/{name}"));
        request = request.header(CONTENT_TYPE, "application/yaml").body(text);
        request = match if_version {
            None => request,
            Some(0) => request.header(IF_NONE_MATCH, "*"),
            Some(version) => request.header(IF_MATCH, format!("\"v{version}\"")),
        };
        Ok(refuse(self.sent(request).await?).await?.json().await?)
    }

    /// Deletes something.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::DELETE, path, None, None).await
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::GET, path, None, None).await
    }

    /// Waits until the server says that it is ready.
    pub(crate) async fn ready(&self, patience: Duration) -> anyhow::Result<()> {
        let ask = async {
            loop {
                if self.get("/ready").await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let refused = || ended(Exit::TimedOut, format!("the server at {} did not become ready", self.base));
        tokio::time::timeout(patience, ask).await.map_err(|_| refused())
    }

    /// A job's events after a place, until the connection or the job ends.
    pub(crate) async fn events(
        &self,
        job: &str,
        after: Option<u64>,
    ) -> anyhow::Result<impl Stream<Item = Event> + use<>> {
        let id = after.map(|id| id.to_string());
        let last = id.as_deref().map(|id| ("last-event-id", id));
        let response = self.send(Method::GET, &format!("/v1/jobs/{job}/events"), None, last).await?;
        let response = refuse(response).await?;
        let bytes = response.bytes_stream();
        let state = (Box::pin(bytes), Decoder::default());
        let batches = stream::unfold(state, |(mut bytes, mut decoder)| async move {
            let piece = bytes.next().await?.ok()?;
            let events = decoder.push(&piece)?;
            Some((stream::iter(events), (bytes, decoder)))
        });
        Ok(batches.flatten())
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&'static str, &str)>,
    ) -> anyhow::Result<Value> {
        let response = self.send(method, path, body, header).await?;
        Ok(refuse(response).await?.json().await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&'static str, &str)>,
    ) -> anyhow::Result<Response> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some((name, value)) = header {
            request = request.header(HeaderName::from_static(name), self::header(value)?);
        }
        self.sent(request).await
    }

    async fn sent(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        request.send().await.map_err(|error| {
            let hint = "start one with `quarterdeck serve`, or name it with --url";
            ended(
                Exit::Unreachable,
                format!("cannot reach the server at {}: {}; {hint}", self.base, cause(&error)),
            )
        })
    }
}

fn header(value: &str) -> anyhow::Result<HeaderValue> {
    let wrong = |_| ended(Exit::Usage, format!("`{value}` has characters that no header can carry"));
    HeaderValue::from_str(value).map_err(wrong)
}

/// JSON lines of an answer, one in memory at a time.
pub(crate) struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.buffer.extend_from_slice(&piece),
                Ok(None) => return Ok(None),
                Err(error) => {
                    let why = format!("the answer was cut: {}; ask again", cause(&error));
                    return Err(ended(Exit::Unreachable, why));
                }
            }
        }
    }
}

/// The innermost reason: "connection refused" says more than "error sending request".
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Turns a problem answer into an error with its exit code.
async fn refuse(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem: Value = response.json().await.unwrap_or_default();
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Unauthorised,
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Exit::Limited,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        _ if problem["code"] == "idempotency_conflict" => Exit::Conflict,
        _ if status.is_client_error() => Exit::Usage,
        _ => Exit::Failed,
    };
    let mut text = explained(status, &problem);
    if status == StatusCode::UNAUTHORIZED {
        text.push_str("\n  name a key with --key or the variable QUARTERDECK_API_KEY");
    }
    Err(ended(exit, text))
}

fn explained(status: StatusCode, problem: &Value) -> String {
    let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no explanation");
    let mut text = match problem["code"].as_str() {
        Some(code) => format!("{detail} ({code})"),
        None => format!("the server answered {status}: {detail}"),
    };
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    for error in errors {
        let (path, message) =
            (error["path"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default());
        if errors.len() == 1 && detail.contains(message) {
            // It was all said above.
            break;
        }
        text.push_str(&format!("\n  {path}: {message}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{StatusCode, explained};

    #[test]
    fn mistakes_of_a_request_are_said_once_each() {
        let problem = |detail: &str, messages: &[&str]| {
            let errors: Vec<_> = messages.iter().map(|m| json!({"path": "input", "message": m})).collect();
            json!({"code": "validation", "detail": detail, "errors": errors})
        };
        for (detail, messages, text) in [
            (
                "input: `topic` is missing",
                vec!["`topic` is missing"],
                "input: `topic` is missing (validation)",
            ),
            (
                "one mistake",
                vec!["`topic` is missing"],
                "one mistake (validation)\n  input: `topic` is missing",
            ),
            ("a and b", vec!["a", "b"], "a and b (validation)\n  input: a\n  input: b"),
            ("nothing more", vec![], "nothing more (validation)"),
        ] {
            assert_eq!(explained(StatusCode::BAD_REQUEST, &problem(detail, &messages)), text);
        }
    }
}

//! A tool that is an HTTP request, described by the operator: the model chooses arguments, never the host.
//!
//! Arguments that the URL's template names go there, the others into the query or, with POST, PUT and PATCH, a JSON body.
//! Secrets are put in as the request leaves, and taken out of what comes back. Requests pass the egress guard: addresses are
//! checked as they are connected to, and redirects are not followed.

mod answer;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_egress::{Bounds, Guard};
use qd_types::{Input, ToolSpec};
use reqwest::header::{self, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Invocation, Tool, ToolEffect, ToolFault};
use template::UrlTemplate;

const USER_AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));
/// Tries of a request that may be repeated, and the pause before the second one.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// What a call that may happen once leaves of its job's time.
const MARGIN: Duration = Duration::from_millis(500);
/// Headers that belong to the connection, or are ours.
const KEPT_HEADERS: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    HeaderName::from_static("idempotency-key"),
];

/// What of an answer goes back to the model.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(untagged)]
pub enum ResultMap {
    /// All of it.
    #[default]
    Whole,
    /// What this JSON pointer names.
    One(String),
    /// An object of what these JSON pointers name.
    Fields(BTreeMap<String, String>),
}

/// How a tool is described.
#[derive(Clone)]
pub struct HttpToolOptions {
    /// `[a-z0-9_]`, at most 64 characters.
    pub name: String,
    /// When and how to use it, for the model.
    pub description: String,
    /// JSON Schema of the arguments, an object schema.
    pub parameters: Value,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// `https://shop.example/orders/{id}`: arguments may stand in path and query.
    pub url: String,
    /// Headers of every request. They are taken for secrets.
    pub headers: BTreeMap<String, String>,
    /// What of a JSON answer goes back.
    pub result: ResultMap,
    /// How long a call may take, its repetitions included.
    pub timeout: Duration,
    /// Whether it may be repeated.
    pub effect: ToolEffect,
}

impl fmt::Debug for HttpToolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpToolOptions")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the description of a tool: which of its fields, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidTool {
    /// As [`HttpToolOptions`] calls it.
    pub field: &'static str,
    /// Why, and what to do.
    pub reason: String,
}

/// A tool whose description makes sense.
#[derive(Clone)]
pub struct DescribedTool {
    spec: ToolSpec,
    method: Method,
    url: UrlTemplate,
    headers: Vec<(HeaderName, HeaderValue)>,
    secrets: Vec<String>,
    result: ResultMap,
    timeout: Duration,
    effect: ToolEffect,
}

impl fmt::Debug for DescribedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescribedTool").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl DescribedTool {
    /// Looks a description through. `bounds` are those of the guard that its requests will pass.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn new(options: HttpToolOptions, bounds: &Bounds) -> Result<Self, InvalidTool> {
        let wrong = |field, reason: &str| InvalidTool { field, reason: reason.to_owned() };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if options.name.is_empty() || options.name.len() > 64 || !options.name.bytes().all(plain) {
            return Err(wrong("name", "must be 1 to 64 of a-z, 0-9 and _; models are given it as it is"));
        }
        if options.description.trim().is_empty() {
            return Err(wrong("description", "is empty; it tells the model when to use the tool"));
        }
        let method = match options.method.as_str() {
            method @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE") => method.parse().ok(),
            _ => None,
        };
        let method = method.ok_or_else(|| wrong("method", "must be GET, POST, PUT, PATCH or DELETE"))?;
        let url = UrlTemplate::parse(&options.url).map_err(|reason| InvalidTool { field: "url", reason })?;
        bounds.check(&url.sample()).map_err(|refusal| wrong("url", &refusal.to_string()))?;
        let parameters = parameters(options.parameters, &url)?;
        let (headers, secrets) = headers(&options.headers)?;
        pointers(&options.result)?;
        let spec = ToolSpec { name: options.name, description: options.description, parameters };
        let (result, timeout, effect) = (options.result, options.timeout, options.effect);
        Ok(Self { spec, method, url, headers, secrets, result, timeout, effect })
    }

    /// What the model is told.
    #[must_use]
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn request(&self, guard: &Guard, invocation: &Invocation<'_>) -> Result<RequestBuilder, ToolFault> {
        let mut left: Input = invocation.arguments.clone();
        left.retain(|_, value| !value.is_null());
        let mut url = self.url.fill(&mut left).map_err(ToolFault::Told)?;
        let has_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if !has_body && !left.is_empty() {
            template::append_query(&mut url, &left);
        }
        let refused = |refusal: qd_egress::Refusal| ToolFault::Told(format!("the request's URL {refusal}"));
        let mut request = guard.request(self.method.clone(), &url).map_err(refused)?;
        request = request
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json, text/*;q=0.9");
        if self.effect != ToolEffect::Read {
            request = request.header("idempotency-key", key(invocation));
        }
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        if has_body {
            let body = Value::Object(left).to_string();
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        Ok(request)
    }

    /// One try.
    async fn ask(&self, guard: &Guard, invocation: &Invocation<'_>) -> Result<String, Failed> {
        let request = self.request(guard, invocation).map_err(Failed::Final)?;
        let response = request.send().await.map_err(|error| self.broke(&error))?;
        let status = response.status();
        let is_once = self.effect == ToolEffect::AtMostOnce;
        let text = match answer::read(response).await {
            Ok(text) => text,
            // It was carried out: a model that is told of an error would ask for it again.
            Err(broken) if is_once && status.is_success() => {
                return Ok(format!("The call was carried out; {broken}."));
            }
            Err(broken @ answer::Broken::TooLong) if !is_once => {
                return Err(Failed::Final(ToolFault::Told(broken.to_string())));
            }
            Err(broken) => return Err(Failed::unanswered(self.effect, broken.to_string())),
        };
        if status.is_success() {
            let mapped =
                answer::mapped(&self.result, &text).or_else(|why| if is_once { Ok(text) } else { Err(why) });
            let told = |why: String| Failed::Final(ToolFault::Told(self.without_secrets(why)));
            return mapped.map(|text| self.without_secrets(text)).map_err(told);
        }
        let refusal = self.without_secrets(answer::refusal(status, &text));
        // What stands in between says that nobody answered it, or that the answer is elsewhere.
        let is_open = status.is_redirection()
            || matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        if is_once && is_open {
            return Err(Failed::Final(ToolFault::Unknown(refusal)));
        }
        let told = ToolFault::Told(refusal);
        let is_passing = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(if is_passing { Failed::Passing(told) } else { Failed::Final(told) })
    }

    fn broke(&self, error: &reqwest::Error) -> Failed {
        // Its own words may name addresses that are nobody's business.
        if qd_egress::is_kept_back(error) {
            return Failed::Final(ToolFault::Told("its host is no address that may be reached".to_owned()));
        }
        if error.is_connect() {
            // Nothing was sent.
            return Failed::Passing(ToolFault::Told("the service could not be connected to".to_owned()));
        }
        Failed::unanswered(self.effect, "the connection broke off before there was an answer".to_owned())
    }

    /// Services may repeat what they were sent.
    fn without_secrets(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret) { text.replace(secret, "[secret]") } else { text }
        })
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct HttpTool {
    about: DescribedTool,
    guard: Guard,
}

impl HttpTool {
    /// A tool whose requests pass a guard.
    #[must_use]
    pub fn new(about: DescribedTool, guard: Guard) -> Self {
        Self { about, guard }
    }
}

/// Why a try came to nothing.
enum Failed {
    /// Another one would come to the same.
    Final(ToolFault),
    /// Another one may do better, and nothing happened.
    Passing(ToolFault),
}

impl Failed {
    /// The request may have been carried out.
    fn unanswered(effect: ToolEffect, why: String) -> Self {
        match effect {
            ToolEffect::Read | ToolEffect::Idempotent => Self::Passing(ToolFault::Told(why)),
            ToolEffect::AtMostOnce => Self::Final(ToolFault::Unknown(why)),
        }
    }
}

impl Tool for HttpTool {
    fn spec(&self) -> ToolSpec {
        self.about.spec.clone()
    }

    fn effect(&self) -> ToolEffect {
        self.about.effect
    }

    fn call<'a>(&'a self, invocation: Invocation<'a>) -> BoxFuture<'a, Result<String, ToolFault>> {
        async move {
            // A call that may happen once ends before its job's time does, so that somebody hears of a doubt.
            let is_once = self.about.effect == ToolEffect::AtMostOnce;
            let left = invocation.time_left.saturating_sub(if is_once { MARGIN } else { Duration::ZERO });
            if is_once && left.is_zero() {
                let why = "it was not called, because its job's time is nearly up";
                return Err(ToolFault::Told(why.to_owned()));
            }
            let patience = self.about.timeout.min(left);
            let tries = if is_once { 1 } else { TRIES };
            let asked = async {
                let mut number = 1;
                loop {
                    match self.about.ask(&self.guard, &invocation).await {
                        Ok(text) => return Ok(text),
                        Err(Failed::Passing(_)) if number < tries && (invocation.is_wanted)() => {
                            tokio::time::sleep(PAUSE * 4_u32.pow(number - 1)).await;
                            number += 1;
                        }
                        Err(Failed::Passing(fault) | Failed::Final(fault)) => return Err(fault),
                    }
                }
            };
            tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| {
                let why = format!("the service did not answer within {} s", patience.as_secs_f32());
                Err(match self.about.effect {
                    ToolEffect::Read | ToolEffect::Idempotent => ToolFault::Told(why),
                    ToolEffect::AtMostOnce => ToolFault::Unknown(why),
                })
            })
        }
        .boxed()
    }
}

/// The same for every repetition of a step, by whichever worker, and of no other.
fn key(invocation: &Invocation<'_>) -> String {
    let digest = Sha256::digest(format!("{}/{}", invocation.job, invocation.step));
    digest[..16].iter().fold(String::with_capacity(32), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The schema, checked: an object schema that has what the URL names.
fn parameters(schema: Value, url: &UrlTemplate) -> Result<Value, InvalidTool> {
    let wrong = |reason: String| InvalidTool { field: "parameters", reason };
    let mut schema = match schema {
        Value::Null => serde_json::json!({ "type": "object", "properties": {} }),
        schema => schema,
    };
    let object = schema.as_object_mut().ok_or_else(|| wrong("must be a JSON schema".to_owned()))?;
    if object.entry("type").or_insert_with(|| "object".into()) != "object" {
        return Err(wrong("must be the schema of an object: type = \"object\"".to_owned()));
    }
    let properties = object.entry("properties").or_insert_with(|| Value::Object(Input::new()));
    let properties =
        properties.as_object().ok_or_else(|| wrong("`properties` must be a table of schemas".to_owned()))?;
    if let Some(name) = url.arguments().find(|name| !properties.contains_key(*name)) {
        return Err(wrong(format!("has no property `{name}`, which the URL names")));
    }
    object.entry("additionalProperties").or_insert(Value::Bool(false));
    Ok(schema)
}

type Headers = (Vec<(HeaderName, HeaderValue)>, Vec<String>);

fn headers(given: &BTreeMap<String, String>) -> Result<Headers, InvalidTool> {
    let wrong =
        |name: &str, reason: &str| InvalidTool { field: "headers", reason: format!("`{name}` {reason}") };
    let (mut headers, mut secrets) = (Vec::new(), Vec::new());
    for (name, text) in given {
        let parsed: HeaderName = name.parse().map_err(|_| wrong(name, "is no name of a header"))?;
        if KEPT_HEADERS.contains(&parsed) {
            return Err(wrong(name, "is set by the server; leave it out"));
        }
        let mut value = HeaderValue::try_from(text.as_str())
            .map_err(|_| wrong(name, "has a value that no header may have, such as a line break"))?;
        value.set_sensitive(true);
        headers.push((parsed, value));
        // The scheme before a token is no secret, and short values would turn up by chance.
        let token = text.split_once(' ').map_or(text.as_str(), |(_, token)| token).trim();
        let spellings = [token.to_owned(), token.replace('/', "\\/")];
        secrets.extend(spellings.into_iter().filter(|token| token.len() >= 8));
    }
    // One that another begins with must not leave the other's end behind.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    Ok((headers, secrets))
}

fn pointers(result: &ResultMap) -> Result<(), InvalidTool> {
    let pointers: Vec<&String> = match result {
        ResultMap::Whole => Vec::new(),
        ResultMap::One(pointer) => vec![pointer],
        ResultMap::Fields(fields) => fields.values().collect(),
    };
    match pointers.iter().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
        Some(pointer) => {
            let reason = format!("`{pointer}` is no JSON pointer; it looks like /data/items");
            Err(InvalidTool { field: "result", reason })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

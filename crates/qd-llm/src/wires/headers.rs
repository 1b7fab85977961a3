//! Which headers of an answer are kept: those that tell of limits and those that support asks for.

use http::HeaderMap;

const MAX_HEADERS: usize = 40;
const MAX_VALUE_BYTES: usize = 256;

/// Rate-limit and request-id headers, as they came; bounded in number and length.
pub(crate) fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| is_kept(name.as_str()));
    let kept = kept.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let kept = kept.filter(|(_, value)| value.len() <= MAX_VALUE_BYTES);
    kept.take(MAX_HEADERS).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_kept(name: &str) -> bool {
    name.starts_with("anthropic-ratelimit-")
        || name.starts_with("x-ratelimit-")
        || name.starts_with("retry-after")
        || matches!(name, "request-id" | "x-request-id" | "x-should-retry" | "x-ms-retry-after-ms")
}

/// The provider's id of the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["request-id", "x-request-id", "x-groq-request-id", "cf-ray"];
    let id = id.iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
    (id.len() <= MAX_VALUE_BYTES).then(|| id.to_owned())
}

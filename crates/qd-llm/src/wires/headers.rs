//! What support asks for: the id of a request, as the answer's headers name it.

use http::HeaderMap;

const MAX_VALUE_BYTES: usize = 256;

/// The provider's id of the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["request-id", "x-request-id", "x-groq-request-id", "cf-ray"];
    let id = id.iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
    (id.len() <= MAX_VALUE_BYTES).then(|| id.to_owned())
}

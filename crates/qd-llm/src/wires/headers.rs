//! What support asks for: the id of a request, as the answer's headers name it.

use http::HeaderMap;

/// Longer ones are no ids.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// The provider's id of the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["request-id", "x-request-id", "x-groq-request-id", "cf-ray"];
    let id = id.iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
    (id.len() <= ID_BYTES_MAX).then(|| id.to_owned())
}

//! What a service answered, as a model is told it.

use qd_types::Input;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::ResultMap;

/// Most of an answer that is read. What goes back to the model is less.
const ANSWER_MAX: usize = 1 << 20;
/// What a model is told of an error's body.
const REFUSAL_CHARS: usize = 1_000;

/// Why an answer was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the answer is larger than 1 MiB; ask for less")]
    TooLong,
    #[error("the answer broke off")]
    Cut,
}

/// Reads a bounded answer.
pub(super) async fn read(mut response: Response) -> Result<String, Broken> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| Broken::Cut)? {
        if bytes.len() + piece.len() > ANSWER_MAX {
            return Err(Broken::TooLong);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the model is told of an answer that is no success.
pub(super) fn refusal(status: StatusCode, text: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("an error");
    let text: String = text.trim().chars().take(REFUSAL_CHARS).collect();
    match (status.is_redirection(), text.is_empty()) {
        (true, _) => {
            format!("the service answered {} ({reason}); redirects are not followed", status.as_u16())
        }
        (false, true) => format!("the service answered {} ({reason})", status.as_u16()),
        (false, false) => format!("the service answered {} ({reason}): {text}", status.as_u16()),
    }
}

/// What of an answer is asked for.
pub(super) fn mapped(map: &ResultMap, text: &str) -> Result<String, String> {
    if *map == ResultMap::Whole {
        return Ok(text.to_owned());
    }
    let json: Value = serde_json::from_str(text).map_err(|_| "the service's answer is no JSON".to_owned())?;
    let found = |pointer: &str| json.pointer(pointer).cloned();
    match map {
        ResultMap::Whole => Ok(text.to_owned()),
        ResultMap::One(pointer) => match found(pointer) {
            Some(Value::String(text)) => Ok(text),
            Some(value) => Ok(value.to_string()),
            None => Err(format!("the service's answer has nothing at `{pointer}`")),
        },
        ResultMap::Fields(fields) => {
            let fields: Input = fields
                .iter()
                .map(|(name, pointer)| (name.clone(), found(pointer).unwrap_or(Value::Null)))
                .collect();
            Ok(Value::Object(fields).to_string())
        }
    }
}

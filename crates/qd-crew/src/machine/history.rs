//! The conversation as its fact holds it.

use qd_types::Message;
use serde::Deserialize;
use serde_json::Value;

/// The messages of a fact, oldest first.
pub(super) fn read(value: &Value) -> Result<Vec<Message>, serde_json::Error> {
    Ok(Vec::<Said>::deserialize(value)?.into_iter().map(Said::into_message).collect())
}

#[derive(Deserialize)]
struct Said {
    role: Speaker,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    User,
    Assistant,
}

impl Said {
    fn into_message(self) -> Message {
        match self.role {
            Speaker::User => Message::user(self.text),
            Speaker::Assistant => Message::assistant(self.text),
        }
    }
}

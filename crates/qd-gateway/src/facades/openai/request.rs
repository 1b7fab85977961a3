//! What a chat completion asks for: which crew, which words, which conversation.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use qd_types::{Code, ConversationId, CrewName, TenantId};
use serde_json::Value;

use crate::body::{Fields, kind, pointer};
use crate::context::Context;
use crate::crews::Published;
use crate::openapi::Schema;
use crate::problem::Problem;
use crate::routes::conversation_field;

static CONVERSATION: HeaderName = HeaderName::from_static("x-quarterdeck-conversation");

/// Messages of one request.
const MESSAGES_MAX: usize = 1_000;
/// What would change the shape of the answer, or make the model do what only a crew decides.
const REFUSED: [&str; 8] = [
    "audio",
    "function_call",
    "functions",
    "modalities",
    "prediction",
    "tool_choice",
    "tools",
    "web_search_options",
];

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) text: String,
    pub(super) conversation: Option<ConversationId>,
    /// How it is streamed, if it is.
    pub(super) stream: Option<StreamOptions>,
}

/// How an answer is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamOptions {
    /// The last piece tells the tokens.
    pub(super) include_usage: bool,
}

/// Reads a body; `named` is the conversation of the header.
pub(super) fn read(body: Value, named: Option<ConversationId>) -> Result<Asked, Problem> {
    let mut fields = Fields::of(body)?;
    let model = fields.required_text("model");
    let user = conversation_field(&mut fields, "user", false);
    let conversation = named.or(user);
    let messages = messages(&mut fields);
    let stream = fields.flag("stream").unwrap_or(false);
    let include_usage = fields
        .object("stream_options")
        .is_some_and(|options| options.get("include_usage").and_then(Value::as_bool).unwrap_or(false));
    if fields.integer("n", 1, i64::MAX).is_some_and(|n| n > 1) {
        fields.error_as(pointer("", "n"), Code::NotSupported, "a job has one answer; leave it out");
    }
    for name in REFUSED {
        fields.not_supported(name);
    }
    let shape = fields.object("response_format");
    if shape.is_some_and(|shape| shape.get("type").and_then(Value::as_str) != Some("text")) {
        let message = "the crew decides the shape of its output; leave it out";
        fields.error_as(pointer("", "response_format"), Code::NotSupported, message);
    }
    // How models are sampled stands in the crew; what clients say of it changes nothing.
    fields.ignore_others();
    fields.finish()?;
    let text = text_of(&messages, conversation.is_some());
    let stream = stream.then_some(StreamOptions { include_usage });
    Ok(Asked { model: model.unwrap_or_default(), text, conversation, stream })
}

/// The conversation that a header names.
pub(super) fn conversation_header(headers: &HeaderMap) -> Result<Option<ConversationId>, Problem> {
    let Some(value) = headers.get(&CONVERSATION) else { return Ok(None) };
    ConversationId::parse(value.to_str().unwrap_or_default()).map(Some).map_err(|wrong| {
        let detail = format!("`X-Quarterdeck-Conversation` {}; it takes 1 to 128 characters", wrong.reason);
        Problem::new(Code::InvalidRequest, detail)
    })
}

/// The crew that a model's name means.
pub(super) async fn crew(
    context: &Context,
    tenant: &TenantId,
    model: &str,
) -> Result<Arc<Published>, Problem> {
    let name = model.strip_prefix("crew/").unwrap_or(model);
    let found = context.crews.newest(tenant, &CrewName::new(name)).await?;
    found.ok_or_else(|| Problem::not_found("model", model))
}

struct Said {
    role: String,
    text: String,
}

fn messages(fields: &mut Fields) -> Vec<Said> {
    let Some(Value::Array(list)) = fields.take("messages") else {
        fields.error(pointer("", "messages"), "must be a list of messages with at least one in it");
        return Vec::new();
    };
    if list.is_empty() || list.len() > MESSAGES_MAX {
        fields.error(pointer("", "messages"), format!("must hold 1 to {MESSAGES_MAX} messages"));
        return Vec::new();
    }
    let last = list.len() - 1;
    let mut said = Vec::with_capacity(list.len());
    for (index, message) in list.into_iter().enumerate() {
        match read_message(&message) {
            Ok(message) if index == last && message.role != "user" => {
                fields.error(format!("/messages/{index}/role"), "the last message must be the user's");
            }
            Ok(message) => said.push(message),
            Err((field, code, why)) => fields.error_as(format!("/messages/{index}{field}"), code, why),
        }
    }
    said
}

type Wrong = (&'static str, Code, String);

fn read_message(message: &Value) -> Result<Said, Wrong> {
    let wrong = |field, why: String| (field, Code::ValidationFailed, why);
    let role = message.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| wrong("/role", "must be a role such as `user`".to_owned()))?;
    match role {
        "user" | "assistant" | "system" | "developer" => {}
        "tool" | "function" => {
            let why = "tools of a client are not supported by this release yet".to_owned();
            return Err(("/role", Code::NotSupported, why));
        }
        _ => return Err(wrong("/role", "must be user, assistant, system or developer".to_owned())),
    }
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"),
        None | Some(Value::Null) if role == "assistant" => String::new(),
        other => {
            let found = other.map_or("nothing", kind);
            return Err(wrong("/content", format!("must be a string or a list of parts, found {found}")));
        }
    };
    if role == "user" && text.trim().is_empty() {
        return Err(wrong("/content", "must not be empty".to_owned()));
    }
    Ok(Said { role: role.to_owned(), text })
}

fn part(part: &Value) -> Result<String, Wrong> {
    match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        _ => Err((
            "/content",
            Code::NotSupported,
            "only parts of type `text` are supported by this release".to_owned(),
        )),
    }
}

/// The last words; what was said before stands above them, unless the conversation is kept here.
fn text_of(messages: &[Said], is_kept: bool) -> String {
    let Some((last, earlier)) = messages.split_last() else { return String::new() };
    if is_kept || earlier.is_empty() {
        return last.text.clone();
    }
    let mut out = String::new();
    for said in earlier {
        let who = match said.role.as_str() {
            "user" => "User",
            "assistant" => "Assistant",
            _ => "Instructions",
        };
        out.push_str(&format!("{who}: {}\n\n", said.text));
    }
    out.push_str("User: ");
    out.push_str(&last.text);
    out
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let message = Schema::object()
        .field("role", Schema::words(["user", "assistant", "system", "developer"]))
        .field("content", Schema::any().about("A text, or a list of parts of type `text`."));
    let new = Schema::object()
        .field("model", Schema::text().pattern(r"\S").about("Name of a crew.").example("assistant"))
        .field(
            "messages",
            Schema::list(Schema::named("ChatCompletionMessage")).about("The last one is the user's."),
        )
        .may("stream", Schema::yes_or_no())
        .may("user", Schema::name().pattern(r"\S").about("The conversation that the job continues."));
    vec![("NewChatCompletion", new), ("ChatCompletionMessage", message)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_said_before_comes_along_unless_the_conversation_is_kept_here() {
        let body = |user: Option<&str>| {
            json!({ "model": "c", "user": user, "temperature": 0.2, "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": "Hello" },
                { "role": "user", "content": [{ "type": "text", "text": "How" }, { "type": "text", "text": "are you?" }] },
            ]})
        };
        let asked = read(body(None), None).unwrap();
        assert_eq!(
            asked.text,
            "Instructions: Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: How\nare you?"
        );
        assert_eq!((asked.conversation, asked.stream), (None, None));
        let asked = read(body(Some("ann")), None).unwrap();
        assert_eq!((asked.text.as_str(), asked.conversation.unwrap().as_str()), ("How\nare you?", "ann"));
        let asked = read(body(Some("ann")), Some(ConversationId::new("header"))).unwrap();
        assert_eq!(asked.conversation.unwrap().as_str(), "header");
    }

    #[test]
    fn bad_requests_are_told_with_their_place() {
        let said = json!([{ "role": "user", "content": "Hi" }]);
        for (body, path, code) in [
            (json!({ "messages": said }), "/model", Code::ValidationFailed),
            (json!({ "model": "c" }), "/messages", Code::ValidationFailed),
            (json!({ "model": "c", "messages": [] }), "/messages", Code::ValidationFailed),
            (
                json!({ "model": "c", "messages": [{ "content": "x" }] }),
                "/messages/0/role",
                Code::ValidationFailed,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "user" }] }),
                "/messages/0/content",
                Code::ValidationFailed,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "user", "content": " " }] }),
                "/messages/0/content",
                Code::ValidationFailed,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "king", "content": "x" }] }),
                "/messages/0/role",
                Code::ValidationFailed,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "assistant", "content": "x" }] }),
                "/messages/0/role",
                Code::ValidationFailed,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "tool", "content": "x" }] }),
                "/messages/0/role",
                Code::NotSupported,
            ),
            (
                json!({ "model": "c", "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
                "/messages/0/content",
                Code::NotSupported,
            ),
            (json!({ "model": "c", "messages": said, "n": 2 }), "/n", Code::NotSupported),
            (json!({ "model": "c", "messages": said, "n": 0 }), "/n", Code::ValidationFailed),
            (json!({ "model": "c", "messages": said, "tools": [{}] }), "/tools", Code::NotSupported),
            (
                json!({ "model": "c", "messages": said, "response_format": { "type": "json_object" } }),
                "/response_format",
                Code::NotSupported,
            ),
            (json!({ "model": "c", "messages": said, "stream": "yes" }), "/stream", Code::ValidationFailed),
        ] {
            let problem = read(body.clone(), None).expect_err(&body.to_string());
            let [error] = &problem.errors[..] else { panic!("{body}: {problem:?}") };
            assert_eq!((error.path.as_str(), error.code), (path, code), "{body}");
        }
    }
}

//! What was said in a conversation.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use qd_store::{StoredMessage, TurnRole};
use qd_types::{Code, ConversationId};
use serde::Serialize;

use super::{Name, json};
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::view::time::Rfc3339;

/// Messages shown: as many as a store keeps.
const MESSAGES_MAX: usize = 200;

#[derive(Serialize)]
struct ConversationView<'a> {
    id: &'a str,
    messages: Vec<MessageView<'a>>,
    updated_at: Rfc3339,
    expires_at: Rfc3339,
}

#[derive(Serialize)]
struct MessageView<'a> {
    role: TurnRole,
    text: &'a str,
    created_at: Option<Rfc3339>,
    job_id: Option<String>,
}

/// `GET /v1/conversations/{id}`: its messages, oldest first.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    let id = named(&name)?;
    let kept = context.store.conversation(&caller.tenant, &id, MESSAGES_MAX).await?;
    let kept = kept.ok_or_else(|| unknown(&name))?;
    let view = ConversationView {
        id: id.as_str(),
        messages: kept.messages.iter().map(MessageView::from).collect(),
        updated_at: Rfc3339(kept.last_at),
        expires_at: Rfc3339(kept.expires_at),
    };
    Ok(json(StatusCode::OK, &view))
}

/// `DELETE /v1/conversations/{id}`. Jobs of the conversation that are not over go on, without its past.
pub(crate) async fn forget(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    let id = named(&name)?;
    if context.store.forget(&caller.tenant, &id).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown(&name))
    }
}

/// What is no id of a conversation names none.
fn named(name: &str) -> Result<ConversationId, Problem> {
    ConversationId::parse(name).map_err(|_| unknown(name))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found("conversation", name)
}

impl<'a> From<&'a StoredMessage> for MessageView<'a> {
    fn from(message: &'a StoredMessage) -> Self {
        Self {
            role: message.turn.role,
            text: &message.turn.text,
            created_at: message.at.map(Rfc3339),
            job_id: message.job.map(|id| id.to_string()),
        }
    }
}

pub(crate) fn about_read() -> Operation {
    let answer = Answer::json("Its messages, oldest first.", "Conversation");
    of_conversation(Operation::new("conversations", "readConversation", "what was said in a conversation"))
        .answers(200, answer)
}

pub(crate) fn about_forget() -> Operation {
    of_conversation(Operation::new("conversations", "forgetConversation", "forget it"))
        .about("Jobs of the conversation that are not over go on, without its past.")
        .answers(204, Answer::empty("It is forgotten."))
}

fn of_conversation(operation: Operation) -> Operation {
    operation
        .path("id", "Id of the conversation; the user's for those of `/chat`.", Schema::name())
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let conversation = Schema::object()
        .about("What was said.")
        .field("id", Schema::text())
        .field("messages", Schema::list(Schema::named("Message")).with("maxItems", MESSAGES_MAX))
        .field("updated_at", Schema::moment())
        .field(
            "expires_at",
            Schema::moment().about("When it is forgotten, unless something is said before."),
        );
    let message = Schema::object()
        .about("What one side said.")
        .field("role", Schema::words(["user", "assistant"]))
        .field("text", Schema::text())
        .field("created_at", Schema::moment().nullable())
        .field("job_id", Schema::job_id().nullable().about("The job that it belongs to."));
    vec![("Conversation", conversation), ("Message", message)]
}

//! API keys: who has which, making, changing and ending them. A tenant's administrator sees the tenant's keys, the
//! operator everybody's.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use qd_types::{Code, KeyId, Scope, Scopes, TenantId};
use serde_json::{Value, json as value};

use super::{Name, json};
use crate::access::{Caller, Issued, KeyError, WantedKey};
use crate::body::{self, Fields, kind};
use crate::context::{Context, Shared};
use crate::openapi::{Answer, NO_CONTROLS, Operation, Schema};
use crate::problem::{Problem, shown};
use crate::view::key::{issued_view, key_view};

/// Days that a key is good, unless it is asked for otherwise.
const DAYS_DEFAULT: i64 = 365;
const DAYS_MAX: i64 = 3_650;
/// How long a key that was rotated stays good: a day.
const OVERLAP_DEFAULT: i64 = 86_400;
const OVERLAP_MAX: i64 = 30 * 86_400;
const NAME_CHARS_MAX: usize = 128;
const DAY: Duration = Duration::from_secs(86_400);

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown(id) => Self::not_found("key", id.as_str()),
            KeyError::Over(_) => Self::new(Code::KeyOver, error.to_string()),
            KeyError::Full => Self::new(Code::QuotaExceeded, error.to_string()).retry_after(DAY),
            KeyError::Store(_) => Self::store_unavailable(),
        }
    }
}

/// `GET /v1/keys`.
pub(crate) async fn list(State(context): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let (keys, now) = (context.keys.all(caller.reach()).await?, context.env.now());
    let keys: Vec<Value> = keys.iter().map(|key| key_view(key, now)).collect();
    Ok(json(StatusCode::OK, &value!({ "keys": keys })))
}

/// `GET /v1/keys/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    Name(id): Name,
) -> Result<Response, Problem> {
    let key = context.keys.one(caller.reach(), named(&id)?).await?;
    Ok(json(StatusCode::OK, &key_view(&key, context.env.now())))
}

/// `POST /v1/keys`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(body::json(request, &context).await?)?;
    let name = fields.required_text("name").unwrap_or_default();
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!("must have at most {NAME_CHARS_MAX} characters and no control characters");
        fields.error("/name".to_owned(), message);
    }
    let scopes = scopes(&mut fields);
    let tenant = match fields.text("tenant").map(|name| TenantId::parse(&name)) {
        Some(Ok(tenant)) => tenant,
        Some(Err(wrong)) => {
            fields.error("/tenant".to_owned(), wrong.reason);
            TenantId::default()
        }
        None => caller.tenant.clone(),
    };
    let days = fields.integer("expires_in_days", 1, DAYS_MAX).unwrap_or(DAYS_DEFAULT);
    fields.finish()?;
    if caller.reach().is_some_and(|own| *own != tenant) {
        let detail = "only keys of the tenant `default` may make keys for other tenants";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let lifetime = DAY * u32::try_from(days).unwrap_or(u32::MAX);
    let issued = context.keys.issue(WantedKey { tenant, name, scopes, lifetime }, caller.actor()).await?;
    Ok(made(&issued, &context))
}

/// `POST /v1/keys/{id}/rotate`: a new key like it, which is good at once; the old one for a while longer.
pub(crate) async fn rotate(
    State(context): State<Shared>,
    caller: Caller,
    Name(id): Name,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(body::json(request, &context).await?)?;
    let overlap = fields.integer("overlap_seconds", 0, OVERLAP_MAX).unwrap_or(OVERLAP_DEFAULT);
    fields.finish()?;
    let overlap = Duration::from_secs(u64::try_from(overlap).unwrap_or_default());
    let issued = context.keys.rotate(caller.reach(), named(&id)?, overlap, caller.actor()).await?;
    Ok(made(&issued, &context))
}

/// `DELETE /v1/keys/{id}`. Repeating it is harmless.
pub(crate) async fn revoke(
    State(context): State<Shared>,
    caller: Caller,
    Name(id): Name,
) -> Result<Response, Problem> {
    let key = context.keys.revoke(caller.reach(), named(&id)?, caller.actor()).await?;
    Ok(json(StatusCode::OK, &key_view(&key, context.env.now())))
}

fn scopes(fields: &mut Fields) -> Scopes {
    let words = match fields.take("scopes") {
        Some(Value::Array(words)) if !words.is_empty() => words,
        Some(Value::Array(_)) | None => {
            fields.error("/scopes".to_owned(), "is missing; name what the key may be used for");
            return Scopes::default();
        }
        Some(other) => {
            fields.error("/scopes".to_owned(), format!("must be an array, not {}", kind(&other)));
            return Scopes::default();
        }
    };
    let mut found = Vec::new();
    // More than there are cannot be right.
    for (n, word) in words.iter().enumerate().take(4 * Scope::ALL.len()) {
        match word.as_str().map(str::parse::<Scope>) {
            Some(Ok(scope)) => found.push(scope),
            Some(Err(wrong)) => {
                let word = shown(word.as_str().unwrap_or_default());
                fields.error(format!("/scopes/{n}"), format!("`{word}` {wrong}"));
            }
            None => fields.error(format!("/scopes/{n}"), format!("must be a string, not {}", kind(word))),
        }
    }
    found.into_iter().collect()
}

/// What is no id of a key names none.
fn named(id: &str) -> Result<KeyId, Problem> {
    KeyId::parse(id).ok_or_else(|| Problem::not_found("key", id))
}

fn made(issued: &Issued, context: &Context) -> Response {
    let mut response = json(StatusCode::CREATED, &issued_view(issued, context.env.now()));
    if let Ok(location) = HeaderValue::try_from(format!("/v1/keys/{}", issued.stored.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

pub(crate) fn about_list() -> Operation {
    Operation::new("access", "listKeys", "the API keys, without their secrets")
        .about("Those of the caller's tenant; a key of the tenant `default` sees all. Oldest first.")
        .answers(200, Answer::json("The keys.", "KeyList"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn about_create() -> Operation {
    let examples =
        [("ci", value!({ "name": "ci", "scopes": ["jobs:read", "jobs:write"], "expires_in_days": 90 }))];
    let links = ["readKey", "rotateKey", "revokeKey"];
    let made = Answer::json("The key: the only answer that holds its secret.", "IssuedKey");
    Operation::new("access", "createKey", "make an API key")
        .body("NewKey", &examples)
        .answers(201, made.header("Location").links("id", &links))
        .fails(&[Code::QuotaExceeded])
}

pub(crate) fn about_read() -> Operation {
    of_key(Operation::new("access", "readKey", "an API key, without its secret"))
        .answers(200, Answer::json("The key.", "Key"))
}

pub(crate) fn about_rotate() -> Operation {
    let made = Answer::json("The new key: the only answer that holds its secret.", "IssuedKey");
    of_key(Operation::new("access", "rotateKey", "put a new key in the place of one"))
        .about("The new one is good at once, the old one for `overlap_seconds` longer.")
        .body("KeyRotation", &[("a day", value!({ "overlap_seconds": OVERLAP_DEFAULT }))])
        .answers(201, made.header("Location").links("id", &["readKey", "revokeKey"]))
        .fails(&[Code::KeyOver, Code::QuotaExceeded])
}

pub(crate) fn about_revoke() -> Operation {
    of_key(Operation::new("access", "revokeKey", "end a key's life"))
        .about("At once in this process, within 5 seconds in others. Its event streams end. Repeating it is harmless.")
        .answers(200, Answer::json("The key.", "Key"))
}

fn of_key(operation: Operation) -> Operation {
    operation
        .path("id", "Id of the key: the part after `qd_live_`.", id_schema())
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

fn id_schema() -> Schema {
    Schema::text().pattern("^[0-9A-Za-z]{8}$")
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let name = || Schema::text().chars(1, NAME_CHARS_MAX).pattern(NO_CONTROLS).example("ci");
    let words = || Schema::words(Scope::ALL.iter().map(|scope| scope.as_str()));
    let new = Schema::object()
        .about("Whom a key is for, and what it may be used for.")
        .field("name", name().pattern(r"\S").about("What people call it."))
        .field("scopes", Schema::list(words()).with("minItems", 1))
        .may("tenant", Schema::name().about("Whose it is; the caller's own without."))
        .may("expires_in_days", Schema::whole(1, DAYS_MAX).by_default(DAYS_DEFAULT))
        .closed();
    let rotation = Schema::object()
        .may(
            "overlap_seconds",
            Schema::whole(0, OVERLAP_MAX)
                .about("How long the old key stays good.")
                .by_default(OVERLAP_DEFAULT),
        )
        .closed();
    let of = |schema: Schema| {
        schema
            .field("id", id_schema())
            .field("name", name())
            .field("tenant", Schema::text())
            .field("scopes", Schema::list(words()))
            .field("status", Schema::words(["active", "expired", "revoked"]))
            .field("created_at", Schema::moment())
            .field("expires_at", Schema::moment())
            .field("revoked_at", Schema::moment().nullable())
            .field("replaces", id_schema().nullable().about("The key that it took the place of."))
    };
    let secret = Schema::text().pattern("^qd_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}$");
    let secret =
        secret.about("To be sent as `Authorization: Bearer …`. It is not kept and cannot be read again.");
    let list = Schema::object().field("keys", Schema::list(Schema::named("Key")));
    vec![
        ("NewKey", new),
        ("KeyRotation", rotation),
        ("Key", of(Schema::object())),
        ("IssuedKey", of(Schema::object().field("key", secret))),
        ("KeyList", list),
    ]
}

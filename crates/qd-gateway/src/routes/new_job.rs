//! The body of `POST /v1/jobs`: every field checked, every mistake told at once.

use std::collections::BTreeMap;

use qd_types::{Code, CrewName, Input, Priority, TenantId};
use serde_json::Value;

use super::conversation_field;
use crate::body::{Fields, pointer};
use crate::context::Context;
use crate::openapi::{NO_CONTROLS, Schema};
use crate::options::Options;
use crate::problem::{Problem, shown};
use crate::submit::{self, Submission};

/// Most urgent.
pub(crate) const PRIORITY_MAX: i64 = Priority::LEVELS as i64;
/// Longest running time that may be asked for: a day.
pub(crate) const TIMEOUT_SECONDS_MAX: i64 = 86_400;
/// Most tries of a step that may be asked for.
pub(crate) const MAX_ATTEMPTS_MAX: i64 = 20;
const METADATA_PAIRS_MAX: usize = 16;
const METADATA_CHARS_MAX: usize = 512;

/// Known crews named in an answer; more of them help nobody.
const CREWS_NAMED_MAX: usize = 20;

/// Reads the body of a tenant's request.
pub(crate) async fn read(body: Value, tenant: &TenantId, context: &Context) -> Result<Submission, Problem> {
    let mut fields = Fields::of(body)?;
    let crew_name = fields.required_text("crew");
    let input = fields.object("input").unwrap_or_else(Input::new);
    let priority = fields.integer("priority", 1, PRIORITY_MAX);
    let conversation = conversation_field(&mut fields, "conversation_id", false);
    let timeout_seconds = fields.integer("timeout_seconds", 1, TIMEOUT_SECONDS_MAX);
    let max_attempts = fields.integer("max_attempts", 1, MAX_ATTEMPTS_MAX);
    let metadata = metadata(&mut fields);
    let run_at = fields.moment("run_at");
    let expires_at = fields.moment("expires_at");
    if let Some(end) = expires_at {
        let begin = run_at.unwrap_or_default().max(context.env.now());
        if end <= begin {
            let message = "is over before the job may begin; choose a later moment or leave it out";
            fields.error("/expires_at".to_owned(), message);
        }
    }
    let budget = fields.dollars("budget_usd");
    let webhook_url = webhook_url(&mut fields, context);
    let crew = match crew_name {
        Some(name) => find_crew(&mut fields, &name, tenant, context).await?,
        None => None,
    };
    if let Some(crew) = &crew {
        for error in submit::input_errors(crew, &input) {
            fields.error_as(error.path, error.code, error.message);
        }
    }
    fields.finish()?;
    // Without a crew there was a mistake, which has been told.
    let crew = crew.ok_or_else(|| Problem::new(Code::Internal, "the crew got lost"))?;
    Ok(Submission {
        priority: priority.and_then(|level| Priority::new(level).ok()).unwrap_or_default(),
        conversation,
        run_at,
        expires_at,
        timeout_seconds: timeout_seconds.and_then(|n| u32::try_from(n).ok()),
        max_attempts: max_attempts.and_then(|n| u32::try_from(n).ok()),
        budget,
        metadata,
        webhook_url,
        ..Submission::of(crew, input)
    })
}

/// Who is told of the job's end. What could never be delivered is refused here, where it can be mended.
pub(crate) fn webhook_url(fields: &mut Fields, context: &Context) -> Option<String> {
    const FIELD: &str = "webhook_url";
    let text = fields.text(FIELD)?;
    checked_url(fields, &pointer("", FIELD), &text, context)
}

/// A URL that came with a job, if it may be told of it.
pub(crate) fn checked_url(fields: &mut Fields, path: &str, text: &str, context: &Context) -> Option<String> {
    let Some(bounds) = &context.options.job_webhooks else {
        let message = "this server has no secret to sign webhooks of jobs with; set `delivery.secret` in its \
                       configuration, or leave it out";
        fields.error_as(path.to_owned(), Code::NotSupported, message);
        return None;
    };
    match bounds.check(text) {
        Ok(url) => Some(url.into()),
        Err(refusal) => {
            fields.error(path.to_owned(), refusal.to_string());
            None
        }
    }
}

/// Labels of the caller.
pub(crate) fn metadata(fields: &mut Fields) -> BTreeMap<String, String> {
    let given = fields.object("metadata").unwrap_or_default();
    if given.len() > METADATA_PAIRS_MAX {
        let message = format!("has {} pairs; it takes at most {METADATA_PAIRS_MAX}", given.len());
        fields.error("/metadata".to_owned(), message);
        return BTreeMap::new();
    }
    let mut kept = BTreeMap::new();
    for (key, value) in given {
        let path = pointer("/metadata", &key);
        match value {
            _ if !is_metadata_key(&key) => fields.error(
                path,
                format!("a key takes 1 to {METADATA_CHARS_MAX} characters and no control characters"),
            ),
            Value::String(text) if text.chars().count() <= METADATA_CHARS_MAX => {
                kept.insert(key, text);
            }
            Value::String(_) => {
                fields.error(path, format!("is longer than {METADATA_CHARS_MAX} characters"));
            }
            other => {
                fields.error(path, format!("must be a string, not {}", crate::body::kind(&other)));
            }
        }
    }
    kept
}

fn is_metadata_key(key: &str) -> bool {
    (1..=METADATA_CHARS_MAX).contains(&key.chars().count()) && !key.chars().any(char::is_control)
}

/// The newest version of a published crew.
pub(crate) async fn find_crew(
    fields: &mut Fields,
    name: &str,
    tenant: &TenantId,
    context: &Context,
) -> Result<Option<std::sync::Arc<crate::crews::Published>>, Problem> {
    let found = match CrewName::parse(name) {
        Ok(crew) => match context.crews.newest(tenant, &crew).await {
            Err(crate::crews::CrewBookError::Unusable(why)) => {
                fields.error_as("/crew".to_owned(), Code::InvalidCrew, why.to_string());
                return Ok(None);
            }
            other => other?,
        },
        Err(_) => None,
    };
    if found.is_none() {
        let known = context.store.crews(tenant).await?;
        let names: Vec<&str> = known.iter().map(|crew| crew.name.as_str()).take(CREWS_NAMED_MAX).collect();
        let more = if known.len() > names.len() { ", …" } else { "" };
        let message = match names.as_slice() {
            [] => format!("there is no crew `{}`; none is published yet", shown(name)),
            names => format!("there is no crew `{}`; there are {}{more}", shown(name), names.join(", ")),
        };
        fields.error_as("/crew".to_owned(), Code::UnknownCrew, message);
    }
    Ok(found)
}

/// What the document says of the body.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let options = Options::default();
    let body = Schema::object()
        .about("What to execute, and how.")
        .field("crew", Schema::name().pattern(r"\S").about("Name of a published crew.").example("research"))
        .may("input", Schema::object().about("Values for the crew's variables.").by_default(Value::Object(Input::new())))
        .may("priority", priority_schema())
        .may("conversation_id", Schema::name().about("Whose history the job continues; its jobs run one at a time."))
        .may("run_at", Schema::moment().about("Not before this."))
        .may("expires_at", Schema::moment().about("The job fails if it is not finished by then: after now and `run_at`."))
        .may(
            "timeout_seconds",
            Schema::whole(1, TIMEOUT_SECONDS_MAX)
                .about("Longest running time; queued and waiting time do not count. The server's configuration may set another default.")
                .by_default(options.default_timeout_seconds),
        )
        .may(
            "max_attempts",
            Schema::whole(1, MAX_ATTEMPTS_MAX)
                .about("Most tries of one step. The server's configuration may set another default.")
                .by_default(options.default_max_attempts),
        )
        .may("budget_usd", budget_schema())
        .may("webhook_url", webhook_schema())
        .may("metadata", metadata_schema())
        .closed();
    vec![("NewJob", body)]
}

/// Of every body that has one.
pub(crate) fn budget_schema() -> Schema {
    Schema::text()
        .pattern(r"^[0-9]{1,10}(\.[0-9]{1,9})?$")
        .about("The most that its model calls may cost, in dollars: a call that may cost more than is left is not made. The server's configuration may set a default.")
        .example("0.25")
}

/// Of every body that has one.
pub(crate) fn webhook_schema() -> Schema {
    Schema::text()
        .format("uri")
        .about("Who is told of the job's end, by a signed webhook: http or https, at most 2,048 characters. Public addresses only, unless the configuration allows others; and only where it has a secret to sign with.")
        .example("https://example.com/hooks/jobs")
}

/// Of every body that has one.
pub(crate) fn priority_schema() -> Schema {
    let about = "How urgent: levels share the work 1:2:4:8:16, so that none starves.";
    Schema::whole(1, PRIORITY_MAX).about(about).by_default(Priority::NORMAL.get())
}

/// Of every body that has one.
pub(crate) fn metadata_schema() -> Schema {
    let key = Schema::text().chars(1, METADATA_CHARS_MAX).pattern(NO_CONTROLS);
    Schema::map(Schema::text().with("maxLength", METADATA_CHARS_MAX))
        .with("propertyNames", key.into_value())
        .with("maxProperties", METADATA_PAIRS_MAX)
        .about("Your own labels.")
}

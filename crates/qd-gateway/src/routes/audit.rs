//! The log of privileged acts, and whether it is whole.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use qd_store::{AuditHead, BrokenChain, Chain, Store};
use qd_types::Code;
use serde_json::{Value, json as value};

use super::json;
use crate::body::pointer;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{FieldError, Problem, shown};
use crate::view::key::{act_view, audit_view};

/// Rows of an answer, and read at once.
const PAGE_DEFAULT: u64 = 50;
const PAGE_MAX: u64 = 500;
/// Rows read at once while all are looked through.
const STRIDE: usize = 1_000;

/// `GET /v1/audit`.
pub(crate) async fn list(
    State(context): State<Shared>,
    parameters: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(parameters) = parameters
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let (after, limit) = read(&parameters).map_err(Problem::of_fields)?;
    let rows = context.store.audited(after, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    let acts: Vec<Value> = rows.iter().map(act_view).collect();
    Ok(json(StatusCode::OK, &value!({ "acts": acts })))
}

fn read(parameters: &[(String, String)]) -> Result<(u64, u64), Vec<FieldError>> {
    let (mut after, mut limit) = (0, PAGE_DEFAULT);
    let mut errors = Vec::new();
    for (name, text) in parameters.iter().take(32) {
        let number = text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let message = match (name.as_str(), number) {
            ("after", Some(number)) => {
                after = number;
                continue;
            }
            ("limit", Some(number)) if (1..=PAGE_MAX).contains(&number) => {
                limit = number;
                continue;
            }
            ("after", None) => format!("`{}` is no number of an act", shown(text)),
            ("limit", _) => format!("`{}` is not a whole number between 1 and {PAGE_MAX}", shown(text)),
            _ => "is no parameter of this list; it takes after, limit".to_owned(),
        };
        errors.push(FieldError { path: pointer("", name), code: Code::ValidationFailed, message });
    }
    if errors.is_empty() { Ok((after, limit)) } else { Err(errors) }
}

/// `GET /v1/audit/check`.
pub(crate) async fn check(State(context): State<Shared>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &audit_view(&verify(&context.store).await?)))
}

/// Looks through the whole log: its end, or the first thing that is wrong with it.
///
/// # Errors
/// If the store cannot answer.
pub async fn verify(store: &Store) -> Result<Result<AuditHead, BrokenChain>, qd_store::Error> {
    // Asked for first: what is written meanwhile comes after it.
    let head = store.audit_head().await?;
    let mut chain = Chain::default();
    while chain.head().seq < head.seq {
        let rows = store.audited(chain.head().seq, STRIDE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows.iter().take_while(|row| row.seq <= head.seq) {
            if let Err(broken) = chain.follow(row) {
                return Ok(Err(broken));
            }
        }
        if rows.last().is_some_and(|last| last.seq > head.seq) {
            break;
        }
    }
    // Rows beyond the end that was noted are nobody's, unless they were written since.
    Ok(chain.end_at(head).map(|()| chain.head()))
}

pub(crate) fn about_list() -> Operation {
    Operation::new("access", "listActs", "privileged acts: who did what, and when")
        .about("Keys that were created, rotated or revoked, breakers that were forced. Oldest first; go on with `after`.")
        .query("after", "Only acts after this one.", Schema::count())
        .query("limit", "At most this many.", Schema::whole(1, 500).by_default(PAGE_DEFAULT))
        .answers(200, Answer::json("The acts.", "ActList"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}

pub(crate) fn about_check() -> Operation {
    Operation::new("access", "checkAudit", "whether the log of acts is whole")
        .about(
            "Each act is chained to the one before by a hash: rows that were changed, moved or taken out are found. Keep \
             `head` elsewhere: a log that was written anew as a whole has another one.",
        )
        .answers(200, Answer::json("What was found.", "AuditCheck"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let hash = || Schema::text().pattern("^[0-9a-f]{64}$");
    let act = Schema::object()
        .field("seq", Schema::count())
        .field("at", Schema::moment())
        .field("tenant", Schema::text())
        .field(
            "actor",
            Schema::text()
                .about("`key:ID`, `console` (the command line on the store) or `anyone` (no key needed)."),
        )
        .field("deed", Schema::text().example("key.created"))
        .field("subject", Schema::text().about("What it was done to."))
        .field("detail", Schema::map(Schema::text()))
        .field("hash", hash());
    let check = Schema::object()
        .field("intact", Schema::yes_or_no())
        .field("acts", Schema::count().nullable())
        .field("head", hash().nullable())
        .field("mistake", Schema::text().nullable());
    let list = Schema::object().field("acts", Schema::list(Schema::named("Act")));
    vec![("Act", act), ("ActList", list), ("AuditCheck", check)]
}

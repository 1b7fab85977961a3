//! The log of privileged acts, and whether it is whole.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::{AuditHead, BrokenChain, Chain, Store};
use qd_types::Code;
use serde_json::{Value, json as value};

use super::json;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::view::key::{act_view, audit_view};

/// Rows of an answer, and read at once.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 500;
/// Rows read at once while all are looked through.
const STRIDE: usize = 1_000;

/// `GET /v1/audit`.
pub(crate) async fn list(
    State(context): State<Shared>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let after = parameters.whole("after", 0, u64::MAX).unwrap_or(0);
    let limit = parameters.whole("limit", 1, PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    parameters.finish()?;
    let rows = context.store.audited(after, limit).await?;
    let acts: Vec<Value> = rows.iter().map(act_view).collect();
    Ok(json(StatusCode::OK, &value!({ "acts": acts })))
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

//! Fields of jobs and of what makes jobs or decides about them: batches, schedules, answers, dead letters.

use serde_json::{Value, json};

use super::fields::{Kind, long};
use super::world::Things;
use super::{Case, FAILED, request, try_all};

pub(super) const NOBODY: &str = "018f0000-0000-7000-8000-000000000000";

/// A good body of a route, but for each field in turn everything that does not fit into it.
pub(super) fn spoilt(method: &str, path: &str, good: &Value, fields: &[(&str, Kind)]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (field, kind) in fields {
        for (name, value, code, below) in kind.wrong() {
            let mut body = good.clone();
            body[field] = value;
            let request = request(format!("{field} {name}"), method, path).json(&body);
            cases.push(request.fails(422, code).at(format!("/{field}{below}")));
        }
    }
    cases
}

/// Bodies as they are, with the code and the paths of their mistakes.
pub(super) fn bodies(method: &str, path: &str, list: Vec<(Value, &'static str, &str)>) -> Vec<Case> {
    let case = |(body, code, paths): (Value, _, &str)| {
        let name: String = body.to_string().chars().take(60).collect();
        request(name, method, path).json(&body).fails(422, code).at(paths)
    };
    list.into_iter().map(case).collect()
}

/// A good body with one field more.
pub(super) fn with(good: &Value, field: &str, value: Value) -> Value {
    let mut body = good.clone();
    body[field] = value;
    body
}

const COMMON: [(&str, Kind); 6] = [
    ("crew", Kind::Crew),
    ("priority", Kind::Whole),
    ("timeout_seconds", Kind::Whole),
    ("max_attempts", Kind::Whole),
    ("budget_usd", Kind::Dollars),
    ("metadata", Kind::Labels),
];

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = of_jobs();
    cases.extend(of_batches());
    cases.extend(of_schedules());
    cases.extend(of_answers(things));
    cases.extend(of_dead_letters());
    cases.extend(of_standing(things));
    cases
}

fn of_jobs() -> Vec<Case> {
    let (path, good) = ("/v1/jobs", json!({ "crew": "fixed" }));
    let mut cases = spoilt("POST", path, &good, &COMMON);
    let fields = [
        ("input", Kind::Object),
        ("conversation_id", Kind::Name),
        ("run_at", Kind::Moment),
        ("expires_at", Kind::Moment),
        ("webhook_url", Kind::Url),
    ];
    cases.extend(spoilt("POST", path, &good, &fields));
    let job = |crew: &str, input: Value| json!({ "crew": crew, "input": input });
    let over = "2099-01-01T00:00:00Z";
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/crew"),
            (json!({ "crew": null }), FAILED, "/crew"),
            (json!({ "crew": "solo" }), FAILED, "/input/topic"),
            (job("solo", json!({})), FAILED, "/input/topic"),
            (job("pair", json!({})), FAILED, "/input/left /input/right"),
            (job("pair", json!({ "left": "l", "rigth": "r" })), FAILED, "/input/right /input/rigth"),
            (job("solo", json!({ "topic": "t", "a/b~c": 1 })), FAILED, "/input/a~1b~0c"),
            (job("fixed", json!({ "x": 1 })), FAILED, "/input/x"),
            (with(&good, "metadata", json!({ "a": 1, "b": null })), FAILED, "/metadata/a /metadata/b"),
            (with(&good, "budget", json!(1)), FAILED, "/budget"),
            (with(&good, "status", json!("succeeded")), FAILED, "/status"),
            (with(&good, "crew_version", json!(1)), FAILED, "/crew_version"),
            (with(&good, "delay_seconds", json!(-1)), FAILED, "/delay_seconds"),
            (with(&good, "expires_at", json!("2001-01-01T00:00:00Z")), FAILED, "/expires_at"),
            (with(&good, "expires_at", json!("2016-12-31T23:59:60Z")), FAILED, "/expires_at"),
            (json!({ "crew": "fixed", "run_at": over, "expires_at": over }), FAILED, "/expires_at"),
        ],
    ));
    for (body, hint) in [
        (json!({ "crew": "nobodi" }), "there are assistant, broken, fixed, pair, research, solo"),
        (with(&good, "priority", json!(9)), "between 1 and 5"),
        (with(&good, "run_at", json!("soon")), "RFC 3339"),
        (job("solo", json!({ "topc": 1, "topic": 2 })), "did you mean `topic`?"),
        (with(&good, "priorty", json!(1)), "it takes crew, input, priority"),
        (with(&good, "budget_usd", json!("2,50")), "such as 0.25"),
        (with(&good, "expires_at", json!("2002-01-01T00:00:00Z")), "choose a later moment"),
    ] {
        let code = if body["crew"] == "nobodi" { "unknown_crew" } else { FAILED };
        cases.push(request(hint, "POST", path).json(&body).fails(422, code).says(hint));
    }
    cases
}

fn of_batches() -> Vec<Case> {
    let (path, good) = ("/v1/batches", json!({ "crew": "fixed", "inputs": [{}] }));
    let mut cases = spoilt("POST", path, &good, &COMMON);
    cases.extend(spoilt("POST", path, &good, &[("concurrency", Kind::Whole), ("webhook_url", Kind::Url)]));
    let batch = |inputs: Value| json!({ "crew": "solo", "inputs": inputs });
    let nested = json!([{ "input": { "topic": "t" }, "priority": 9, "metadata": [] }]);
    let row = |more: Value| {
        let mut row = json!({ "input": { "topic": "t" } });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([row])
    };
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/crew /inputs"),
            (json!({ "inputs": [{}] }), FAILED, "/crew"),
            (json!({ "crew": "solo" }), FAILED, "/inputs"),
            (batch(json!({})), FAILED, "/inputs"),
            (batch(json!("all")), FAILED, "/inputs"),
            (batch(json!(3)), FAILED, "/inputs"),
            (batch(json!([])), FAILED, "/inputs"),
            (batch(json!(vec![json!({ "topic": "t" }); 21])), FAILED, "/inputs"),
            (with(&good, "conversation_id", json!("c")), FAILED, "/conversation_id"),
            (with(&good, "run_at", json!("2099-01-01T00:00:00Z")), FAILED, "/run_at"),
            (batch(json!([1, null, "x"])), FAILED, "/inputs/0 /inputs/1 /inputs/2"),
            (batch(json!([[]])), FAILED, "/inputs/0"),
            (batch(json!([{}])), FAILED, "/inputs/0/topic"),
            (batch(json!([{ "wrong": 1 }])), FAILED, "/inputs/0/topic /inputs/0/wrong"),
            (batch(json!([{ "input": {} }])), FAILED, "/inputs/0/input/topic"),
            (batch(nested), FAILED, "/inputs/0/metadata /inputs/0/priority"),
            (batch(row(json!({ "priority": 0 }))), FAILED, "/inputs/0/priority"),
            (batch(row(json!({ "priority": "high" }))), FAILED, "/inputs/0/priority"),
            (batch(row(json!({ "metadata": { "a": 1 } }))), FAILED, "/inputs/0/metadata/a"),
        ],
    ));
    cases
}

fn of_schedules() -> Vec<Case> {
    let mut cases = Vec::new();
    let spec = json!({ "cron": "@daily", "crew": "fixed" });
    let named = with(&spec, "name", json!("weekly"));
    for (method, path, good) in [("POST", "/v1/schedules", &named), ("PUT", "/v1/schedules/weekly", &spec)] {
        cases.extend(spoilt(method, path, good, &COMMON));
        let fields = [
            ("cron", Kind::Cron),
            ("timezone", Kind::Zone),
            ("input", Kind::Object),
            ("conversation_id", Kind::Name),
            ("webhook_url", Kind::Url),
            ("missed", Kind::Word),
            ("paused", Kind::Flag),
        ];
        cases.extend(spoilt(method, path, good, &fields));
        cases.extend(bodies(
            method,
            path,
            vec![
                (with(good, "run_at", json!("2030-01-01T00:00:00Z")), FAILED, "/run_at"),
                (with(good, "every", json!(60)), FAILED, "/every"),
                (with(good, "crew", json!("solo")), FAILED, "/input/topic"),
                (with(good, "cron", json!(long(300))), FAILED, "/cron"),
                (with(good, "timezone", json!(long(300))), FAILED, "/timezone"),
            ],
        ));
        for (cron, hint) in [("0 0 31 2 *", "is never due"), ("* * *", "is no cron expression")] {
            let body = with(good, "cron", json!(cron));
            cases.push(request(hint, method, path).json(&body).fails(422, FAILED).says(hint));
        }
    }
    for name in ["", "a b", "a/b", "ü", "a\u{0}", "a\nb", &long(65)] {
        let body = with(&named, "name", json!(name));
        cases.push(
            request(format!("name {name}"), "POST", "/v1/schedules")
                .json(&body)
                .fails(422, FAILED)
                .at("/name"),
        );
    }
    cases.extend(bodies(
        "POST",
        "/v1/schedules",
        vec![
            (json!({}), FAILED, "/crew /cron /name"),
            (json!({ "name": "n" }), FAILED, "/crew /cron"),
            (with(&named, "name", json!(5)), FAILED, "/name"),
        ],
    ));
    cases.extend(bodies(
        "PUT",
        "/v1/schedules/weekly",
        vec![(json!({}), FAILED, "/crew /cron"), (named, FAILED, "/name")],
    ));
    for name in ["a%20b", "%C3%BC", "a%2Fb", "%00"] {
        let path = format!("/v1/schedules/{name}");
        cases.push(request("name", "PUT", path).json(&spec).fails(422, FAILED).at("/name"));
    }
    let taken =
        request("there already", "POST", "/v1/schedules").json(&with(&spec, "name", json!("nightly")));
    cases.push(taken.fails(409, "already_exists"));
    cases
}

fn of_answers(things: &Things) -> Vec<Case> {
    let path = format!("/v1/jobs/{}/resume", things.waiting);
    let good = json!({ "approve": true });
    let mut cases = spoilt("POST", &path, &good, &[("approve", Kind::Flag)]);
    let long = long(crate::routes::jobs::resume::FEEDBACK_CHARS_MAX + 1);
    cases.extend(bodies(
        "POST",
        &path,
        vec![
            (json!({}), FAILED, "/approve"),
            (json!({ "step": "draft/turn-1/human" }), FAILED, "/approve"),
            (json!({ "approve": false }), FAILED, "/feedback"),
            (json!({ "approve": false, "feedback": "  " }), FAILED, "/feedback"),
            (json!({ "feedback": long }), FAILED, "/feedback"),
            (json!({ "approve": true, "feedback": 7 }), FAILED, "/feedback"),
            (json!({ "approve": true, "feedback": ["a"] }), FAILED, "/feedback"),
            (json!({ "approve": true, "step": ["draft"] }), FAILED, "/step"),
            (json!({ "approve": true, "step": 1 }), FAILED, "/step"),
            (json!({ "approve": true, "verdict": "good" }), FAILED, "/verdict"),
        ],
    ));
    for step in ["draft/turn-9/human", "polish", "", "\u{0}"] {
        let body = json!({ "approve": true, "step": step });
        cases.push(
            request(format!("step {step}"), "POST", path.clone()).json(&body).fails(409, "job_not_waiting"),
        );
    }
    cases
}

fn of_dead_letters() -> Vec<Case> {
    let mut cases = Vec::new();
    for (verb, good) in [("redrive", json!({})), ("discard", json!({ "reason": "old" }))] {
        let path = format!("/v1/dead-letters/{verb}");
        let fields = [
            ("crew", Kind::Name),
            ("task", Kind::Name),
            ("code", Kind::Word),
            ("failed_after", Kind::Moment),
            ("failed_before", Kind::Moment),
            ("limit", Kind::Whole),
            ("dry_run", Kind::Flag),
        ];
        cases.extend(spoilt("POST", &path, &good, &fields));
    }
    cases.extend(spoilt("POST", "/v1/dead-letters/redrive", &json!({}), &[("per_second", Kind::Whole)]));
    cases.extend(bodies(
        "POST",
        "/v1/dead-letters/redrive",
        vec![(json!({ "reason": "x" }), FAILED, "/reason"), (json!({ "jobs": [NOBODY] }), FAILED, "/jobs")],
    ));
    let discard = |more: Value| {
        let mut body = json!({ "reason": "x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    cases.extend(bodies(
        "POST",
        "/v1/dead-letters/discard",
        vec![
            (json!({}), FAILED, "/reason"),
            (json!({ "reason": " " }), FAILED, "/reason"),
            (json!({ "reason": "a\nb" }), FAILED, "/reason"),
            (json!({ "reason": long(501) }), FAILED, "/reason"),
            (json!({ "reason": 7 }), FAILED, "/reason"),
            (discard(json!({ "per_second": 5 })), FAILED, "/per_second"),
            (discard(json!({ "jobs": [] })), FAILED, "/jobs"),
            (discard(json!({ "jobs": "all" })), FAILED, "/jobs"),
            (discard(json!({ "jobs": vec![NOBODY; 1_001] })), FAILED, "/jobs"),
            (discard(json!({ "jobs": ["a"] })), FAILED, "/jobs/0"),
            (discard(json!({ "jobs": [NOBODY, 7] })), FAILED, "/jobs/1"),
            (discard(json!({ "jobs": [NOBODY.replace('-', "")] })), FAILED, "/jobs/0"),
            (discard(json!({ "jobs": [NOBODY], "crew": "a" })), FAILED, "/jobs"),
        ],
    ));
    cases
}

/// What a job does not do as it stands, and inputs that a failed one cannot be run again with.
fn of_standing(things: &Things) -> Vec<Case> {
    let Things { failed, done, waiting, .. } = things;
    let path = format!("/v1/jobs/{failed}/redrive");
    let mut cases = spoilt("POST", &path, &json!({}), &[("input", Kind::Object)]);
    cases.extend(bodies(
        "POST",
        &path,
        vec![
            (json!({ "input": { "topic": "a", "other": 1 } }), FAILED, "/input/other"),
            (json!({ "input": {} }), FAILED, "/input/topic"),
            (json!({ "inputs": {} }), FAILED, "/inputs"),
            (json!({ "priority": 5 }), FAILED, "/priority"),
        ],
    ));
    let approve = json!({ "approve": true });
    for (verb, job, code) in [
        ("redrive", done, "job_not_failed"),
        ("redrive", waiting, "job_not_failed"),
        ("cancel", done, "job_over"),
        ("cancel", failed, "job_over"),
    ] {
        cases.push(request("as it stands", "POST", format!("/v1/jobs/{job}/{verb}")).fails(409, code));
    }
    for job in [done, failed] {
        let resume = request("asks nothing", "POST", format!("/v1/jobs/{job}/resume"));
        cases.push(resume.json(&approve).fails(409, "job_not_waiting"));
    }
    cases
}

#[tokio::test]
async fn fields_of_jobs_and_of_what_makes_them() {
    try_all(cases).await;
}

//! Fields of the APIs that are not our own: chats, tasks, systems, CrewAI's platform, OpenAI's completions.

use serde_json::{Value, json};

use super::fields::{Kind, long};
use super::jobs::{NOBODY, bodies, spoilt, with};
use super::world::Things;
use super::{Case, FAILED, request, try_all};

const URL: &str = "https://receiver.example/hooks";

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = of_chats_and_tasks();
    cases.extend(of_systems());
    cases.extend(of_kickoffs());
    cases.extend(of_answers(things));
    cases.extend(of_completions());
    cases
}

fn of_chats_and_tasks() -> Vec<Case> {
    let chat = json!({ "user_id": "u", "message": "m" });
    let fields = [("user_id", Kind::Name), ("message", Kind::Text), ("priority", Kind::Whole)];
    let mut cases = spoilt("POST", "/chat", &chat, &fields);
    cases.extend(bodies(
        "POST",
        "/chat",
        vec![
            (json!({}), FAILED, "/message /user_id"),
            (json!({ "user_id": "u" }), FAILED, "/message"),
            (json!({ "message": "m" }), FAILED, "/user_id"),
            (with(&chat, "message", json!(null)), FAILED, "/message"),
            (with(&chat, "stream", json!(true)), FAILED, "/stream"),
            (with(&chat, "crew", json!("solo")), FAILED, "/crew"),
        ],
    ));
    let task = json!({ "task": "t" });
    cases.extend(spoilt("POST", "/tasks", &task, &[("task", Kind::Text), ("user_id", Kind::Name)]));
    cases.extend(bodies(
        "POST",
        "/tasks",
        vec![
            (json!({}), FAILED, "/task"),
            (with(&task, "idempotency_key", json!("")), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!(long(256))), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!("a b")), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!("ü")), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!("a\r\nb: c")), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!("a\u{0}")), FAILED, "/idempotency_key"),
            (with(&task, "idempotency_key", json!(1)), FAILED, "/idempotency_key"),
            (with(&task, "priority", json!(1)), FAILED, "/priority"),
        ],
    ));
    cases
}

fn of_systems() -> Vec<Case> {
    let (path, good) = ("/crews/shop/tasks", json!({ "description": "d", "crew_name": "solo" }));
    let fields = [
        ("description", Kind::Text),
        ("crew_name", Kind::Text),
        ("priority", Kind::Word),
        ("timeout", Kind::Whole),
    ];
    let mut cases = spoilt("POST", path, &good, &fields);
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/crew_name /description"),
            (json!({ "priority": "x", "timeout": 0 }), FAILED, "/crew_name /description /priority /timeout"),
            (with(&good, "priority", json!("LOW")), FAILED, "/priority"),
            (with(&good, "priority", json!("urgent")), FAILED, "/priority"),
            (with(&good, "priority", json!(3)), FAILED, "/priority"),
            (with(&good, "user_id", json!("ann")), FAILED, "/user_id"),
        ],
    ));
    for (system, crew, told) in [
        ("press", "solo", "there is no system `press`; there are default, shop"),
        ("%1b", "solo", "there is no system `\\\\u{1b}`; there are default, shop"),
        ("..", "solo", "there is no system `..`"),
        ("SHOP", "solo", "there is no system `SHOP`"),
        ("shop", "nobody", "there is no crew `nobody` in the system `shop`; there are solo, broken"),
        ("shop", "assistant", "there is no crew `assistant` in the system `shop`; there are solo, broken"),
        ("shop", "solo\u{0}", "there is no crew"),
        (
            "default",
            "nobody",
            "there is no crew `nobody` in the system `default`; there are assistant, broken, fixed",
        ),
        ("default", "../solo", "there is no crew `../solo` in the system `default`"),
    ] {
        let body = json!({ "description": "d", "crew_name": crew });
        let request = request(format!("{crew} of {system}"), "POST", format!("/crews/{system}/tasks"));
        cases.push(request.json(&body).fails(404, "not_found").says(told));
    }
    let broken = with(&good, "crew_name", json!("broken"));
    cases.push(request("a broken crew", "POST", path).json(&broken).fails(422, "invalid_crew"));
    for verb in ["scale", "backup"] {
        let path = format!("/crews/shop/{verb}");
        cases.push(request("not built", "POST", path).json(&json!({})).fails(422, "not_supported"));
    }
    cases
}

/// Wrong fields that kickoffs and answers share.
fn hooks(path: &str, good: &Value) -> Vec<Case> {
    let fields = [
        ("stepWebhookUrl", Kind::Url),
        ("taskWebhookUrl", Kind::Url),
        ("crewWebhookUrl", Kind::Url),
        ("meta", Kind::Object),
        ("humanInputWebhook", Kind::Object),
    ];
    let mut cases = spoilt("POST", path, good, &fields);
    let human = |value: Value| with(good, "humanInputWebhook", value);
    let known = |authentication: Value| human(json!({ "url": URL, "authentication": authentication }));
    let place = "/humanInputWebhook/authentication";
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (with(good, "meta", json!({ "a": long(17_000) })), FAILED, "/meta"),
            (human(json!({})), FAILED, "/humanInputWebhook/url"),
            (human(json!({ "url": 7 })), FAILED, "/humanInputWebhook/url"),
            (human(json!({ "url": "http://10.0.0.1/" })), FAILED, "/humanInputWebhook/url"),
            (human(json!({ "url": URL, "realtime": true })), FAILED, "/humanInputWebhook/realtime"),
            (known(json!("bearer")), FAILED, place),
            (known(json!({})), FAILED, place),
            (known(json!({ "strategy": "none", "token": "s3cret" })), FAILED, place),
            (known(json!({ "strategy": "bearer" })), FAILED, place),
            (known(json!({ "strategy": "bearer", "token": "" })), FAILED, place),
            (known(json!({ "strategy": "bearer", "token": "a\r\nb" })), FAILED, place),
            (known(json!({ "strategy": "bearer", "token": long(4_097) })), FAILED, place),
            (known(json!({ "strategy": "basic", "username": "u" })), FAILED, place),
            (known(json!({ "strategy": "basic", "username": "", "password": "p" })), FAILED, place),
            (with(good, "webhooks", json!({ "url": URL, "events": [] })), "not_supported", "/webhooks"),
            (with(good, "webhookUrl", json!(URL)), FAILED, "/webhookUrl"),
        ],
    ));
    cases
}

fn of_kickoffs() -> Vec<Case> {
    let (path, good) = ("/v1/crews/solo/kickoff", json!({ "inputs": { "topic": "t" } }));
    let mut cases = hooks(path, &good);
    let given = |inputs: Value| json!({ "inputs": inputs });
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/inputs/topic"),
            (given(json!({})), FAILED, "/inputs/topic"),
            (given(json!({ "topic": "t", "x": 1 })), FAILED, "/inputs/x"),
            (given(json!(["topic"])), FAILED, "/inputs /inputs/topic"),
            (given(json!("topic")), FAILED, "/inputs /inputs/topic"),
            (with(&good, "input", json!({})), FAILED, "/input"),
        ],
    ));
    cases.push(
        request("a broken crew", "POST", "/v1/crews/broken/kickoff")
            .json(&json!({}))
            .fails(422, "invalid_crew"),
    );
    cases
}

fn of_answers(things: &Things) -> Vec<Case> {
    let path = "/v1/crews/solo/resume";
    let good = json!({ "execution_id": things.waiting, "task_id": "draft", "is_approve": true });
    let mut cases = hooks(path, &good);
    cases.extend(spoilt(
        "POST",
        path,
        &good,
        &[("execution_id", Kind::Text), ("task_id", Kind::Text), ("is_approve", Kind::Flag)],
    ));
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/execution_id /is_approve /task_id"),
            (with(&good, "execution_id", json!(null)), FAILED, "/execution_id"),
            (with(&good, "is_approve", json!(null)), FAILED, "/is_approve"),
            (with(&good, "is_approve", json!(false)), FAILED, "/human_feedback"),
            (with(&good, "human_feedback", json!(7)), FAILED, "/human_feedback"),
            (with(&good, "human_feedback", json!(long(20_001))), FAILED, "/human_feedback"),
            (with(&good, "approved", json!(true)), FAILED, "/approved"),
        ],
    ));
    for id in ["x", NOBODY, "\u{0}"] {
        let body = with(&good, "execution_id", json!(id));
        cases.push(request(format!("execution {id}"), "POST", path).json(&body).fails(404, "not_found"));
    }
    for crew in ["fixed", "nobody"] {
        let elsewhere = request(crew, "POST", format!("/v1/crews/{crew}/resume"));
        cases.push(elsewhere.json(&good).fails(404, "not_found"));
    }
    cases
}

fn of_completions() -> Vec<Case> {
    let path = "/v1/chat/completions";
    let said = |messages: Value| json!({ "model": "assistant", "messages": messages });
    let user = json!({ "role": "user", "content": "m" });
    let good = said(json!([user]));
    let one = |role: &str, content: Value| said(json!([{ "role": role, "content": content }, user]));
    let fields = [
        ("model", Kind::Text),
        ("user", Kind::Name),
        ("stream", Kind::Flag),
        ("stream_options", Kind::Object),
        ("response_format", Kind::Object),
    ];
    let mut cases = spoilt("POST", path, &good, &fields);
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/messages /model"),
            (with(&good, "model", json!("fixed")), FAILED, "/model"),
            (with(&good, "model", json!("pair")), FAILED, "/model"),
            (said(json!([])), FAILED, "/messages"),
            (said(json!("m")), FAILED, "/messages"),
            (said(json!({ "role": "user" })), FAILED, "/messages"),
            (said(json!(vec![user.clone(); 1_001])), FAILED, "/messages"),
            (said(json!(["m"])), FAILED, "/messages/0/role"),
            (said(json!([{ "content": "m" }])), FAILED, "/messages/0/role"),
            (said(json!([{ "role": 1, "content": "m" }])), FAILED, "/messages/0/role"),
            (said(json!([user, { "role": "assistant", "content": "m" }])), FAILED, "/messages/1/role"),
            (said(json!([user, { "role": "system", "content": "m" }])), FAILED, "/messages/1/role"),
            (one("oracle", json!("m")), FAILED, "/messages/0/role"),
            (one("tool", json!("m")), "not_supported", "/messages/0/role"),
            (one("function", json!("m")), "not_supported", "/messages/0/role"),
            (one("user", json!("")), FAILED, "/messages/0/content"),
            (one("user", json!(" \n")), FAILED, "/messages/0/content"),
            (one("user", json!(7)), FAILED, "/messages/0/content"),
            (one("user", json!(null)), FAILED, "/messages/0/content"),
            (one("user", json!({})), FAILED, "/messages/0/content"),
            (one("user", json!([])), FAILED, "/messages/0/content"),
            (one("user", json!(["m"])), "not_supported", "/messages/0/content"),
            (
                one("user", json!([{ "type": "image_url", "image_url": {} }])),
                "not_supported",
                "/messages/0/content",
            ),
            (with(&good, "n", json!(0)), FAILED, "/n"),
            (with(&good, "n", json!(2)), "not_supported", "/n"),
            (with(&good, "n", json!("1")), FAILED, "/n"),
            (with(&good, "tools", json!([])), "not_supported", "/tools"),
            (with(&good, "tool_choice", json!("auto")), "not_supported", "/tool_choice"),
            (with(&good, "functions", json!([])), "not_supported", "/functions"),
            (with(&good, "function_call", json!("auto")), "not_supported", "/function_call"),
            (with(&good, "modalities", json!(["audio"])), "not_supported", "/modalities"),
            (with(&good, "audio", json!({})), "not_supported", "/audio"),
            (with(&good, "prediction", json!({})), "not_supported", "/prediction"),
            (with(&good, "web_search_options", json!({})), "not_supported", "/web_search_options"),
            (
                with(&good, "response_format", json!({ "type": "json_object" })),
                "not_supported",
                "/response_format",
            ),
            (with(&good, "response_format", json!({})), "not_supported", "/response_format"),
        ],
    ));
    cases.extend(of_models(path, &good));
    cases
}

/// Models that are no crews, conversations that are none.
fn of_models(path: &str, good: &Value) -> Vec<Case> {
    let mut cases = Vec::new();
    for model in ["nobody", "crew/", "crew/nobody", "../assistant", "gpt-4", "\u{0}", &long(1_000)] {
        let body = with(good, "model", json!(model));
        cases.push(request(format!("model {model}"), "POST", path).json(&body).fails(404, "not_found"));
    }
    for name in ["", "schlüssel", &long(129)] {
        let request =
            request(format!("conversation {name}"), "POST", path).header("x-quarterdeck-conversation", name);
        cases.push(request.json(good).fails(400, "invalid_request").says("X-Quarterdeck-Conversation"));
    }
    let broken = with(good, "model", json!("broken"));
    cases.push(request("a broken crew", "POST", path).json(&broken).fails(422, "invalid_crew"));
    cases.push(request("a broken crew", "GET", "/v1/models/broken").fails(422, "invalid_crew"));
    cases
}

#[tokio::test]
async fn fields_of_other_apis() {
    try_all(cases).await;
}

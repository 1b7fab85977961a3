//! Crews that are not published: what is no crew file, what a caller's crew may not say, conditions that do not hold.

use super::fields::long;
use super::world::Things;
use super::{Case, FAILED, Request, request, try_all};

const YAML: &str = "application/yaml";
const CODE: &str = "invalid_crew";
const AGENT: &str = "role: R, goal: G, backstory: B";
const TASK: &str = "name: t, description: D, expected_output: O, agent: a";

/// A crew with more in it, in its agent and in its task.
fn crew(more: &str, agent: &str, task: &str) -> String {
    format!("agents:\n  a: {{{AGENT}{agent}}}\ntasks:\n  - {{{TASK}{task}}}\n{more}")
}

fn put(name: &str, path: &str) -> Request {
    request(name, "PUT", format!("/v1/crews/{path}"))
}

pub(super) fn cases(_: &Things) -> Vec<Case> {
    let mut cases = forbidden();
    cases.extend(no_crews());
    cases.extend(conditions());
    let good = crew("", "", "");
    for kind in [
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "application/yaml; charset=latin1",
        "text/html",
    ] {
        cases.push(put(kind, "sly").bytes(kind, good.clone()).fails(415, "unsupported_media_type"));
    }
    let packed = put("gzip", "sly").header("content-encoding", "gzip").bytes(YAML, good.clone());
    cases.push(packed.fails(415, "unsupported_media_type"));
    for body in [&b"a: \xe9"[..], b"\xff\xfea\0:\0", b"a: \xc0\xaf", b"a: \xed\xa0\x80"] {
        cases.push(put("no UTF-8", "sly").bytes(YAML, body).fails(400, "invalid_request"));
    }
    for name in [long(129).as_str(), "%00", "a%0Ab", "%7F"] {
        cases.push(put("no name", name).bytes(YAML, good.clone()).fails(422, FAILED));
    }
    for name in ["with%20space", "..%2Fetc", "%C3%BC", "a%2Fb"] {
        cases.push(put("no name of a crew", name).bytes(YAML, good.clone()).fails(422, CODE));
    }
    cases.push(
        put("of the configuration", "assistant")
            .bytes(YAML, good)
            .fails(409, "crew_configured")
            .says("`assistant`"),
    );
    cases
}

/// What would reach a process, a file, the environment or a secret.
fn forbidden() -> Vec<Case> {
    let keys = [
        ("`prompt_file`", "prompt_file: /etc/passwd", "", ""),
        ("`knowledge_sources`", "knowledge_sources: [/etc/passwd]", "", ""),
        ("`trained_agents_file`", "trained_agents_file: a.pkl", "", ""),
        ("`before_kickoff_callbacks`", "before_kickoff_callbacks: [os.system]", "", ""),
        ("`step_callback`", "step_callback: os.system", "", ""),
        ("`mcps`", "", ", mcps: ['stdio://sh']", ""),
        ("`apps`", "", ", apps: [gmail]", ""),
        ("`allow_code_execution`", "", ", allow_code_execution: true", ""),
        ("`executor_class`", "", ", executor_class: os.system", ""),
        ("`system_template`", "", ", system_template: /etc/passwd", ""),
        ("`config`", "", ", config: /etc/passwd", ""),
        ("`api_key`", "", ", llm: {model: main, api_key: x}", ""),
        ("`base_url`", "", ", llm: {model: main, base_url: 'http://169.254.169.254'}", ""),
        ("`output_file`", "", "", ", output_file: /etc/cron.d/x"),
        ("`input_files`", "", "", ", input_files: {a: /etc/passwd}"),
        ("`callback`", "", "", ", callback: os.system"),
        ("`guardrail`", "", "", ", guardrail: os.system"),
        ("`converter_cls`", "", "", ", converter_cls: os.system"),
    ];
    let case = |(key, more, agent, task)| {
        put(key, "sly").bytes(YAML, crew(more, agent, task)).fails(422, CODE).says(key)
    };
    keys.map(case).into()
}

fn no_crews() -> Vec<Case> {
    let aliases = format!("a: &a [1]\n{}", "b: [*a, *a, *a]\n".repeat(10));
    let laughs: String =
        (1..10).map(|n| format!("l{n}: &l{n} [{}]\n", format!("*l{}, ", n - 1).repeat(9))).collect();
    let laughs = format!("l0: &l0 [lol]\n{laughs}");
    let texts: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("null", "~".to_owned()),
        ("a number", "7".to_owned()),
        ("a text", "hello".to_owned()),
        ("a list", "- 1".to_owned()),
        ("open", "a: [".to_owned()),
        ("a tab", "agents:\n\ta: 1\n".to_owned()),
        ("NUL", "agents: \"\0\"".to_owned()),
        ("two documents", format!("{0}---\n{0}", crew("", "", ""))),
        ("a key twice", crew("agents: {}", "", "")),
        ("a tag of Python", "agents: !!python/object:os.system {}\n".to_owned()),
        ("a tag of its own", "agents: !mine {}\n".to_owned()),
        ("aliases", aliases),
        ("a billion laughs", laughs),
        ("an alias of nothing", "agents: *nothing\n".to_owned()),
        ("deep", format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000))),
        ("no agents", format!("tasks:\n  - {{{TASK}}}\n")),
        ("tasks that are a number", format!("agents:\n  a: {{{AGENT}}}\ntasks: 1\n")),
        ("an agent that is a number", "agents: {a: 1}\ntasks: []\n".to_owned()),
        ("an unknown key", crew("surprise: 1", "", "")),
        ("an unknown model", crew("", ", llm: nowhere/model", "")),
        ("an unknown tool", crew("", ", tools: [hammer]", "")),
        ("an agent of another crew", crew("", "", "").replace("agent: a", "agent: b")),
        ("a context of nothing", crew("", "", ", context: [nothing]")),
        ("a context of itself", crew("", "", ", context: [t]")),
        ("another name", crew("name: other", "", "")),
        ("a process that there is not", crew("process: chaos", "", "")),
        ("a negative bound", crew("", ", max_iter: -1", "")),
        ("JSON that is cut", "{\"agents\": {".to_owned()),
    ];
    let mut cases: Vec<Case> =
        texts.into_iter().map(|(name, text)| put(name, "sly").bytes(YAML, text).fails(422, CODE)).collect();
    let large = crew("", "", "").replace("description: D", &format!("description: {}", long(300_000)));
    cases.push(put("300,000 characters", "sly").bytes(YAML, large).fails(413, "payload_too_large"));
    cases
}

fn conditions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (header, path, status, code) in [
        (("if-match", "*"), "sly", 412, "precondition_failed"),
        (("if-match", "\"v1\""), "sly", 412, "precondition_failed"),
        (("if-none-match", "*"), "fixed", 412, "precondition_failed"),
        (("if-match", "\"v2\""), "fixed", 412, "precondition_failed"),
        (("if-match", "W/\"v1\""), "fixed", 412, "precondition_failed"),
        (("if-match", "\"other\""), "fixed", 412, "precondition_failed"),
        (("if-match", "\"v99999999999\""), "fixed", 412, "precondition_failed"),
        (("if-match", "v1"), "fixed", 400, "invalid_request"),
        (("if-match", ""), "fixed", 400, "invalid_request"),
        (("if-match", "\"v1"), "fixed", 400, "invalid_request"),
        (("if-match", "\"ü\""), "fixed", 400, "invalid_request"),
        (("if-none-match", "\"v1\""), "fixed", 400, "invalid_request"),
        (("if-none-match", "v1"), "fixed", 400, "invalid_request"),
    ] {
        let what = format!("{}: {}", header.0, header.1);
        cases.push(
            put(&what, path).header(header.0, header.1).bytes(YAML, crew("", "", "")).fails(status, code),
        );
    }
    let both = put("both", "fixed").header("if-match", "\"v1\"").header("if-none-match", "*");
    cases.push(both.bytes(YAML, crew("", "", "")).fails(400, "invalid_request"));
    cases
}

#[tokio::test]
async fn crews_that_are_not_published() {
    try_all(cases).await;
}

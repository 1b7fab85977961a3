//! What the tests of the machine stand on: small plans, short entries, and effects written as words.

use std::sync::Arc;

use qd_types::{
    AnsweredBy, Billed, Call, Catalog, ChatReply, ChatRequest, Class, Code, Entry, Failure, Input,
    NanoDollars, Source, StepId, StopReason, ToolCall, ToolResult, ToolSpec, Usage, Verdict,
};
use serde_json::{Value, json};

use crate::{CrewSource, EffectKind, Machine, Plan, Ready, SourceFile, check};

/// Tools `add` (needs the number `a`) and `clock` (no arguments), default model `main`.
pub(crate) fn catalog() -> Catalog {
    let add = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "number"}}});
    let clock = json!({"type": "object", "properties": {}});
    let tool = |name: &str, parameters| {
        (
            name.to_owned(),
            ToolSpec { name: name.to_owned(), description: format!("It is {name}"), parameters },
        )
    };
    Catalog {
        default_model: Some("main".to_owned()),
        model_aliases: ["main".to_owned(), "small".to_owned()].into(),
        providers: ["groq".to_owned()].into(),
        tools: [tool("add", add), tool("clock", clock)].into(),
        ..Catalog::default()
    }
}

pub(crate) fn plan(yaml: &str) -> Arc<Plan> {
    let source = CrewSource::Single(SourceFile::new("x.yaml", yaml));
    let (_, plan, _) = check(&source, &catalog()).unwrap_or_else(|problems| panic!("{problems}"));
    Arc::new(plan)
}

pub(crate) fn input(json: Value) -> Input {
    json.as_object().cloned().expect("inputs are objects")
}

/// One task `t` of an agent with both tools and three turns for them, and no second beginning.
pub(crate) fn with_tools() -> Machine {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [add, clock], max_iter: 3, max_retry_limit: 0}}
tasks: [{name: t, description: D, expected_output: E}]
";
    Machine::new(plan(yaml), Input::new())
}

/// One task `t` without tools and second beginnings.
pub(crate) fn plain() -> Machine {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, max_retry_limit: 0}}
tasks: [{name: t, description: D, expected_output: E}]
";
    Machine::new(plan(yaml), Input::new())
}

pub(crate) fn text_reply(text: &str) -> ChatReply {
    ChatReply {
        text: text.to_owned(),
        tool_calls: Vec::new(),
        stop: StopReason::End,
        model: "m-1".to_owned(),
        response_id: None,
        blocks: None,
    }
}

/// A reply with calls written as `name arguments`.
pub(crate) fn calling(calls: &[&str]) -> ChatReply {
    let tool_calls = calls.iter().enumerate().map(|(index, call)| {
        let (name, arguments) = call.split_once(' ').unwrap_or((call, ""));
        ToolCall { id: format!("c{index}"), name: name.to_owned(), arguments: arguments.to_owned() }
    });
    ChatReply { tool_calls: tool_calls.collect(), stop: StopReason::ToolCalls, ..text_reply("") }
}

pub(crate) fn model(step: &str, reply: ChatReply) -> Entry {
    Entry::Model {
        step: StepId::new(step),
        reply,
        source: Source::Executed,
        usage: Usage::default(),
        cost: NanoDollars(0),
        call: Call::default(),
    }
}

pub(crate) fn says(step: &str, text: &str) -> Entry {
    model(step, text_reply(text))
}

pub(crate) fn calls(step: &str, calls: &[&str]) -> Entry {
    model(step, calling(calls))
}

pub(crate) fn returns(step: &str, content: &str) -> Entry {
    let result = ToolResult { id: "?".into(), name: "?".into(), content: content.into(), is_error: false };
    Entry::Tool { step: StepId::new(step), result, call: Call::default() }
}

pub(crate) fn call_failed(step: &str) -> Entry {
    let failure = Failure::new(Code::ModelTimeout, Class::Transient, "too slow");
    Entry::CallFailed { step: StepId::new(step), failure, billed: Billed::Possibly, call: Call::default() }
}

pub(crate) fn fact(key: &str, value: Value) -> Entry {
    Entry::Fact { key: key.to_owned(), value }
}

fn judged(step: &str, verdict: Verdict) -> Entry {
    Entry::Human { step: StepId::new(step), verdict, by: AnsweredBy::Anyone, waited_ms: 1 }
}

pub(crate) fn approved(step: &str) -> Entry {
    judged(step, Verdict::Approve { remark: None })
}

pub(crate) fn sent_back(step: &str, feedback: &str) -> Entry {
    judged(step, Verdict::Revise { feedback: feedback.to_owned() })
}

/// What is ready in words: steps, `asks: …`, `done: …`, or `fail: …`.
pub(crate) fn words(ready: &Ready) -> String {
    match ready {
        Ready::Run(effects) => {
            let steps: Vec<&str> = effects.iter().map(|effect| effect.step.as_str()).collect();
            steps.join(" ")
        }
        Ready::Wait(question) => format!("asks: {} {}", question.step, question.output),
        Ready::Done(output) => format!("done: {}", output.raw),
        Ready::Fail(failure) => format!("fail: {failure}"),
    }
}

/// The request of the only effect.
pub(crate) fn request(machine: &Machine) -> ChatRequest {
    match machine.ready() {
        Ready::Run(effects) => match effects.as_slice() {
            [effect] => match &effect.kind {
                EffectKind::Model(request) => (**request).clone(),
                EffectKind::Tool(call) => panic!("a model call is ready, not {call:?}"),
            },
            other => panic!("one effect is ready, not {other:?}"),
        },
        other => panic!("a model call is ready, not {other:?}"),
    }
}

//! Decisions of the simulator: determinism, tools, bounds of answers.

use qd_env::Env;
use qd_types::{ChatRequest, Message, StopReason, ToolChoice, ToolResult, ToolSpec};
use serde_json::json;

use super::{Asked, Decision, decide, pieces};
use crate::sim::SimOptions;
use crate::sim::clock::SimClock;
use crate::sim::faults::Faults;

fn request(prompt: &str) -> ChatRequest {
    ChatRequest {
        system: Some("You are Analyst. Careful.".to_owned()),
        ..ChatRequest::new("sim/demo", vec![Message::user(prompt)])
    }
}

fn calculator() -> ToolSpec {
    ToolSpec {
        name: "calculator".to_owned(),
        description: "computes".to_owned(),
        parameters: json!({ "type": "object", "properties": { "expression": { "type": "string" } }, "required": ["expression"] }),
    }
}

fn search() -> ToolSpec {
    ToolSpec {
        name: "web_search".to_owned(),
        description: "finds".to_owned(),
        parameters: json!({ "type": "object", "properties": { "query": { "type": "string" } }, "required": ["query"] }),
    }
}

fn ask(request: &ChatRequest, number: u32) -> Decision {
    let (options, env) = (SimOptions::default(), Env::system());
    let faults = Faults::new(&options, SimClock::new(env.clone()), env);
    let asked =
        Asked { request, model: "demo", step: "t/turn-1/model", number, max_tokens: request.max_tokens };
    decide(&options, &faults, &asked)
}

#[test]
fn the_same_call_gets_the_same_answer_and_another_try_the_same_words() {
    let request = request("Write about tea");
    assert_eq!(ask(&request, 1).reply, ask(&request, 1).reply);
    assert_eq!(ask(&request, 1).reply, ask(&request, 2).reply);
}

#[test]
fn offered_tools_are_called_once_and_then_quoted() {
    let mut request = request("What is 12 * 7? Say it about tea");
    request.tools = vec![search(), calculator()];
    request.messages[0] = Message::User { text: "Use the calculator: 12 * 7".to_owned() };
    let calls = ask(&request, 1).reply.tool_calls;
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].name.as_str(), calls[0].arguments.as_str()),
        ("calculator", r#"{"expression":"12 * 7"}"#)
    );

    let result = ToolResult {
        id: calls[0].id.clone(),
        name: "calculator".to_owned(),
        content: "84".to_owned(),
        is_error: false,
    };
    request.messages.push(Message::Assistant { text: String::new(), tool_calls: calls, blocks: None });
    request.messages.push(Message::Tool { results: vec![result] });
    let last = ask(&request, 1).reply;
    assert!(last.tool_calls.is_empty() && last.text.contains("`calculator` answered: 84"), "{}", last.text);
    assert_eq!(last.stop, StopReason::End);
}

#[test]
fn several_named_tools_are_called_in_parallel_with_ids_of_their_own() {
    let mut request = request("Use web search and the calculator");
    request.tools = vec![search(), calculator()];
    let reply = ask(&request, 1).reply;
    assert_eq!(reply.stop, StopReason::ToolCalls);
    let names: Vec<&str> = reply.tool_calls.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["web_search", "calculator"]);
    assert_ne!(reply.tool_calls[0].id, reply.tool_calls[1].id);
}

#[test]
fn no_tool_is_called_when_none_may_be() {
    let mut request = request("Use the calculator [[sim: tool=calculator times=5]]");
    request.tools = vec![calculator()];
    request.tool_choice = ToolChoice::None;
    assert!(ask(&request, 1).reply.tool_calls.is_empty());
}

#[test]
fn a_wish_names_a_tool_that_may_not_exist_and_how_many_turns_call_it() {
    let mut request = request("Go [[sim: tool=nonsense times=2]]");
    request.tools = vec![calculator()];
    for turn in 0..3 {
        let reply = ask(&request, 1).reply;
        assert_eq!(reply.tool_calls.len(), usize::from(turn < 2), "turn {turn}");
        request.messages.push(Message::Tool { results: Vec::new() });
    }
}

#[test]
fn token_bounds_and_stop_texts_cut_the_answer() {
    let mut bounded = request("Say [[sim: answer=äöü one two three END four]]");
    bounded.stop = vec!["END".to_owned()];
    let reply = ask(&bounded, 1).reply;
    assert_eq!((reply.text.as_str(), reply.stop), ("äöü one two three ", StopReason::StopText));
    bounded.max_tokens = Some(1);
    let reply = ask(&bounded, 1).reply;
    assert_eq!((reply.text.as_str(), reply.stop), ("ä", StopReason::Length));
}

#[test]
fn markers_do_not_travel_into_the_answer() {
    let decision = ask(&request("Write about [[sim: latency=1s]] green tea"), 1);
    assert!(!decision.reply.text.contains("[["), "{}", decision.reply.text);
    assert!(decision.reply.text.contains("reen tea"), "{}", decision.reply.text);
}

#[test]
fn pieces_add_up_to_the_text() {
    for text in ["", "a", " a  b\n\nc ", "ä ö"] {
        assert_eq!(pieces(text).concat(), text);
    }
}

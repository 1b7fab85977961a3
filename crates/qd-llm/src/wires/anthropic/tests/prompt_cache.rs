//! Which prompts are marked, and where.

use qd_types::{ChatRequest, Message, ProviderBlocks, ToolSpec};
use serde_json::json;

use super::{body, endpoint, request, user};
use crate::wires::anthropic::Anthropic;
use crate::wires::wire::{Endpoint, Wire};

/// Tools, system and one message, each of a size.
fn long_request(tool: usize, system: usize, messages: Vec<Message>) -> ChatRequest {
    let mut long = request(messages);
    long.system = (system > 0).then(|| "s".repeat(system));
    if tool > 0 {
        let (name, description) = ("add".to_owned(), "t".repeat(tool));
        long.tools = vec![ToolSpec { name, description, parameters: json!({ "type": "object" }) }];
    }
    long
}

fn turn(text: &str) -> Message {
    Message::Assistant { text: text.to_owned(), tool_calls: Vec::new(), blocks: None }
}

#[test]
fn long_prompts_that_go_on_are_marked_at_the_end_of_tools_and_system_and_of_the_last_message() {
    let mark = json!({ "type": "ephemeral" });
    let with_system = body(&long_request(2_000, 2_000, vec![user("hi")]), false);
    assert_eq!(with_system["system"][0]["cache_control"], mark);
    assert_eq!(with_system["system"][0]["text"], "s".repeat(2_000));
    assert_eq!(with_system["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(with_system.to_string().matches("cache_control").count(), 2);
    let without = body(&long_request(4_000, 0, vec![user("hi")]), false);
    assert_eq!(without["tools"][0]["cache_control"], mark);
    assert_eq!(without.to_string().matches("cache_control").count(), 2);
    let talk = body(&long_request(0, 4_000, vec![user("a"), turn("b"), user("c"), user("d")]), false);
    assert_eq!(
        talk["messages"][2]["content"][1],
        json!({ "type": "text", "text": "d", "cache_control": mark })
    );
    assert_eq!(talk.to_string().matches("cache_control").count(), 2);
}

#[test]
fn prompts_that_are_short_or_asked_once_or_switched_off_are_not_marked() {
    let long = long_request(4_000, 4_000, vec![user("hi")]);
    let off = Endpoint { prompt_cache: false, ..endpoint(false) };
    let bodies = [
        Anthropic.encode(&long, &off).body,
        Anthropic.encode(&long_request(0, 9_000, vec![user("hi")]), &endpoint(false)).body,
        Anthropic.encode(&long_request(1_000, 1_000, vec![user("hi")]), &endpoint(false)).body,
    ];
    for body in bodies {
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains("cache_control"), "{text}");
    }
}

#[test]
fn a_last_block_of_thinking_stays_as_it_came() {
    let thinking = json!([{ "type": "thinking", "thinking": "hm", "signature": "x" }]);
    let blocks = ProviderBlocks { wire: "anthropic".to_owned(), content: thinking.clone() };
    let last = Message::Assistant { text: String::new(), tool_calls: Vec::new(), blocks: Some(blocks) };
    let body = body(&long_request(0, 4_000, vec![user("a"), last]), false);
    assert_eq!(body["messages"][1]["content"], thinking);
    assert!(body["system"][0]["cache_control"].is_object());
}

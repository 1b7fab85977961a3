//! Anthropic's wire against bodies in the documented format.

mod prompt_cache;

use http::HeaderMap;
use qd_types::{
    Billed, ChatRequest, Code, Message, ProviderBlocks, StopReason, ToolCall, ToolChoice, ToolResult,
    ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::Anthropic;
use crate::wires::wire::{Decoded, Endpoint, Wire};
use crate::wires::{Progress, SseParser};
use crate::{CallError, Secret};

fn endpoint(stream: bool) -> Endpoint {
    Endpoint {
        base_url: "https://api.anthropic.com".to_owned(),
        api_key: Some(Secret::new("sk-ant-1")),
        model: "claude-sonnet-4-5".to_owned(),
        stream,
        max_tokens: None,
        temperature: None,
        top_p: None,
        prompt_cache: true,
    }
}

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest::new("anthropic/claude-sonnet-4-5", messages)
}

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

fn body(request: &ChatRequest, stream: bool) -> Value {
    serde_json::from_slice(&Anthropic.encode(request, &endpoint(stream)).body).unwrap()
}

#[test]
fn a_plain_request_says_what_is_required_and_no_more() {
    let parts = Anthropic.encode(&request(vec![user("hi")]), &endpoint(false));
    assert_eq!(parts.url, "https://api.anthropic.com/v1/messages");
    assert_eq!(parts.headers["x-api-key"], "sk-ant-1");
    assert!(parts.headers["x-api-key"].is_sensitive());
    assert_eq!(parts.headers["anthropic-version"], "2023-06-01");
    assert_eq!(
        serde_json::from_slice::<Value>(&parts.body).unwrap(),
        json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": 1024,
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }]
        })
    );
    let proxy = Endpoint { base_url: "http://proxy/v1/".to_owned(), ..endpoint(false) };
    assert_eq!(Anthropic.encode(&request(vec![user("hi")]), &proxy).url, "http://proxy/v1/messages");
}

#[test]
fn a_full_request_alternates_roles_and_carries_tools_and_results() {
    let mut full = request(vec![
        user("add"),
        Message::Assistant {
            text: "I will. ".to_owned(),
            tool_calls: vec![call("call.1", "add", r#"{"a":1}"#), call("b", "add", "not json")],
            blocks: None,
        },
        Message::Tool {
            results: vec![
                ToolResult {
                    id: "call.1".to_owned(),
                    name: "add".to_owned(),
                    content: "2".to_owned(),
                    is_error: false,
                },
                ToolResult {
                    id: "b".to_owned(),
                    name: "add".to_owned(),
                    content: "bad".to_owned(),
                    is_error: true,
                },
            ],
        },
        user("and now?"),
    ]);
    full.system = Some("be brief".to_owned());
    full.max_tokens = Some(50);
    full.temperature = Some(0.5);
    full.top_p = Some(0.9);
    full.stop = vec!["END".to_owned(), "\n".to_owned()];
    full.tools = vec![ToolSpec {
        name: "add".to_owned(),
        description: "adds".to_owned(),
        parameters: json!({ "type": "object" }),
    }];
    assert_eq!(
        body(&full, true),
        json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": 50,
            "system": "be brief",
            "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "add" }] },
                { "role": "assistant", "content": [
                    { "type": "text", "text": "I will." },
                    { "type": "tool_use", "id": "call_1", "name": "add", "input": { "a": 1 } },
                    { "type": "tool_use", "id": "b", "name": "add", "input": { "invalid_arguments": "not json" } }
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "call_1", "content": "2" },
                    { "type": "tool_result", "tool_use_id": "b", "content": "bad", "is_error": true },
                    { "type": "text", "text": "and now?" }
                ] }
            ],
            "tools": [{ "name": "add", "description": "adds", "input_schema": { "type": "object" } }],
            "tool_choice": { "type": "auto" },
            "temperature": 0.5,
            "top_p": 0.9,
            "stop_sequences": ["END"],
            "stream": true
        })
    );
    full.tool_choice = ToolChoice::None;
    assert_eq!(body(&full, true)["tool_choice"], json!({ "type": "none" }));
    full.tools.clear();
    let declared = body(&full, true);
    assert_eq!(declared["tools"], json!([{ "name": "add", "input_schema": { "type": "object" } }]));
    assert_eq!(declared["tool_choice"], json!({ "type": "none" }));
}

#[test]
fn own_blocks_go_back_verbatim_and_those_of_others_do_not() {
    let thinking = json!([{ "type": "thinking", "thinking": "hm", "signature": "c2ln" }, { "type": "text", "text": "a" }]);
    let with = |wire: &str| {
        let blocks = Some(ProviderBlocks { wire: wire.to_owned(), content: thinking.clone() });
        let message = Message::Assistant { text: "a".to_owned(), tool_calls: Vec::new(), blocks };
        body(&request(vec![user("x"), message, user("y")]), false)["messages"][1]["content"].clone()
    };
    assert_eq!(with("anthropic"), thinking);
    assert_eq!(with("openai"), json!([{ "type": "text", "text": "a" }]));
}

#[test]
fn a_conversation_starts_with_the_user_and_skips_what_is_empty() {
    let silent = Message::Assistant { text: "  ".to_owned(), tool_calls: Vec::new(), blocks: None };
    let spoken = Message::Assistant { text: "hello".to_owned(), tool_calls: Vec::new(), blocks: None };
    let roles = |messages| {
        let body = body(&request(messages), false);
        body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["role"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(roles(vec![spoken, user("x")]), ["user", "assistant", "user"]);
    assert_eq!(roles(vec![user("x"), silent, user("y")]), ["user"]);
}

const ANSWER: &str = r#"{
  "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
  "content": [
    {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCgIYAhIM"},
    {"type": "text", "text": "Grüße – "},
    {"type": "text", "text": "done."},
    {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": {"city": "Brest", "days": 2}},
    {"type": "tool_use", "id": "toolu_01B", "name": "clock", "input": {}}
  ],
  "stop_reason": "tool_use", "stop_sequence": null,
  "usage": {"input_tokens": 472, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 30}, "output_tokens": 89, "service_tier": "standard",
            "output_tokens_details": {"thinking_tokens": 12}}
}"#;

const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5-20250929","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,"output_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" – "}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"done."}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: invented_later
data: {"type":"invented_later","index":99}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_01A","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Br"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"est\",\"days\":2}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_01B","name":"clock","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89,"output_tokens_details":{"thinking_tokens":12}}}

event: message_stop
data: {"type":"message_stop"}

"#;

/// The reply of a stream and what was said on the way.
fn stream(bytes: &[u8]) -> Result<(Decoded, String), CallError> {
    let (mut parser, mut events, mut said) = (SseParser::default(), Vec::new(), String::new());
    parser.push(bytes, &mut events).unwrap();
    let mut decoder = Anthropic.stream();
    for event in &events {
        if decoder.event(event, &mut said)? == Progress::Done {
            break;
        }
    }
    Ok((decoder.finish()?, said))
}

#[test]
fn an_answer_is_read_whole() {
    let Decoded { reply, usage } = Anthropic.decode(200, &HeaderMap::new(), ANSWER.as_bytes()).unwrap();
    assert_eq!(reply.text, "Grüße – done.");
    assert_eq!(
        reply.tool_calls,
        [call("toolu_01A", "get_weather", r#"{"city":"Brest","days":2}"#), call("toolu_01B", "clock", "{}")]
    );
    assert_eq!((reply.stop, reply.model.as_str()), (StopReason::ToolCalls, "claude-sonnet-4-5-20250929"));
    assert_eq!(reply.response_id.as_deref(), Some("msg_01XFDUDYJgAACzvnptvVoYEL"));
    let blocks = reply.blocks.unwrap();
    assert_eq!(blocks.wire, "anthropic");
    assert_eq!(blocks.content[0]["signature"], "EqQBCgIYAhIM");
    let expected = Usage {
        model_calls: 1,
        input_tokens: 472,
        cache_read_tokens: 100,
        cache_write_tokens: 30,
        output_tokens: 89,
        reasoning_tokens: 12,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
}

#[test]
fn a_stream_gives_the_same_reply_as_an_answer_in_one_piece() {
    let whole = Anthropic.decode(200, &HeaderMap::new(), ANSWER.as_bytes()).unwrap();
    let (streamed, said) = stream(STREAM.as_bytes()).unwrap();
    assert_eq!(streamed, whole);
    assert_eq!(said, whole.reply.text);
}

#[test]
fn a_stream_cut_anywhere_is_interrupted_or_whole() {
    let (whole, _) = stream(STREAM.as_bytes()).unwrap();
    let mut wholes = 0;
    for cut in 0..STREAM.len() {
        match stream(&STREAM.as_bytes()[..cut]) {
            Ok((decoded, _)) => {
                assert_eq!(decoded, whole, "cut at {cut}");
                wholes += 1;
            }
            Err(error) => {
                assert_eq!(
                    (error.code, error.billed),
                    (Code::ModelStreamInterrupted, Billed::Possibly),
                    "cut at {cut}"
                );
            }
        }
    }
    // Only the end marker may be missing.
    assert!(wholes < 60, "{wholes}");
}

#[test]
fn blocks_are_kept_only_where_they_say_more() {
    let plain = r#"{"id":"m","type":"message","model":"c","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let reply = Anthropic.decode(200, &HeaderMap::new(), plain.as_bytes()).unwrap().reply;
    assert_eq!((reply.blocks, reply.stop), (None, StopReason::End));
    for (reason, stop) in [
        ("max_tokens", StopReason::Length),
        ("model_context_window_exceeded", StopReason::Length),
        ("stop_sequence", StopReason::StopText),
        ("pause_turn", StopReason::End),
        ("invented_later", StopReason::End),
    ] {
        let body = plain.replace("end_turn", reason);
        assert_eq!(
            Anthropic.decode(200, &HeaderMap::new(), body.as_bytes()).unwrap().reply.stop,
            stop,
            "{reason}"
        );
    }
}

#[test]
fn usage_that_cannot_be_is_dropped_and_contradictions_are_clamped() {
    let with = |usage: &str| {
        let body = format!(
            r#"{{"id":"m","model":"c","content":[{{"type":"text","text":"hi"}}],"stop_reason":"end_turn","usage":{usage}}}"#
        );
        Anthropic.decode(200, &HeaderMap::new(), body.as_bytes()).unwrap().usage
    };
    for impossible in [
        r#"{"input_tokens":-1,"output_tokens":5}"#,
        r#"{"input_tokens":5,"output_tokens":99999999999999}"#,
        r#"{"input_tokens":5,"output_tokens":5,"cache_read_input_tokens":"x"}"#,
        "null",
    ] {
        let usage = with(impossible);
        assert_eq!((usage.total_tokens(), usage.model_calls), (0, 1), "{impossible}");
    }
    let by_age = with(
        r#"{"input_tokens":5,"output_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens_details":{"thinking_tokens":900}}"#,
    );
    assert_eq!((by_age.cache_write_tokens, by_age.reasoning_tokens), (7, 5));
}

#[test]
fn input_that_is_no_json_is_handed_on_as_it_is() {
    // The crew's machine tells the model what is wrong with it.
    let text = STREAM.replace(r#"est\",\"days\":2}"#, "est");
    assert_ne!(text, STREAM);
    let calls = stream(text.as_bytes()).unwrap().0.reply.tool_calls;
    assert_eq!(calls[0].arguments, r#"{"city":"Brest"#);
    assert_eq!(calls[1].arguments, "{}");
    for (input, arguments) in [(r#""{\"a\":1}""#, r#"{"a":1}"#), ("null", "{}"), ("[1]", "[1]")] {
        let body = format!(
            r#"{{"id":"m","content":[{{"type":"tool_use","id":"t","name":"a","input":{input}}}],"stop_reason":"tool_use"}}"#
        );
        let reply = Anthropic.decode(200, &HeaderMap::new(), body.as_bytes()).unwrap().reply;
        assert_eq!(reply.tool_calls, [call("t", "a", arguments)], "{input}");
    }
}

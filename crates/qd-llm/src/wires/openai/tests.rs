//! OpenAI's wire against bodies in the documented formats, its own and those of the many who imitate it.

mod dialects;

use http::HeaderMap;
use qd_types::{
    Billed, ChatRequest, Code, Message, StopReason, ToolCall, ToolChoice, ToolResult, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::OpenAi;
use crate::wires::wire::{Decoded, Endpoint, Wire};
use crate::wires::{Progress, SseParser};
use crate::{CallError, Secret};

fn endpoint(base_url: &str, stream: bool) -> Endpoint {
    Endpoint {
        base_url: base_url.to_owned(),
        api_key: Some(Secret::new("sk-1")),
        model: "gpt-4.1-mini".to_owned(),
        stream,
        max_tokens: Some(300),
        temperature: Some(0.2),
        top_p: None,
        prompt_cache: true,
    }
}

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest::new("openai/gpt-4.1-mini", messages)
}

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

fn body(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    serde_json::from_slice(&OpenAi.encode(request, endpoint).body).unwrap()
}

#[test]
fn a_plain_request_takes_the_models_defaults() {
    let local = endpoint("http://localhost:8000/v1/", false);
    let parts = OpenAi.encode(&request(vec![user("hi")]), &local);
    assert_eq!(parts.url, "http://localhost:8000/v1/chat/completions");
    assert_eq!(parts.headers["authorization"], "Bearer sk-1");
    assert!(parts.headers["authorization"].is_sensitive());
    assert_eq!(
        serde_json::from_slice::<Value>(&parts.body).unwrap(),
        json!({
            "model": "gpt-4.1-mini",
            "messages": [{ "role": "user", "content": "hi" }],
            "max_tokens": 300,
            "temperature": 0.2
        })
    );
    let keyless = Endpoint { api_key: None, ..local };
    assert!(!OpenAi.encode(&request(vec![user("hi")]), &keyless).headers.contains_key("authorization"));
}

#[test]
fn a_full_request_carries_tools_and_results() {
    let mut full = request(vec![
        user("add"),
        Message::Assistant {
            text: String::new(),
            tool_calls: vec![call("c1", "add", "{\"a\":1}")],
            blocks: None,
        },
        Message::Tool {
            results: vec![ToolResult {
                id: "c1".to_owned(),
                name: "add".to_owned(),
                content: "2".to_owned(),
                is_error: true,
            }],
        },
        Message::Assistant { text: "two".to_owned(), tool_calls: Vec::new(), blocks: None },
    ]);
    full.system = Some("be brief".to_owned());
    full.max_tokens = Some(50);
    full.temperature = Some(1.5);
    full.top_p = Some(0.9);
    full.seed = Some(7);
    full.stop = vec!["END".to_owned()];
    full.tools = vec![ToolSpec {
        name: "add".to_owned(),
        description: "adds".to_owned(),
        parameters: json!({ "type": "object" }),
    }];
    full.tool_choice = ToolChoice::None;
    assert_eq!(
        body(&full, &endpoint("https://api.openai.com/v1", true)),
        json!({
            "model": "gpt-4.1-mini",
            "messages": [
                { "role": "system", "content": "be brief" },
                { "role": "user", "content": "add" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "add", "arguments": "{\"a\":1}" } }
                ] },
                { "role": "tool", "tool_call_id": "c1", "content": "2" },
                { "role": "assistant", "content": "two" }
            ],
            "tools": [{ "type": "function", "function": { "name": "add", "description": "adds", "parameters": { "type": "object" } } }],
            "tool_choice": "none",
            "max_completion_tokens": 50,
            "temperature": 1.5,
            "top_p": 0.9,
            "stop": ["END"],
            "seed": 7,
            "stream": true,
            "stream_options": { "include_usage": true }
        })
    );
}

const ANSWER: &str = r#"{
  "id": "chatcmpl-B9MBs8C", "object": "chat.completion", "created": 1741569952, "model": "gpt-4.1-mini-2025-04-14",
  "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
    "role": "assistant", "content": "Grüße – done.", "refusal": null, "annotations": [],
    "tool_calls": [
      {"id": "call_A", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Brest\"}"}},
      {"id": "call_B", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    ]}}],
  "usage": {"prompt_tokens": 190, "completion_tokens": 30, "total_tokens": 220,
            "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 10}},
  "service_tier": "default"
}"#;

/// Chunks of the same answer.
fn stream_text() -> String {
    let head = r#""id":"chatcmpl-B9MBs8C","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4.1-mini-2025-04-14","usage":null"#;
    let deltas = [
        r#"{"role":"assistant","content":"","refusal":null}"#,
        r#"{"content":"Grüße"}"#,
        r#"{"content":" – done."}"#,
        r#"{"tool_calls":[{"index":0,"id":"call_A","type":"function","function":{"name":"get_weather","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Brest\"}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"call_B","type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    ];
    let mut text = ": OPENROUTER PROCESSING\n\n".to_owned();
    for delta in deltas {
        text += &format!(
            "data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
        );
    }
    text += &format!(
        "data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"tool_calls\"}}]}}\n\n"
    );
    text += r#"data: {"id":"chatcmpl-B9MBs8C","model":"gpt-4.1-mini-2025-04-14","choices":[],"usage":{"prompt_tokens":190,"completion_tokens":30,"total_tokens":220,"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":10}}}"#;
    text + "\n\ndata: [DONE]\n\n"
}

/// The reply of a stream and what was said on the way.
fn stream(bytes: &[u8]) -> Result<(Decoded, String), CallError> {
    let (mut parser, mut events, mut said) = (SseParser::default(), Vec::new(), String::new());
    parser.push(bytes, &mut events).unwrap();
    let mut decoder = OpenAi.stream();
    for event in &events {
        if decoder.event(event, &mut said)? == Progress::Done {
            break;
        }
    }
    Ok((decoder.finish()?, said))
}

fn whole(body: &str) -> Decoded {
    OpenAi.decode(200, &HeaderMap::new(), body.as_bytes()).unwrap()
}

#[test]
fn an_answer_is_read_whole() {
    let Decoded { reply, usage } = whole(ANSWER);
    assert_eq!(reply.text, "Grüße – done.");
    assert_eq!(
        reply.tool_calls,
        [call("call_A", "get_weather", r#"{"city":"Brest"}"#), call("call_B", "clock", "{}")]
    );
    assert_eq!((reply.stop, reply.model.as_str()), (StopReason::ToolCalls, "gpt-4.1-mini-2025-04-14"));
    assert_eq!((reply.response_id.as_deref(), reply.blocks), (Some("chatcmpl-B9MBs8C"), None));
    let expected = Usage {
        model_calls: 1,
        input_tokens: 62,
        cache_read_tokens: 128,
        output_tokens: 30,
        reasoning_tokens: 10,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
}

#[test]
fn a_stream_gives_the_same_reply_as_an_answer_in_one_piece() {
    let (streamed, said) = stream(stream_text().as_bytes()).unwrap();
    assert_eq!(streamed, whole(ANSWER));
    assert_eq!(said, streamed.reply.text);
}

#[test]
fn a_stream_cut_anywhere_is_interrupted_or_whole() {
    let text = stream_text();
    let expected = whole(ANSWER).reply;
    let finish = text.find("\"finish_reason\":\"tool_calls\"").unwrap();
    for cut in 0..text.len() {
        match stream(&text.as_bytes()[..cut]) {
            // The usage may be missing, never a part of the reply.
            Ok((decoded, _)) => {
                assert_eq!(decoded.reply, expected, "cut at {cut}");
                assert!(cut > finish, "cut at {cut}");
            }
            Err(error) => {
                assert_eq!(
                    (error.code, error.billed),
                    (Code::ModelStreamInterrupted, Billed::Possibly),
                    "cut at {cut}"
                );
                assert!(cut < finish + 40, "cut at {cut}");
            }
        }
    }
}

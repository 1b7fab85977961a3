//! What servers that speak OpenAI's protocol do differently, and that nothing is lost by it.

use qd_types::{Message, StopReason};
use serde_json::json;

use super::{body, call, endpoint, request, stream, user, whole};

fn chunks(all: &[&str]) -> String {
    all.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

#[test]
fn calls_without_ids_get_the_same_made_up_ones_again() {
    let body = r#"{"id":"r1","choices":[{"finish_reason":"stop","message":{"content":null,"tool_calls":[
        {"type":"function","function":{"name":"a","arguments":{"x":1}}},
        {"id":"","type":"function","function":{"name":"a","arguments":{"x":1}}}]}}]}"#;
    let calls = whole(body).reply.tool_calls;
    assert_eq!(calls, whole(body).reply.tool_calls);
    assert_eq!(calls[0].arguments, r#"{"x":1}"#);
    assert!(calls[0].id.starts_with("call_") && calls[0].id != calls[1].id, "{calls:?}");
    assert_eq!(whole(body).reply.stop, StopReason::ToolCalls);
}

#[test]
fn calls_that_all_claim_to_be_the_first_are_told_apart() {
    let piece = |id: &str, name: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"{name}","arguments":"{{}}"}}}}]}}}}]}}"#
        )
    };
    let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    let text = chunks(&[&piece("1", "a"), &piece("2", "b"), end]);
    assert_eq!(
        stream(text.as_bytes()).unwrap().0.reply.tool_calls,
        [call("1", "a", "{}"), call("2", "b", "{}")]
    );
}

#[test]
fn calls_without_numbers_are_told_apart_by_name() {
    let text = chunks(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"a","arguments":"{\"x\""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":":1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"b","arguments":""}}]},"finish_reason":"stop"}]}"#,
    ]);
    let calls = stream(text.as_bytes()).unwrap().0.reply.tool_calls;
    let read: Vec<_> = calls.iter().map(|c| (c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(read, [("a", r#"{"x":1}"#), ("b", "{}")]);
}

#[test]
fn reasoning_and_signatures_go_back_as_they_came() {
    let text = chunks(&[
        r#"{"choices":[{"delta":{"role":"assistant","reasoning_details":[{"text":"a"}],"reasoning":"I "}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"text":"b"}],"reasoning":"think"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"a","arguments":"{}"},"extra_content":{"google":{"thought_signature":"sig"}}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    let reply = stream(text.as_bytes()).unwrap().0.reply;
    let message = Message::Assistant { text: reply.text, tool_calls: reply.tool_calls, blocks: reply.blocks };
    let sent = body(&request(vec![user("x"), message]), &endpoint("http://x/v1", false));
    assert_eq!(
        sent["messages"][1],
        json!({
            "role": "assistant",
            "content": "",
            "tool_calls": [{
                "id": "1", "type": "function", "function": { "name": "a", "arguments": "{}" },
                "extra_content": { "google": { "thought_signature": "sig" } }
            }],
            "reasoning_details": [{ "text": "a" }, { "text": "b" }],
            "reasoning": "I think"
        })
    );
}

#[test]
fn usage_is_found_wherever_it_stands() {
    let with = |usage: &str| {
        whole(&format!(
            r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        ))
        .usage
    };
    let deepseek =
        with(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":8}"#);
    assert_eq!((deepseek.input_tokens, deepseek.cache_read_tokens), (2, 8));
    let gemini = with(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#);
    assert_eq!((gemini.output_tokens, gemini.reasoning_tokens), (30, 25));
    let writes = with(
        r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":4}}"#,
    );
    assert_eq!((writes.input_tokens, writes.cache_read_tokens, writes.cache_write_tokens), (3, 3, 4));
    assert_eq!(with("null").total_tokens(), 0);

    let groq = chunks(&[
        r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":7,"completion_tokens":2}}}"#,
        "[DONE]",
    ]);
    let usage = stream(groq.as_bytes()).unwrap().0.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (7, 2));
}

#[test]
fn content_in_parts_is_text_and_the_parts_are_kept() {
    let reply = whole(
        r#"{"choices":[{"finish_reason":"stop","message":{"content":[
            {"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]}}]}"#,
    )
    .reply;
    assert_eq!(reply.text, "yes");
    assert_eq!(reply.blocks.unwrap().content["content"][0]["type"], "thinking");
}

#[test]
fn words_for_the_end_differ() {
    for (reason, stop) in [
        ("\"stop\"", StopReason::End),
        ("\"length\"", StopReason::Length),
        ("\"MAX_TOKENS\"", StopReason::Length),
        ("\"eos\"", StopReason::End),
        ("\"tool_calls\"", StopReason::End),
        ("null", StopReason::End),
    ] {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":{reason}}}]}}"#);
        assert_eq!(whole(&body).reply.stop, stop, "{reason}");
    }
}

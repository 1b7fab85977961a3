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
fn usage_that_cannot_be_is_dropped_and_contradictions_are_clamped() {
    let with = |usage: &str| {
        whole(&format!(
            r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        ))
        .usage
    };
    for impossible in [
        r#"{"prompt_tokens":-5,"completion_tokens":5}"#,
        r#"{"prompt_tokens":5,"completion_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":1e300,"completion_tokens":5}"#,
        r#"{"prompt_tokens":5,"completion_tokens":2.5}"#,
        r#"{"prompt_tokens":"many","completion_tokens":5}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5,"total_tokens":99999999999}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":-1}}"#,
        r#"{"prompt_tokens":[5],"completion_tokens":{}}"#,
        "5",
        "[]",
    ] {
        let usage = with(impossible);
        assert_eq!(
            (usage.total_tokens(), usage.reasoning_tokens, usage.model_calls),
            (0, 0, 1),
            "{impossible}"
        );
    }
    let written = with(r#"{"prompt_tokens":"12","completion_tokens":3.0,"prompt_tokens_details":null}"#);
    assert_eq!((written.input_tokens, written.output_tokens), (12, 3));
    let cached = with(
        r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":7}}"#,
    );
    assert_eq!((cached.input_tokens, cached.cache_read_tokens, cached.cache_write_tokens), (0, 10, 0));
    let reasoned = with(
        r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":900}}"#,
    );
    assert_eq!((reasoned.output_tokens, reasoned.reasoning_tokens), (5, 5));
    let total = with(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":3}"#);
    assert_eq!((total.input_tokens, total.output_tokens, total.reasoning_tokens), (10, 5, 0));
}

#[test]
fn reasoning_is_no_text_wherever_it_stands() {
    for message in [
        r#"{"content":"yes","reasoning_content":"hm"}"#,
        r#"{"content":"yes","reasoning":"hm"}"#,
        r#"{"content":[{"type":"reasoning","text":"hm"},{"type":"text","text":"yes"}]}"#,
        r#"{"content":[{"type":"output_text","text":"yes"}],"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#,
    ] {
        let reply =
            whole(&format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#)).reply;
        assert_eq!(reply.text, "yes", "{message}");
        assert!(reply.blocks.unwrap().content.to_string().contains("hm"), "{message}");
    }
    let text = chunks(&[
        r#"{"choices":[{"delta":{"reasoning_content":"h"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"m"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"yes"}]},"finish_reason":"stop"}]}"#,
    ]);
    let (decoded, said) = stream(text.as_bytes()).unwrap();
    assert_eq!((decoded.reply.text.as_str(), said.as_str()), ("yes", "yes"));
    assert_eq!(decoded.reply.blocks.unwrap().content["reasoning_content"], "hm");
}

#[test]
fn arguments_that_are_no_json_are_handed_on_as_they_are() {
    // The crew's machine tells the model what is wrong with them.
    for (arguments, handed) in [
        (r#""{\"city\": \"Bre""#, r#"{"city": "Bre"#),
        (r#""city=Brest""#, "city=Brest"),
        (r#"{"city":"Brest"}"#, r#"{"city":"Brest"}"#),
        (r#""""#, "{}"),
        (r#""null""#, "{}"),
        ("null", "{}"),
    ] {
        let function = format!(r#"{{"name":"a","arguments":{arguments}}}"#);
        let body = format!(
            r#"{{"choices":[{{"finish_reason":"tool_calls","message":{{"tool_calls":[{{"id":"1","function":{function}}}]}}}}]}}"#
        );
        assert_eq!(whole(&body).reply.tool_calls, [call("1", "a", handed)], "{arguments}");
        let text = chunks(&[
            &format!(
                r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"id":"1","function":{function}}}]}}}}]}}"#
            ),
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        ]);
        assert_eq!(
            stream(text.as_bytes()).unwrap().0.reply.tool_calls,
            [call("1", "a", handed)],
            "{arguments}"
        );
    }
}

#[test]
fn calls_of_one_number_and_without_ids_are_told_apart_by_name_and_by_what_is_whole() {
    let piece = |name: &str, arguments: &str| {
        let call = json!({ "index": 0, "id": "", "function": { "name": name, "arguments": arguments } });
        json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }).to_string()
    };
    let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    for (pieces, expected) in [
        (vec![("a", "{}"), ("b", "{}")], vec![("a", "{}"), ("b", "{}")]),
        (vec![("a", r#"{"x":1}"#), ("a", r#"{"x":2}"#)], vec![("a", r#"{"x":1}"#), ("a", r#"{"x":2}"#)]),
        // A server that repeats the name with every piece, and ends with an empty one.
        (vec![("a", r#"{"x""#), ("a", ":1}"), ("a", "")], vec![("a", r#"{"x":1}"#)]),
        (vec![("a", ""), ("", r#"{"x":1}"#)], vec![("a", r#"{"x":1}"#)]),
    ] {
        let mut all: Vec<String> = pieces.iter().map(|(name, arguments)| piece(name, arguments)).collect();
        all.push(end.to_owned());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let calls = stream(chunks(&all).as_bytes()).unwrap().0.reply.tool_calls;
        let read: Vec<_> = calls.iter().map(|c| (c.name.as_str(), c.arguments.as_str())).collect();
        assert_eq!(read, expected);
    }
}

#[test]
fn a_single_call_may_stand_bare_and_a_whole_message_in_a_stream() {
    let bare = r#"{"choices":[{"finish_reason":"tool_calls","message":{"tool_calls":{"id":"1","function":{"name":"a","arguments":{}}}}}]}"#;
    assert_eq!(whole(bare).reply.tool_calls, [call("1", "a", "{}")]);
    let text = chunks(&[
        r#"{"choices":[{"delta":{"tool_calls":{"index":0,"id":"1","function":{"name":"a","arguments":"{}"}}}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    ]);
    assert_eq!(stream(text.as_bytes()).unwrap().0.reply.tool_calls, [call("1", "a", "{}")]);
    let unstreamed =
        r#"{"id":"c","choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}"#;
    let (decoded, said) = stream(chunks(&[unstreamed, "[DONE]"]).as_bytes()).unwrap();
    assert_eq!((decoded.reply.text.as_str(), said.as_str()), ("whole", "whole"));
}

#[test]
fn words_for_the_end_differ() {
    for (reason, stop) in [
        ("{\"type\":\"length\",\"length\":9}", StopReason::Length),
        ("\"model_length\"", StopReason::Length),
        ("\"\"", StopReason::End),
        ("7", StopReason::End),
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

//! What is told of tools in words, and what is read from what models write.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use qd_types::{
    ChatReply, ChatRequest, Class, Message, NanoDollars, StepId, StopReason, ToolCall, ToolChoice,
    ToolResult, Usage,
};
use serde_json::json;

use super::{TextTools, in_text, read};
use crate::error::Kind;
use crate::options::ToolsBy;
use crate::{Answer, CallError, CallScope, ChatModel, SeenLimits};

fn reply(text: &str) -> ChatReply {
    ChatReply {
        text: text.to_owned(),
        tool_calls: Vec::new(),
        stop: StopReason::End,
        model: "m".to_owned(),
        response_id: None,
        blocks: None,
    }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

#[test]
fn texts_are_read_as_calls_or_answers() {
    let sum = r#"{"expression":"1 + 1"}"#;
    for (name, text, expected) in [
        (
            "a call",
            "Thought: add\nAction: calculator\nAction Input: {\"expression\": \"1 + 1\"}",
            Ok(("calculator", sum)),
        ),
        ("in Markdown", "**Thought:** add\n**Action:** `calculator`\n", Ok(("calculator", "{}"))),
        (
            "decorated",
            "- Action: `calculator`\n- Action Input: ```json\n{\"expression\": \"1 + 1\"}\n```",
            Ok(("calculator", sum)),
        ),
        (
            "words after the object",
            "Action: calculator\nAction Input: {\"expression\": \"1 + 1\"} and then",
            Ok(("calculator", sum)),
        ),
        ("no input", "Action: current_time", Ok(("current_time", "{}"))),
        ("input that is no object", "Action: calculator\nAction Input: 1 + 1", Ok(("calculator", "1 + 1"))),
        (
            "an observation made up",
            "Action: calculator\nAction Input: {\"expression\": \"1 + 1\"}\nObservation: 3\nFinal Answer: 3",
            Ok(("calculator", sum)),
        ),
        (
            "a call before an answer",
            "Action: calculator\nAction Input: {\"expression\":\"1 + 1\"}\nFinal Answer: 2",
            Ok(("calculator", sum)),
        ),
        ("an answer before a call", "Final Answer: use this\nAction: run", Err("use this\nAction: run")),
        ("an answer", "Thought: I know\nFinal Answer: two\nlines", Err("two\nlines")),
        ("neither", "It is two.", Err("It is two.")),
        ("a word in the middle of a line", "My next Action: none", Err("My next Action: none")),
        ("nothing", "", Err("")),
    ] {
        let found = read(reply(text), 0);
        match expected {
            Ok((tool, arguments)) => {
                assert_eq!(found.tool_calls, [call("text_1", tool, arguments)], "{name}");
                assert_eq!(found.stop, StopReason::ToolCalls, "{name}");
            }
            Err(answer) => assert_eq!((found.text.as_str(), found.tool_calls.len()), (answer, 0), "{name}"),
        }
    }
}

fn request(tool_choice: ToolChoice) -> ChatRequest {
    let body = json!({ "model": "m", "system": "You are exact.", "messages": [],
        "tools": [{ "name": "calculator", "description": "Computes.", "parameters": { "type": "object" } }],
        "tool_choice": tool_choice, "max_tokens": null, "temperature": null, "top_p": null, "stop": [], "seed": null });
    let mut request: ChatRequest = serde_json::from_value(body).unwrap();
    let result =
        ToolResult { id: "text_1".into(), name: "calculator".into(), content: "2".into(), is_error: false };
    request.messages = vec![
        Message::User { text: "What is 1 + 1?".into() },
        Message::Assistant {
            text: "I add.".into(),
            tool_calls: vec![call("text_1", "calculator", "{}")],
            blocks: None,
        },
        Message::Tool { results: vec![result] },
    ];
    request
}

#[test]
fn requests_tell_of_tools_calls_and_results_in_words() {
    let told = in_text(&request(ToolChoice::Auto));
    let system = told.system.unwrap();
    assert!(system.starts_with("You are exact.\n\n") && system.contains("Tool: calculator"), "{system}");
    assert!(system.contains(r#"Arguments, as JSON Schema: {"type":"object"}"#), "{system}");
    assert_eq!((told.tools.len(), told.stop), (0, vec!["\nObservation:".to_owned()]));
    assert_eq!(
        told.messages[1..],
        [
            Message::Assistant {
                text: "I add.\nAction: calculator\nAction Input: {}".into(),
                tool_calls: Vec::new(),
                blocks: None
            },
            Message::User { text: "Observation: 2".into() },
        ]
    );
    let last = in_text(&request(ToolChoice::None)).messages.pop().unwrap();
    assert!(matches!(last, Message::User { text } if text.starts_with("Use no tool any more.")));
}

/// A model without tools: refuses requests with some and else writes a call.
#[derive(Default)]
struct Plain {
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatModel for Plain {
    async fn call(&self, request: &ChatRequest, _: &CallScope) -> Result<Answer, CallError> {
        self.asked.lock().unwrap().push(request.clone());
        if !request.tools.is_empty() {
            return Err(CallError::new(Kind::InvalidRequest, "registry/tiny:1b does not support tools"));
        }
        let reply = reply("Action: calculator\nAction Input: {}");
        let (usage, limits) = (Usage::default(), SeenLimits::default());
        Ok(Answer { reply, usage, cost: NanoDollars::default(), limits, deployment: None })
    }
}

#[tokio::test]
async fn a_model_that_takes_no_tools_is_told_in_words_from_its_next_try_on() {
    let inner = Arc::new(Plain::default());
    let model = TextTools { inner: inner.clone(), by: ToolsBy::Auto, has_none: Arc::default() };
    let scope = CallScope::of_step(StepId::new("t/turn-1/model"));
    let refused = model.call(&request(ToolChoice::Auto), &scope).await.unwrap_err();
    assert_eq!(refused.class, Class::Transient, "{refused}");
    let answer = model.call(&request(ToolChoice::Auto), &scope).await.unwrap();
    assert_eq!(answer.reply.tool_calls, [call("text_2", "calculator", "{}")]);
    assert!(inner.asked.lock().unwrap()[1].tools.is_empty());
    // Whoever says `native` means it.
    let native = TextTools { inner, by: ToolsBy::Native, has_none: Arc::default() };
    for _ in 0..2 {
        assert_eq!(
            native.call(&request(ToolChoice::Auto), &scope).await.unwrap_err().class,
            Class::Permanent
        );
    }
}

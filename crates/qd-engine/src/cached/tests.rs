//! What a key is made of.

use qd_types::{ChatRequest, Message, ToolChoice, ToolSpec};

use super::key;

fn request() -> ChatRequest {
    ChatRequest {
        model: "main".into(),
        system: Some("Be brief.".into()),
        messages: vec![Message::User { text: "What is 6 * 7?".into() }],
        tools: vec![tool("calculator")],
        tool_choice: ToolChoice::Auto,
        max_tokens: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.5),
        stop: vec!["END".into()],
        seed: Some(7),
    }
}

fn tool(name: &str) -> ToolSpec {
    serde_json::from_value(serde_json::json!({ "name": name, "description": "d", "parameters": {} })).unwrap()
}

#[test]
fn whatever_decides_an_answer_changes_the_key_and_the_name_of_the_model_does_not() {
    let known = key("sim/standard", &request());
    let changes: [fn(&mut ChatRequest); 12] = [
        |r| r.system = None,
        |r| r.system = Some("Be long.".into()),
        |r| r.messages[0] = Message::User { text: "What is 6 * 8?".into() },
        |r| r.messages.push(Message::User { text: "Well?".into() }),
        |r| r.tools = vec![tool("clock")],
        |r| r.tools.clear(),
        |r| r.tool_choice = ToolChoice::None,
        |r| r.max_tokens = None,
        |r| r.temperature = Some(0.6),
        |r| r.top_p = None,
        |r| r.stop = vec!["STOP".into()],
        |r| r.seed = Some(8),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = request();
        change(&mut other);
        assert_ne!(key("sim/standard", &other), known, "change {index}");
    }
    assert_ne!(key("sim/small", &request()), known);
    let same = ChatRequest { model: "sim/standard".into(), ..request() };
    assert_eq!(key("sim/standard", &same), known);
}

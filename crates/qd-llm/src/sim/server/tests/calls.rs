//! Calls that go well.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qd_types::{Message, StopReason, ToolChoice, ToolResult};

use super::{Bench, WAYS, ask, model_of, request, tool, until};
use crate::sim::{Distribution, LatencyOptions, SimOptions};
use crate::{CallScope, DeltaSink, ProviderKind, ProviderOptions};

#[derive(Default)]
struct Heard(Mutex<Vec<(u64, String)>>);

impl DeltaSink for Heard {
    fn push(&self, offset: u64, text: &str) {
        self.0.lock().unwrap().push((offset, text.to_owned()));
    }
}

#[tokio::test]
async fn every_way_gives_the_same_answer_as_the_simulator_in_the_process() {
    let bench = Bench::start().await;
    let inside = model_of(ProviderOptions::new(ProviderKind::Sim));
    let scope = bench.scope();
    let expected = ask(&inside, "Write about the tides", &scope).await.unwrap();
    for (kind, stream) in WAYS {
        let model = bench.model(kind, |p| p.stream = stream);
        let answer = ask(&model, "Write about the tides", &scope).await.unwrap();
        assert_eq!(answer.reply.text, expected.reply.text, "{kind:?} {stream}");
        assert_eq!(answer.reply.stop, StopReason::End);
        assert_eq!(answer.reply.model, "demo");
        assert_eq!(answer.usage.output_tokens, expected.usage.output_tokens);
        assert_eq!(answer.usage.input_tokens, expected.usage.input_tokens);
        assert_eq!(answer.usage.model_calls, 1);
        assert_eq!(answer.usage.unpriced_calls, 1, "nobody knows the price of an unknown address");
        assert!(answer.kept_headers.iter().any(|(n, v)| n.contains("requests-remaining") && v == "3999"
            || n.contains("remaining-requests") && v == "9999"));
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_simulator_over_http_has_the_price_of_one_in_the_process() {
    let bench = Bench::start().await;
    let answer = ask(&bench.model(ProviderKind::Sim, |_| {}), "Go", &bench.scope()).await.unwrap();
    assert_eq!(answer.usage.unpriced_calls, 0);
    assert!(answer.cost.0 > 0);
    bench.stop().await;
}

#[tokio::test]
async fn streamed_pieces_arrive_while_the_answer_is_written() {
    let latency = LatencyOptions {
        first_token: Distribution::None,
        per_token: Distribution::Fixed { ms: 5.0 },
        ..LatencyOptions::default()
    };
    let bench = Bench::with(SimOptions { latency, ..SimOptions::default() }).await;
    for kind in [ProviderKind::Anthropic, ProviderKind::Openai] {
        let heard = Arc::new(Heard::default());
        let scope = CallScope { deltas: Some(heard.clone()), ..bench.scope() };
        let answer = ask(&bench.model(kind, |_| {}), "Write about the tides", &scope).await.unwrap();
        let pieces = std::mem::take(&mut *heard.0.lock().unwrap());
        assert!(pieces.len() > 5, "{kind:?}: {} pieces", pieces.len());
        let mut text = String::new();
        for (offset, piece) in pieces {
            assert_eq!(offset, text.len() as u64);
            text.push_str(&piece);
        }
        assert_eq!(text, answer.reply.text);
    }
    bench.stop().await;
}

#[tokio::test]
async fn tools_go_there_and_back_on_every_way() {
    let bench = Bench::start().await;
    for (kind, stream) in WAYS {
        let model = bench.model(kind, |p| p.stream = stream);
        let mut request = request("Use calculator and clock: 6 * 7");
        request.tools = vec![tool("calculator"), tool("clock")];
        let first = model.call(&request, &bench.scope()).await.unwrap().reply;
        assert_eq!(first.stop, StopReason::ToolCalls, "{kind:?} {stream}");
        let names: Vec<&str> = first.tool_calls.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["calculator", "clock"]);
        assert_eq!(first.tool_calls[0].arguments, r#"{"expression":"6 * 7"}"#);

        let results = first.tool_calls.iter().map(|call| ToolResult {
            id: call.id.clone(),
            name: call.name.clone(),
            content: format!("result of {}", call.name),
            is_error: call.name == "clock",
        });
        let results = results.collect();
        request.messages.push(Message::Assistant {
            text: first.text,
            tool_calls: first.tool_calls,
            blocks: None,
        });
        request.messages.push(Message::Tool { results });
        for choice in [ToolChoice::Auto, ToolChoice::None] {
            request.tool_choice = choice;
            let last = model.call(&request, &bench.scope()).await.unwrap().reply;
            assert!(last.tool_calls.is_empty());
            assert!(last.text.contains("`calculator` answered: result of calculator"), "{}", last.text);
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn the_ledger_knows_each_call_by_its_header() {
    let bench = Bench::start().await;
    let model = bench.model(ProviderKind::Openai, |_| {});
    let scope = bench.scope();
    ask(&model, "Go", &scope).await.unwrap();
    ask(&model, "Go [[sim: fault=500]]", &CallScope { number: 2, ..scope.clone() }).await.unwrap_err();
    ask(&model, "Go", &CallScope { number: 3, ..scope.clone() }).await.unwrap();
    until("all calls are over", || bench.sim.ledger().page().in_flight == 0).await;
    let page = bench.sim.ledger().page();
    assert_eq!((page.totals.started, page.totals.answered, page.totals.faulted), (3, 2, 1));
    assert_eq!(page.answered_twice, ["-/task-0/turn-1/model"]);

    let url = format!("{}/ledger", bench.url);
    let shown = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["calls"]["-/task-0/turn-1/model/2"]["faulted"], 1);
    assert_eq!(shown["answered_twice"][0], "-/task-0/turn-1/model");
    let cleared = reqwest::Client::new().delete(&url).send().await.unwrap();
    assert_eq!(cleared.status(), 200);
    assert_eq!(bench.sim.ledger().page().totals.started, 0);
    bench.stop().await;
}

#[tokio::test]
async fn calls_without_trace_header_carry_no_id() {
    let bench = Bench::start().await;
    let model = bench.model(ProviderKind::Anthropic, |p| p.trace_header = false);
    ask(&model, "Go", &bench.scope()).await.unwrap();
    let page = bench.sim.ledger().page();
    assert_eq!((page.totals.started, page.calls.len()), (1, 0));
    bench.stop().await;
}

#[tokio::test]
async fn a_script_counts_the_tries_of_a_step_over_http() {
    let bench = Bench::start().await;
    for kind in [ProviderKind::Anthropic, ProviderKind::Openai] {
        let model = bench.model(kind, |_| {});
        let scope = bench.scope();
        let prompt = "Go [[sim: fault=429 retry_after=2s times=2]]";
        for number in 1..=3 {
            match ask(&model, prompt, &CallScope { number, ..scope.clone() }).await {
                Err(error) => {
                    assert!(number <= 2);
                    assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
                    assert_eq!(error.request_id.as_deref(), Some("req_sim"));
                }
                Ok(_) => assert_eq!(number, 3),
            }
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn hundreds_of_slow_calls_run_side_by_side() {
    let latency =
        LatencyOptions { first_token: Distribution::Fixed { ms: 1000.0 }, ..LatencyOptions::default() };
    let bench = Bench::with(SimOptions { latency, ..SimOptions::default() }).await;
    let model = bench.model(ProviderKind::Openai, |_| {});
    let calls = (0..512).map(|_| {
        let (model, scope) = (model.clone(), bench.scope());
        async move { ask(&model, "Go", &scope).await.map(|answer| answer.reply.text) }
    });
    let start = tokio::time::Instant::now();
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|a| a.is_err()));
    // One after the other they would take 512 s; a busy machine takes its time all the same.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let page = bench.sim.ledger().page();
    assert_eq!(page.totals.answered, 512);
    assert!(page.max_in_flight > 256, "{}", page.max_in_flight);
    bench.stop().await;
}

#[tokio::test]
async fn other_routes_and_wrong_requests_are_refused_in_the_words_of_the_wire() {
    let bench = Bench::start().await;
    crate::install_crypto_provider();
    let client = reqwest::Client::new();
    let post = async |path: &str, body: &'static str| {
        let answer = client.post(format!("{}{path}", bench.url)).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<serde_json::Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let (status, body) = post("/v1/messages", "{}").await;
    assert_eq!((status, body["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    assert_eq!(body["error"]["message"], "max_tokens: field required");
    let (status, body) = post("/v1/chat/completions", "nonsense").await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().unwrap().starts_with("could not parse the json body"));
    assert_eq!(post("/v2/other", "{}").await.0, 404);
    assert_eq!(post("/ledger", "{}").await.0, 405);
    let models = reqwest::get(format!("{}/v1/models", bench.url)).await.unwrap();
    assert_eq!(models.status(), 200);
    bench.stop().await;
}

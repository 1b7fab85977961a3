//! Tools that may be called once, as the journal has them after a crash.

use std::sync::Arc;
use std::time::Duration;

use qd_store::{Answer, Answered, Leases, Record, Store};
use qd_types::{
    AgentId, AnsweredBy, Call, Catalog, ChatReply, Code, Entry, Job, JobId, JobStatus, LogItem, NanoDollars,
    Progress, Source, StepId, StopReason, TaskId, TenantId, ToolCall, ToolSpec, Usage, Verdict, WorkerId,
};

use super::{CREW, Env, Plans, accept, catalog, entries, env, finished, job, models, publish, quick, until};
use crate::Engine;

const LEASE: Duration = Duration::from_secs(30);

fn step() -> StepId {
    StepId::tool(&TaskId::new("work"), 1, 0)
}

fn call(target: &str) -> Call {
    Call { agent: Some(AgentId::new("clerk")), target: target.into(), number: 1, ..Call::default() }
}

/// What a worker wrote that died in the middle of a call which may happen once.
fn announced(tool: &str) -> Vec<LogItem> {
    let asked =
        ToolCall { id: "call-1".into(), name: tool.into(), arguments: r#"{"expression":"6 * 7"}"#.into() };
    let model = Entry::Model {
        step: StepId::model(&TaskId::new("work"), 1),
        reply: ChatReply {
            text: String::new(),
            tool_calls: vec![asked],
            stop: StopReason::ToolCalls,
            model: "sim".into(),
            response_id: None,
            blocks: None,
        },
        source: Source::Executed,
        usage: Usage { model_calls: 1, ..Usage::default() },
        cost: NanoDollars(0),
        call: call("sim/standard"),
    };
    let intent = Entry::Intent { step: step(), call: call(tool) };
    [model, intent].map(|entry| LogItem::Entry { entry: Box::new(entry) }).into()
}

async fn die_in_the_call(store: &Store, id: JobId, tool: &str) {
    let claimed = store.claim(&WorkerId::new("dead"), 1).await.unwrap().remove(0);
    assert_eq!(claimed.job.id, id);
    let (fence, progress) = (claimed.lease.fence, Progress::default());
    store.record(Record { job: id, fence, items: announced(tool), progress }).await.unwrap().unwrap();
    tokio::time::advance(LEASE + Duration::from_secs(1)).await;
    store.tick(10).await.unwrap();
}

/// The same crew may use one more tool, which this process's engine has not.
fn catalog_with(env: &Env, tool: &str) -> Arc<Catalog> {
    let mut catalog = Catalog::clone(&catalog(env));
    let spec = catalog.tools["calculator"].clone();
    catalog.tools.entry(tool.to_owned()).or_insert(ToolSpec { name: tool.to_owned(), ..spec });
    Arc::new(catalog)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_go_on_says_which_call_is_in_doubt() {
    let env = env();
    let options = qd_store::Options { leases: Leases::For(LEASE), ..qd_store::Options::default() };
    let store = qd_store::open(&options, &env).unwrap();
    publish(&store, &catalog_with(&env, "abacus"), &CREW.replace("[calculator", "[abacus")).await;
    let id = accept(&store, job(&env, "sums", "question", "what is 6 * 7?")).await;
    die_in_the_call(&store, id, "abacus").await;
    // The process after it does not have the tool, and so not the crew.
    let plans = Plans::new(store.clone(), catalog(&env));
    let engine = Engine::start(quick(), store.clone(), models(&env), plans, env.clone(), &Arc::default());
    let error = finished(&store, id).await.error.expect("it fails");
    assert_eq!(error.code, Code::CrewUnavailable);
    assert!(error.message.contains(&format!("in {} and nobody knows", step().as_str())), "{error:?}");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_announced_is_asked_about_whatever_its_tool_is_declared_as_by_now() {
    // The one may be repeated, as this process has it; the other is gone.
    for tool in ["calculator", "abacus"] {
        let env = env();
        let options = qd_store::Options { leases: Leases::For(LEASE), ..qd_store::Options::default() };
        let store = qd_store::open(&options, &env).unwrap();
        let catalog = catalog_with(&env, tool);
        publish(&store, &catalog, &CREW.replace("[calculator", &format!("[{tool}"))).await;
        let id = accept(&store, job(&env, "sums", "question", "what is 6 * 7?")).await;
        die_in_the_call(&store, id, tool).await;
        let plans = Plans::new(store.clone(), catalog);
        let engine = Engine::start(quick(), store.clone(), models(&env), plans, env.clone(), &Arc::default());
        let is_asked = |job: &Job| job.status.is_terminal() || job.status == JobStatus::Waiting;
        let waiting = until(&store, id, is_asked).await.waiting.expect("a person is asked");
        assert_eq!(waiting.ask.step, step());
        let asked = &waiting.ask.output;
        assert!(asked.contains(&format!("`{tool}`")) && asked.contains("its worker was gone"), "{asked}");
        let answer = Answer {
            job: id,
            step: Some(step()),
            verdict: Verdict::Approve { remark: Some("It was 42.".to_owned()) },
            by: AnsweredBy::Anyone,
            hooks: None,
            idempotency: None,
        };
        let answered = store.answer(&TenantId::default(), answer).await.unwrap();
        assert!(matches!(answered, Answered::Taken(_)), "{answered:?}");
        let done = finished(&store, id).await;
        assert_eq!((done.status, done.error), (JobStatus::Succeeded, None));
        let called_again = |entry: &Entry| matches!(entry, Entry::Tool { step: of, .. } if *of == step());
        assert!(!entries(&store, id).await.iter().any(called_again), "nobody called it");
        engine.stop().await;
    }
}

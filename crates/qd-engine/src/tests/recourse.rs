//! Steps that are given up while their task goes on, and models that rules choose, as jobs meet them.

use qd_llm::sim::{FaultRule, LimitOptions};
use qd_llm::{ModelOptions, ProviderKind, ProviderOptions, RoutingOptions};
use qd_types::{Code, Entry, JobStatus, NanoDollars, Recourse};

use super::{Bench, accept, entries, finished, job, quick};

/// Three tasks that each say much, and a report on all of it.
pub(super) fn long(more: &str) -> String {
    let words = "fact ".repeat(240);
    let gather = |n| {
        format!(
            "  - {{name: gather-{n}, description: \"Go [[sim: answer={words}]]\", expected_output: All, agent: clerk, context: []}}\n"
        )
    };
    format!(
        "name: long\nagents:\n  clerk: {{role: Clerk, goal: Answer, backstory: You are exact.{more}}}\ntasks:\n{}{}{}  \
         - {{name: report, description: \"Report on {{message}}\", expected_output: One sentence, agent: clerk}}\n",
        gather(1),
        gather(2),
        gather(3)
    )
}

/// Tokens that the simulated model holds: less than what the tasks say together.
pub(super) fn window(tokens: u64) -> impl FnOnce(&mut qd_llm::Options) {
    move |options| {
        let limits = LimitOptions { context_tokens: Some(tokens), ..LimitOptions::default() };
        let sim = options.providers.get_mut("sim").unwrap();
        sim.sim.limits = vec![limits];
    }
}

fn recourses(entries: &[Entry]) -> Vec<(String, Recourse)> {
    let resorted = entries.iter().filter_map(|entry| match entry {
        Entry::Recourse { step, recourse } => Some((step.to_string(), recourse.clone())),
        _ => None,
    });
    resorted.collect()
}

fn answered(entries: &[Entry]) -> Vec<&str> {
    let steps = entries.iter().filter_map(|entry| match entry {
        Entry::Model { step, .. } => Some(step.as_str()),
        _ => None,
    });
    steps.collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_the_window_is_put_into_fewer_words_and_the_job_succeeds() {
    let bench = Bench::with_models(quick(), window(900)).await;
    bench.publish(&long("")).await;
    let id = accept(&bench.store, job(&bench.env, "long", "message", "this")).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded, "{:?}", ended.error);
    let entries = entries(&bench.store, id).await;
    let [(step, Recourse::Compact { part_bytes })] = &recourses(&entries)[..] else { panic!("{entries:?}") };
    assert_eq!(step, "report/turn-1/model");
    // Half of the window that the refusal told, at 3.5 bytes a token.
    assert!((1_400..1_700).contains(part_bytes), "{part_bytes}");
    let answered = answered(&entries);
    assert!(
        answered.contains(&"report/turn-1/compact-0") && answered.contains(&"report/turn-2/model"),
        "{answered:?}"
    );
    assert_eq!(ended.output.unwrap().tasks.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_want_fewer_words_fails_with_the_size() {
    let bench = Bench::with_models(quick(), window(900)).await;
    bench.publish(&long(", respect_context_window: false")).await;
    let id = accept(&bench.store, job(&bench.env, "long", "message", "this")).await;
    let error = finished(&bench.store, id).await.error.unwrap();
    assert_eq!((error.code, error.window_tokens), (Code::ContextLength, Some(900)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_too_long_itself_is_not_put_into_fewer_words() {
    let bench = Bench::with_models(quick(), window(1_000)).await;
    let id = bench.submit(&"long ".repeat(2_000)).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.error.map(|error| error.code), Some(Code::ContextLength));
    assert_eq!(bench.calls().totals.started, 1);
}

/// An agent whose model always fails, and one that works.
const RELAY: &str = r#"
name: relay
agents:
  first: {role: First, goal: Answer, backstory: You are exact., llm: main}
  second: {role: Second, goal: Answer, backstory: You are exact.}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: first, fallback_agents: [second]}
"#;

fn refused(options: &mut qd_llm::Options) {
    let mut provider = ProviderOptions::new(ProviderKind::Sim);
    provider.sim.faults = vec![FaultRule::always("401".parse().unwrap())];
    options.providers.insert("sick".into(), provider);
    options.models.insert("main".into(), ModelOptions::at("sick", "standard"));
}

#[tokio::test(start_paused = true)]
async fn another_agent_does_the_task_when_the_first_ones_models_all_fail() {
    let bench = Bench::with_models(quick(), refused).await;
    bench.publish(RELAY).await;
    let id = accept(&bench.store, job(&bench.env, "relay", "message", "hello")).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(ended.output.unwrap().tasks[0].agent.as_str(), "second");
    let entries = entries(&bench.store, id).await;
    let agent = qd_types::AgentId::new("second");
    assert_eq!(recourses(&entries), [("answer/turn-1/model".to_owned(), Recourse::Agent { agent })]);
    assert_eq!(bench.metrics.recourses.with(["agent"]).get(), 1);
}

const ROUTED: &str = r#"
name: routed
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact., llm: auto}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: clerk}
"#;

#[tokio::test(start_paused = true)]
async fn rules_choose_the_model_and_the_step_says_which_and_what_it_saved() {
    let bench = Bench::with_models(quick(), |options| {
        options.models.insert("little".into(), ModelOptions::at("sim", "little"));
        options.models.insert("main".into(), ModelOptions::at("sim", "standard"));
        let (small, standard) = (Some("little".to_owned()), Some("main".to_owned()));
        options.routing = Some(RoutingOptions { small, standard, ..RoutingOptions::default() });
    })
    .await;
    bench.publish(ROUTED).await;
    for (text, rule, model) in [("Hello there", "simple", "little"), ("Explain gravity", "standard", "main")]
    {
        let id = accept(&bench.store, job(&bench.env, "routed", "message", text)).await;
        assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
        let entries = entries(&bench.store, id).await;
        let Entry::Model { call, .. } = &entries[0] else { panic!("{entries:?}") };
        let route = call.route.as_ref().unwrap();
        assert_eq!((route.rule.as_str(), route.model.as_str(), call.target.as_str()), (rule, model, model));
        // The simulator charges every model alike.
        assert_eq!(call.saved, None::<NanoDollars>);
    }
}

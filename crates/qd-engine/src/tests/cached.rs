//! Answers that are kept: who gets one, who pays, and what happens to those who wait.

use std::sync::Arc;
use std::time::Duration;

use qd_llm::ModelOptions;
use qd_store::{NewCrew, NewJob};
use qd_telemetry::{Exposition, Metrics};
use qd_types::{Code, CrewName, Entry, Job, JobId, JobStatus, NanoDollars, Source, TenantId};

use super::{Bench, PLAIN, accept, catalog, entries, env, finished, job, models, publish, quick};
use crate::{Engine, Options, Plans};

/// A crew of one call, whose answers are kept.
fn crew(name: &str, keys: &str) -> String {
    PLAIN
        .replace("name: plain", &format!("name: {name}\nmodel_cache: true"))
        .replace("backstory: You are exact.", &format!("backstory: You are exact.{keys}"))
}

async fn bench() -> Bench {
    let bench = Bench::start(quick()).await;
    bench.publish(&crew("keeping", "")).await;
    bench
}

fn asking(bench: &Bench, text: &str) -> NewJob {
    job(&bench.env, "keeping", "message", text)
}

/// Runs a job to its end and answers its model's entry.
async fn run(bench: &Bench, new: NewJob) -> (Job, Entry) {
    let id = accept(&bench.store, new).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded, "{:?}", ended.error);
    (ended, answer(bench, id).await)
}

async fn answer(bench: &Bench, id: JobId) -> Entry {
    entries(&bench.store, id).await.pop().unwrap()
}

fn source(entry: &Entry) -> Source {
    let Entry::Model { source, .. } = entry else { panic!("{entry:?}") };
    *source
}

fn calls(bench: &Bench) -> u64 {
    bench.calls().totals.started
}

#[tokio::test(start_paused = true)]
async fn known_answer_costs_nothing_and_tells_what_it_saved() {
    let bench = bench().await;
    let (first, made) = run(&bench, asking(&bench, "hello")).await;
    let (second, known) = run(&bench, asking(&bench, "hello")).await;
    assert_eq!((source(&made), source(&known), calls(&bench)), (Source::Executed, Source::Cached, 1));
    assert_eq!(first.output, second.output);
    assert!(first.cost > NanoDollars(0));
    assert_eq!((second.cost, second.usage), (NanoDollars(0), Default::default()));
    let (Entry::Model { call: made, .. }, Entry::Model { call: known, .. }) = (&made, &known) else {
        unreachable!()
    };
    assert_eq!((made.saved, known.saved), (None, Some(first.cost)));
    assert_eq!((known.deployment.as_deref(), known.duration_ms), (Some("sim/standard"), 0));
    let text = bench.metrics.render(Exposition::Prometheus);
    let saved =
        format!(r#"quarterdeck_llm_cost_saved_usd_total{{reason="cache"}} {}"#, first.cost.to_dollars());
    let steps = r#"quarterdeck_steps_total{crew="keeping",kind="model",source="cached"} 1"#;
    assert!(text.contains(&saved) && text.contains(steps), "{text}");
}

#[tokio::test(start_paused = true)]
async fn other_questions_and_crews_without_a_cache_are_asked_anew() {
    let bench = bench().await;
    run(&bench, asking(&bench, "hello")).await;
    bench.publish(&crew("warm", ", llm: {temperature: 0.9}")).await;
    bench.publish(&crew("off", ", model_cache: false")).await;
    for (crew, text, expected) in [
        ("keeping", "goodbye", Source::Executed),
        ("warm", "hello", Source::Executed),
        ("off", "hello", Source::Executed),
        ("plain", "hello", Source::Executed),
        ("off", "hello", Source::Executed),
        ("warm", "hello", Source::Cached),
    ] {
        let (_, entry) = run(&bench, job(&bench.env, crew, "message", text)).await;
        assert_eq!(source(&entry), expected, "{crew} {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_of_one_model_share_its_answers() {
    let bench = Bench::with_models(quick(), |options| {
        let main = ModelOptions { provider: "sim".into(), model: "standard".into(), ..Default::default() };
        options.models.insert("main".into(), main);
    })
    .await;
    bench.publish(&crew("keeping", "")).await;
    bench.publish(&crew("alias", ", llm: main")).await;
    run(&bench, asking(&bench, "hello")).await;
    let (_, entry) = run(&bench, job(&bench.env, "alias", "message", "hello")).await;
    assert_eq!(source(&entry), Source::Cached);
}

#[tokio::test(start_paused = true)]
async fn answer_is_made_anew_once_its_time_is_up() {
    let bench = bench().await;
    bench.publish(&crew("brief", ", model_cache: {ttl_seconds: 60}")).await;
    let brief = || job(&bench.env, "brief", "message", "hello");
    let mut sources = Vec::new();
    for wait in [0, 50, 11, 50] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        sources.push(source(&run(&bench, brief()).await.1));
    }
    assert_eq!(sources, [Source::Executed, Source::Cached, Source::Executed, Source::Cached]);
}

#[tokio::test(start_paused = true)]
async fn tenants_do_not_see_each_others_answers() {
    let bench = bench().await;
    let other = TenantId::new("other");
    let spec =
        bench.store.crew(&TenantId::default(), &CrewName::new("keeping"), None).await.unwrap().unwrap();
    let crew = NewCrew::new(other.clone(), spec.name.clone(), spec.hash, spec.spec);
    bench.store.publish(crew).await.unwrap();
    run(&bench, asking(&bench, "hello")).await;
    let theirs = accept(&bench.store, NewJob { tenant: other.clone(), ..asking(&bench, "hello") }).await;
    let mut watch = bench.store.watch(theirs);
    while !bench.store.job(&other, theirs).await.unwrap().unwrap().status.is_terminal() {
        watch.next().await;
    }
    assert_eq!(calls(&bench), 2);
}

#[tokio::test(start_paused = true)]
async fn fifty_equal_jobs_at_once_make_one_call_and_one_pays() {
    let bench = Bench::start(Options { slots: 50, ..quick() }).await;
    bench.publish(&crew("keeping", "")).await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(accept(&bench.store, asking(&bench, "hello [[sim: latency=5s]]")).await);
    }
    let (mut made, mut paid) = (0, Vec::new());
    for id in ids {
        let ended = finished(&bench.store, id).await;
        assert_eq!(ended.status, JobStatus::Succeeded);
        made += u32::from(source(&answer(&bench, id).await) == Source::Executed);
        paid.extend((ended.cost > NanoDollars(0)).then_some(ended.cost));
    }
    assert_eq!((calls(&bench), made, paid.len()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_call_that_failed_make_their_own() {
    let bench = bench().await;
    let wish = "hello [[sim: latency=5s fault=503 times=1]]";
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(accept(&bench.store, asking(&bench, wish)).await);
    }
    for id in ids {
        assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
    }
    assert!(bench.calls().totals.started >= 3, "{:?}", bench.calls().totals);
    // Whatever was kept in the end is an answer.
    assert_eq!(source(&run(&bench, asking(&bench, wish)).await.1), Source::Cached);
}

#[tokio::test(start_paused = true)]
async fn cancelled_first_job_hands_its_call_on() {
    let bench = bench().await;
    let wish = "hello [[sim: latency=20s]]";
    let first = accept(&bench.store, asking(&bench, wish)).await;
    bench.in_flight(1).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(accept(&bench.store, asking(&bench, wish)).await);
    }
    while bench.store.stats().await.unwrap().running != 6 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls(&bench), 1, "the others wait");
    bench.store.cancel(&TenantId::default(), first).await.unwrap();
    let mut sources = Vec::new();
    for id in others {
        assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
        sources.push(source(&answer(&bench, id).await));
    }
    assert_eq!(calls(&bench), 2, "one of them makes the call in its place");
    assert_eq!(sources.iter().filter(|source| **source == Source::Cached).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn answer_that_was_cut_short_is_not_kept() {
    let bench = bench().await;
    bench.publish(&crew("short", ", max_tokens: 2")).await;
    for _ in 0..2 {
        let (_, entry) = run(&bench, job(&bench.env, "short", "message", "Tell me everything")).await;
        assert_eq!(source(&entry), Source::Executed);
    }
}

#[tokio::test(start_paused = true)]
async fn task_that_is_begun_anew_is_not_led_the_same_way_again() {
    let bench = bench().await;
    bench.publish(&crew("stuck", ", tools: [calculator], max_retry_limit: 1")).await;
    let wish = "What is 6 * 7? [[sim: tool=calculator times=50]]";
    let mut sources = Vec::new();
    for _ in 0..2 {
        let id = accept(&bench.store, job(&bench.env, "stuck", "message", wish)).await;
        let ended = finished(&bench.store, id).await;
        assert_eq!(ended.error.map(|error| error.code), Some(Code::RepeatedToolCalls));
        let steps = entries(&bench.store, id).await;
        let models = steps.iter().filter(|entry| matches!(entry, Entry::Model { .. }));
        sources.push(models.map(source).collect::<Vec<_>>());
    }
    assert_eq!(sources[0], [Source::Executed; 10]);
    assert_eq!((&sources[1][..5], &sources[1][5..]), (&[Source::Cached; 5][..], &[Source::Executed; 5][..]));
}

#[tokio::test]
async fn answers_are_known_after_a_restart_and_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let env = env();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let options = qd_store::Options { url, ..qd_store::Options::default() };
    let mut sources = Vec::new();
    for _ in 0..2 {
        let store = loop {
            match qd_store::open(&options, &env) {
                Ok(store) => break store,
                // The lock goes with the writer's thread.
                Err(qd_store::Error::Locked { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let (models, catalog, metrics) = (models(&env), catalog(&env), Arc::new(Metrics::default()));
        publish(&store, &catalog, &crew("keeping", "")).await;
        let plans = Plans::new(store.clone(), catalog);
        let engine = Engine::start(quick(), store.clone(), models, plans, env.clone(), &metrics);
        let id = accept(&store, job(&env, "keeping", "message", "hello")).await;
        finished(&store, id).await;
        sources.push(source(&entries(&store, id).await.pop().unwrap()));
        engine.stop().await;
    }
    assert_eq!(sources, [Source::Executed, Source::Cached]);
}

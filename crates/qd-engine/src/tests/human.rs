//! Tasks whose answer a person looks at.

use std::time::Duration;

use qd_store::{Answer, Answered};
use qd_types::{
    AnsweredBy, AskRules, Code, Entry, Job, JobId, JobStatus, LogItem, OnExpiry, StepId, TenantId, Verdict,
    Waiting,
};

use super::{Bench, accept, entries, finished, job, quick, until};
use crate::Options;

/// Two tasks; a person looks at the first.
pub(super) const ASKING: &str = r#"
name: asking
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact.}
tasks:
  - {name: draft, description: "Write about {message}", expected_output: A text, agent: clerk, human_input: true}
  - {name: polish, description: Make it shine, expected_output: A text, agent: clerk}
"#;

async fn bench(options: Options) -> Bench {
    let bench = Bench::start(options).await;
    bench.publish(ASKING).await;
    bench
}

async fn submit(bench: &Bench, text: &str) -> JobId {
    accept(&bench.store, job(&bench.env, "asking", "message", text)).await
}

/// Waits until the job asks in a round.
async fn asks(bench: &Bench, id: JobId, round: u32) -> Waiting {
    let is_asking = |job: &Job| job.waiting.as_ref().is_some_and(|waiting| waiting.ask.round == round);
    *until(&bench.store, id, is_asking).await.waiting.unwrap()
}

async fn say(bench: &Bench, id: JobId, step: &StepId, verdict: Verdict) {
    let by = AnsweredBy::Anyone;
    let answer = Answer { job: id, step: Some(step.clone()), verdict, by, hooks: None, idempotency: None };
    let answered = bench.store.answer(&TenantId::default(), answer).await.unwrap();
    assert!(matches!(answered, Answered::Taken(_)), "{answered:?}");
}

fn approve() -> Verdict {
    Verdict::Approve { remark: None }
}

fn with_rules(rules: AskRules) -> Options {
    Options { human_input: rules, ..quick() }
}

const PATIENT: AskRules = AskRules {
    reminder_seconds: 0,
    reminders: 0,
    expires_seconds: 0,
    on_expiry: OnExpiry::Fail,
    max_rounds: 2,
};

#[tokio::test(start_paused = true)]
async fn a_job_waits_without_a_slot_or_a_try_and_its_time_stands_still() {
    let bench = bench(Options { slots: 1, ..with_rules(PATIENT) }).await;
    let mut patient = job(&bench.env, "asking", "message", "the tides");
    (patient.timeout_seconds, patient.max_attempts) = (5, 1);
    let id = accept(&bench.store, patient).await;
    let asked = asks(&bench, id, 1).await;
    assert_eq!((asked.ask.task.as_str(), asked.ask.rules), ("draft", PATIENT));
    let before = bench.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((before.progress.completed_tasks, before.usage.model_calls), (0, 1));
    // The only slot is free for others.
    let other = bench.submit("hello").await;
    assert_eq!(finished(&bench.store, other).await.status, JobStatus::Succeeded);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    say(&bench, id, &asked.ask.step, approve()).await;
    let done = finished(&bench.store, id).await;
    assert_eq!((done.status, done.error), (JobStatus::Succeeded, None));
    assert_eq!(done.output.unwrap().tasks[0].raw, asked.ask.output);
    assert_eq!(bench.calls().calls.len(), 3, "two tasks and the other job: {:?}", bench.calls().calls);
}

#[tokio::test(start_paused = true)]
async fn feedback_is_another_call_of_the_same_task_and_every_word_is_in_the_journal() {
    let bench = bench(with_rules(PATIENT)).await;
    let id = submit(&bench, "the tides").await;
    let first = asks(&bench, id, 1).await;
    assert_eq!((first.ask.step.as_str(), first.ask.feedback_left()), ("draft/turn-1/human", 2));
    let shorter = Verdict::Revise { feedback: "Answer with one word.".to_owned() };
    say(&bench, id, &first.ask.step, shorter.clone()).await;
    let second = asks(&bench, id, 2).await;
    assert_eq!((second.ask.step.as_str(), second.ask.feedback_left()), ("draft/turn-2/human", 1));
    say(&bench, id, &second.ask.step, approve()).await;
    let done = finished(&bench.store, id).await;
    assert_eq!(done.status, JobStatus::Succeeded, "{:?}", done.error);
    assert_eq!(done.output.unwrap().tasks[0].raw, second.ask.output);
    let mut calls: Vec<String> = bench.calls().calls.into_keys().collect();
    calls.sort();
    let made = ["draft/turn-1/model/1", "draft/turn-2/model/1", "polish/turn-1/model/1"];
    assert_eq!(calls, made.map(|call| format!("{id}/{call}")));
    let said: Vec<Verdict> = entries(&bench.store, id)
        .await
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Human { verdict, .. } => Some(verdict),
            _ => None,
        })
        .collect();
    assert_eq!(said, [shorter, approve()]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_sent_back_too_often_fails_the_job_by_the_rules_of_its_question() {
    let bench = bench(with_rules(AskRules { max_rounds: 0, ..PATIENT })).await;
    let id = submit(&bench, "the tides").await;
    let asked = asks(&bench, id, 1).await;
    say(&bench, id, &asked.ask.step, Verdict::Revise { feedback: "no".to_owned() }).await;
    let failed = finished(&bench.store, id).await;
    assert_eq!(failed.error.map(|error| error.code), Some(Code::HumanInputRejected));
}

#[tokio::test(start_paused = true)]
async fn people_are_reminded_and_given_up_by_the_rules_of_the_configuration() {
    let rules = AskRules { reminder_seconds: 60, reminders: 2, expires_seconds: 600, ..PATIENT };
    let bench = bench(with_rules(rules)).await;
    let id = submit(&bench, "the tides").await;
    let asked = asks(&bench, id, 1).await;
    let failed = finished(&bench.store, id).await;
    assert_eq!(failed.error.as_ref().map(|error| error.code), Some(Code::HumanInputExpired));
    let waited = failed.finished_at.unwrap().since(asked.since);
    assert!((600..603).contains(&waited.as_secs()), "{waited:?}");
    let log = bench.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let reminders = log.iter().filter(|logged| matches!(logged.item, LogItem::Reminded { .. }));
    assert_eq!(reminders.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn rules_of_the_task_go_before_those_of_the_configuration() {
    let bench = Bench::start(with_rules(AskRules { reminder_seconds: 7, ..PATIENT })).await;
    let own = "human_input: {expires_seconds: 60, on_expiry: approve, max_rounds: 0}";
    bench.publish(&ASKING.replace("human_input: true", own)).await;
    let id = submit(&bench, "the tides").await;
    let asked = asks(&bench, id, 1).await;
    let expected = AskRules {
        reminder_seconds: 7,
        reminders: 0,
        expires_seconds: 60,
        on_expiry: OnExpiry::Approve,
        max_rounds: 0,
    };
    assert_eq!(asked.ask.rules, expected);
    assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded, "it goes on by itself");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_engine_leaves_its_questions_to_the_next() {
    let bench = bench(with_rules(PATIENT)).await;
    let id = submit(&bench, "the tides").await;
    let asked = asks(&bench, id, 1).await;
    let Bench { store, engine, .. } = bench;
    engine.stop().await;
    let job = store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((job.status, job.waiting.as_deref()), (JobStatus::Waiting, Some(&asked)));
}

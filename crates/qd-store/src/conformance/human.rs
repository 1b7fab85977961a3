//! Jobs that wait for people: asked, answered, reminded of, given up.

use std::time::Duration;

use qd_types::{
    AgentId, AnsweredBy, Ask, AskRules, Code, Entry, JobId, JobStatus, LogItem, OnExpiry, StepId, TaskId,
    TenantId, Timestamp, Verdict,
};

use super::{Fixture, Make, finish, in_conversation, reopened};
use crate::{
    Answer, Answered, Cancelled, DeliveryQuery, Event, Idempotency, Options, OtherBody, Outcome, Subscription,
};

pub(super) const PATIENT: AskRules = AskRules {
    reminder_seconds: 0,
    reminders: 0,
    expires_seconds: 0,
    on_expiry: OnExpiry::Fail,
    max_rounds: 1,
};

fn step(turn: u32) -> StepId {
    StepId::human(&TaskId::new("draft"), turn)
}

/// A question of the draft task.
pub(super) fn ask(round: u32, rules: AskRules) -> Outcome {
    let (task, agent) = (TaskId::new("draft"), AgentId::new("writer"));
    Outcome::Wait(Box::new(Ask {
        step: step(round),
        task,
        agent,
        output: format!("draft {round}"),
        round,
        rules,
    }))
}

/// A job that waits.
async fn waiting(f: &Fixture, rules: AskRules) -> JobId {
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    assert_eq!(f.store.finish(finish(&claimed, ask(1, rules))).await.unwrap(), Ok(JobStatus::Waiting));
    id
}

pub(super) fn approve() -> Verdict {
    Verdict::Approve { remark: None }
}

fn revise(feedback: &str) -> Verdict {
    Verdict::Revise { feedback: feedback.to_owned() }
}

pub(super) fn said(job: JobId, step: Option<StepId>, verdict: Verdict) -> Answer {
    Answer { job, step, verdict, by: AnsweredBy::Anyone, hooks: None, idempotency: None }
}

async fn answer(f: &Fixture, answer: Answer) -> Answered {
    f.store.answer(&TenantId::default(), answer).await.unwrap()
}

async fn log(f: &Fixture, id: JobId) -> Vec<LogItem> {
    let log = f.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    assert!(log.iter().zip(1..).all(|(logged, seq)| logged.seq == seq), "no gaps");
    log.into_iter().map(|logged| logged.item).collect()
}

async fn error(f: &Fixture, id: JobId) -> Option<Code> {
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert!(job.waiting.is_none(), "a job that is over asks nothing");
    job.error.map(|failure| failure.code)
}

pub(crate) async fn waiting_job_holds_no_worker_and_tells_what_it_asks(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = waiting(&f, PATIENT).await;
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    let asks = job.waiting.expect("a question");
    assert_eq!((asks.ask.step, asks.ask.output.as_str()), (step(1), "draft 1"));
    assert_eq!((asks.since, asks.reminded, asks.ask.rules), (f.env.now(), 0, PATIENT));
    assert_eq!((job.crashes, job.retry_at, job.error), (0, None, None));
    let stats = f.store.stats().await.unwrap();
    assert_eq!((stats.running, stats.queued, stats.delayed, stats.waiting), (0, 0, 0, 1));
    assert!(f.claim(5).await.is_empty());
    f.advance(1_000_000);
    assert_eq!(f.store.tick(10).await.unwrap().next_due, None);
    assert_eq!(f.status(id).await, JobStatus::Waiting, "nobody ends its patience");
    match log(&f, id).await.pop() {
        Some(LogItem::Status { status: JobStatus::Waiting, ask: Some(ask), .. }) => {
            assert_eq!(ask.step, step(1))
        }
        other => panic!("the question is in the log, not {other:?}"),
    }
}

pub(crate) async fn approval_is_journaled_and_queues_the_job(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = waiting(&f, PATIENT).await;
    f.advance(90);
    let Answered::Taken(job) = answer(&f, said(id, None, approve())).await else { panic!("not taken") };
    assert_eq!((job.id, job.status, job.waiting), (id, JobStatus::Queued, None));
    let items = log(&f, id).await;
    let [.., LogItem::Entry { entry }, LogItem::Status { status: JobStatus::Queued, ask: None, .. }] =
        &items[..]
    else {
        panic!("{items:?}")
    };
    let expected =
        Entry::Human { step: step(1), verdict: approve(), by: AnsweredBy::Anyone, waited_ms: 90_000 };
    assert_eq!(**entry, expected);
    let again = f.claim_one().await;
    assert_eq!((again.job.id, again.in_doubt, again.job.attempt), (id, false, 2));
    assert_eq!(again.log.len(), items.len() + 1);
    assert_eq!(f.store.stats().await.unwrap().waiting, 0);
}

pub(crate) async fn feedback_is_taken_until_none_is_left(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = waiting(&f, PATIENT).await;
    assert!(matches!(answer(&f, said(id, Some(step(1)), revise("shorter"))).await, Answered::Taken(_)));
    let again = f.claim_one().await;
    f.store.finish(finish(&again, ask(2, PATIENT))).await.unwrap().unwrap();
    let Answered::Taken(job) = answer(&f, said(id, Some(step(2)), revise("no"))).await else { panic!() };
    assert_eq!((job.status, error(&f, id).await), (JobStatus::Failed, Some(Code::HumanInputRejected)));
    assert_eq!(job.error.unwrap().task, Some(TaskId::new("draft")));
    let humans = log(&f, id)
        .await
        .into_iter()
        .filter(|item| matches!(item, LogItem::Entry { entry } if matches!(**entry, Entry::Human { .. })));
    assert_eq!(humans.count(), 2, "the last word is in the journal, too");
}

pub(crate) async fn the_same_answer_again_is_harmless_and_another_is_refused(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = waiting(&f, PATIENT).await;
    let first = || said(id, Some(step(1)), revise("shorter"));
    assert!(matches!(answer(&f, first()).await, Answered::Taken(_)));
    for again in [first(), said(id, None, revise("shorter"))] {
        let Answered::Replayed(job) = answer(&f, again).await else { panic!("not replayed") };
        assert_eq!(job.status, JobStatus::Queued);
    }
    for other in [approve(), revise("longer")] {
        let refused = answer(&f, said(id, Some(step(1)), other)).await;
        assert!(matches!(refused, Answered::Otherwise { step: of } if of == step(1)));
    }
    // While the job asks anew, the old question keeps its answer.
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, ask(2, PATIENT))).await.unwrap().unwrap();
    assert!(matches!(answer(&f, first()).await, Answered::Replayed(_)));
    assert!(matches!(answer(&f, said(id, Some(step(1)), approve())).await, Answered::Otherwise { .. }));
    assert_eq!(f.status(id).await, JobStatus::Waiting);
    let items = log(&f, id).await.len();
    assert!(matches!(answer(&f, said(id, Some(step(7)), approve())).await, Answered::NotWaiting(_)));
    assert_eq!(log(&f, id).await.len(), items, "what was refused is not written");
}

pub(crate) async fn key_of_an_answer_is_known_again(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = waiting(&f, PATIENT).await;
    let keyed = |body: u8, verdict| {
        let (scope, key) = ("resume".to_owned(), "k".to_owned());
        let idempotency = Idempotency { scope, key, body_hash: [body; 32], on_other_body: OtherBody::Refuse };
        Answer { idempotency: Some(idempotency), ..said(id, None, verdict) }
    };
    assert!(matches!(answer(&f, keyed(1, revise("shorter"))).await, Answered::Taken(_)));
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, ask(2, PATIENT))).await.unwrap().unwrap();
    // Without its key it would be taken for an answer to the new question.
    assert!(matches!(answer(&f, keyed(1, revise("shorter"))).await, Answered::Replayed(_)));
    assert!(matches!(answer(&f, keyed(2, approve())).await, Answered::Conflict { job } if job == id));
    assert_eq!(f.status(id).await, JobStatus::Waiting);
}

pub(crate) async fn a_job_that_does_not_wait_takes_no_answer(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let refused = |answered: Answered, status: JobStatus| match answered {
        Answered::NotWaiting(job) => assert_eq!(job.status, status),
        other => panic!("{other:?}"),
    };
    refused(answer(&f, said(id, None, approve())).await, JobStatus::Queued);
    let claimed = f.claim_one().await;
    refused(answer(&f, said(id, Some(step(1)), approve())).await, JobStatus::Running);
    f.store.finish(finish(&claimed, Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    refused(answer(&f, said(id, None, approve())).await, JobStatus::Succeeded);
    let nobody = f.env.job_id();
    assert!(matches!(answer(&f, said(nobody, None, approve())).await, Answered::Unknown));
    let other = TenantId::new("other");
    let theirs = f.store.answer(&other, said(id, None, approve())).await.unwrap();
    assert!(matches!(theirs, Answered::Unknown), "jobs of others do not exist");
}

pub(crate) async fn reminders_are_sent_as_often_as_the_rules_say(make: Make) {
    let f = Fixture::new(make, |_| {});
    let rules = AskRules { reminder_seconds: 10, reminders: 2, ..PATIENT };
    let id = waiting(&f, rules).await;
    assert_eq!(f.store.tick(10).await.unwrap().next_due, Some(f.env.now().plus(Duration::from_secs(10))));
    let mut sent = Vec::new();
    // The second look comes late: one reminder, not two.
    for seconds in [10, 45, 10, 10] {
        f.advance(seconds);
        sent.push(f.store.tick(10).await.unwrap().reminded);
    }
    assert_eq!(sent, [1, 1, 0, 0]);
    let numbers: Vec<_> = log(&f, id)
        .await
        .into_iter()
        .filter_map(|item| match item {
            LogItem::Reminded { step: of, number } => Some((of == step(1), number)),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [(true, 1), (true, 2)]);
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    let asks = job.waiting.unwrap();
    assert_eq!((asks.reminded, asks.remind_at, asks.ask.output.as_str()), (2, None, "draft 1"));
    assert!(matches!(answer(&f, said(id, None, approve())).await, Answered::Taken(_)));
}

pub(crate) async fn nobody_is_waited_for_after_the_time(make: Make) {
    let f = Fixture::new(make, |_| {});
    let rules = AskRules { expires_seconds: 60, reminder_seconds: 60, reminders: 5, ..PATIENT };
    let id = waiting(&f, rules).await;
    f.advance(59);
    assert_eq!(f.store.tick(10).await.unwrap().given_up, 0);
    f.advance(1);
    let tick = f.store.tick(10).await.unwrap();
    assert_eq!((tick.given_up, tick.reminded, tick.failed.len()), (1, 0, 1));
    assert_eq!((f.status(id).await, error(&f, id).await), (JobStatus::Failed, Some(Code::HumanInputExpired)));
    let late = answer(&f, said(id, Some(step(1)), approve())).await;
    assert!(matches!(late, Answered::NotWaiting(job) if job.status == JobStatus::Failed));
}

pub(crate) async fn a_job_goes_on_without_an_answer_where_the_rules_say_so(make: Make) {
    let f = Fixture::new(make, |_| {});
    let rules = AskRules { expires_seconds: 60, on_expiry: OnExpiry::Approve, ..PATIENT };
    let id = waiting(&f, rules).await;
    f.advance(61);
    let tick = f.store.tick(10).await.unwrap();
    assert_eq!((tick.given_up, tick.failed.len()), (1, 0));
    let claimed = f.claim_one().await;
    assert_eq!(claimed.job.id, id);
    let by_nobody = |item: &LogItem| match item {
        LogItem::Entry { entry } => {
            matches!(&**entry, Entry::Human { by: AnsweredBy::Nobody, verdict, .. } if verdict.is_approval())
        }
        _ => false,
    };
    assert!(log(&f, id).await.iter().any(by_nobody));
}

pub(crate) async fn question_and_its_moments_outlive_the_process(make: Make) {
    let f = Fixture::new(make, |_| {});
    if f.options.url == "memory:" {
        return;
    }
    let rules = AskRules { reminder_seconds: 10, reminders: 3, expires_seconds: 60, ..PATIENT };
    let (id, patient) = (waiting(&f, rules).await, waiting(&f, PATIENT).await);
    f.advance(10);
    assert_eq!(f.store.tick(10).await.unwrap().reminded, 1);
    let before = f.store.job(&TenantId::default(), id).await.unwrap();
    let f = reopened(f).await;
    assert_eq!(f.store.job(&TenantId::default(), id).await.unwrap(), before);
    let stats = f.store.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.taken_over, stats.queued), (2, 0, 0));
    f.advance(10);
    assert_eq!(f.store.tick(10).await.unwrap().reminded, 1);
    assert!(matches!(answer(&f, said(patient, None, approve())).await, Answered::Taken(_)));
    assert_eq!(f.claim_one().await.job.id, patient);
    f.advance(50);
    assert_eq!(f.store.tick(10).await.unwrap().given_up, 1);
    assert_eq!(error(&f, id).await, Some(Code::HumanInputExpired));
}

pub(crate) async fn waiting_job_keeps_its_conversations_place(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept(in_conversation(f.job(), "c")).await;
    let second = f.accept(in_conversation(f.job(), "c")).await;
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, ask(1, PATIENT))).await.unwrap().unwrap();
    assert!(f.claim(5).await.is_empty(), "nobody passes the one that waits");
    let f = if f.options.url == "memory:" { f } else { reopened(f).await };
    assert!(f.claim(5).await.is_empty(), "not after a restart either");
    answer(&f, said(first, None, approve())).await;
    let claimed = f.claim_one().await;
    assert_eq!(claimed.job.id, first);
    f.store.finish(finish(&claimed, Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    assert_eq!(f.claim_one().await.job.id, second);
}

pub(crate) async fn waiting_job_is_cancelled_and_expires_like_any_other(make: Make) {
    let f = Fixture::new(make, |_| {});
    let rules = AskRules { reminder_seconds: 10, reminders: 3, ..PATIENT };
    let cancelled = waiting(&f, rules).await;
    let Cancelled::Now(job) = f.store.cancel(&TenantId::default(), cancelled).await.unwrap() else {
        panic!()
    };
    assert_eq!((job.status, job.waiting), (JobStatus::Cancelled, None));
    let mut job = f.job();
    job.expires_at = Some(f.env.now().plus(Duration::from_secs(5)));
    let expired = f.accept(job).await;
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, ask(1, rules))).await.unwrap().unwrap();
    f.advance(5);
    assert_eq!(f.store.tick(10).await.unwrap().expired, 1);
    assert_eq!(error(&f, expired).await, Some(Code::JobExpired));
    f.advance(100);
    assert_eq!(f.store.tick(10).await.unwrap().reminded, 0, "those that are over remind nobody");
    assert_eq!(f.store.stats().await.unwrap().waiting, 0);
}

pub(crate) async fn endpoints_hear_of_questions_and_reminders(make: Make) {
    let told = |endpoint: &str, events: &[Event]| Subscription {
        endpoint: endpoint.to_owned(),
        events: events.to_vec(),
        crews: None,
    };
    let f = Fixture::new(make, |options: &mut Options| {
        options.subscriptions = vec![told("people", &[Event::Waiting]), told("last", &Event::LAST)].into();
    });
    let id = waiting(&f, AskRules { reminder_seconds: 10, reminders: 1, ..PATIENT }).await;
    let asked_at = f.env.now();
    f.advance(10);
    f.store.tick(10).await.unwrap();
    let query = DeliveryQuery { limit: 10, ..DeliveryQuery::default() };
    let found = f.store.deliveries(&TenantId::default(), query).await.unwrap().deliveries;
    let told: Vec<(String, Event, Timestamp)> =
        found.iter().rev().map(|one| (one.destination.lane(), one.event, one.at)).collect();
    let people = "@people".to_owned();
    assert_eq!(told, [(people.clone(), Event::Waiting, asked_at), (people, Event::Waiting, f.env.now())]);
    assert!(found.iter().all(|one| one.job == Some(id)));
}

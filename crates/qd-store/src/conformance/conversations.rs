//! Conversations: order and history.

use std::time::Duration;

use qd_types::{Class, Code, ConversationId, Failure, TenantId};

use super::{Fixture, Make, finish, in_conversation};
use crate::{Outcome, Turn, TurnRole};

pub(crate) async fn one_job_at_a_time_in_order_of_acceptance(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(f.accept(in_conversation(f.job(), "ada")).await);
    }
    let other = f.accept(in_conversation(f.job(), "bob")).await;
    let first = f.claim(9).await;
    assert_eq!(first.iter().map(|c| c.job.id).collect::<Vec<_>>(), [ids[0], other]);
    assert!(f.claim(9).await.is_empty());
    f.store.finish(finish(&first[0], Outcome::Succeeded(super::queries::output()))).await.unwrap().unwrap();
    let second = f.claim(9).await;
    assert_eq!(second.iter().map(|c| c.job.id).collect::<Vec<_>>(), [ids[1]]);
    f.store.cancel(&TenantId::default(), ids[1]).await.unwrap();
    assert_eq!(f.claim_one().await.job.id, ids[2]);
}

pub(crate) async fn retrying_job_keeps_its_place(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept(in_conversation(f.job(), "ada")).await;
    f.accept(in_conversation(f.job(), "ada")).await;
    let claimed = f.claim_one().await;
    let failure = Failure::new(Code::ModelTimeout, Class::Transient, "slow");
    let retry = Outcome::Retry { after: Duration::from_secs(5), failure };
    f.store.finish(finish(&claimed, retry)).await.unwrap().unwrap();
    assert!(f.claim(9).await.is_empty(), "nobody passes a job that is being retried");
    f.advance(5);
    f.store.tick(10).await.unwrap();
    let again = f.claim(9).await;
    assert_eq!(again.iter().map(|c| c.job.id).collect::<Vec<_>>(), [first]);
    f.store.finish(finish(&again[0], Outcome::Release)).await.unwrap().unwrap();
    assert_eq!(f.claim_one().await.job.id, first);
}

fn turns(n: usize) -> Vec<Turn> {
    vec![
        Turn { role: TurnRole::User, text: format!("question {n}") },
        Turn { role: TurnRole::Assistant, text: format!("answer {n}") },
    ]
}

async fn talk(f: &Fixture, n: usize) {
    f.accept(in_conversation(f.job(), "ada")).await;
    let claimed = f.claim_one().await;
    let mut end = finish(&claimed, Outcome::Succeeded(super::queries::output()));
    end.history = turns(n);
    f.store.finish(end).await.unwrap().unwrap();
}

pub(crate) async fn finished_job_adds_to_the_history(make: Make) {
    let f = Fixture::new(make, |_| {});
    for n in 1..=3 {
        talk(&f, n).await;
    }
    let (tenant, ada) = (TenantId::default(), ConversationId::new("ada"));
    let all = f.store.history(&tenant, &ada, 100).await.unwrap();
    assert_eq!(all, [turns(1), turns(2), turns(3)].concat());
    assert_eq!(f.store.history(&tenant, &ada, 2).await.unwrap(), turns(3));
    assert!(f.store.history(&TenantId::new("other"), &ada, 9).await.unwrap().is_empty());
}

pub(crate) async fn silent_conversation_is_forgotten(make: Make) {
    let f = Fixture::new(make, |options| options.conversation_ttl = Duration::from_secs(60));
    let (tenant, ada) = (TenantId::default(), ConversationId::new("ada"));
    talk(&f, 1).await;
    f.advance(60);
    assert_eq!(f.store.history(&tenant, &ada, 9).await.unwrap(), turns(1));
    f.advance(1);
    assert!(f.store.history(&tenant, &ada, 9).await.unwrap().is_empty(), "before any housekeeping");
    talk(&f, 2).await;
    assert_eq!(f.store.history(&tenant, &ada, 9).await.unwrap(), turns(2), "it starts anew");
    f.advance(61);
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 1);
}

pub(crate) async fn long_conversation_keeps_its_newest_messages(make: Make) {
    let f = Fixture::new(make, |_| {});
    for n in 0..103 {
        talk(&f, n).await;
    }
    let all = f.store.history(&TenantId::default(), &ConversationId::new("ada"), 10_000).await.unwrap();
    assert_eq!((all.len(), &all[..2], &all[198..]), (200, &turns(3)[..], &turns(102)[..]));
}

pub(crate) async fn conversation_tells_where_its_messages_come_from(make: Make) {
    let f = Fixture::new(make, |options| options.conversation_ttl = Duration::from_secs(60));
    let (tenant, ada) = (TenantId::default(), ConversationId::new("ada"));
    assert_eq!(f.store.conversation(&tenant, &ada, 9).await.unwrap(), None);
    talk(&f, 1).await;
    f.advance(5);
    talk(&f, 2).await;
    let kept = f.store.conversation(&tenant, &ada, 3).await.unwrap().unwrap();
    let now = f.env.now();
    assert_eq!((kept.last_at, kept.expires_at), (now, now.plus(Duration::from_secs(60))));
    let texts: Vec<_> = kept.messages.iter().map(|message| message.turn.text.as_str()).collect();
    assert_eq!(texts, ["answer 1", "question 2", "answer 2"]);
    assert_eq!(kept.messages[2].at, Some(now));
    let jobs: Vec<_> = kept.messages.iter().map(|message| message.job.unwrap()).collect();
    assert!(jobs[0] != jobs[1] && jobs[1] == jobs[2]);
    assert!(f.store.job(&tenant, jobs[2]).await.unwrap().is_some());
}

pub(crate) async fn forgotten_conversation_is_gone_and_starts_anew(make: Make) {
    let f = Fixture::new(make, |_| {});
    let (tenant, ada) = (TenantId::default(), ConversationId::new("ada"));
    talk(&f, 1).await;
    assert!(!f.store.forget(&TenantId::new("other"), &ada).await.unwrap());
    assert!(f.store.forget(&tenant, &ada).await.unwrap());
    assert!(!f.store.forget(&tenant, &ada).await.unwrap(), "there is nothing left");
    assert_eq!(f.store.conversation(&tenant, &ada, 9).await.unwrap(), None);
    talk(&f, 2).await;
    assert_eq!(f.store.history(&tenant, &ada, 9).await.unwrap(), turns(2));
}

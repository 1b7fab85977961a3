//! Under paused time: what a stalled server costs, and how a load ends.

use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use qd_testkit::TokioClock;
use tokio_util::sync::CancellationToken;

use super::{Sender, Shot, run};
use crate::{Latency, Schedule};

const MS: Duration = Duration::from_millis(1);

/// Answers after a while; the first request of each stall takes longer.
struct Slow {
    answer: Duration,
    stall: (u64, Duration),
    fails_at: Option<u64>,
    latency: Latency,
    numbers: Vec<u64>,
}

impl Slow {
    fn new(answer: Duration) -> Self {
        let (stall, latency) = ((u64::MAX, Duration::ZERO), Latency::default());
        Self { answer, stall, fails_at: None, latency, numbers: Vec::new() }
    }
}

impl Sender for Slow {
    type Error = u64;

    async fn send(&mut self, shot: &Shot) -> Result<(), u64> {
        let span = if shot.number == self.stall.0 { self.stall.1 } else { self.answer };
        tokio::time::timeout(span, std::future::pending::<()>()).await.unwrap_err();
        self.latency.note(shot.latency());
        self.numbers.push(shot.number);
        if self.fails_at == Some(shot.number) { Err(shot.number) } else { Ok(()) }
    }
}

fn env() -> Env {
    Env::with(Arc::new(TokioClock::default()), 1)
}

#[tokio::test(start_paused = true)]
async fn every_request_is_sent_once_and_close_to_its_start() {
    let senders = (0..8).map(|_| Slow::new(5 * MS)).collect();
    let schedule = Schedule::open(100.0, Duration::from_secs(2));
    let ended = run(senders, schedule, &env(), &CancellationToken::new()).await.unwrap();
    let mut numbers: Vec<_> = ended.iter().flat_map(|sender| sender.numbers.clone()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    for sender in &ended {
        assert!(sender.latency.at(1.0) <= 7 * MS, "{:?}", sender.latency.at(1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_counts_for_every_request_that_was_meant_to_start_meanwhile() {
    let mut one = Slow::new(MS);
    one.stall = (10, Duration::from_secs(1));
    let schedule = Schedule::open(100.0, Duration::from_secs(2));
    let ended = run(vec![one], schedule, &env(), &CancellationToken::new()).await.unwrap();
    let latency = &ended[0].latency;
    assert_eq!(latency.count(), 200);
    // Counted from its sending, the stall would be one request of 200. But those of that second waited as well, the
    // longest nearly all of it, each 10 ms less than the one before.
    assert!(latency.at(0.995) > 900 * MS, "{:?}", latency.at(0.995));
    assert!(latency.at(0.75) > 400 * MS, "{:?}", latency.at(0.75));
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_sends_when_the_last_answer_came() {
    let schedule = Schedule::closed(Duration::from_secs(1));
    let ended = run(vec![Slow::new(10 * MS)], schedule, &env(), &CancellationToken::new()).await.unwrap();
    assert!((80..=100).contains(&ended[0].numbers.len()), "{}", ended[0].numbers.len());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_it_at_once_with_what_there_is() {
    let (stop, env) = (CancellationToken::new(), env());
    let begin = env.monotonic();
    let cancel = async {
        tokio::time::timeout(105 * MS, std::future::pending::<()>()).await.unwrap_err();
        stop.cancel();
    };
    let schedule = Schedule::open(100.0, Duration::from_secs(3_600));
    let (ended, ()) = tokio::join!(run(vec![Slow::new(MS)], schedule, &env, &stop), cancel);
    assert_eq!(ended.unwrap()[0].numbers.len(), 11);
    assert!(env.monotonic() - begin < 120 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_first_error_ends_the_load() {
    let mut failing = Slow::new(MS);
    failing.fails_at = Some(3);
    let (stop, env) = (CancellationToken::new(), env());
    let begin = env.monotonic();
    let schedule = Schedule::open(10.0, Duration::from_secs(3_600));
    assert_eq!(run(vec![failing], schedule, &env, &stop).await.err(), Some(3));
    assert!(env.monotonic() - begin < Duration::from_secs(1));
    assert!(!stop.is_cancelled(), "the caller's own token stays his");
}

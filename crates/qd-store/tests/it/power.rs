//! Power failures: a workload is recorded, then the power goes after each of its writes and syncs, and what may be left
//! on the disk is opened and compared with what had been acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::thread;

use qd_faultfs::{Disk, Event, FaultFs, Left, Trust};
use qd_store::Durability;

use crate::check::{Account, Verdict, block_on};
use crate::ledger::{Change, Step, View};
use crate::workload::Workload;

/// Threads that look at states.
const THREADS: usize = 2;

/// Operations of the workload.
const OPERATIONS: usize = 350;

/// How the power goes, in turn; an odd number of them, so that each thread meets all.
const FATES: [Left; 7] = [
    Left::Scattered,
    Left::Before,
    Left::Nothing,
    Left::Scattered,
    Left::Before,
    Left::Everything,
    Left::Scattered,
];

/// States to look at, unless `QUARTERDECK_TEST_POWER_STATES` says otherwise.
#[allow(clippy::disallowed_methods, reason = "a longer run is asked for by whoever starts the test")]
fn states(here: usize) -> usize {
    let wanted = std::env::var("QUARTERDECK_TEST_POWER_STATES").ok().map(|text| text.parse().unwrap());
    wanted.unwrap_or(here)
}

struct Recorded {
    events: Vec<Event>,
    steps: Vec<Step>,
    durability: Durability,
}

fn recorded(durability: Durability, seed: u64) -> Recorded {
    recorded_after(durability, seed, 0)
}

/// A record that begins with so many large jobs.
fn recorded_after(durability: Durability, seed: u64, large: usize) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch(folder.path());
    let steps = block_on(async {
        let mut workload = Workload::start(&fs, folder.path(), durability, seed).unwrap();
        workload.accept_large(large).await.unwrap();
        while workload.operations() < OPERATIONS {
            workload.turn().await.unwrap();
        }
        workload.steps
    });
    Recorded { events: fs.events(), steps, durability }
}

impl Recorded {
    /// Looks at `count` states, spread over all places; answers what was wrong where.
    fn check(&self, count: usize, trust: Trust, fates: &[Left]) -> Vec<(String, Verdict)> {
        self.check_at(0..self.events.len(), count, trust, fates)
    }

    /// The same for some of the places.
    fn check_at(
        &self,
        places: Range<usize>,
        count: usize,
        trust: Trust,
        fates: &[Left],
    ) -> Vec<(String, Verdict)> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let places = places.clone();
                    scope.spawn(move || self.check_some(thread, &places, count, trust, fates))
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }

    fn check_some(
        &self,
        thread: usize,
        places: &Range<usize>,
        count: usize,
        trust: Trust,
        fates: &[Left],
    ) -> Vec<(String, Verdict)> {
        let mut wrong = Vec::new();
        let mut progress = Progress::new(self, trust);
        for state in (thread..count).step_by(THREADS) {
            // After the last event there is nothing more to lose.
            let place = places.start + state * places.len() / count + 1;
            progress.go_to(place);
            let left = fates[state % fates.len()];
            let files = progress.disk.crash(left, state as u64);
            if let Err(verdict) = look(&files, &progress.account(), state as u64) {
                let events = self.events.len();
                wrong.push((
                    format!("state {state} of {count}: place {place} of {events}, {left:?}"),
                    verdict,
                ));
            }
        }
        wrong
    }
}

/// A place in a record, with the disk and the account there.
struct Progress<'a> {
    recorded: &'a Recorded,
    disk: Disk,
    place: usize,
    /// What is durable by promise.
    view: View,
    acked: usize,
    asked: usize,
    /// Where the last sync began.
    synced: usize,
}

impl<'a> Progress<'a> {
    fn new(recorded: &'a Recorded, trust: Trust) -> Self {
        let disk = Disk::new(trust);
        Self { recorded, disk, place: 0, view: View::default(), acked: 0, asked: 0, synced: 0 }
    }

    fn go_to(&mut self, place: usize) {
        for event in &self.recorded.events[self.place..place] {
            self.disk.replay(event);
            if let Event::Sync { from, .. } = event {
                self.synced = *from;
            }
        }
        self.place = place;
        let steps = &self.recorded.steps;
        // A relaxed store promises what was acknowledged before the last sync.
        let promised = match self.recorded.durability {
            Durability::Strict => place,
            Durability::Relaxed => self.synced,
        };
        while steps.get(self.acked).is_some_and(|step| step.acked <= promised) {
            self.view.apply(&steps[self.acked]);
            self.acked += 1;
        }
        while steps.get(self.asked).is_some_and(|step| step.asked <= place) {
            self.asked += 1;
        }
    }

    fn account(&self) -> Account<'_> {
        Account { steps: &self.recorded.steps, view: &self.view, acked: self.acked, asked: self.asked }
    }
}

/// Puts files into a folder and looks at them.
fn look(files: &BTreeMap<String, Vec<u8>>, account: &Account<'_>, seed: u64) -> Result<(), Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let _cheap = FaultFs::scratch(folder.path());
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    if seed.is_multiple_of(3) {
        leave_shared_memory(folder.path(), seed);
    }
    block_on(account.check(folder.path(), seed))
}

/// Shared memory of SQLite's is a file, and what it holds after a power failure is anybody's guess.
fn leave_shared_memory(folder: &Path, seed: u64) {
    let mut bytes = vec![0; 32 << 10];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    std::fs::write(folder.join("store.db-shm"), bytes).unwrap();
}

/// What the record holds besides plain jobs: batches, those that are over, jobs made by schedules, deliveries that were
/// tried.
pub(crate) fn besides(steps: &[Step]) -> [usize; 4] {
    let (mut batches, mut over) = (BTreeSet::new(), BTreeSet::new());
    let (mut ticks, mut tried) = (BTreeSet::new(), BTreeSet::new());
    for change in steps.iter().flat_map(|step| &step.changes) {
        let Change::Around(around) = change else { continue };
        batches.extend(around.batches.keys().copied());
        let ended = around.batches.values().filter(|kept| kept.batch.finished_at.is_some());
        over.extend(ended.map(|kept| kept.batch.id));
        ticks.extend(around.schedules.values().filter_map(|schedule| schedule.last_job));
        tried.extend(around.deliveries.values().filter(|one| one.last.is_some()).map(|one| one.id));
    }
    [batches.len(), over.len(), ticks.len(), tried.len()]
}

fn assert_none(wrong: &[(String, Verdict)]) {
    for (place, verdict) in wrong.iter().take(3) {
        eprintln!("{place}: {verdict}");
    }
    assert!(wrong.is_empty(), "{} states are wrong", wrong.len());
}

#[test]
fn power_failure_at_any_write_loses_nothing_that_was_acknowledged() {
    let recorded = recorded(Durability::Strict, 1);
    let [batches, over, ticks, tried] = besides(&recorded.steps);
    println!("{batches} batches, {over} of them over; {ticks} ticks; {tried} deliveries");
    assert!(batches >= 5 && over >= 2 && ticks >= 5 && tried >= 10);
    let count = states(2_100);
    assert_none(&recorded.check(count, Trust::Syncs, &FATES));
    println!("{count} states after a power failure, at {} writes and syncs", recorded.events.len());
    assert!(count >= 2_000);
}

#[test]
fn power_failure_during_the_stores_own_checkpoint_loses_nothing() {
    let recorded = recorded_after(Durability::Strict, 4, 10);
    let is_large = |event: &Event| matches!(event, Event::Write { offset, .. } if *offset > 8 << 20);
    let full = recorded.events.iter().position(is_large).expect("a log that is worth a checkpoint");
    let Event::Write { file: log, .. } = recorded.events[full] else { unreachable!() };
    let is_copy = |event: &Event| matches!(event, Event::Write { file, .. } if *file != log);
    let first = full + recorded.events[full..].iter().position(is_copy).expect("a checkpoint");
    let is_restart = |event: &Event| matches!(event, Event::Write { file, offset: 0, .. } if *file == log);
    let last = first + recorded.events[first..].iter().position(is_restart).expect("a log that starts over");
    assert!(last > first + 2_000, "pages are copied between {first} and {last}");
    assert_none(&recorded.check_at(first - 5..last + 5, 28, Trust::Syncs, &FATES));
}

#[test]
fn relaxed_store_loses_no_more_than_its_unsynced_end_to_a_power_failure() {
    let recorded = recorded(Durability::Relaxed, 2);
    let count = states(2_100) / 6;
    assert_none(&recorded.check(count, Trust::Syncs, &FATES));
    println!("{count} states of a relaxed store after a power failure");
    let syncs = recorded.events.iter().filter(|event| matches!(event, Event::Sync { .. })).count();
    assert!(syncs < recorded.steps.len(), "it syncs less often than it answers");
}

#[test]
fn checker_of_power_failures_finds_a_disk_that_lies() {
    let recorded = recorded(Durability::Strict, 3);
    let wrong = recorded.check(60, Trust::Nothing, &[Left::Before]);
    let lost = wrong.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Lost(_))).count();
    assert!(lost >= 30, "{lost} of {} found as lost: {wrong:?}", wrong.len());
}

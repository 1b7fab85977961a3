//! The last hour of each crew: how its jobs ended, and how long those took that a worker ended.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use qd_types::{CrewName, JobStatus, TenantId};

use super::{MINUTES, is_fresh};
use crate::CrewRecent;

/// Crews that are remembered. Of more, the one whose last job ended longest ago is forgotten.
const CREWS: usize = 4_000;

/// By tenant and crew.
#[derive(Default)]
pub(super) struct CrewHours(HashMap<(TenantId, CrewName), CrewHour>);

/// The minutes in which a job ended, oldest first: crews that rest take no memory.
#[derive(Default)]
struct CrewHour(VecDeque<CrewMinute>);

#[derive(Default)]
struct CrewMinute {
    /// Minutes since 1970.
    number: i64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    /// Those that a worker ended.
    timed: u64,
    sum_ms: u64,
}

impl CrewHours {
    pub(super) fn note_end(
        &mut self,
        number: i64,
        whose: &(TenantId, CrewName),
        status: JobStatus,
        took: Option<Duration>,
    ) {
        if !self.0.contains_key(whose) {
            self.make_room();
            self.0.insert(whose.clone(), CrewHour::default());
        }
        if let Some(hour) = self.0.get_mut(whose) {
            hour.minute(number).note_end(status, took);
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < CREWS {
            return;
        }
        let oldest = self.0.iter().min_by_key(|(_, hour)| hour.0.back().map(|minute| minute.number));
        if let Some(whose) = oldest.map(|(whose, _)| whose.clone()) {
            self.0.remove(&whose);
        }
    }

    /// Sums a crew's hour up; it is not known here which jobs it has.
    pub(super) fn read(&self, whose: &(TenantId, CrewName), newest: i64) -> CrewRecent {
        let (mut recent, mut timed, mut sum_ms) = (CrewRecent::default(), 0, 0);
        let minutes = self.0.get(whose).into_iter().flat_map(|hour| &hour.0);
        for minute in minutes.filter(|minute| is_fresh(minute.number, newest)) {
            recent.succeeded += minute.succeeded;
            recent.failed += minute.failed;
            recent.cancelled += minute.cancelled;
            timed += minute.timed;
            sum_ms += minute.sum_ms;
        }
        recent.average = u64::checked_div(sum_ms, timed).map(Duration::from_millis);
        recent
    }
}

impl CrewHour {
    /// The minute with this number, or a later one if the clock went back.
    fn minute(&mut self, number: i64) -> &mut CrewMinute {
        if self.0.back().is_none_or(|newest| newest.number < number) {
            if self.0.len() == MINUTES {
                self.0.pop_front();
            }
            self.0.push_back(CrewMinute { number, ..CrewMinute::default() });
        }
        let newest = self.0.len() - 1;
        &mut self.0[newest]
    }
}

impl CrewMinute {
    fn note_end(&mut self, status: JobStatus, took: Option<Duration>) {
        match status {
            JobStatus::Succeeded => self.succeeded += 1,
            JobStatus::Failed => self.failed += 1,
            JobStatus::Cancelled => self.cancelled += 1,
            JobStatus::Scheduled
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Retrying
            | JobStatus::Waiting => {}
        }
        if let Some(took) = took {
            self.timed += 1;
            self.sum_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX).min(1 << 31);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qd_types::{CrewName, JobStatus, TenantId};

    use super::{CREWS, CrewHours};
    use crate::CrewRecent;

    fn whose(n: usize) -> (TenantId, CrewName) {
        (TenantId::default(), CrewName::new(format!("crew-{n}")))
    }

    #[test]
    fn minutes_of_a_crew_are_summed_up_for_an_hour() {
        let mut hours = CrewHours::default();
        for (minute, status, took) in [
            (0, JobStatus::Succeeded, Some(10)),
            (30, JobStatus::Failed, Some(20)),
            (30, JobStatus::Cancelled, None),
            // The clock went back.
            (20, JobStatus::Succeeded, Some(60)),
        ] {
            hours.note_end(minute, &whose(1), status, took.map(Duration::from_secs));
        }
        let average = |seconds| Some(Duration::from_secs(seconds));
        let all = CrewRecent { succeeded: 2, failed: 1, cancelled: 1, average: average(30), open: 0 };
        for (newest, expected) in [
            (59, all),
            (60, CrewRecent { succeeded: 1, average: average(40), ..all }),
            (90, CrewRecent::default()),
        ] {
            assert_eq!(hours.read(&whose(1), newest), expected, "{newest}");
        }
        assert_eq!(hours.read(&whose(2), 59), CrewRecent::default());
        for minute in 100..1_000 {
            hours.note_end(minute, &whose(1), JobStatus::Succeeded, None);
        }
        assert_eq!(hours.read(&whose(1), 999).succeeded, 60);
    }

    #[test]
    fn of_too_many_crews_the_one_that_rests_longest_is_forgotten() {
        let mut hours = CrewHours::default();
        let mut note = |minute, n| hours.note_end(minute, &whose(n), JobStatus::Succeeded, None);
        (0..CREWS).for_each(|n| note(1, n));
        (0..CREWS).filter(|n| *n != 17).for_each(|n| note(2, n));
        note(3, CREWS);
        assert_eq!(hours.0.len(), CREWS);
        let kept = |n| hours.read(&whose(n), 3).succeeded;
        assert_eq!((kept(16), kept(17), kept(CREWS)), (2, 0, 1));
    }
}

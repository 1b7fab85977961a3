//! The schedule in memory: what is ready, what is due when, who holds what. Rebuilt from the rows at start.
//!
//! Every job that is not over is in exactly one place. Limits in use are derived from what is held here and never
//! counted apart. A million queued jobs must fit: what only few jobs have stands beside the entries, and the entries
//! stand in a B-tree, which never moves them all at once as a growing table would.

mod fewest;
mod ready;
mod tenants;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use qd_types::{
    BatchPlace, ConversationId, CrewName, Hooks, Job, JobId, JobStatus, Priority, TenantId, Timestamp,
};

use self::ready::Ready;
use self::tenants::Tenants;
use self::timers::Timers;
use super::rows::{OpenJob, RowId, Spent};
use crate::policy::{Sharing, Turns};
use crate::{LevelStats, TenantShares};

type TenantKey = u32;
/// Of a crew of one tenant.
type CrewKey = u32;
type ConversationKey = (TenantKey, ConversationId);

/// Consecutive crashes of its worker without a new entry after which a job is handed out only alone: the next crash has
/// exactly one suspect.
const SUSPECT_CRASHES: u32 = 2;

/// Consecutive crashes of its worker without a new entry that fail a job.
pub(crate) const POISON_CRASHES: u32 = 3;

/// Tenants whose next job is looked at for the oldest one of a level: this happens at every commit.
const TENANTS_LOOKED_AT: usize = 64;

/// A job that is not over.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: JobId,
    pub(crate) tenant: TenantKey,
    crew: CrewKey,
    pub(crate) priority: Priority,
    conversation: Option<Arc<ConversationKey>>,
    pub(crate) attempt: u32,
    pub(crate) in_doubt: bool,
    crashes: u16,
    // Both count things that take a commit each: four billion of them never happen to one job.
    epoch: u32,
    last_seq: u32,
    place: Place,
}

impl Entry {
    /// The conversation it belongs to.
    pub(crate) fn conversation(&self) -> Option<&ConversationId> {
        self.conversation.as_deref().map(|(_, conversation)| conversation)
    }

    /// Crashes of its worker since its last entry.
    pub(crate) fn crashes(&self) -> u32 {
        self.crashes.into()
    }

    pub(crate) fn set_crashes(&mut self, crashes: u32) {
        self.crashes = u16::try_from(crashes).unwrap_or(u16::MAX);
    }

    /// Claims so far.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.into()
    }

    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
    }

    /// The last place in its log.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq.into()
    }

    pub(crate) fn set_last_seq(&mut self, seq: u64) {
        self.last_seq = u32::try_from(seq).unwrap_or(u32::MAX);
    }

    fn is_suspect(&self) -> bool {
        self.crashes() >= SUSPECT_CRASHES
    }
}

#[derive(Debug)]
enum Place {
    /// Ready, or behind another job of its conversation; since when.
    Queued(Timestamp),
    /// Scheduled or retrying.
    Delayed(Timestamp),
    /// Asks a person.
    Waiting,
    /// In a worker's hands.
    Held(Box<Hold>),
}

/// A lease as the schedule knows it.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) until: Option<Timestamp>,
    pub(crate) spent: Spent,
    /// When the job could first have been taken up.
    pub(crate) accepted: Timestamp,
    /// Who pays.
    pub(crate) account: (TenantId, CrewName),
    /// Who is told of its end.
    pub(crate) webhook: Option<String>,
    /// Who is told of its steps.
    pub(crate) hooks: Option<Arc<Hooks>>,
    /// The input of a batch that it was made for.
    pub(crate) batch: Option<BatchPlace>,
}

impl Hold {
    /// Of a job that a worker has.
    pub(crate) fn of(job: Job, until: Option<Timestamp>) -> Self {
        let (spent, accepted) = (Spent::of(&job), job.first_ready_at());
        let account = (job.tenant, job.crew);
        let (webhook, hooks, batch) = (job.webhook_url, job.hooks, job.batch);
        Self { until, spent, accepted, account, webhook, hooks, batch }
    }
}

/// Jobs of one conversation: one at a time, in order of acceptance.
#[derive(Debug, Default)]
struct Line {
    /// The one that was taken up and is not over.
    holder: Option<RowId>,
    /// The others that are queued.
    queued: BTreeSet<RowId>,
}

/// All jobs that are not over.
pub(crate) struct Schedule {
    jobs: BTreeMap<RowId, Entry>,
    ready: Ready,
    turns: Turns<TenantKey>,
    /// Ready jobs whose worker crashed too often: each runs with nothing beside it.
    suspects: BTreeSet<RowId>,
    /// The suspect in a worker's hands, until it makes progress.
    alone: Option<RowId>,
    due: BTreeSet<(Timestamp, RowId)>,
    /// When those that expire do.
    expiring: Timers,
    /// When something is to be done about those that wait.
    wakes: Timers,
    waiting: usize,
    leases: BTreeSet<(Timestamp, RowId)>,
    held: HashMap<JobId, RowId>,
    lines: HashMap<Arc<ConversationKey>, Line>,
    tenants: Tenants,
    /// The queued ones by priority, the longest queued first.
    queued: [usize; Priority::LEVELS],
    /// Delayed ones that no worker took up yet.
    scheduled: usize,
    /// Spare slots that the last claim left free, because nobody was entitled to them.
    spare_left: usize,
    /// Since then somebody came who is.
    spare_wanted: bool,
}

impl Schedule {
    pub(crate) fn new(sharing: Sharing, shares: TenantShares) -> Self {
        Self {
            jobs: BTreeMap::new(),
            ready: Ready::default(),
            turns: Turns::new(sharing),
            suspects: BTreeSet::new(),
            alone: None,
            due: BTreeSet::new(),
            expiring: Timers::default(),
            wakes: Timers::default(),
            waiting: 0,
            leases: BTreeSet::new(),
            held: HashMap::new(),
            lines: HashMap::new(),
            tenants: Tenants::new(shares),
            queued: Default::default(),
            scheduled: 0,
            spare_left: 0,
            spare_wanted: false,
        }
    }

    /// Adds a job that is queued, delayed or waiting; a job that was running when its process died comes in as queued.
    pub(crate) fn add(&mut self, job: &OpenJob) {
        let tenant = self.tenants.key(&job.tenant);
        let crew = self.tenants.opened(tenant, &job.crew);
        if let Some(at) = job.expires_at {
            self.expiring.set(job.row, at);
        }
        let conversation = job.conversation.clone().map(|name| self.conversation_key((tenant, name)));
        let mut entry = Entry {
            id: job.id,
            tenant,
            crew,
            priority: job.priority,
            conversation,
            attempt: job.attempt,
            in_doubt: job.in_doubt,
            crashes: 0,
            epoch: 0,
            last_seq: 0,
            place: Place::Queued(job.queued_since),
        };
        entry.set_crashes(job.crashes);
        entry.set_epoch(job.epoch);
        entry.set_last_seq(job.last_seq);
        self.jobs.insert(job.row, entry);
        // A job that was taken up before keeps its conversation's place until it is over.
        if job.attempt > 0 {
            self.hold_line(job.row);
        }
        match (job.status, job.due) {
            (JobStatus::Waiting, at) => self.place_waiting(job.row, at),
            (_, Some(at)) => self.place_delayed(job.row, at),
            (_, None) => self.place_queued(job.row, job.queued_since),
        }
    }

    pub(crate) fn get(&self, row: RowId) -> Option<&Entry> {
        self.jobs.get(&row)
    }

    pub(crate) fn get_mut(&mut self, row: RowId) -> Option<&mut Entry> {
        self.jobs.get_mut(&row)
    }

    /// The lease of a job, if somebody holds it.
    pub(crate) fn hold(&mut self, row: RowId) -> Option<&mut Hold> {
        match &mut self.jobs.get_mut(&row)?.place {
            Place::Held(hold) => Some(hold),
            Place::Queued(_) | Place::Delayed(_) | Place::Waiting => None,
        }
    }

    pub(crate) fn tenant_name(&self, key: TenantKey) -> &TenantId {
        self.tenants.name(key)
    }

    /// How many jobs a tenant has queued, if those are as many as it may have.
    pub(crate) fn full_of(&self, tenant: &TenantId) -> Option<usize> {
        self.tenants.full(tenant)
    }

    /// How many jobs of a crew are not over.
    pub(crate) fn open_of(&self, tenant: &TenantId, crew: &CrewName) -> usize {
        self.tenants.open_of(tenant, crew)
    }

    /// How many jobs a tenant has queued, and how many it may have.
    pub(crate) fn queued_of(&self, tenant: &TenantId) -> (usize, Option<usize>) {
        self.tenants.queued_of(tenant)
    }

    /// Jobs that are queued.
    pub(crate) fn depth(&self) -> usize {
        self.queued.iter().sum()
    }

    /// The queued ones by priority. The oldest is found among those that are next: an index of all by their age would
    /// cost memory for every queued job, and be asked for one number.
    pub(crate) fn levels(&self) -> [LevelStats; Priority::LEVELS] {
        std::array::from_fn(|level| {
            let next = self.ready.firsts(level, TENANTS_LOOKED_AT);
            let suspects = self.suspects.iter().copied().filter(|row| self.level_of(*row) == Some(level));
            let since = next.chain(suspects).filter_map(|row| match self.jobs.get(&row)?.place {
                Place::Queued(since) => Some(since),
                Place::Delayed(_) | Place::Waiting | Place::Held(_) => None,
            });
            LevelStats { queued: self.queued[level], oldest: since.min() }
        })
    }

    fn level_of(&self, row: RowId) -> Option<usize> {
        self.jobs.get(&row).map(|entry| entry.priority.index())
    }

    /// Jobs that wait for their first attempt's time.
    pub(crate) fn scheduled(&self) -> usize {
        self.scheduled
    }

    /// Jobs in workers' hands.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// The row of a job in somebody's hands.
    pub(crate) fn held_row(&self, job: JobId) -> Option<RowId> {
        self.held.get(&job).copied()
    }

    /// Jobs that are scheduled or retrying.
    pub(crate) fn delayed(&self) -> usize {
        self.due.len()
    }

    /// Jobs that ask a person.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes the job whose turn it is, if any. It is in no place until [`Schedule::place_held`].
    pub(crate) fn take_next(&mut self) -> Option<RowId> {
        if self.alone.is_some() {
            return None;
        }
        if let Some(row) = self.suspects.first().copied() {
            // Whoever waits behind a suspect waits for one call of it at most, not for its end.
            if !self.held.is_empty() {
                return None;
            }
            self.unplace(row);
            return Some(row);
        }
        let row = self.ready.next(&mut self.turns)?;
        self.unplace(row);
        Some(row)
    }

    /// The same for a spare slot while `left` of them are free: a job of the tenant of which the fewest run, and fewer than
    /// are free. So one tenant may take many while there are many, and the last goes to one that has nothing.
    pub(crate) fn take_spare(&mut self, left: usize) -> Option<RowId> {
        if self.is_blocked() {
            return None;
        }
        let row = self.ready.next_of_fewest(left)?;
        self.unplace(row);
        Some(row)
    }

    /// Whether a suspect keeps everybody waiting: it needs to run with nothing beside it.
    fn is_blocked(&self) -> bool {
        self.alone.is_some() || !self.suspects.is_empty()
    }

    /// A suspect is out of the way: whoever waited behind it may be entitled to a spare slot.
    fn unblocked(&mut self) {
        self.spare_wanted |= self.spare_left > 0 && !self.is_blocked();
    }

    /// Spare slots that the last claim left free.
    pub(crate) fn spare_left(&self) -> usize {
        self.spare_left
    }

    /// As many are left as before this schedule was built anew; who is entitled to them now was not looked at.
    pub(crate) fn still_left_spare(&mut self, left: usize) {
        (self.spare_left, self.spare_wanted) = (left, left > 0);
    }

    /// A claim left so many spare slots free: whoever is entitled to one of them later is news.
    pub(crate) fn left_spare(&mut self, left: usize) {
        (self.spare_left, self.spare_wanted) = (left, false);
    }

    /// Whether a job became ready since that a spare slot is for. Asking it forgets it.
    pub(crate) fn take_spare_wanted(&mut self) -> bool {
        std::mem::take(&mut self.spare_wanted)
    }

    /// Puts a job in a worker's hands.
    pub(crate) fn place_held(&mut self, row: RowId, hold: Hold) {
        if let Some(until) = hold.until {
            self.leases.insert((until, row));
        }
        let Some(entry) = self.jobs.get_mut(&row) else { return };
        entry.place = Place::Held(Box::new(hold));
        if entry.is_suspect() {
            self.alone = Some(row);
        }
        self.held.insert(entry.id, row);
        let tenant = entry.tenant;
        let (running, used_up) = self.tenants.runs(tenant);
        self.ready.moved(tenant, running - 1, running);
        if used_up {
            self.ready.set_aside((tenant, running));
        }
        self.hold_line(row);
    }

    /// A held job made progress: whatever crashed its workers before is behind it. Answers whether others had to wait
    /// for that.
    pub(crate) fn clear_suspicion(&mut self, row: RowId) -> bool {
        if let Some(entry) = self.jobs.get_mut(&row) {
            entry.crashes = 0;
        }
        let was_alone = self.alone.take_if(|alone| *alone == row).is_some();
        if was_alone {
            self.unblocked();
        }
        was_alone
    }

    /// Gives a job its conversation's turn; whoever was next steps back.
    fn hold_line(&mut self, row: RowId) {
        let before = self.with_line(row, |line| {
            let before = line.next();
            line.holder = Some(row);
            before
        });
        self.refresh_line(row, before.flatten());
    }

    /// Puts a job among the queued ones: ready at once, or behind its conversation.
    pub(crate) fn place_queued(&mut self, row: RowId, since: Timestamp) {
        let Some(entry) = self.jobs.get_mut(&row) else { return };
        entry.place = Place::Queued(since);
        self.queued[entry.priority.index()] += 1;
        self.tenants.queued(entry.tenant);
        if entry.conversation.is_none() {
            self.make_ready(row);
            return;
        }
        let before = self.with_line(row, |line| {
            let before = line.next();
            line.queued.insert(row);
            before
        });
        self.refresh_line(row, before.flatten());
    }

    /// Puts a job to sleep until a moment.
    pub(crate) fn place_delayed(&mut self, row: RowId, at: Timestamp) {
        let Some(entry) = self.jobs.get_mut(&row) else { return };
        entry.place = Place::Delayed(at);
        self.scheduled += usize::from(entry.attempt == 0);
        self.due.insert((at, row));
    }

    /// Has a job wait for a person, and until when nothing is to be done about it. It keeps its conversation's turn.
    pub(crate) fn place_waiting(&mut self, row: RowId, wake_at: Option<Timestamp>) {
        let Some(entry) = self.jobs.get_mut(&row) else { return };
        entry.place = Place::Waiting;
        self.waiting += 1;
        if let Some(at) = wake_at {
            self.wakes.set(row, at);
        }
    }

    /// Takes a job out of where it is, to be placed elsewhere.
    pub(crate) fn unplace(&mut self, row: RowId) {
        let Some(entry) = self.jobs.get_mut(&row) else { return };
        match std::mem::replace(&mut entry.place, Place::Delayed(Timestamp::default())) {
            Place::Queued(_) => {
                self.queued[entry.priority.index()] -= 1;
                self.tenants.not_queued(entry.tenant);
                if entry.conversation.is_none() {
                    self.make_unready(row);
                    return;
                }
                let before = self.with_line(row, |line| {
                    let before = line.next();
                    line.queued.remove(&row);
                    before
                });
                self.refresh_line(row, before.flatten());
            }
            Place::Delayed(at) => {
                // A job in no place stands as delayed, without being due.
                if self.due.remove(&(at, row)) && entry.attempt == 0 {
                    self.scheduled -= 1;
                }
            }
            Place::Waiting => {
                self.waiting -= 1;
                self.wakes.clear(row);
            }
            Place::Held(hold) => {
                self.held.remove(&entry.id);
                let tenant = entry.tenant;
                let (running, has_room) = self.tenants.stops(tenant);
                self.ready.moved(tenant, running + 1, running);
                if has_room {
                    self.ready.let_in((tenant, running));
                }
                if let Some(until) = hold.until {
                    self.leases.remove(&(until, row));
                }
                if self.alone.take_if(|alone| *alone == row).is_some() {
                    self.unblocked();
                }
            }
        }
    }

    /// Forgets a job that is over; the next one of its conversation becomes ready.
    pub(crate) fn remove(&mut self, row: RowId) {
        self.unplace(row);
        let before = self.with_line(row, |line| {
            let before = line.next();
            if line.holder == Some(row) {
                line.holder = None;
            }
            before
        });
        self.refresh_line(row, before.flatten());
        let Some(entry) = self.jobs.remove(&row) else { return };
        self.tenants.closed(entry.crew);
        self.expiring.clear(row);
        if let Some(key) = entry.conversation
            && self.lines.get(&key).is_some_and(|line| line.holder.is_none() && line.queued.is_empty())
        {
            self.lines.remove(&key);
        }
    }

    /// Makes a lease last longer.
    pub(crate) fn extend(&mut self, row: RowId, until: Timestamp) {
        let Some(hold) = self.hold(row) else { return };
        if let Some(old) = hold.until.replace(until) {
            self.leases.remove(&(old, row));
            self.leases.insert((until, row));
        }
    }

    /// The first delayed job, if it is due.
    pub(crate) fn first_due(&self, now: Timestamp) -> Option<RowId> {
        first_until(&self.due, now)
    }

    /// The first job whose time is up.
    pub(crate) fn first_expired(&self, now: Timestamp) -> Option<RowId> {
        self.expiring.first_until(now)
    }

    /// The first waiting job about which something is to be done.
    pub(crate) fn first_woken(&self, now: Timestamp) -> Option<RowId> {
        self.wakes.first_until(now)
    }

    /// The first job whose lease ran out.
    pub(crate) fn first_lapsed(&self, now: Timestamp) -> Option<RowId> {
        first_until(&self.leases, now)
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let sets = [&self.due, &self.leases].into_iter().filter_map(|set| Some(set.first()?.0));
        sets.chain([&self.expiring, &self.wakes].into_iter().filter_map(Timers::next)).min()
    }

    /// One copy of each key, however many jobs a conversation has.
    fn conversation_key(&mut self, key: ConversationKey) -> Arc<ConversationKey> {
        match self.lines.get_key_value(&key) {
            Some((known, _)) => Arc::clone(known),
            None => {
                let key = Arc::new(key);
                self.lines.insert(Arc::clone(&key), Line::default());
                key
            }
        }
    }

    fn with_line<T>(&mut self, row: RowId, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let key = self.jobs.get(&row)?.conversation.clone()?;
        Some(change(self.lines.entry(key).or_default()))
    }

    /// After a line changed: what was ready steps back, what is next now becomes ready.
    fn refresh_line(&mut self, row: RowId, before: Option<RowId>) {
        let after = self.with_line(row, |line| line.next()).flatten();
        if before == after {
            return;
        }
        if let Some(row) = before {
            self.make_unready(row);
        }
        if let Some(row) = after {
            self.make_ready(row);
        }
    }

    fn make_ready(&mut self, row: RowId) {
        if let Some(entry) = self.jobs.get(&row) {
            if entry.is_suspect() {
                self.suspects.insert(row);
                return;
            }
            let running = self.tenants.running_of(entry.tenant);
            let may_run = self.ready.insert(entry.priority.index(), (entry.tenant, running), row);
            self.spare_wanted |= may_run && running < self.spare_left && !self.is_blocked();
        }
    }

    fn make_unready(&mut self, row: RowId) {
        if self.suspects.remove(&row) {
            self.unblocked();
            return;
        }
        let Some(entry) = self.jobs.get(&row) else { return };
        let running = self.tenants.running_of(entry.tenant);
        self.ready.remove(entry.priority.index(), (entry.tenant, running), row);
    }
}

impl Line {
    /// The job of this conversation that a worker may take.
    fn next(&self) -> Option<RowId> {
        match self.holder {
            // The holder itself may be queued again (after a crash or a retry); nobody passes it.
            Some(holder) => self.queued.contains(&holder).then_some(holder),
            None => self.queued.first().copied(),
        }
    }
}

fn first_until(set: &BTreeSet<(Timestamp, RowId)>, now: Timestamp) -> Option<RowId> {
    set.first().filter(|(at, _)| *at <= now).map(|(_, row)| *row)
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule")
            .field("queued", &self.depth())
            .field("held", &self.held.len())
            .field("ready", &self.ready.counts())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn queued_job_takes_no_more_memory_than_a_million_of_them_may() {
        // In a B-tree that grows at its end each entry takes about twice its size and its key's.
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }
}

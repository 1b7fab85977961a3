//! What a deployment may still be sent: requests and tokens a minute or a day, kept here so that the provider need not
//! refuse.
//!
//! A call takes what it will need before it is made (and waits its turn for it), gives back what it did not need, and
//! corrects the levels by what the answer says of them. Limits come from the configuration or from answers; without
//! either nothing is bounded. Synchronous and pure but for the moment that each call is given.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_types::Usage;

use crate::limits::{Seen, SeenLimits, Window};

/// What one call uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Need {
    /// Tokens of the prompt.
    pub(crate) input: f64,
    /// Tokens of the answer.
    pub(crate) output: f64,
}

impl Need {
    /// What a call has used.
    pub(crate) fn of(usage: &Usage) -> Self {
        Self { input: as_f64(usage.prompt_tokens()), output: as_f64(usage.output_tokens) }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Calls.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
}

/// A limit of a deployment, configured or learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownLimit {
    /// What is counted.
    pub of: Counted,
    /// Over which time.
    pub per: Duration,
    /// How much may be used in it.
    pub limit: f64,
    /// How much of that is left, what is under way taken off.
    pub left: f64,
}

impl Counted {
    /// The word of metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    fn of(self, need: Need) -> f64 {
        match self {
            Self::Requests => 1.0,
            Self::Tokens => need.input + need.output,
            Self::InputTokens => need.input,
            Self::OutputTokens => need.output,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reservoir {
    // Held for a few sums over the calls under way.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<Key, Bucket>,
    /// Refused calls said to stay away until then.
    closed_until: Duration,
    /// Refusals without an answer in between.
    refusals: u32,
    /// What calls have taken that are not settled: how many, and their tokens.
    under_way: (f64, Need),
}

/// What is counted, over which time, and who says so: an operator may want less used than the provider allows.
type Key = (Counted, Duration, Origin);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Configured,
    Learned,
}

/// One limit. The level may be negative: those who wait for their turn have taken theirs already.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: f64,
    per: Duration,
    level: f64,
    /// When the level was right.
    at: Duration,
    refill: Refill,
    /// All that was ever taken: what calls took in between can be told from two of these.
    taken: f64,
}

/// How a limit comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refill {
    /// Little by little, all of it within the window.
    Evenly,
    /// All at once at this moment, and every window after it.
    At(Duration),
}

impl Bucket {
    fn new(limit: f64, per: Duration, now: Duration) -> Self {
        Self { limit, per, level: limit, at: now, refill: Refill::Evenly, taken: 0.0 }
    }

    fn per_second(&self) -> f64 {
        self.limit / self.per.as_secs_f64()
    }

    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        match self.refill {
            Refill::Evenly => self.level = (self.level + passed * self.per_second()).min(self.limit),
            Refill::At(mut next) => {
                while next <= now {
                    // Debts are paid first.
                    self.level = (self.level + self.limit).min(self.limit);
                    next += self.per;
                }
                self.refill = Refill::At(next);
            }
        }
    }

    /// How long until so much is there.
    fn wait(&self, amount: f64) -> Duration {
        // What is larger than the limit passes when all is there; the provider decides.
        let missing = amount.min(self.limit) - self.level;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        match self.refill {
            Refill::Evenly => seconds(missing / self.per_second()),
            Refill::At(next) => {
                let windows = (missing / self.limit).ceil() - 1.0;
                next.saturating_sub(self.at) + seconds(windows * self.per.as_secs_f64())
            }
        }
    }

    /// Corrects the level by what an answer said. The provider's level was `remaining` at some moment since the call
    /// began; `since` is what was taken here since then and it may not have counted, `began` when that was. Our own
    /// level is kept as far as it fits.
    fn learn(&mut self, seen: Seen, since: f64, began: Duration, now: Duration) {
        if let Some(limit) = seen.limit.filter(|limit| *limit > 0) {
            self.limit = as_f64(limit);
        }
        // A limit that shrinks below what is under way is made up for within a window, or the provider refuses.
        self.level = self.level.clamp(-self.limit, self.limit);
        let Some(remaining) = seen.remaining.map(as_f64) else { return };
        if let Some(reset) = seen.resets_in {
            self.refill = self.refill_of(remaining, reset, now);
        }
        let refilled = match self.refill {
            Refill::Evenly => now.saturating_sub(began).as_secs_f64() * self.per_second(),
            Refill::At(_) => 0.0,
        };
        let most = (remaining + refilled).min(self.limit);
        self.level = self.level.clamp((remaining - since).clamp(-self.limit, most), most);
    }

    /// A limit that comes back evenly is whole again after just the part of the window that was used of it; one that
    /// comes back at once says the rest of its window.
    fn refill_of(&self, remaining: f64, reset: Duration, now: Duration) -> Refill {
        let evenly = (self.limit - remaining).max(0.0) / self.per_second();
        let off = (reset.as_secs_f64() - evenly).abs();
        // Resets are often written in whole seconds.
        let tolerance = (self.per.as_secs_f64() * 0.05).max(1.5);
        if off <= tolerance || reset.is_zero() { Refill::Evenly } else { Refill::At(now + reset) }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX / 4)
}

#[allow(clippy::cast_precision_loss)] // Limits are far below where it begins.
fn as_f64(count: u64) -> f64 {
    count as f64
}

impl Reservoir {
    /// With the limits that were set.
    pub(crate) fn new(rpm: Option<u64>, tpm: Option<u64>) -> Arc<Self> {
        let set = [(Counted::Requests, rpm), (Counted::Tokens, tpm)];
        let buckets = set.into_iter().filter_map(|(counted, limit)| {
            let per = length(Window::Minute);
            let key = (counted, per, Origin::Configured);
            limit.map(|limit| (key, Bucket::new(as_f64(limit), per, Duration::ZERO)))
        });
        let state = State { buckets: buckets.collect(), ..State::default() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// How long a call would wait.
    pub(crate) fn wait(&self, need: Need, now: Duration) -> Duration {
        self.lock().wait(need, now)
    }

    /// Takes what a call needs, to be made after the wait that is answered; a wait above `patience` takes nothing.
    ///
    /// # Errors
    /// With how long to stay away.
    pub(crate) fn take(
        self: &Arc<Self>,
        need: Need,
        patience: Duration,
        now: Duration,
    ) -> Result<(Taken, Duration), Duration> {
        let mut state = self.lock();
        let wait = state.wait(need, now);
        if wait > patience {
            return Err(wait);
        }
        let mut marks = Vec::with_capacity(state.buckets.len());
        for (key, bucket) in &mut state.buckets {
            // What is larger than the limit leaves no debt that none of its windows could pay.
            let amount = key.0.of(need).min(bucket.limit);
            bucket.level -= amount;
            bucket.taken += amount;
            marks.push(Mark { key: *key, amount, all: bucket.taken });
        }
        state.count(1.0, need);
        Ok((Taken { reservoir: Arc::clone(self), need, marks, began: now + wait }, wait))
    }

    /// A call was refused, which said to stay away for this long, or did not say.
    pub(crate) fn refused(&self, told: Option<Duration>, now: Duration) {
        let mut state = self.lock();
        state.refusals = state.refusals.saturating_add(1);
        // A refusal without a word among answers is a moment's: the call itself waits. Several in a row are a limit that is
        // not told, to be found by staying away for ever longer.
        let beyond = state.refusals.checked_sub(REFUSALS);
        let untold = || beyond.map(|n| UNTOLD.saturating_mul(1 << n.min(8)).min(UNTOLD_MAX));
        if let Some(span) = told.or_else(untold) {
            state.closed_until = state.closed_until.max(now + span.min(CLOSED_MAX));
        }
    }

    /// A call was answered.
    pub(crate) fn answered(&self) {
        self.lock().refusals = 0;
    }

    /// The limits that are known.
    pub(crate) fn known(&self, now: Duration) -> Vec<KnownLimit> {
        let mut state = self.lock();
        let known = state.buckets.iter_mut().map(|((of, per, _), bucket)| {
            bucket.advance(now);
            KnownLimit { of: *of, per: *per, limit: bucket.limit, left: bucket.level.max(0.0) }
        });
        known.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refusals in a row without a word of how long, after which nothing is sent for a while: at first this long, then twice
/// as long each time.
const REFUSALS: u32 = 5;
const UNTOLD: Duration = Duration::from_secs(1);
const UNTOLD_MAX: Duration = Duration::from_secs(30);
/// No provider closes itself for longer than this.
const CLOSED_MAX: Duration = Duration::from_secs(24 * 3600);

impl State {
    fn wait(&mut self, need: Need, now: Duration) -> Duration {
        let closed = self.closed_until.saturating_sub(now);
        let waits = self.buckets.iter_mut().map(|((counted, ..), bucket)| {
            bucket.advance(now);
            bucket.wait(counted.of(need))
        });
        waits.fold(closed, Duration::max)
    }

    fn count(&mut self, calls: f64, need: Need) {
        let (under_way, tokens) = &mut self.under_way;
        *under_way += calls;
        tokens.input += calls * need.input;
        tokens.output += calls * need.output;
    }

    /// What other calls have taken that a bucket that was not there when they did could not count.
    fn others(&self, counted: Counted, need: Need) -> f64 {
        let (calls, tokens) = self.under_way;
        let all = if counted == Counted::Requests { calls } else { counted.of(tokens) };
        (all - counted.of(need)).max(0.0)
    }
}

/// What a call took of one bucket.
#[derive(Debug, Clone, Copy)]
struct Mark {
    key: Key,
    amount: f64,
    /// The sum of all that was taken, this included.
    all: f64,
}

/// What a call took.
#[derive(Debug)]
pub(crate) struct Taken {
    reservoir: Arc<Reservoir>,
    need: Need,
    marks: Vec<Mark>,
    began: Duration,
}

impl Taken {
    /// The call was not made.
    pub(crate) fn give_back(&self, now: Duration) {
        let mut state = self.reservoir.lock();
        for mark in &self.marks {
            if let Some(bucket) = state.buckets.get_mut(&mark.key) {
                bucket.advance(now);
                bucket.level = (bucket.level + mark.amount).min(bucket.limit);
            }
        }
    }

    /// The call was made. `used` is what it used of tokens, if that is known; `seen` what its answer said.
    pub(crate) fn settle(&self, used: Option<Need>, seen: &SeenLimits, now: Duration) {
        let mut state = self.reservoir.lock();
        if let Some(used) = used {
            for mark in &self.marks {
                if let Some(bucket) = state.buckets.get_mut(&mark.key) {
                    bucket.advance(now);
                    let unused = mark.amount - mark.key.0.of(used).min(bucket.limit);
                    bucket.level = (bucket.level + unused).min(bucket.limit);
                }
            }
        }
        for (counted, seen) in [
            (Counted::Requests, seen.requests),
            (Counted::Tokens, seen.tokens),
            (Counted::InputTokens, seen.input_tokens),
            (Counted::OutputTokens, seen.output_tokens),
        ] {
            let Some(seen) = seen else { continue };
            let key = (counted, length(seen.per), Origin::Learned);
            let mark = self.marks.iter().find(|mark| mark.key == key);
            let others = state.others(counted, self.need);
            let bucket = match state.buckets.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => match seen.limit.filter(|limit| *limit > 0) {
                    Some(limit) => {
                        // None of the calls under way could be counted in it.
                        let left = as_f64(seen.remaining.unwrap_or(limit)) - others;
                        place.insert(Bucket { level: left, ..Bucket::new(as_f64(limit), key.1, now) })
                    }
                    None => continue,
                },
            };
            bucket.advance(now);
            let since = mark.map_or(others, |mark| bucket.taken - mark.all);
            bucket.learn(seen, since, self.began, now);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.reservoir.lock().count(-1.0, self.need);
    }
}

fn length(window: Window) -> Duration {
    match window {
        Window::Minute => Duration::from_secs(60),
        Window::Day => Duration::from_secs(24 * 3600),
    }
}

#[cfg(test)]
mod tests;

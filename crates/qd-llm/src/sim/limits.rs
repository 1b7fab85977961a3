//! What a simulated provider takes of one key and one model: buckets of requests and tokens, a ramp, a sum of money, the
//! model's window. Headers and refusals come from the same state, so they cannot disagree.
//!
//! A request that is refused takes nothing. Which limits there are stands in `options/limits.rs`.

mod bucket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use qd_types::{NanoDollars, Usage};

use self::bucket::Bucket;
use super::options::{LimitOptions, RampOptions};
use crate::wires::{Gauge, Measure, Refusal, Standing, Why};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Pairs of key and model that are told apart; all further ones share one account, so that nobody gets around a limit.
const ACCOUNTS_MAX: usize = 10_000;

/// What one request takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub(crate) input: u64,
    /// What the answer may need at most.
    pub(crate) output_max: u64,
    /// What it will need.
    pub(crate) output: u64,
}

/// Who asks for which model, hashed; all those that came too late to be told apart are none.
type Customer = Option<u64>;

/// The limits of one simulator and what is left of them.
#[derive(Clone)]
pub(crate) struct Limits {
    options: Arc<[LimitOptions]>,
    // Every hold is some arithmetic over one account.
    accounts: Arc<Mutex<HashMap<Customer, Account>>>,
    env: Env,
}

impl Limits {
    pub(crate) fn new(options: &[LimitOptions], env: Env) -> Self {
        Self { options: options.into(), accounts: Arc::default(), env }
    }

    /// Takes what the request needs, or says why not. Nothing to tell where nothing is limited. `customer` is the hash of key
    /// and model.
    pub(crate) fn admit(
        &self,
        customer: u64,
        model: &str,
        need: Need,
    ) -> (Option<Standing>, Result<Option<Reservation>, Refusal>) {
        let Some(options) = self.of_model(model) else { return (None, Ok(None)) };
        let now = self.env.monotonic();
        let mut accounts = self.lock();
        let mut customer = Some(customer);
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(&customer) {
            customer = None;
        }
        let account = accounts.entry(customer).or_insert_with(|| Account::new(options));
        let taken = account.take(options, need, now);
        let standing = Standing { now: self.env.now(), gauges: account.gauges(now) };
        let result = match taken {
            Ok(()) => Ok(Some(Reservation { limits: self.clone(), customer, need })),
            Err((why, retry_after)) => {
                let status = if matches!(why, Why::Window { .. }) { 400 } else { 429 };
                Err(Refusal { status, why, model: model.to_owned(), retry_after })
            }
        };
        // Without buckets no header has anything to say.
        ((!standing.gauges.is_empty()).then_some(standing), result)
    }

    /// What is left, for answers that did not come as far as the limits.
    pub(crate) fn standing(&self, customer: u64, model: &str) -> Option<Standing> {
        let options = self.of_model(model)?;
        let now = self.env.monotonic();
        let accounts = self.lock();
        let gauges = match accounts.get(&Some(customer)) {
            Some(account) => account.gauges(now),
            None => Account::new(options).gauges(now),
        };
        (!gauges.is_empty()).then(|| Standing { now: self.env.now(), gauges })
    }

    fn of_model(&self, model: &str) -> Option<&LimitOptions> {
        self.options.iter().find(|limit| limit.holds_for(model))
    }

    /// Fills every bucket and forgets what was spent.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Customer, Account>> {
        // Buckets cannot be left half-changed by a panic, so a poisoned lock is still good.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request took. Dropped at its end, it gives back what was not needed.
pub(crate) struct Reservation {
    limits: Limits,
    customer: Customer,
    need: Need,
}

impl Reservation {
    /// The answer is paid for.
    pub(crate) fn paid(&self, usage: &Usage) {
        let mut accounts = self.limits.lock();
        if let Some(account) = accounts.get_mut(&self.customer) {
            account.spent += crate::prices::of_sim(usage);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut accounts = self.limits.lock();
        if let Some(account) = accounts.get_mut(&self.customer) {
            account.give_back(self.need);
        }
    }
}

/// One key and one model.
struct Account {
    buckets: Vec<(Measure, Bucket)>,
    ramp: Option<Ramp>,
    spent: NanoDollars,
}

impl Account {
    fn new(options: &LimitOptions) -> Self {
        let buckets = [
            (Measure::Requests, options.requests_per_minute, MINUTE),
            (Measure::DailyRequests, options.requests_per_day, DAY),
            (Measure::InputTokens, options.input_tokens_per_minute, MINUTE),
            (Measure::OutputTokens, options.output_tokens_per_minute, MINUTE),
            (Measure::Tokens, options.tokens_per_minute, MINUTE),
        ];
        let buckets = buckets
            .into_iter()
            .filter_map(|(measure, limit, window)| Some((measure, Bucket::new(limit?, window))))
            .collect();
        Self { buckets, ramp: options.ramp.map(Ramp::new), spent: NanoDollars::default() }
    }

    /// All or nothing; else why not, and how long to wait if that helps.
    fn take(
        &mut self,
        options: &LimitOptions,
        need: Need,
        now: Duration,
    ) -> Result<(), (Why, Option<Duration>)> {
        if let Some(limit) = options.context_tokens
            && need.input > limit
        {
            return Err((Why::Window { limit, got: need.input }, None));
        }
        if options.spend_usd.is_some_and(|dollars| self.spent >= NanoDollars::from_dollars(dollars)) {
            return Err((Why::Spend, None));
        }
        self.find_room(need, now)?;
        if let Some(ramp) = &mut self.ramp
            && let Some(wait) = ramp.step(now)
        {
            return Err((Why::Ramp, Some(wait)));
        }
        for (measure, bucket) in &mut self.buckets {
            bucket.take(need.of(*measure), now);
        }
        Ok(())
    }

    /// The bucket that takes longest decides.
    fn find_room(&self, need: Need, now: Duration) -> Result<(), (Why, Option<Duration>)> {
        let mut longest: Option<(Duration, Measure, &Bucket)> = None;
        for (measure, bucket) in &self.buckets {
            let requested = need.of(*measure);
            let Some(wait) = bucket.wait_for(requested, now) else {
                let limit = bucket.limit();
                return Err((Why::TooLarge { measure: *measure, limit, requested }, None));
            };
            if wait > longest.map_or(Duration::ZERO, |(longest, ..)| longest) {
                longest = Some((wait, *measure, bucket));
            }
        }
        let Some((wait, measure, bucket)) = longest else { return Ok(()) };
        let limit = bucket.limit();
        let used = limit - bucket.remaining(now);
        Err((Why::Exceeded { measure, limit, used, requested: need.of(measure) }, Some(wait)))
    }

    fn give_back(&mut self, need: Need) {
        let needed = Need { output_max: need.output, ..need };
        for (measure, bucket) in &mut self.buckets {
            bucket.give_back(need.of(*measure), needed.of(*measure));
        }
    }

    fn gauges(&self, now: Duration) -> Vec<Gauge> {
        let gauge = |(measure, bucket): &(Measure, Bucket)| Gauge {
            measure: *measure,
            limit: bucket.limit(),
            remaining: bucket.remaining(now),
            reset: bucket.reset(now),
        };
        self.buckets.iter().map(gauge).collect()
    }
}

impl Need {
    fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests | Measure::DailyRequests => 1,
            Measure::InputTokens => self.input,
            Measure::OutputTokens => self.output_max,
            Measure::Tokens => self.input.saturating_add(self.output_max),
        }
    }
}

/// Requests of the window under way and of the one before it.
struct Ramp {
    options: RampOptions,
    window: Duration,
    index: u128,
    taken: u64,
    before: u64,
}

impl Ramp {
    fn new(options: RampOptions) -> Self {
        // The check of the options leaves nothing shorter than a millisecond.
        let window = Duration::try_from_secs_f64(options.window_seconds).unwrap_or(MINUTE);
        Self { options, window: window.max(Duration::from_millis(1)), index: 0, taken: 0, before: 0 }
    }

    /// Counts one more request, or says when the next window begins.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    fn step(&mut self, now: Duration) -> Option<Duration> {
        let index = now.as_nanos() / self.window.as_nanos();
        if index != self.index {
            self.before = if index == self.index + 1 { self.taken } else { 0 };
            (self.index, self.taken) = (index, 0);
        }
        let grown = (self.before as f64 * (1.0 + self.options.growth)) as u64;
        if self.taken >= grown.max(self.options.requests) {
            let next = (index + 1) * self.window.as_nanos() - now.as_nanos();
            return Some(Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX)));
        }
        self.taken += 1;
        None
    }
}

#[cfg(test)]
mod tests;

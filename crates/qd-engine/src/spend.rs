//! Budgets: before a model call the most that it may cost is set aside, after it what it did cost is known (G6).
//!
//! Tokens are bounded by bytes, because no tokenizer makes more tokens than bytes, and answers by `max_tokens`. A call that
//! does not fit waits as long as calls under way may give money back; then the policy decides. Day budgets are spent
//! from slices that the store grants, so that a call waits for a write once in many.

mod accounts;
mod reservation;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use qd_llm::{CallError, Models};
use qd_store::{Claimed, SliceAsk, SpendScope, Store};
use qd_telemetry::Metrics;
use qd_types::{ChatRequest, Class, Code, Job, LogItem, NanoDollars, Reserved};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::budgets::{Budgets, OnExceeded, UnknownPrice};
use accounts::{Accounts, Key, Short, Want};
pub(crate) use reservation::{Reservation, Slip};

/// The bound of an answer where neither the request nor its model has one; the call is made with it.
const ANSWER_TOKENS: u32 = 1_024;
/// What providers add to a prompt that declares tools, in tokens.
const TOOL_PROMPT_TOKENS: u64 = 512;
/// A slice is at least this part of its budget: so many writes spend a whole budget, and so much of it is lost at most,
/// besides the calls under way, when a process dies.
const SLICES: i64 = 128;
/// A job that waits for money looks again after this, because the budget may have been raised.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);

/// See the module.
pub(crate) struct SpendGuard {
    budgets: Budgets,
    store: Store,
    models: Arc<Models>,
    env: Env,
    metrics: Arc<Metrics>,
    book: Arc<Book>,
    /// One request for a slice at a time: whoever comes next finds room.
    leasing: tokio::sync::Mutex<()>,
    /// Models whose unknown price has been told of.
    told: Mutex<HashSet<String>>,
}

/// The accounts, and who waits for them.
#[derive(Default)]
pub(crate) struct Book {
    // Held for a few map operations.
    accounts: Mutex<Accounts>,
    freed: Notify,
}

impl Book {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that asks for its money.
pub(crate) struct Asking<'a> {
    pub(crate) claimed: &'a Claimed,
    /// The model, as the crew or a chain names it.
    pub(crate) name: &'a str,
    pub(crate) request: &'a ChatRequest,
    /// Calls of the same step that a dead worker may have made.
    pub(crate) in_doubt: u32,
    pub(crate) slip: &'a Slip,
    /// The worker stops.
    pub(crate) stopping: &'a CancellationToken,
}

/// A call that may be made.
pub(crate) struct Admitted<'a> {
    /// The model to ask.
    pub(crate) name: Cow<'a, str>,
    /// What to ask.
    pub(crate) request: Cow<'a, ChatRequest>,
    /// What is set aside for it; nothing where no budget applies.
    pub(crate) reservation: Option<Reservation>,
}

/// Whether a call that was refused here is to be asked again later without a try burnt.
pub(crate) fn is_parked(error: &CallError) -> bool {
    match error.code {
        Code::BudgetExceeded => error.class == Class::RateLimited,
        Code::StoreUnavailable => true,
        _ => false,
    }
}

impl SpendGuard {
    pub(crate) fn new(
        budgets: Budgets,
        store: Store,
        models: Arc<Models>,
        env: Env,
        metrics: Arc<Metrics>,
    ) -> Self {
        let book = Arc::new(Book::default());
        watch(&metrics, &book);
        // There from the start, so that a rate sees the first one.
        let _ = metrics.budget_refusals.with([budgets.on_exceeded.as_str()]);
        Self {
            budgets,
            store,
            models,
            env,
            metrics,
            book,
            leasing: tokio::sync::Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Sets aside what a call may cost, in every budget that applies.
    ///
    /// # Errors
    /// If it does not fit, or the store cannot say. The call was not made.
    pub(crate) async fn admit<'a>(&self, asking: &Asking<'a>) -> Result<Admitted<'a>, CallError> {
        let limits = self.limits(asking.claimed);
        if limits.is_empty() {
            let (name, request) = (Cow::Borrowed(asking.name), Cow::Borrowed(asking.request));
            return Ok(Admitted { name, request, reservation: None });
        }
        let refused = match self.admit_model(asking, asking.name, &limits).await {
            Err(Refused::Short(short)) => short,
            other => return other.map_err(|refused| self.told(refused)),
        };
        let policy = self.budgets.on_exceeded;
        self.metrics.budget_refusals.with([policy.as_str()]).inc();
        match (policy, &self.budgets.degrade_to) {
            (OnExceeded::Degrade, Some(cheaper)) if cheaper != asking.name => {
                let second = self.admit_model(asking, cheaper, &limits).await;
                second.map(Admitted::into_owned).map_err(|refused| self.told(refused))
            }
            _ => Err(self.told(Refused::Short(refused))),
        }
    }

    /// The same for one model.
    async fn admit_model<'a>(
        &self,
        asking: &Asking<'a>,
        name: &'a str,
        limits: &[(Key, NanoDollars)],
    ) -> Result<Admitted<'a>, Refused> {
        let answer = self.models.answer_bound(name, asking.request).unwrap_or(ANSWER_TOKENS);
        let request = match asking.request.max_tokens {
            Some(_) => Cow::Borrowed(asking.request),
            None => Cow::Owned(ChatRequest { max_tokens: Some(answer), ..asking.request.clone() }),
        };
        let Some(most) = self.models.most_it_costs(name, prompt_tokens(asking.request), answer.into()).await
        else {
            return self.unpriced(name).map(|()| Admitted {
                name: Cow::Borrowed(name),
                request,
                reservation: None,
            });
        };
        let doubt = NanoDollars(most.0.saturating_mul(asking.in_doubt.into()));
        let want = |(key, limit): &(Key, NanoDollars)| {
            // What a dead worker may have spent of a day was counted when the store was opened.
            let amount = if matches!(key, Key::Job(..)) { most + doubt } else { most };
            Want { key: key.clone(), limit: *limit, amount }
        };
        let wants: Vec<_> = limits.iter().map(want).collect();
        self.reserve(&wants, asking.stopping).await?;
        let reserved = Reserved { amount: most, day: self.day_of(limits) };
        let book = Arc::clone(&self.book);
        let reservation = Reservation::new(book, wants, reserved, doubt, asking.slip.clone());
        Ok(Admitted { name: Cow::Borrowed(name), request, reservation: Some(reservation) })
    }

    /// The budgets that apply to a job's calls now. Opens the job's account.
    fn limits(&self, claimed: &Claimed) -> Vec<(Key, NanoDollars)> {
        let job = &claimed.job;
        let mut limits = Vec::new();
        if let Some(limit) = self.budgets.of_job(job) {
            self.book.accounts().open_job(job, limit, || spent_before(claimed));
            limits.push((Key::Job(job.id, job.attempt), limit));
        }
        let day = self.env.now().day();
        let scope = |crew| Key::Day(SpendScope { tenant: job.tenant.clone(), crew, day });
        limits
            .extend(self.budgets.of_crew(&job.crew).day.map(|limit| (scope(Some(job.crew.clone())), limit)));
        limits.extend(self.budgets.tenant_day.map(|limit| (scope(None), limit)));
        limits
    }

    fn day_of(&self, limits: &[(Key, NanoDollars)]) -> qd_types::Day {
        let day = limits.iter().find_map(|(key, _)| match key {
            Key::Day(scope) => Some(scope.day),
            Key::Job(..) => None,
        });
        day.unwrap_or_else(|| self.env.now().day())
    }

    async fn reserve(&self, wants: &[Want], stopping: &CancellationToken) -> Result<(), Refused> {
        loop {
            // Listen first, then look: what is freed in between is heard.
            let freed = self.book.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let taken = self.book.accounts().take(wants);
            let Err(mut short) = taken else { return Ok(()) };
            if let Key::Day(scope) = &short.want.key {
                match self.lease(scope, &short).await? {
                    None => continue,
                    Some(still) => short = still,
                }
            }
            if !short.may_free {
                return Err(Refused::Short(Box::new(short)));
            }
            tokio::select! {
                () = freed => {}
                () = stopping.cancelled() => return Err(Refused::Stopping),
            }
        }
    }

    /// Asks the store for money. Answers what is still missing.
    async fn lease(&self, scope: &SpendScope, short: &Short) -> Result<Option<Short>, Refused> {
        let one = std::slice::from_ref(&short.want);
        let _turn = self.leasing.lock().await;
        // Somebody else may have brought some, or a call given some back, meanwhile.
        let Err(short) = self.book.accounts().lacks(one) else { return Ok(None) };
        let budget = short.want.limit;
        let wanted = short.missing.max(NanoDollars(budget.0 / SLICES));
        let ask = SliceAsk { scope: scope.clone(), wanted, budget };
        let slice = self.store.lease_slice(ask).await.map_err(|error| Refused::Store(error.to_string()))?;
        let mut accounts = self.book.accounts();
        accounts.grant(scope, &slice);
        Ok(accounts.lacks(one).err())
    }

    /// A model without a known price.
    fn unpriced(&self, name: &str) -> Result<(), Refused> {
        if self.budgets.unknown_price == UnknownPrice::Deny {
            return Err(Refused::Unpriced(name.to_owned()));
        }
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            tracing::warn!(
                model = name,
                "the price of a model is not known; budgets count its calls as free"
            );
        }
        Ok(())
    }

    fn told(&self, refused: Refused) -> CallError {
        let (code, class, retry_after, message) = match refused {
            Refused::Short(short) => {
                let message = self.describe(&short);
                match (self.budgets.on_exceeded, &short.want.key) {
                    (OnExceeded::Wait, Key::Day(scope)) => {
                        let left = scope.day.next().begin().since(self.env.now());
                        (Code::BudgetExceeded, Class::RateLimited, Some(left.min(LOOK_AGAIN)), message)
                    }
                    _ => (Code::BudgetExceeded, Class::Exhausted, None, message),
                }
            }
            Refused::Unpriced(name) => {
                let message =
                    format!("the price of model `{name}` is not known and budgets.unknown_price is deny");
                (Code::BudgetExceeded, Class::Exhausted, None, message)
            }
            Refused::Store(why) => {
                (Code::StoreUnavailable, Class::Transient, Some(Duration::from_secs(1)), why)
            }
            Refused::Stopping => {
                let why = "the call was not made because its worker stopped".to_owned();
                (Code::Draining, Class::Cancelled, None, why)
            }
        };
        CallError { retry_after, ..CallError::not_made(code, class, message) }
    }

    /// Which budget has no room, and why.
    fn describe(&self, short: &Short) -> String {
        let Want { key, limit, amount } = &short.want;
        let whose = match key {
            Key::Job(..) => "the job's budget".to_owned(),
            Key::Day(SpendScope { crew: Some(crew), day, .. }) => {
                format!("the budget of crew `{crew}` for {day}")
            }
            Key::Day(SpendScope { crew: None, day, .. }) => format!("the budget for {day}"),
        };
        let accounts = self.book.accounts();
        let spent = accounts.get(key).map(accounts::Account::spent).unwrap_or_default();
        format!("{whose} is ${limit}; ${spent} of it is spent, and this call may cost up to ${amount}")
    }

    /// An attempt is over.
    pub(crate) fn close_job(&self, job: &Job) {
        self.book.accounts().close_job(job);
    }

    /// Gives back slices that nobody uses; `all` of them when the engine stops.
    pub(crate) async fn give_back(&self, all: bool) {
        let left = self.book.accounts().take_back(self.env.now().day(), all);
        if left.is_empty() {
            return;
        }
        if let Err(error) = self.store.return_slices(left.clone()).await {
            tracing::warn!(%error, "slices of budgets could not be returned");
            self.book.accounts().put_again(left);
        }
    }
}

impl Admitted<'_> {
    fn into_owned<'b>(self) -> Admitted<'b> {
        Admitted {
            name: Cow::Owned(self.name.into_owned()),
            request: Cow::Owned(self.request.into_owned()),
            reservation: self.reservation,
        }
    }
}

/// Why a call may not be made.
enum Refused {
    Short(Box<Short>),
    Unpriced(String),
    Store(String),
    Stopping,
}

/// What a job's calls cost before this attempt, at most.
fn spent_before(claimed: &Claimed) -> NanoDollars {
    let entries = claimed.log.iter().filter_map(|logged| match &logged.item {
        LogItem::Entry { entry } => Some(entry.spend().1 + entry.possible_cost() + entry.doubtful_cost()),
        _ => None,
    });
    entries.sum()
}

/// More tokens than a prompt can have.
fn prompt_tokens(request: &ChatRequest) -> u64 {
    // With its names and quotes a prompt is longer here than what any provider makes of it.
    let bytes = serde_json::to_vec(request).map_or(usize::MAX, |json| json.len());
    let tools = if request.tools.is_empty() { 0 } else { TOOL_PROMPT_TOKENS };
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(tools)
}

/// Has the accounts looked at before every scrape.
fn watch(metrics: &Metrics, book: &Arc<Book>) {
    let book = Arc::clone(book);
    metrics.before_scrape(move |metrics| {
        let mut sums = [("job", [0.0; 3]), ("crew", [0.0; 3]), ("tenant", [0.0; 3])];
        for (key, account) in book.accounts().iter() {
            let kind = match key {
                Key::Job(..) => 0,
                Key::Day(scope) => 1 + usize::from(scope.crew.is_none()),
            };
            let figures = [account.limit, account.spent(), account.in_flight + account.room];
            let reserved = if kind == 0 { account.in_flight } else { figures[2] };
            for (sum, amount) in sums[kind].1.iter_mut().zip([figures[0], figures[1], reserved]) {
                *sum += amount.to_dollars();
            }
        }
        for (kind, [limit, spent, reserved]) in sums {
            metrics.budget_limit.with([kind]).set(limit);
            metrics.budget_spent.with([kind]).set(spent);
            metrics.budget_reserved.with([kind]).set(reserved);
        }
    });
}

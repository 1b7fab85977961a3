//! A job's journal as steps: each with what it was, what it cost and which tries failed before.

use std::borrow::Cow;
use std::collections::HashMap;

use qd_types::{
    Ask, Billed, Call, Entry, Failure, Job, LogItem, Logged, NanoDollars, Recourse, Source, StepId, StepKind,
    Usage,
};
use serde::Serialize;

use super::human::AnswerView;
use super::job::{ErrorView, UsageView};
use super::time::Rfc3339;
use super::totals::{self, Totals, TotalsView};
use crate::openapi::Schema;

/// The smallest journaled effect, finished or only tried so far.
#[derive(Serialize)]
pub(crate) struct StepView<'a> {
    step: &'a str,
    kind: &'static str,
    status: &'static str,
    task: String,
    agent: Option<&'a str>,
    model: Option<&'a str>,
    /// How the model was chosen, where the crew leaves it open.
    route: Option<RouteView<'a>>,
    /// The deployment that was asked last: `provider/model`.
    deployment: Option<&'a str>,
    tool: Option<&'a str>,
    source: Option<Source>,
    /// It was finished by an earlier attempt, and the last one took it from the journal.
    replayed: bool,
    attempt: u32,
    #[serde(rename = "try")]
    number: u32,
    usage: UsageView,
    cost_usd: String,
    /// What the call would have cost that was not made, because its answer was known.
    saved_usd: String,
    duration_ms: u64,
    finished_at: Option<Rfc3339>,
    possibly_billed: u32,
    failed_tries: Vec<FailedTry<'a>>,
    /// How its task went on, if it was given up.
    recourse: Option<RecourseView<'a>>,
    /// What the person said.
    answer: Option<AnswerView<'a>>,
}

#[derive(Serialize)]
struct RouteView<'a> {
    rule: &'a str,
    model: &'a str,
}

#[derive(Serialize)]
struct RecourseView<'a> {
    to: &'static str,
    agent: Option<&'a str>,
}

impl<'a> From<&'a Recourse> for RecourseView<'a> {
    fn from(recourse: &'a Recourse) -> Self {
        match recourse {
            Recourse::Compact { .. } => Self { to: "compact", agent: None },
            Recourse::Agent { agent } => Self { to: "agent", agent: Some(agent.as_str()) },
        }
    }
}

#[derive(Serialize)]
struct FailedTry<'a> {
    #[serde(rename = "try")]
    number: u32,
    attempt: u32,
    at: Rfc3339,
    duration_ms: u64,
    billed: Billed,
    error: ErrorView<'a>,
}

/// The steps of a job in the order in which they first appear in its log.
pub(crate) fn steps<'a>(job: &Job, log: &'a [Logged]) -> Vec<StepView<'a>> {
    let mut steps: Vec<StepView<'a>> = Vec::new();
    let mut places: HashMap<&'a StepId, usize> = HashMap::new();
    for logged in log {
        let Some(step) = step_of(&logged.item) else { continue };
        let place = *places.entry(step).or_insert_with(|| {
            steps.push(untried(step));
            steps.len() - 1
        });
        match &logged.item {
            LogItem::Entry { entry } => note(&mut steps[place], job, logged, entry),
            LogItem::Status { ask: Some(ask), .. } => asked(&mut steps[place], job, ask),
            _ => {}
        }
    }
    steps
}

/// The step that an item is about: of a question, the step that waits.
fn step_of(item: &LogItem) -> Option<&StepId> {
    match item {
        LogItem::Entry { entry } => entry.step(),
        LogItem::Status { ask, .. } => ask.as_ref().map(|ask| &ask.step),
        LogItem::TaskStarted { .. } | LogItem::TaskFinished { .. } | LogItem::Reminded { .. } => None,
    }
}

/// What each task and each agent of a job used, in the order of their first step.
#[derive(Serialize)]
pub(crate) struct SharesView<'a> {
    tasks: Vec<ShareView<'a>>,
    agents: Vec<ShareView<'a>>,
}

#[derive(Serialize)]
struct ShareView<'a> {
    name: Cow<'a, str>,
    #[serde(flatten)]
    sum: TotalsView,
}

/// Sums a job's journal up by task and by agent.
pub(crate) fn shares(log: &[Logged]) -> SharesView<'_> {
    let (mut tasks, mut agents) = (Vec::new(), Vec::new());
    for logged in log {
        let LogItem::Entry { entry } = &logged.item else { continue };
        let (Some(step), Some(call)) = (entry.step(), entry.call()) else { continue };
        add(&mut tasks, Cow::Owned(step.task().to_string()), entry);
        if let Some(agent) = &call.agent {
            add(&mut agents, Cow::Borrowed(agent.as_str()), entry);
        }
    }
    let shown = |sums: Vec<(_, Totals)>| {
        sums.into_iter().map(|(name, sum)| ShareView { name, sum: sum.view() }).collect()
    };
    SharesView { tasks: shown(tasks), agents: shown(agents) }
}

fn add<'a>(sums: &mut Vec<(Cow<'a, str>, Totals)>, name: Cow<'a, str>, entry: &Entry) {
    // A crew has few tasks and agents.
    let place = sums.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        sums.push((name, Totals::default()));
        sums.len() - 1
    });
    let (usage, cost) = entry.spend();
    sums[place].1.add(usage, cost, entry.possible_cost() + entry.doubtful_cost());
}

fn untried(step: &StepId) -> StepView<'_> {
    StepView {
        step: step.as_str(),
        kind: match step.kind() {
            StepKind::Model => "model",
            StepKind::Tool => "tool",
            StepKind::Human => "human",
        },
        status: "failed",
        task: step.task().to_string(),
        agent: None,
        model: None,
        route: None,
        deployment: None,
        tool: None,
        source: None,
        replayed: false,
        attempt: 0,
        number: 0,
        usage: UsageView::from(&Usage::default()),
        cost_usd: NanoDollars::default().to_string(),
        saved_usd: NanoDollars::default().to_string(),
        duration_ms: 0,
        finished_at: None,
        possibly_billed: 0,
        failed_tries: Vec::new(),
        recourse: None,
        answer: None,
    }
}

fn note<'a>(view: &mut StepView<'a>, job: &Job, logged: &Logged, entry: &'a Entry) {
    match entry {
        Entry::Model { reply, source, call, .. } => {
            view.model = Some(&reply.model);
            view.source = Some(*source);
            finished(view, job, logged, entry, call);
        }
        Entry::Tool { result, call, .. } => {
            view.tool = Some(&result.name);
            view.source = Some(Source::Executed);
            finished(view, job, logged, entry, call);
        }
        // Until there is a result, nobody knows of one.
        Entry::Intent { call, .. } => {
            of_call(view, logged, call);
            view.status = "unknown";
        }
        Entry::CallFailed { failure, billed, call, .. } => {
            of_call(view, logged, call);
            view.failed_tries.push(failed(logged, failure, *billed, call));
        }
        Entry::Recourse { recourse, .. } => view.recourse = Some(recourse.into()),
        Entry::Human { verdict, by, waited_ms, .. } => {
            view.status = "finished";
            view.duration_ms = *waited_ms;
            view.finished_at = Some(Rfc3339(logged.at));
            view.answer = Some(AnswerView::new(verdict, by));
        }
        Entry::Fact { .. } | Entry::Signal { .. } => {}
    }
}

/// A question stands as failed once nobody can answer it any more.
fn asked<'a>(view: &mut StepView<'a>, job: &Job, ask: &'a Ask) {
    let is_open = job.waiting.as_ref().is_some_and(|waiting| waiting.ask.step == ask.step);
    view.status = if is_open { "waiting" } else { "failed" };
    view.agent = Some(ask.agent.as_str());
}

fn finished<'a>(view: &mut StepView<'a>, job: &Job, logged: &Logged, entry: &'a Entry, call: &'a Call) {
    let (usage, cost) = entry.spend();
    of_call(view, logged, call);
    view.status = "finished";
    view.replayed = logged.attempt < job.attempt;
    view.usage = UsageView::from(&usage);
    view.cost_usd = cost.to_string();
    view.saved_usd = call.saved.unwrap_or_default().to_string();
    view.finished_at = Some(Rfc3339(logged.at));
}

fn of_call<'a>(view: &mut StepView<'a>, logged: &Logged, call: &'a Call) {
    view.agent = call.agent.as_ref().map(|agent| agent.as_str());
    view.attempt = logged.attempt;
    view.number = call.number;
    view.duration_ms = call.duration_ms;
    view.possibly_billed += call.possibly_billed;
    view.deployment = call.deployment.as_deref();
    view.route = call.route.as_ref().map(|route| RouteView { rule: &route.rule, model: &route.model });
    // Until an answer tells the model's own name, the crew's name for it is what is known.
    match view.kind {
        "model" if view.model.is_none() => view.model = Some(&call.target),
        "tool" if view.tool.is_none() => view.tool = Some(&call.target),
        _ => {}
    }
}

fn failed<'a>(logged: &Logged, failure: &'a Failure, billed: Billed, call: &Call) -> FailedTry<'a> {
    FailedTry {
        number: call.number,
        attempt: logged.attempt,
        at: Rfc3339(logged.at),
        duration_ms: call.duration_ms,
        billed,
        error: ErrorView::from(failure),
    }
}

/// What the document says of the journal.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let list = Schema::object()
        .about("A job's journal.")
        .field("job_id", Schema::job_id())
        .field("attempt", Schema::count().about("The job's last."))
        .field("steps", Schema::list(Schema::named("Step")))
        .field("by", Schema::named("Shares"));
    let share = || Schema::list(totals::fields(Schema::object().field("name", Schema::text())));
    let shares = Schema::object()
        .about("What each task and each agent used.")
        .field("tasks", share())
        .field("agents", share());
    let failed = Schema::object()
        .about("A try that failed.")
        .field("try", Schema::count())
        .field("attempt", Schema::count())
        .field("at", Schema::moment())
        .field("duration_ms", Schema::count())
        .field("billed", Schema::named("Billed"))
        .field("error", Schema::named("Failure"));
    let source = Schema::words(["executed", "cached"])
        .about("Whether a call was made, or a result cache had the answer.");
    let route = Schema::object()
        .about("How the model was chosen, where the crew says `llm: auto`.")
        .field("rule", Schema::text().about("Its name in the configuration."))
        .field("model", Schema::text().about("The model that it names."));
    let recourse = Schema::object()
        .about("How the task of a step that was given up went on.")
        .field("to", Schema::words(["compact", "agent"]))
        .field("agent", Schema::text().nullable().about("Who does the task instead."));
    let billed = Schema::words(["no", "possibly", "yes"]).about("Whether a failed call may be on the bill.");
    vec![
        ("StepList", list),
        ("Step", schema()),
        ("Shares", shares),
        ("FailedTry", failed),
        ("Source", source),
        ("Billed", billed),
        ("Route", route),
        ("Recourse", recourse),
    ]
}

fn schema() -> Schema {
    let replayed = "An earlier attempt finished it, and the last one took it from the journal.";
    let saved = "What was not spent: all of a call whose answer was in the result cache, or the difference to the standard model \
         where a routing rule chose a cheaper one.";
    Schema::object()
        .about("One model or tool call, or question to a person, that was journaled, or tried so far.")
        .field("step", Schema::text().about("Path of the step, the same in every attempt."))
        .field("kind", Schema::words(["model", "tool", "human"]))
        .field(
            "status",
            Schema::words(["finished", "failed", "unknown", "waiting"]).about(
                "`waiting`: a question that a person has not answered yet. `unknown`: a tool that may not be repeated was \
                 called, and has no result (yet).",
            ),
        )
        .field("task", Schema::text())
        .field("agent", Schema::text().nullable())
        .field("model", Schema::text().nullable())
        .field("route", Schema::named("Route").nullable())
        .field("deployment", Schema::text().nullable().about("Where it was asked: `provider/model`."))
        .field("tool", Schema::text().nullable())
        .field("source", Schema::named("Source").nullable())
        .field("replayed", Schema::yes_or_no().about(replayed))
        .field("attempt", Schema::count())
        .field("try", Schema::count())
        .field("usage", Schema::named("Usage"))
        .field("cost_usd", Schema::dollars())
        .field("saved_usd", Schema::dollars().about(saved))
        .field("duration_ms", Schema::count())
        .field("finished_at", Schema::moment().nullable())
        .field("possibly_billed", Schema::count().about("Calls that may be on the bill without an answer."))
        .field("failed_tries", Schema::list(Schema::named("FailedTry")))
        .field("recourse", Schema::named("Recourse").nullable())
        .field(
            "answer",
            Schema::named("HumanAnswer").nullable().about("What the person said; human steps only."),
        )
}

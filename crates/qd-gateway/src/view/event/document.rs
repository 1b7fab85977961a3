//! What the document says of events.

use crate::openapi::Schema;
use crate::view::human;

/// Which event holds what.
const EVENTS: [(&str, &str); 13] = [
    ("job.queued", "JobQueuedEvent"),
    ("job.started", "JobChangedEvent"),
    ("job.retrying", "JobRetryingEvent"),
    ("job.waiting", "JobWaitingEvent"),
    ("job.succeeded", "JobChangedEvent"),
    ("job.failed", "JobFailedEvent"),
    ("job.cancelled", "JobFailedEvent"),
    ("task.started", "TaskStartedEvent"),
    ("task.finished", "TaskFinishedEvent"),
    ("step.finished", "StepFinishedEvent"),
    ("step.answered", "StepAnsweredEvent"),
    ("step.failed", "StepFailedEvent"),
    ("delta", "DeltaEvent"),
];

/// What the document says of events.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let mut all = vec![("Event", event_schema())];
    all.extend(job_schemas());
    all.extend(task_schemas());
    all.extend(step_schemas());
    let call = Schema::object()
        .about("A call that the model asked for.")
        .field("id", Schema::text())
        .field("name", Schema::text().about("The tool."))
        .field("arguments", Schema::text().about("JSON, as the model wrote it."));
    let delta = Schema::object()
        .about("A piece of an answer that is on its way. Pieces may be lost; `step.finished` has the whole text.")
        .field("step", Schema::text())
        .field("call", Schema::count().about("Which call of the step: a new number begins anew."))
        .field("offset", Schema::count().about("Where the piece begins, in bytes of the call's text."))
        .field("text", Schema::text());
    all.extend([("ToolCall", call), ("DeltaEvent", delta)]);
    all
}

/// An event of the stream: what stands in its lines, by name.
fn event_schema() -> Schema {
    let variant = |(event, data): (&str, &str)| {
        let event_schema = Schema::object()
            .field("event", Schema::any().with("const", event))
            .field("data", Schema::json_text(data));
        let id = Schema::text().pattern("^[0-9]+$").about("What `Last-Event-ID` takes.");
        // Live events carry none.
        if event == "delta" { event_schema } else { event_schema.field("id", id) }
    };
    Schema::one_of(EVENTS.map(variant)).about("A server-sent event.")
}

/// What every durable event has.
fn durable_schema(about: &str) -> Schema {
    Schema::object()
        .about(about)
        .field("job_id", Schema::job_id())
        .field("at", Schema::moment().about("When it happened."))
        .field("attempt", Schema::count().about("Of the job."))
}

fn job_schemas() -> Vec<(&'static str, Schema)> {
    let job = |about| durable_schema(about).field("status", Schema::named("JobStatus"));
    let failed = |about| job(about).optional("error", Schema::named("Failure"));
    let queued = job("The job waits for a worker, or for its `run_at`.");
    let retrying = failed("The job is tried again later.");
    vec![
        (
            "JobQueuedEvent",
            queued.optional("run_at", Schema::moment()).optional("error", Schema::named("Failure")),
        ),
        ("JobChangedEvent", job("The job stands elsewhere. Read the job for its output once it is over.")),
        ("JobRetryingEvent", retrying.field("retry_at", Schema::moment().about("When."))),
        ("JobFailedEvent", failed("The job is over without an output.")),
        ("JobWaitingEvent", waiting_schema(job("The job asks a person, or reminds of it."))),
    ]
}

fn waiting_schema(job: Schema) -> Schema {
    // A reminder does not say again what is asked.
    human::question(job, Schema::optional)
        .field("step", Schema::text().about("What to name in the answer: `draft/turn-3/human`."))
        .field("task", Schema::text())
        .optional("expires_at", Schema::moment().about("When nobody is waited for any more."))
        .optional("reminder", Schema::count().about("Which reminder this is; not in the question itself."))
}

fn task_schemas() -> Vec<(&'static str, Schema)> {
    let task = |about| durable_schema(about).field("task", Schema::text()).field("agent", Schema::text());
    vec![
        ("TaskStartedEvent", task("An agent begins with a task.")),
        ("TaskFinishedEvent", task("A task has its output.").field("output", Schema::text())),
    ]
}

fn step_schemas() -> Vec<(&'static str, Schema)> {
    let step = |about| {
        durable_schema(about)
            .field("step", Schema::text().about("Path of the step, the same in every attempt."))
            .field("task", Schema::text())
            .optional("agent", Schema::text())
            .field("try", Schema::count().about("Which try of the step."))
            .field("duration_ms", Schema::count())
    };
    let finished = step("A model answered or a tool did its work.")
        .field("kind", Schema::words(["model", "tool"]))
        .optional("model", Schema::text().about("Who answered; model steps only."))
        .optional("tool", Schema::text().about("Tool steps only."))
        .field("text", Schema::text().about("The answer or the tool's result."))
        .optional("tool_calls", Schema::list(Schema::named("ToolCall")).about("What the model asked for."))
        .optional("is_error", Schema::yes_or_no().about("Whether the tool failed; tool steps only."))
        .optional("source", Schema::named("Source"))
        .optional("usage", Schema::named("Usage"))
        .optional("cost_usd", Schema::dollars())
        .field(
            "possibly_billed",
            Schema::count().about("Earlier calls that may be on the bill without an answer."),
        );
    let failed = step("A try failed; others may follow.")
        .field("error", Schema::named("Failure"))
        .field("billed", Schema::named("Billed"));
    let answered = durable_schema("A person has looked at a task's answer.")
        .field("step", Schema::text())
        .field("task", Schema::text())
        .field("duration_ms", Schema::count().about("How long the question waited."))
        .field("answer", Schema::named("HumanAnswer"));
    vec![("StepFinishedEvent", finished), ("StepAnsweredEvent", answered), ("StepFailedEvent", failed)]
}

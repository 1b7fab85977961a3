//! OpenAI's shape: each crew is a model, a chat completion is a job.
//!
//! Who asks waits for the job: in one piece, or streamed (`openai/stream.rs`). The crew's agents decide how models are sampled,
//! so what a request says of that is not followed; what would change the answer's shape is refused. An error carries an `error`
//! member as OpenAI's clients expect it, beside what every problem says.

mod request;
mod stream;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use qd_types::{Code, Job, JobId, JobStatus, Usage};
use serde::Serialize;
use serde_json::{Value, json as value};

use super::{ChosenBy, text_input};
use crate::access::Caller;
use crate::body;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::options::WAIT_MAX;
use crate::problem::{Problem, status_and_title};
use crate::routes::{Name, events, json, prefer};
use crate::submit::{self, Accepted, Submission};
use request::Asked;

/// The job behind an answer.
static JOB: HeaderName = HeaderName::from_static("x-quarterdeck-job");
/// OpenAI's clients repeat a request unless this says no: the job goes on, and a second one would be paid again.
static SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const OWNER: &str = "quarterdeck";

#[derive(Serialize)]
struct ModelView {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

impl ModelView {
    fn new(crew: &str, published: qd_types::Timestamp) -> Self {
        Self { id: crew.to_owned(), object: "model", created: seconds(published), owned_by: OWNER }
    }
}

/// `GET /v1/models`.
pub(crate) async fn models(State(context): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let crews = context.store.crews(&caller.tenant).await?;
    let data: Vec<_> = crews.iter().map(|crew| ModelView::new(crew.name.as_str(), crew.created_at)).collect();
    Ok(json(StatusCode::OK, &value!({ "object": "list", "data": data })))
}

/// `GET /v1/models/{name}`.
pub(crate) async fn model(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    let crew = request::crew(&context, &caller.tenant, &name).await?;
    Ok(json(StatusCode::OK, &ModelView::new(crew.plan.name().as_str(), crew.stored.created_at)))
}

#[derive(Serialize)]
struct CompletionView<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [ChoiceView<'a>; 1],
    usage: UsageView,
    system_fingerprint: Option<&'a str>,
}

#[derive(Serialize)]
struct ChoiceView<'a> {
    index: u8,
    message: MessageView<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct MessageView<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<&'a str>,
}

/// Tokens of all calls of the job.
#[derive(Serialize)]
struct UsageView {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl From<&Usage> for UsageView {
    fn from(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens(),
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
        }
    }
}

/// `POST /v1/chat/completions`.
pub(crate) async fn complete(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Response {
    match answer(&context, caller, request).await {
        Ok(response) => response,
        Err(problem) => problem.told_as_openai_does().into_response(),
    }
}

async fn answer(context: &Shared, caller: Caller, request: Request<Body>) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let named = request::conversation_header(request.headers())?;
    let body = body::json(request, context).await?;
    let idempotency = key.map(|key| {
        let hash = body::canonical_hash(&body);
        submit::idempotency("POST /v1/chat/completions", &key, hash, qd_store::OtherBody::Refuse)
    });
    let Asked { model, text, conversation, stream } = request::read(body, named)?;
    let crew = match request::crew(context, &caller.tenant, &model).await {
        Ok(crew) => text_input(&crew, "messages", text, ChosenBy::Field("model")).map(|input| (crew, input)),
        Err(problem) => Err(problem),
    };
    let (crew, input) = match crew {
        Ok(found) => found,
        // A request that was fine once hears of its job, although its crew has changed.
        Err(problem) => {
            let Accepted { job, .. } =
                submit::replay_or(problem, &caller.tenant, context, idempotency.as_ref()).await?;
            let (id, watch) = (job.id, context.store.watch(job.id));
            let response = match stream {
                // The crew is another one by now: what the job's last task may call is not known, so it is told at its end.
                Some(options) => {
                    let place = events::place(context, &caller.tenant)?;
                    stream::answer(context.clone(), caller, watch, place, &job, None, options)
                }
                None => whole(&*prefer::until_over(context, watch, job, WAIT_MAX).await?),
            };
            return Ok(of_job(response, id, true));
        }
    };
    // A task that may call tools is told at its end.
    let live = crew.plan.tasks().last().filter(|task| !task.may_call()).map(|task| task.name.clone());
    // Without a place the request is refused before it makes a job, which would be made again by whoever repeats it.
    let streamed = match stream {
        Some(options) => Some((events::place(context, &caller.tenant)?, options)),
        None => None,
    };
    let submission = Submission { conversation, idempotency, ..Submission::of(crew, input) };
    let asked = submission.into_job(&caller.tenant, context);
    // Watch first, then accept: what is said from the first moment on is heard.
    let (asked_id, watch) = (asked.id, context.store.watch(asked.id));
    let Accepted { job, replayed } = submit::enqueue(context, asked).await?;
    let id = job.id;
    let watch = if id == asked_id { watch } else { context.store.watch(id) };
    let response = match streamed {
        Some((place, options)) => stream::answer(context.clone(), caller, watch, place, &job, live, options),
        None => whole(&*prefer::until_over(context, watch, job, WAIT_MAX).await?),
    };
    Ok(of_job(response, id, replayed))
}

/// With the job's id, and whether an earlier request made it.
fn of_job(mut response: Response, id: JobId, replayed: bool) -> Response {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(&JOB, id);
    }
    submit::marked(response, replayed)
}

fn whole(job: &Job) -> Response {
    match outcome(job) {
        Ok(text) => json(
            StatusCode::OK,
            &CompletionView {
                id: completion_id(job),
                object: "chat.completion",
                created: seconds(job.created_at),
                model: job.crew.as_str(),
                choices: [ChoiceView {
                    index: 0,
                    message: MessageView { role: "assistant", content: text, refusal: None },
                    logprobs: None,
                    finish_reason: "stop",
                }],
                usage: UsageView::from(&job.usage),
                system_fingerprint: None,
            },
        ),
        Err(problem) => {
            let mut response = problem.told_as_openai_does().into_response();
            response.headers_mut().insert(&SHOULD_RETRY, const { HeaderValue::from_static("false") });
            response
        }
    }
}

/// The output of a job, or why there is none.
fn outcome(job: &Job) -> Result<&str, Problem> {
    match job.status {
        JobStatus::Succeeded => Ok(job.output.as_ref().map_or("", |output| output.raw.as_str())),
        JobStatus::Failed => {
            let (code, message) = job
                .error
                .as_ref()
                .map_or((Code::Internal, "the job failed"), |error| (error.code, error.message.as_str()));
            Err(Problem::new(code, format!("job {}: {message}", job.id)))
        }
        JobStatus::Cancelled => {
            Err(Problem::new(Code::JobCancelled, format!("job {} was cancelled", job.id)))
        }
        JobStatus::Scheduled
        | JobStatus::Queued
        | JobStatus::Running
        | JobStatus::Retrying
        | JobStatus::Waiting => {
            let detail = format!(
                "job {0} goes on, but no answer is kept waiting longer; read `GET /v1/jobs/{0}`, or ask with `stream`",
                job.id
            );
            Err(Problem::new(Code::StillRunning, detail))
        }
    }
}

fn completion_id(job: &Job) -> String {
    format!("chatcmpl-{}", job.id)
}

fn seconds(at: qd_types::Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

pub(crate) fn about_models() -> Operation {
    Operation::new("facades", "listModels", "crews as models")
        .about("In the shape of OpenAI's API: each crew is a model.")
        .answers(200, Answer::json("The crews.", "ModelList"))
}

pub(crate) fn about_model() -> Operation {
    Operation::new("facades", "readModel", "one crew as a model")
        .path("name", "Name of a crew.", Schema::text())
        .answers(200, Answer::json("The crew.", "Model"))
        .fails(&[Code::NotFound, Code::InvalidCrew])
}

pub(crate) fn about_complete() -> Operation {
    let piece = Schema::text().about("Each event holds a `chat.completion.chunk`, the last one `[DONE]`.");
    let done = Answer::json(
        "What the crew answered; with `stream`, the same in pieces as server-sent events.",
        "ChatCompletion",
    );
    let done = done.or("text/event-stream", piece).header("Idempotent-Replayed").header("X-Quarterdeck-Job");
    Operation::new("facades", "createChatCompletion", "ask a crew as OpenAI's clients ask a model")
        .about(
            "The last message is the text of the job; the messages before it come with it, or, with `user` or the header \
             `X-Quarterdeck-Conversation`, from the conversation of that name. The answer is awaited for up to 60 s. The job's id \
             is in `X-Quarterdeck-Job`.",
        )
        .idempotent()
        .header("X-Quarterdeck-Conversation", "The conversation that the job continues; goes before `user`.", Schema::text())
        .body(
            "NewChatCompletion",
            &[("chat", value!({ "model": "assistant", "messages": [{ "role": "user", "content": "Which tide is it?" }] }))],
        )
        .answers(200, done)
        .fails(&[Code::NotSupported, Code::InvalidCrew, Code::QueueFull])
        .fails_as_jobs_do()
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let model = Schema::object()
        .field("id", Schema::text().about("Name of the crew."))
        .field("object", Schema::words(["model"]))
        .field("created", Schema::count())
        .field("owned_by", Schema::text());
    let list = Schema::object()
        .field("object", Schema::words(["list"]))
        .field("data", Schema::list(Schema::named("Model")));
    let mut all = vec![("Model", model), ("ModelList", list)];
    all.extend(request::schemas());
    let usage = Schema::object()
        .field("prompt_tokens", Schema::count())
        .field("completion_tokens", Schema::count())
        .field("total_tokens", Schema::count());
    let message = Schema::object()
        .field("role", Schema::words(["assistant"]))
        .field("content", Schema::text())
        .field("refusal", Schema::text().nullable());
    let choice = Schema::object()
        .field("index", Schema::count())
        .field("message", message)
        .field("logprobs", Schema::object().nullable())
        .field("finish_reason", Schema::words(["stop"]));
    let completion = Schema::object()
        .field("id", Schema::text())
        .field("object", Schema::words(["chat.completion"]))
        .field("created", Schema::count())
        .field("model", Schema::text())
        .field("choices", Schema::list(choice))
        .field("usage", usage)
        .field("system_fingerprint", Schema::text().nullable());
    all.push(("ChatCompletion", completion));
    all
}

impl Problem {
    /// The `error` member of OpenAI's answers.
    pub(crate) fn openai_error(&self) -> Value {
        let kind = match status_and_title(self.code).0.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let param = self.errors.first().map(|error| error.path.trim_start_matches('/').replace('/', "."));
        value!({ "message": self.detail, "type": kind, "param": param, "code": self.code })
    }
}

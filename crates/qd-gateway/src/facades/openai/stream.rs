//! A chat completion in pieces: the final answer of the crew's last task, as its model writes it.
//!
//! Pieces are passed on as long as they continue what was sent. Where some are missing, the finished answer fills the gap; what
//! was sent is never taken back. A task with tools is sent whole at its end, because until then nobody knows whether the model's
//! words are its answer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use qd_store::{LiveEvent, Watch};
use qd_types::{Code, Delta, Job, JobId, StepId, TaskId};
use serde_json::{Value, json};

use super::request::StreamOptions;
use super::{UsageView, completion_id, outcome, seconds};
use crate::access::Caller;
use crate::context::Shared;
use crate::places::Place;
use crate::problem::Problem;
use crate::routes::events;

const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Hints may be lost, so that the job is looked at this often without one.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn answer(
    context: Shared,
    caller: Caller,
    watch: Watch,
    place: Place,
    job: &Job,
    live: Option<TaskId>,
    options: StreamOptions,
) -> Response {
    let head = Head { id: completion_id(job), created: seconds(job.created_at), model: job.crew.to_string() };
    let first = head.chunk(json!({ "role": "assistant", "content": "" }), None, options);
    let mut stream = Stream {
        context,
        caller,
        watch,
        _place: place,
        job: job.id,
        head,
        options,
        said: Said { live, step: None, sent: String::new() },
        ready: VecDeque::from([first]),
        is_over: false,
    };
    if job.status.is_terminal() {
        // A request that was repeated: nothing will be heard of its job any more.
        stream.end(job);
    }
    let frames = futures::stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), stream))
    });
    events::answer(frames)
}

/// What every piece repeats.
struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn chunk(&self, delta: Value, finish: Option<&str>, options: StreamOptions) -> Bytes {
        let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        self.piece(json!([choice]), options.include_usage.then_some(Value::Null))
    }

    fn piece(&self, choices: Value, usage: Option<Value>) -> Bytes {
        let mut piece = json!({ "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "choices": choices });
        if let Some(usage) = usage {
            piece["usage"] = usage;
        }
        event(&piece)
    }
}

fn event(json: &Value) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

struct Stream {
    context: Shared,
    caller: Caller,
    watch: Watch,
    _place: Place,
    job: JobId,
    head: Head,
    options: StreamOptions,
    said: Said,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.is_over {
                return None;
            }
            let keep_alive = self.context.options.keep_alive;
            tokio::select! {
                heard = self.watch.next() => match heard {
                    LiveEvent::Delta(delta) => {
                        if let Some(text) = self.said.piece(&delta) {
                            return Some(self.head.chunk(json!({ "content": text }), None, self.options));
                        }
                    }
                    LiveEvent::Changed => self.look().await,
                },
                () = tokio::time::sleep(keep_alive.min(LOOK_AGAIN)) => {
                    self.ready.push_back(COMMENT);
                    // Keys also expire, which nobody says.
                    if self.caller.is_still_good(&self.context.keys) {
                        self.look().await;
                    } else {
                        self.end_with(&Problem::new(Code::Unauthorized, "the key is not good any more"));
                    }
                }
                () = self.context.closing.cancelled() => {
                    self.end_with(&Problem::new(Code::Draining, "the server is stopping; the job goes on"));
                }
            }
        }
    }

    /// Looks whether the job is over, and says the rest if it is.
    async fn look(&mut self) {
        match self.context.job(&self.caller.tenant, self.job).await {
            Ok(job) if job.status.is_terminal() => self.end(&job),
            Ok(_) => {}
            Err(problem) => self.end_with(&problem),
        }
    }

    fn end(&mut self, job: &Job) {
        let rest = match outcome(job).map(|text| self.said.rest_of(text)) {
            Ok(Some(rest)) => rest,
            Ok(None) => {
                let detail = format!(
                    "job {0} was answered anew after its first words were sent; read `GET /v1/jobs/{0}`",
                    job.id
                );
                return self.end_with(&Problem::new(Code::ModelStreamInterrupted, detail));
            }
            Err(problem) => return self.end_with(&problem),
        };
        if !rest.is_empty() {
            self.ready.push_back(self.head.chunk(json!({ "content": rest }), None, self.options));
        }
        self.ready.push_back(self.head.chunk(json!({}), Some("stop"), self.options));
        if self.options.include_usage {
            let usage = serde_json::to_value(UsageView::from(&job.usage)).unwrap_or_default();
            self.ready.push_back(self.head.piece(json!([]), Some(usage)));
        }
        self.ready.push_back(DONE);
        self.is_over = true;
    }

    fn end_with(&mut self, problem: &Problem) {
        self.ready.push_back(event(&json!({ "error": problem.openai_error() })));
        self.is_over = true;
    }
}

/// What was passed on so far.
struct Said {
    /// The task whose words are passed on as they come.
    live: Option<TaskId>,
    /// The call whose words they were.
    step: Option<(StepId, u32)>,
    sent: String,
}

impl Said {
    /// What a piece adds to what was sent; nothing for words of others, and where words are missing in between.
    fn piece<'a>(&mut self, delta: &'a Delta) -> Option<&'a str> {
        let call = (delta.step.clone(), delta.call);
        match &self.step {
            // Other model calls of the task are not its answer.
            None if self.live.as_ref() == Some(&delta.step.task())
                && delta.step.as_str().ends_with("/model") =>
            {
                self.step = Some(call);
            }
            Some(known) if *known == call => {}
            _ => return None,
        }
        let sent = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        let known = usize::try_from(sent.checked_sub(delta.offset)?).ok()?;
        let text = delta.text.get(known..).filter(|text| !text.is_empty())?;
        self.sent.push_str(text);
        Some(text)
    }

    /// What is missing of the finished answer; none if it is another one than what was sent.
    fn rest_of<'a>(&self, whole: &'a str) -> Option<&'a str> {
        whole.strip_prefix(self.sent.as_str())
    }
}

#[cfg(test)]
mod tests {
    use qd_types::{Delta, JobId, StepId, TaskId};

    use super::Said;

    fn delta(step: &str, call: u32, offset: u64, text: &str) -> Delta {
        let job = JobId::parse("0198c0de-0000-7000-8000-000000000001").unwrap();
        Delta { job, step: StepId::new(step), call, offset, text: text.into() }
    }

    #[test]
    fn pieces_of_the_last_task_are_passed_on_once_and_in_order() {
        let mut said = Said { live: Some(TaskId::new("last")), step: None, sent: String::new() };
        for (delta, expected) in [
            (delta("first/turn-1/model", 1, 0, "no"), None),
            (delta("last/turn-1/compact-0", 1, 0, "no"), None),
            (delta("last/turn-1/model", 1, 0, "Hel"), Some("Hel")),
            (delta("last/turn-1/model", 1, 2, "llo"), Some("lo")),
            (delta("last/turn-1/model", 1, 0, "Hello"), None),
            // Another try, another turn: nothing of them is passed on.
            (delta("last/turn-1/model", 2, 0, "Good"), None),
            (delta("last/turn-2/model", 1, 0, "Good"), None),
            // Words are missing before it.
            (delta("last/turn-1/model", 1, 9, "end"), None),
            (delta("last/turn-1/model", 1, 5, ", you"), Some(", you")),
        ] {
            assert_eq!(said.piece(&delta), expected, "{delta:?}");
        }
        assert_eq!(said.rest_of("Hello, you there"), Some(" there"));
        assert_eq!(said.rest_of("Good morning"), None);
    }

    #[test]
    fn nothing_of_a_task_with_tools_is_passed_on_before_its_end() {
        let mut said = Said { live: None, step: None, sent: String::new() };
        assert_eq!(said.piece(&delta("last/turn-1/model", 1, 0, "I look it up")), None);
        assert_eq!(said.rest_of("42"), Some("42"));
    }
}

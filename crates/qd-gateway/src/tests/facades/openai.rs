//! Crews as OpenAI's clients ask them: one job for one request, whatever becomes of the answer.

use qd_store::Outcome;
use qd_types::{Delta, JobId, StepId, TaskId};
use serde_json::{Value, json};

use super::super::client::Reply;
use super::super::engine::{failure, output};
use super::super::{Server, publish, soon, spec};

const COMPLETIONS: &str = "/v1/chat/completions";
const KEY: &str = "idempotency-key";

fn asked(crew: &str, stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    json!({ "model": crew, "messages": messages, "stream": stream, "stream_options": { "include_usage": true } })
}

/// What was told, piece by piece.
fn pieces(reply: &Reply) -> Vec<Value> {
    let text = reply.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn words(reply: &Reply) -> String {
    pieces(reply).iter().filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str()).collect()
}

impl Server {
    /// Asks, and plays the engine meanwhile.
    async fn complete(
        &self,
        headers: &[(&str, &str)],
        body: &Value,
        engine: impl Future<Output = ()>,
    ) -> Reply {
        let (reply, ()) = tokio::join!(self.post_with(COMPLETIONS, headers, body), engine);
        reply
    }

    async fn answered(&self) {
        self.queued().await;
        self.succeed().await;
    }

    async fn jobs(&self) -> usize {
        self.get("/v1/jobs").await.json()["jobs"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_completion_is_a_job_and_a_repeated_request_is_answered_by_the_same_one() {
    let server = Server::start().await;
    for stream in [false, true] {
        let (key, body) = (format!("k-{stream}"), asked("assistant", stream));
        let before = server.jobs().await;
        let first = server.complete(&[(KEY, &key)], &body, server.answered()).await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{}", first.text());
        // The job is over: nothing will be heard of it any more.
        let again = soon("the answer", server.post_with(COMPLETIONS, &[(KEY, &key)], &body)).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
        assert_eq!(again.text(), first.text());
        assert_eq!(again.header("x-quarterdeck-job"), first.header("x-quarterdeck-job"));
        assert_eq!(server.jobs().await, before + 1);

        let other = server.post_with(COMPLETIONS, &[(KEY, &key)], &asked("solo", stream)).await;
        assert_eq!(other.problem(422, "idempotency_conflict")["error"]["code"], "idempotency_conflict");
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_while_its_job_goes_on_hears_of_that_job() {
    let server = Server::start().await;
    for stream in [false, true] {
        let (key, body) = (format!("k-{stream}"), asked("assistant", stream));
        let headers = [(KEY, key.as_str())];
        let both = async {
            tokio::join!(
                server.post_with(COMPLETIONS, &headers, &body),
                server.post_with(COMPLETIONS, &headers, &body)
            )
        };
        let ((first, again), ()) = tokio::join!(both, async {
            server.queued().await;
            // Both wait, or the second one comes when it is over: the same answer either way.
            server.succeed().await;
        });
        assert_eq!((first.status, again.status), (200, 200));
        assert_eq!(first.text(), again.text());
        let replayed = [first.header("idempotent-replayed"), again.header("idempotent-replayed")];
        assert!(replayed.contains(&None) && replayed.contains(&Some("true")), "{replayed:?}");
    }
}

#[tokio::test]
async fn words_come_as_they_are_said_and_the_finished_answer_fills_the_rest() {
    let server = Server::start().await;
    let reply = server
        .complete(&[], &asked("assistant", true), async {
            server.queued().await;
            let claimed = server.claim().await;
            for (task, offset, text) in [("draft", 0, "no"), ("polish", 0, "the "), ("polish", 9, "lost")] {
                let (job, step) = (claimed.job.id, StepId::model(&TaskId::new(task), 1));
                server.store.emit(Delta { job, step, call: 1, offset, text: text.into() });
            }
            server.finish(&claimed, Outcome::Succeeded(output())).await;
        })
        .await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(words(&reply), "the answer");
    let pieces = pieces(&reply);
    assert_eq!(pieces[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(pieces[pieces.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(pieces[pieces.len() - 1]["choices"], json!([]));
    assert!(pieces[pieces.len() - 1]["usage"]["total_tokens"].is_u64());
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_failed_job_is_told_in_openais_shape_and_not_to_be_asked_again() {
    let server = Server::start().await;
    let fail = async || {
        server.queued().await;
        let claimed = server.claim().await;
        server.finish(&claimed, Outcome::Failed(failure())).await;
    };
    let whole = server.complete(&[], &asked("assistant", false), fail()).await;
    let problem = whole.problem(503, "model_overloaded");
    assert_eq!(problem["error"]["type"], "server_error", "{problem}");
    assert_eq!(whole.header("x-should-retry"), Some("false"));
    let streamed = server.complete(&[], &asked("assistant", true), fail()).await;
    let last = pieces(&streamed).pop().unwrap();
    assert_eq!((streamed.status, &last["error"]["code"]), (200, &json!("model_overloaded")));
    assert!(!streamed.text().contains("[DONE]"));
}

#[tokio::test]
async fn a_stream_without_a_place_makes_no_job() {
    let server = Server::with(|options| options.watchers_max = 1, |_| {}).await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await.json();
    let id = JobId::parse(made["id"].as_str().unwrap()).unwrap();
    let mut listener = super::super::events::Listener::open_with(server.address, id, "").await;
    listener.until("job.queued").await;
    let refused = server.post(COMPLETIONS, &asked("assistant", true)).await;
    refused.problem(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.jobs().await, 1);
}

#[tokio::test]
async fn a_repeated_request_hears_of_its_job_although_its_crew_has_changed() {
    let server = Server::start().await;
    publish(&server.store, "chatty", &spec("chatty", "Answer {message}", None)).await;
    let key = |stream: bool| if stream { "k-stream" } else { "k-whole" };
    let mut first = Vec::new();
    for stream in [false, true] {
        let body = asked("chatty", stream);
        let reply = server.complete(&[(KEY, key(stream))], &body, server.answered()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        first.push(reply);
    }
    // The next version cannot be used here, the one after it takes no text.
    let unusable = spec("chatty", "Answer {message}", Some("nowhere/model"));
    let speechless = spec("chatty", "Compare {left} and {right}", None);
    for (changed, refused) in [(unusable, "invalid_crew"), (speechless, "validation_failed")] {
        publish(&server.store, "chatty", &changed).await;
        soon("the newest version is seen", async {
            let job = json!({ "crew": "chatty", "input": { "message": "x" } });
            while server.post("/v1/jobs", &job).await.json()["code"] != refused {}
        })
        .await;
        let before = server.jobs().await;
        for (stream, first) in [false, true].into_iter().zip(&first) {
            let (headers, body) = ([(KEY, key(stream))], asked("chatty", stream));
            let again = soon("the answer", server.post_with(COMPLETIONS, &headers, &body)).await;
            assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
            assert_eq!(again.header("x-quarterdeck-job"), first.header("x-quarterdeck-job"));
            assert_eq!(again.header("content-type"), first.header("content-type"), "{refused}");
            assert_eq!(again.text(), first.text(), "{refused}");
            // Another body is another request, also now.
            let other = server.post_with(COMPLETIONS, &headers, &asked("chatty", !stream)).await;
            other.problem(422, "idempotency_conflict");
            let fresh = server.post(COMPLETIONS, &body).await;
            assert!(fresh.status >= 400, "nobody asked this before: {}", fresh.text());
        }
        assert_eq!(server.jobs().await, before);
    }
}

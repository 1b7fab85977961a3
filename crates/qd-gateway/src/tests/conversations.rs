//! Reading and forgetting conversations.

use qd_store::{Finish, Outcome, Turn, TurnRole};
use qd_types::Progress;
use serde_json::json;

use super::Server;
use super::engine::output;

async fn talk(server: &Server, question: &str) -> String {
    let made =
        server.post("/v1/jobs", &json!({ "crew": "fixed", "conversation_id": "ada/1 ü" })).await.json();
    let claimed = server.claim().await;
    let say = |role, text: &str| Turn { role, text: text.to_owned() };
    let finish = Finish {
        job: claimed.job.id,
        fence: claimed.lease.fence,
        items: Vec::new(),
        progress: Progress::default(),
        outcome: Outcome::Succeeded(output()),
        history: vec![say(TurnRole::User, question), say(TurnRole::Assistant, "so it is")],
        doubt_settled: true,
    };
    server.store.finish(finish).await.unwrap().unwrap();
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_conversation_is_read_with_its_jobs_and_forgotten_on_request() {
    let server = Server::start().await;
    let path = "/v1/conversations/ada%2F1%20%C3%BC";
    server.get(path).await.problem(404, "not_found");
    let first = talk(&server, "is it?").await;
    let second = talk(&server, "really?").await;
    let read = server.get(path).await;
    assert_eq!(read.status, 200, "{}", read.text());
    let read = read.json();
    assert_eq!(read["id"], "ada/1 ü");
    let seen: Vec<_> = read["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            let field = |name: &str| message[name].as_str().unwrap().to_owned();
            assert_eq!(field("created_at").len(), 24);
            (field("role"), field("text"), field("job_id"))
        })
        .collect();
    let said = |role: &str, text: &str, job: &str| (role.to_owned(), text.to_owned(), job.to_owned());
    assert_eq!(
        seen,
        [
            said("user", "is it?", &first),
            said("assistant", "so it is", &first),
            said("user", "really?", &second),
            said("assistant", "so it is", &second),
        ]
    );
    assert!(read["expires_at"].as_str().unwrap() > read["updated_at"].as_str().unwrap());

    assert_eq!(server.delete(path).await.status, 204);
    server.get(path).await.problem(404, "not_found");
    server.delete(path).await.problem(404, "not_found");
    talk(&server, "again?").await;
    assert_eq!(server.get(path).await.json()["messages"].as_array().unwrap().len(), 2);
}

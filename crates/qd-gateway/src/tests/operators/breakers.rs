//! An operator looks at breakers and decides about them.

use serde_json::json;

use crate::tests::Server;

#[tokio::test]
async fn breakers_are_listed_forced_and_left_to_their_calls_again() {
    let server = Server::start().await;
    assert_eq!(server.get("/v1/breakers").await.json(), json!({ "breakers": [] }));
    for (state, standing, forced) in
        [("open", "open", true), ("closed", "closed", true), ("auto", "closed", false)]
    {
        let body = json!({ "deployment": "sim/meta/large", "state": state });
        let reply = server.post("/v1/breakers", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let listed = server.get("/v1/breakers").await.json()["breakers"][0].clone();
        assert_eq!(reply.json(), listed);
        assert_eq!((&listed["state"], &listed["forced"]), (&json!(standing), &json!(forced)));
    }
}

//! Keys from the first start to a revocation, as an operator and a caller meet them.

use serde_json::Value;

use crate::process::{Process, Project, SUMS, http, quarterdeck, run, said, with_inner_sim};

const LOCKED: &str = "[auth]\nmode = \"keys\"\n";

async fn json(project: &Project, args: &[&str]) -> Value {
    let (out, err, code) = said(&run(&project.path(), args).await);
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}"))
}

async fn created(project: &Project, more: &[&str]) -> Value {
    json(project, &[&["keys", "create", "test", "-o", "json"], more].concat()).await
}

fn key(key: &Value) -> &str {
    key["key"].as_str().unwrap()
}

async fn status(server: &Process, path: &str, key: &str) -> u16 {
    http().get(server.url(path)).bearer_auth(key).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn keys_are_made_before_the_start_and_managed_on_the_running_server() {
    let project = Project::new(&with_inner_sim(LOCKED), &[("sums.yaml", SUMS)]);
    let admin = created(&project, &["--scope", "admin"]).await;
    let mut server = project.serve("127.0.0.1:0").await;
    let url = server.url("");
    assert_eq!(http().get(server.url("/v1/jobs")).send().await.unwrap().status(), 401);
    assert_eq!(http().get(server.url("/ready")).send().await.unwrap().status(), 200);

    // The store is in the server's hands now, which is said with what to do.
    let (_, err, code) = said(&run(&project.path(), &["keys", "list"]).await);
    assert!(code == 7 && err.contains("--url http://"), "{code} {err}");
    let (_, err, code) = said(&run(&project.path(), &["keys", "list", "--url", &url]).await);
    assert!(code == 5 && err.contains("QUARTERDECK_API_KEY"), "{code} {err}");
    let wrong = [&key(&admin)[..65], "_"].concat();
    let (out, err, code) =
        said(&run(&project.path(), &["jobs", "list", "--url", &url, "--key", &wrong]).await);
    assert!(code == 5 && !(out + &err).contains(&wrong[..20]), "{code} {err}");

    let on_server = ["--url", &url, "--key", key(&admin)];
    let acme = created(
        &project,
        &[&["--scope", "jobs:read", "--scope", "jobs:write", "--tenant", "acme"], &on_server[..]].concat(),
    )
    .await;
    let mut submit = quarterdeck(&project.path());
    submit.env("QUARTERDECK_API_KEY", key(&acme)).env("QUARTERDECK_URL", &url);
    submit.args(["submit", "sums", "-i", "question=1", "--wait", "-o", "json"]);
    let (out, err, code) = said(&submit.output().await.unwrap());
    assert_eq!(code, 0, "{err}");
    let job: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(job["status"], "succeeded", "{job}");
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(status(&server, &path, key(&acme)).await, 200);
    assert_eq!(status(&server, &path, key(&admin)).await, 404, "another tenant's job is unknown");
    assert_eq!(status(&server, "/v1/keys", key(&acme)).await, 403);

    let id = acme["id"].as_str().unwrap();
    let rotated = json(&project, &[&["keys", "rotate", id, "-o", "json"], &on_server[..]].concat()).await;
    assert_eq!(status(&server, &path, key(&rotated)).await, 200);
    json(&project, &[&["keys", "revoke", id, "-o", "json"], &on_server[..]].concat()).await;
    assert_eq!(status(&server, &path, key(&acme)).await, 401, "at once");
    assert_eq!(status(&server, &path, key(&rotated)).await, 200);

    server.kill().await;
    let server = project.serve("127.0.0.1:0").await;
    assert_eq!(status(&server, &path, key(&acme)).await, 401, "a restart brings nothing back");
    assert_eq!(status(&server, &path, key(&rotated)).await, 200);
    for file in ["quarterdeck.db", "quarterdeck.db-wal"] {
        let bytes = std::fs::read(project.path().join("data").join(file)).unwrap_or_default();
        for key in [&admin, &acme, &rotated] {
            let secret = &self::key(key).as_bytes()[17..];
            assert!(!bytes.windows(20).any(|part| part == &secret[..20]), "{file} holds a secret");
        }
    }
}

#[tokio::test]
async fn audit_log_tells_who_did_what_and_a_changed_or_missing_row_is_found() {
    let project = Project::new(LOCKED, &[]);
    let first = created(&project, &["--scope", "admin"]).await;
    let id = first["id"].as_str().unwrap();
    json(&project, &["keys", "rotate", id, "--overlap-seconds", "0", "-o", "json"]).await;
    created(&project, &["--scope", "stats", "--tenant", "acme"]).await;
    let acts = json(&project, &["audit", "list", "-o", "json"]).await;
    let deeds: Vec<_> = acts.as_array().unwrap().iter().map(|act| act["deed"].as_str().unwrap()).collect();
    assert_eq!(deeds, ["key.created", "key.rotated", "key.created"]);
    assert_eq!((&acts[0]["actor"], &acts[0]["subject"]), (&"console".into(), &first["id"]));
    let whole = json(&project, &["audit", "verify", "-o", "json"]).await;
    assert_eq!((&whole["intact"], &whole["acts"]), (&true.into(), &3.into()));

    let tampered = |sql: &'static str| {
        let path = project.path();
        async move {
            let database = path.join("data/quarterdeck.db");
            let copy = path.join("data/copy.db");
            let connection = rusqlite::Connection::open(&database).unwrap();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            std::fs::copy(&database, &copy).unwrap();
            connection.execute_batch(sql).unwrap();
            drop(connection);
            let (out, err, code) = said(&run(&path, &["audit", "verify"]).await);
            assert!(code == 1 && out.contains("not whole"), "{sql}: {code} {out} {err}");
            for log in ["quarterdeck.db-wal", "quarterdeck.db-shm"] {
                let _ = std::fs::remove_file(path.join("data").join(log));
            }
            std::fs::rename(&copy, &database).unwrap();
        }
    };
    tampered("UPDATE audit SET subject = 'somebody' WHERE seq = 2").await;
    tampered("UPDATE audit SET at = at + 1 WHERE seq = 1").await;
    tampered("DELETE FROM audit WHERE seq = 2").await;
    tampered("DELETE FROM audit WHERE seq = 3").await;
    tampered("DELETE FROM audit").await;
    let (_, err, code) = said(&run(&project.path(), &["audit", "verify"]).await);
    assert_eq!(code, 0, "{err}");
}

#[tokio::test]
async fn production_asks_for_keys_and_says_so_when_there_is_none() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let mut open = quarterdeck(&project.path());
    open.args(["check"]).env("QUARTERDECK_ENV", "production").env("QUARTERDECK_AUTH__MODE", "open");
    let (out, err, code) = said(&open.output().await.unwrap());
    assert!(code != 0 && (out.clone() + &err).contains("auth.mode: is open"), "{code} {out} {err}");

    // As a service whose standard error is a log: nothing secret is written there.
    let mut command = quarterdeck(&project.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "", "--env", "staging"]);
    let mut server = Process::start(&mut command, "API").await;
    assert_eq!(http().post(server.url("/v1/jobs")).send().await.unwrap().status(), 401);
    // It is said after the address.
    server.says("quarterdeck keys create").await;
    server.kill().await;
    let lines = server.all_lines().await.join("\n");
    assert!(!lines.contains("qd_live_"), "{lines}");
}

#[tokio::test]
async fn pepper_file_is_private_and_a_lost_one_lets_nobody_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new(&with_inner_sim(LOCKED), &[]);
    let admin = created(&project, &["--scope", "admin"]).await;
    let pepper = project.path().join("data/quarterdeck.db.pepper");
    assert_eq!(std::fs::metadata(&pepper).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&pepper).unwrap();
    for (spoilt, code) in [(&b"short"[..], 3), (&[b'0'; 64][..], 0)] {
        std::fs::write(&pepper, spoilt).unwrap();
        let (_, err, ended) = said(&run(&project.path(), &["keys", "list"]).await);
        assert_eq!(ended, code, "{err}");
    }
    let mut server = project.serve("127.0.0.1:0").await;
    assert_eq!(status(&server, "/v1/jobs", key(&admin)).await, 401);
    server.kill().await;
    std::fs::write(&pepper, kept).unwrap();
    let server = project.serve("127.0.0.1:0").await;
    assert_eq!(status(&server, "/v1/jobs", key(&admin)).await, 200);
}

#[tokio::test]
async fn wrong_arguments_are_named_before_anything_is_made() {
    let project = Project::new("", &[]);
    for (args, message) in [
        (&["keys", "create", "n"][..], "--scope"),
        (&["keys", "create", "n", "--scope", "jobs"], "is no scope; there are jobs:read"),
        (&["keys", "create", " ", "--scope", "stats"], "1 to 128 characters"),
        (&["keys", "create", "n", "--scope", "stats", "--expires-days", "0"], "between 1 and 3650"),
        (&["keys", "revoke", "nonsense!"], "8 letters and digits"),
    ] {
        let (_, err, code) = said(&run(&project.path(), args).await);
        assert!(code == 2 && err.contains(message), "{args:?}: {code} {err}");
    }
    let (_, err, code) = said(&run(&project.path(), &["keys", "revoke", "Ab3dE6gH"]).await);
    assert!(code == 6 && err.contains("there is no key"), "{code} {err}");
}

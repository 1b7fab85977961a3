//! Webhooks of the real server: signed as others expect it, at least once over every crash, and no endpoint holds another up.

mod amp;
pub(crate) mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use qd_engine::{SigningSecret, WebhookHeaders, verify};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::process::{
    PATIENCE, Process, Project, finished, get, post, quarterdeck, run, said, sim, until, with_inner_sim,
    with_sim,
};
use receiver::{Hook, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PREVIOUS: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const SOON: Duration = Duration::from_millis(1);

fn endpoint(name: &str, url: &str) -> String {
    format!("[webhooks.{name}]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nprevious_secret = \"{PREVIOUS}\"\n")
}

async fn submit(server: &Process, more: Value) -> String {
    let mut body = json!({"crew": "assistant", "input": {"message": "hello"}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, job) = post(&server.url("/v1/jobs"), &body).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

fn is_signed(hook: &Hook, secret: &str) -> bool {
    let (id, timestamp, signature) = (&hook.id, &hook.timestamp, &hook.signature);
    let headers = WebhookHeaders { id, timestamp, signature };
    let now = jiff::Timestamp::now().as_second();
    verify(&SigningSecret::parse(secret).unwrap(), &headers, hook.text.as_bytes(), now).is_ok()
}

#[tokio::test]
async fn endpoints_and_urls_of_jobs_are_told_of_the_end_with_the_whole_job() {
    let receiver = Receiver::start(SOON, |_, _| 200).await;
    let settings = format!("[delivery]\nsecret = \"{SECRET}\"\n{}", endpoint("shop", &receiver.url));
    let project = Project::new(&with_inner_sim(&settings), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server, json!({"webhook_url": format!("{}?of=job", receiver.url)})).await;
    let hooks =
        until("both are told", || async { Some(receiver.hooks()).filter(|hooks| hooks.len() == 2) }).await;
    let job = get(&server.url(&format!("/v1/jobs/{id}"))).await;
    for hook in &hooks {
        let body = hook.body();
        assert_eq!((&body["type"], &body["data"]), (&json!("job.succeeded"), &job));
        assert_eq!(body["timestamp"], job["finished_at"]);
        assert!(is_signed(hook, SECRET));
    }
    assert_ne!(hooks[0].id, hooks[1].id);
    // One of them is the endpoint's, which signs with its previous secret, too.
    assert_eq!(hooks.iter().filter(|hook| is_signed(hook, PREVIOUS)).count(), 1);
    let list = until("both are noted", || async {
        let list = get(&server.url(&format!("/v1/jobs/{id}/deliveries"))).await;
        let done = list["deliveries"].as_array().unwrap().iter().all(|one| one["status"] == "delivered");
        done.then_some(list)
    })
    .await;
    assert_eq!(list["deliveries"][0]["last_try"]["http_status"], 200);
    official(&hooks).await;
}

/// The official library of Standard Webhooks reads them, too.
async fn official(hooks: &[Hook]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(python) = crate::sdk::python(folder) else {
        eprintln!("skipped: `cargo xtask test` makes the Python environment of the official clients");
        return;
    };
    let mut command = tokio::process::Command::new(python);
    command.env_clear().kill_on_drop(true).arg(folder.join("tests/it/sdk/webhooks.py")).arg(SECRET);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for hook in hooks {
        let headers = json!({
            "webhook-id": hook.id, "webhook-timestamp": hook.timestamp, "webhook-signature": hook.signature,
        });
        let line = json!({"headers": headers, "body": hook.text}).to_string() + "\n";
        input.write_all(line.as_bytes()).await.unwrap();
    }
    drop(input);
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("ends in time").unwrap();
    let (out, err, code) = said(&output);
    assert_eq!((code, out.trim()), (0, format!("verified {}", hooks.len()).as_str()), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_delivers_every_job_that_ended_under_one_id() {
    const KILLS: usize = 8;
    let sim = sim(&["--latency-ms", "20"]).await;
    // Every fifth is refused the first time; answers take long enough for kills to meet deliveries under way.
    let receiver = Receiver::start(Duration::from_millis(80), |hook, before| {
        let first = before.iter().all(|other| other.id != hook.id);
        if first && hook.id.as_bytes()[35].is_ascii_digit() && hook.id.as_bytes()[35] % 5 == 0 {
            500
        } else {
            204
        }
    })
    .await;
    let settings =
        format!("[worker]\nslots = 8\n[log]\nlevel = \"error\"\n{}", endpoint("all", &receiver.url));
    let project = Project::new(&with_sim(&sim, &settings), &[]);
    let mut server = project.serve("127.0.0.1:0").await;
    let address = server.address.clone();
    let (mut jobs, mut met) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let (before, wanted) = (receiver.hooks().len(), jobs.len() + 12);
        while jobs.len() < wanted {
            jobs.push(submit(&server, json!({})).await);
        }
        until("deliveries are under way", || async { (receiver.hooks().len() > before).then_some(()) }).await;
        server.kill().await;
        let told: BTreeSet<String> = receiver.hooks().iter().map(Hook::job).collect();
        met += usize::from(jobs.iter().any(|job| !told.contains(job)));
        server = project.serve(&address).await;
    }
    assert!(met > KILLS / 2, "kills left something to be told: {met} of {KILLS}");
    for job in &jobs {
        finished(&server.url(""), job).await;
    }
    until("everything is told", || async {
        let list = get(&server.url("/v1/deliveries?status=pending")).await;
        list["deliveries"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let (mut ids, mut taken) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    for hook in receiver.hooks() {
        assert!(is_signed(&hook, SECRET));
        if hook.status == 204 {
            taken.insert(hook.job());
        }
        ids.entry(hook.job()).or_default().insert(hook.id.clone());
    }
    for job in &jobs {
        assert!(taken.contains(job), "job {job} ended and nobody was told");
        assert_eq!(ids[job].len(), 1, "job {job}: {:?}", ids[job]);
    }
    assert!(receiver.hooks().iter().any(|hook| hook.status == 500), "some were refused at first");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_until_a_test_succeeds() {
    let receiver = Receiver::start(SOON, |_, _| 410).await;
    let project = Project::new(&with_inner_sim(&endpoint("shop", &receiver.url)), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let url = server.url("");
    let quarterdeck =
        async |args: &[&str]| said(&run(&project.path(), &[args, &["--url", &url]].concat()).await);
    let failed = async |job: &str| {
        until("it is given up", || async {
            let list = get(&format!("{url}/v1/jobs/{job}/deliveries")).await;
            (list["deliveries"][0]["status"] == "failed").then(|| list["deliveries"][0].clone())
        })
        .await
    };
    let first = submit(&server, json!({})).await;
    assert_eq!(failed(&first).await["last_try"]["http_status"], 410);
    let (out, _, code) = quarterdeck(&["webhooks", "endpoints"]).await;
    assert!(code == 0 && out.contains("disabled since") && out.contains("it answered 410"), "{out}");
    // Nothing is sent any more, and that is said.
    let second = submit(&server, json!({})).await;
    let delivery = failed(&second).await;
    assert!(delivery["last_try"]["error"].as_str().unwrap().contains("disabled"), "{delivery}");
    assert_eq!(receiver.hooks().len(), 1);
    let (_, err, code) = quarterdeck(&["webhooks", "test", "shop"]).await;
    assert!(code == 1 && err.contains("it answered 410"), "{err}");
    receiver.answers(204);
    let (out, err, code) = quarterdeck(&["webhooks", "test", "shop"]).await;
    assert!(code == 0 && out.contains("webhook.test") && out.contains("delivered"), "{out} {err}");
    let (out, err, code) = quarterdeck(&["webhooks", "resend", delivery["id"].as_str().unwrap()]).await;
    assert!(code == 0 && out.contains("pending"), "{out} {err}");
    until("it is sent after all", || async {
        receiver.hooks().iter().any(|hook| hook.job() == second && hook.status == 204).then_some(())
    })
    .await;
    let (out, _, _) = quarterdeck(&["webhooks", "list", "--status", "failed", "-o", "jsonl"]).await;
    assert_eq!(out.lines().count(), 2, "{out}");
    let (_, err, code) = quarterdeck(&["webhooks", "test", "nobody"]).await;
    assert!(code == 6 && err.contains("nobody"), "{err}");
}

#[tokio::test]
async fn a_dead_endpoint_holds_nobody_up() {
    let receiver = Receiver::start(SOON, |_, _| 204).await;
    // Nobody listens on the port of the first any more; the second takes connections and never answers.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let endpoints = [
        endpoint("dead", &format!("http://{gone}/")),
        endpoint("silent", &silent_url),
        endpoint("well", &receiver.url),
    ];
    let project = Project::new(&with_inner_sim(&endpoints.concat()), &[]);
    let server = project.serve("127.0.0.1:0").await;
    for _ in 0..40 {
        submit(&server, json!({})).await;
    }
    until("the one that is well is told everything", || async {
        (receiver.hooks().len() == 40).then_some(())
    })
    .await;
    let states = until("the dead one is known to be", || async {
        let states = get(&server.url("/v1/webhooks")).await["webhooks"].clone();
        let dead = states.as_array().unwrap().iter().find(|state| state["name"] == "dead").cloned().unwrap();
        dead["failing_since"].is_string().then_some(states)
    })
    .await;
    let well = states.as_array().unwrap().iter().find(|state| state["name"] == "well").unwrap();
    assert_eq!(well["failing_since"], Value::Null);
    // It is left alone instead of being tried forty times.
    let tried = get(&server.url("/v1/deliveries?endpoint=dead&limit=100")).await;
    let untried = tried["deliveries"].as_array().unwrap().iter().filter(|one| one["tries"] == 0).count();
    assert!(untried > 5, "{untried} wait untried");
}

#[tokio::test]
async fn what_may_not_be_reached_is_refused_before_anything_is_sent() {
    let closed = format!("[egress]\nloopback = false\n[delivery]\nsecret = \"{SECRET}\"\n");
    let project = Project::new(&with_inner_sim(&closed), &[]);
    let server = project.serve("127.0.0.1:0").await;
    for url in ["http://127.0.0.1:9/", "http://[::1]/", "http://169.254.169.254/latest", "http://10.0.0.1/"] {
        let body = json!({"crew": "assistant", "input": {"message": "m"}, "webhook_url": url});
        let (status, problem) = post(&server.url("/v1/jobs"), &body).await;
        assert_eq!((status, &problem["errors"][0]["path"]), (422, &json!("/webhook_url")), "{url}");
    }
    for (settings, message) in [
        (
            format!("{closed}{}", endpoint("shop", "http://127.0.0.1:9000/")),
            "webhooks.shop.url: names a host that may not",
        ),
        (
            "[webhooks.shop]\nurl = \"https://a.example\"\nsecret = \"short\"\n".to_owned(),
            "webhooks.shop.secret: a signing secret is",
        ),
        ("[webhooks.shop]\nurl = \"https://a.example\"\n".to_owned(), "webhooks.shop: lacks `secret`"),
        (
            endpoint("shop", "https://a.example") + "events = [\"job.queued\"]\n",
            "there is no event `job.queued`",
        ),
        ("[egress]\nallow = [\"10.0.0.0/99\"]\n".to_owned(), "egress: `10.0.0.0/99` is no network"),
    ] {
        let wrong = Project::new(&with_inner_sim(&settings), &[]);
        let (_, err, code) = said(&run(&wrong.path(), &["serve", "--listen", "127.0.0.1:0"]).await);
        assert!(code == 3 && err.contains(message) && !err.contains(SECRET), "{message}: {err}");
    }
    let shown = Project::new(&with_inner_sim(&endpoint("shop", "https://a.example")), &[]);
    let (out, _, code) = said(&run(&shown.path(), &["config", "show"]).await);
    assert!(code == 0 && out.contains("[redacted]") && !out.contains("whsec_"), "{out}");
}

#[tokio::test]
async fn listen_shows_what_is_signed_and_passes_it_on() {
    let receiver = Receiver::start(SOON, |_, _| 202).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let mut command = quarterdeck(folder.path());
    command.args([
        "listen",
        "--listen",
        "127.0.0.1:0",
        "--secret-file",
        "secret",
        "-o",
        "jsonl",
        "--forward",
        &receiver.url,
    ]);
    let mut listener = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(listener.stderr.take().unwrap()).lines();
    let first = tokio::time::timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().unwrap();
    let address = first.rsplit("http://").next().unwrap().to_owned();
    let project = Project::new(&with_inner_sim(&endpoint("here", &format!("http://{address}/"))), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server, json!({})).await;
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&shown["type"], &shown["status"]), (&json!("job.succeeded"), &json!(202)));
    assert_eq!(shown["body"]["data"]["id"], json!(id));
    let hook = receiver.hooks().remove(0);
    assert!(hook.job() == id && is_signed(&hook, SECRET));
    // What nobody signed is neither shown nor passed on.
    let forged =
        crate::process::http().post(format!("http://{address}/")).body(hook.text).send().await.unwrap();
    assert_eq!((forged.status().as_u16(), receiver.hooks().len()), (401, 1));
}

//! What is sent, what comes back, what is refused: over sockets of this machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qd_egress::{Bounds, Guard};
use qd_env::Env;
use qd_types::{Input, JobId, StepId, TaskId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::template::UrlTemplate;
use super::{DescribedTool, HttpTool, HttpToolOptions, Invocation, ResultMap, Tool, ToolEffect, ToolFault};

/// A service that answers what it is told, one request a connection, and keeps what it was sent.
struct Service {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// The last answer is given again and again; an empty one closes the connection, `hang` never answers.
    async fn start(answers: &[&str]) -> Self {
        qd_llm::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answers) =
            (Arc::clone(&heard), answers.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        Env::system().spawn(async move {
            let mut silent = Vec::new();
            for n in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { break };
                let mut request = Vec::new();
                while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
                log.lock().unwrap().push(String::from_utf8(request).unwrap());
                match answers[n.min(answers.len() - 1)].as_str() {
                    "hang" => silent.push(stream),
                    answer => {
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn reach() -> qd_egress::Options {
    qd_egress::Options { loopback: true, ..qd_egress::Options::default() }
}

fn guard() -> Guard {
    Guard::new(&reach(), Duration::from_secs(5)).unwrap()
}

fn bounds() -> Bounds {
    Bounds::new(&reach()).unwrap()
}

fn options(url: &str) -> HttpToolOptions {
    HttpToolOptions {
        name: "orders".into(),
        description: "Looks orders up.".into(),
        parameters: json!({ "properties": {
            "id": { "type": "string" }, "full": { "type": "boolean" }, "note": { "type": "object" },
        } }),
        method: "GET".into(),
        url: url.into(),
        headers: BTreeMap::new(),
        result: ResultMap::Whole,
        timeout: Duration::from_secs(10),
        effect: ToolEffect::Read,
    }
}

async fn call(options: HttpToolOptions, arguments: Value) -> Result<String, ToolFault> {
    call_within(Duration::from_secs(60), &|| true, options, arguments).await
}

/// The same for a job that has some time left, and wants it or not.
async fn call_within(
    time_left: Duration,
    is_wanted: &(dyn Fn() -> bool + Send + Sync),
    options: HttpToolOptions,
    arguments: Value,
) -> Result<String, ToolFault> {
    let tool = HttpTool::new(DescribedTool::new(options, &bounds()).unwrap(), guard());
    let (arguments, step): (Input, _) =
        (serde_json::from_value(arguments).unwrap(), StepId::tool(&TaskId::new("t"), 1, 0));
    let job = JobId::parse("0198c0de-0000-7000-8000-000000000001").unwrap();
    tool.call(Invocation { arguments: &arguments, job, step: &step, time_left, is_wanted }).await
}

#[tokio::test]
async fn arguments_go_where_the_description_says_and_nowhere_else() {
    for (method, template, arguments, line, body) in [
        (
            "GET",
            "/orders/{id}",
            json!({ "id": "a/b c?d#é" }),
            "GET /orders/a%2Fb%20c%3Fd%23%C3%A9 HTTP/1.1",
            "",
        ),
        ("GET", "/o?id={id}&x=1", json!({ "id": "1&x=2" }), "GET /o?id=1%26x%3D2&x=1 HTTP/1.1", ""),
        ("GET", "/o?id={id}", json!({ "full": true }), "GET /o?id=&full=true HTTP/1.1", ""),
        (
            "DELETE",
            "/o/{id}",
            json!({ "id": "7", "note": { "a": 1 } }),
            "DELETE /o/7?note=%7B%22a%22%3A1%7D HTTP/1.1",
            "",
        ),
        (
            "POST",
            "/o/{id}",
            json!({ "id": "7", "full": null, "note": { "a": 1 } }),
            "POST /o/7 HTTP/1.1",
            r#"{"note":{"a":1}}"#,
        ),
        ("PUT", "/o", json!({}), "PUT /o HTTP/1.1", "{}"),
    ] {
        let service = Service::start(&[&ok("done")]).await;
        let asked =
            HttpToolOptions { method: method.into(), ..options(&format!("{}{template}", service.url)) };
        assert_eq!(call(asked, arguments).await, Ok("done".into()));
        let heard = service.heard().remove(0);
        assert_eq!(heard.lines().next(), Some(line));
        assert_eq!(heard.split_once("\r\n\r\n").unwrap().1, body, "{heard}");
    }
}

#[tokio::test]
async fn an_argument_cannot_leave_its_part_of_the_path() {
    let service = Service::start(&[&ok("done")]).await;
    for id in [".", "..", ""] {
        let refused = call(options(&format!("{}/a/{{id}}/secret", service.url)), json!({ "id": id })).await;
        assert!(matches!(refused, Err(ToolFault::Told(_))), "{id}: {refused:?}");
    }
    let missing = call(options(&format!("{}/a/{{id}}", service.url)), json!({})).await;
    assert_eq!(missing, Err(ToolFault::Told("the argument `id` is needed".into())));
    let list = call(options(&format!("{}/a/{{note}}", service.url)), json!({ "note": {} })).await;
    assert!(matches!(list, Err(ToolFault::Told(_))), "{list:?}");
    assert!(service.heard().is_empty());
    // What only looks like one is another name.
    for id in ["...", "..%2f", "%2e%2e", "@evil.example", "\\..\\x"] {
        call(options(&format!("{}/a/{{id}}/b", service.url)), json!({ "id": id })).await.unwrap();
    }
    for heard in service.heard() {
        let path = heard.split(' ').nth(1).unwrap();
        assert!(path.starts_with("/a/") && path.ends_with("/b") && path.matches('/').count() == 3, "{path}");
    }
}

#[tokio::test]
async fn what_is_asked_for_of_an_answer_goes_back() {
    let body = json!({ "data": { "name": "Ann", "n": [1, 2] }, "more": "x" }).to_string();
    let fields = |pairs: &[(&str, &str)]| {
        ResultMap::Fields(pairs.iter().map(|(name, at)| ((*name).into(), (*at).into())).collect())
    };
    for (answer, result, expected) in [
        (&*body, ResultMap::Whole, Ok(body.clone())),
        (&body, ResultMap::One("/data/name".into()), Ok("Ann".to_owned())),
        (&body, ResultMap::One("/data/n".into()), Ok("[1,2]".to_owned())),
        (
            &body,
            fields(&[("who", "/data/name"), ("what", "/nope")]),
            Ok(r#"{"what":null,"who":"Ann"}"#.to_owned()),
        ),
        (&body, ResultMap::One("/nope".into()), Err("the service's answer has nothing at `/nope`")),
        ("plain", ResultMap::One("/a".into()), Err("the service's answer is no JSON")),
    ] {
        let service = Service::start(&[&ok(answer)]).await;
        let asked = HttpToolOptions { result, ..options(&service.url) };
        let expected = expected.map_err(|why| ToolFault::Told(why.to_owned()));
        let got = call(asked, json!({})).await.map(|text| match text.starts_with("{\"w") {
            // The order of fields is of no interest.
            true => serde_json::to_string(&serde_json::from_str::<BTreeMap<String, Value>>(&text).unwrap())
                .unwrap(),
            false => text,
        });
        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn secrets_are_sent_and_never_come_back() {
    let token = "tok-123456789";
    let service = Service::start(&[&ok(&format!("you sent Bearer {token}, twice {token}"))]).await;
    let headers = BTreeMap::from([
        ("Authorization".to_owned(), format!("Bearer {token}")),
        ("x-mode".to_owned(), "fast".to_owned()),
    ]);
    let asked = HttpToolOptions { headers, ..options(&service.url) };
    assert!(!format!("{asked:?}").contains(token));
    assert_eq!(call(asked, json!({})).await, Ok("you sent Bearer [secret], twice [secret]".into()));
    let heard = service.heard().remove(0);
    assert!(
        heard.contains(&format!("authorization: Bearer {token}\r\n")) && heard.contains("x-mode: fast"),
        "{heard}"
    );
    assert!(!heard.contains("idempotency-key"), "{heard}");
}

#[tokio::test]
async fn secrets_are_taken_out_however_they_are_spelt_and_whichever_begins_with_another() {
    let (long, short) = ("key/12345678", "key/1234");
    let body = json!({ "sent": long }).to_string().replace('/', "\\/");
    let headers = BTreeMap::from([("x-a".to_owned(), short.to_owned()), ("x-b".to_owned(), long.to_owned())]);
    for (result, expected) in
        [(ResultMap::Whole, r#"{"sent":"[secret]"}"#), (ResultMap::One("/sent".into()), "[secret]")]
    {
        let service = Service::start(&[&ok(&body)]).await;
        let asked = HttpToolOptions { headers: headers.clone(), result, ..options(&service.url) };
        assert_eq!(call(asked, json!({})).await, Ok(expected.to_owned()));
    }
}

#[tokio::test]
async fn refusals_and_silence_are_told_and_only_what_may_be_is_repeated() {
    const BUSY: &str = "HTTP/1.1 503 -\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
    const GONE: &str = "HTTP/1.1 404 -\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    const MOVED: &str =
        "HTTP/1.1 302 -\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const LOST: &str = "HTTP/1.1 502 -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 204 -\r\nconnection: close\r\n\r\n";
    let fine = ok("fine");
    let told = |text: &str| Err(ToolFault::Told(text.to_owned()));
    let broke = "the connection broke off before there was an answer";
    let (read, idempotent, once) = (ToolEffect::Read, ToolEffect::Idempotent, ToolEffect::AtMostOnce);
    for (answers, effect, expected, calls) in [
        (vec![BUSY, &fine], read, Ok("fine".to_owned()), 2),
        (vec!["", BUSY, &fine], idempotent, Ok("fine".to_owned()), 3),
        (vec![BUSY], read, told("the service answered 503 (Service Unavailable): busy"), 3),
        (vec![GONE], idempotent, told("the service answered 404 (Not Found): no"), 1),
        (vec![MOVED], read, told("the service answered 302 (Found); redirects are not followed"), 1),
        (vec![""], read, told(broke), 3),
        (
            vec![MOVED],
            once,
            Err(ToolFault::Unknown("the service answered 302 (Found); redirects are not followed".into())),
            1,
        ),
        (vec![LOST], once, Err(ToolFault::Unknown("the service answered 502 (Bad Gateway)".into())), 1),
        // It happened, whatever its answer looks like.
        (vec![EMPTY], once, Ok(String::new()), 1),
        // Here somebody said that it did not happen; there nobody said anything.
        (vec![BUSY], once, told("the service answered 503 (Service Unavailable): busy"), 1),
        (vec![""], once, Err(ToolFault::Unknown(broke.to_owned())), 1),
    ] {
        let service = Service::start(&answers).await;
        let result = if answers == [EMPTY] { ResultMap::One("/state".into()) } else { ResultMap::Whole };
        let asked = HttpToolOptions { effect, result, ..options(&service.url) };
        assert_eq!(call(asked, json!({})).await, expected, "{answers:?} {effect:?}");
        let heard = service.heard();
        assert_eq!(heard.len(), calls, "{answers:?} {effect:?}");
        let keys: Vec<_> = heard
            .iter()
            .map(|request| request.lines().find(|line| line.starts_with("idempotency-key: ")))
            .collect();
        assert_eq!(keys.iter().all(Option::is_some), effect != read);
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "one key for all repetitions");
    }
}

#[tokio::test]
async fn a_call_takes_no_longer_than_it_may_and_no_more_is_read_than_that() {
    let patience = Duration::from_millis(100);
    for (effect, is_known) in [(ToolEffect::Read, true), (ToolEffect::AtMostOnce, false)] {
        let service = Service::start(&["hang"]).await;
        let fault =
            call(HttpToolOptions { effect, timeout: patience, ..options(&service.url) }, json!({})).await;
        let why = "the service did not answer within 0.1 s".to_owned();
        assert_eq!(fault, Err(if is_known { ToolFault::Told(why) } else { ToolFault::Unknown(why) }));
    }
    let service = Service::start(&[&ok(&"x".repeat((1 << 20) + 1))]).await;
    let fault = call(options(&service.url), json!({})).await;
    assert_eq!(fault, Err(ToolFault::Told("the answer is larger than 1 MiB; ask for less".into())));
}

#[tokio::test]
async fn a_call_that_may_happen_once_ends_before_its_jobs_time_does_or_is_not_begun() {
    let within = async |millis: u64, effect: ToolEffect| {
        let service = Service::start(&["hang"]).await;
        let asked = HttpToolOptions { effect, ..options(&service.url) };
        let fault = call_within(Duration::from_millis(millis), &|| true, asked, json!({})).await.unwrap_err();
        (fault, service.heard().len())
    };
    let silent = |seconds: &str| format!("the service did not answer within {seconds} s");
    let once = ToolEffect::AtMostOnce;
    assert_eq!(within(1_500, once).await, (ToolFault::Unknown(silent("1")), 1));
    assert_eq!(within(1_500, ToolEffect::Idempotent).await, (ToolFault::Told(silent("1.5")), 1));
    for millis in [0, 1, 500] {
        let (fault, calls) = within(millis, once).await;
        let ToolFault::Told(why) = fault else {
            panic!("nothing happened, so nobody is in doubt: {fault:?}")
        };
        assert!(why.contains("was not called"), "{why}");
        assert_eq!(calls, 0, "{millis} ms before the end");
    }
}

#[tokio::test]
async fn a_call_that_nobody_wants_any_more_is_not_repeated() {
    const BUSY: &str = "HTTP/1.1 503 -\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
    let time_left = Duration::from_secs(60);
    for (wanted, calls) in [(0, 1), (1, 2), (9, 3)] {
        let service = Service::start(&[BUSY]).await;
        let asked = AtomicUsize::new(0);
        let is_wanted = || asked.fetch_add(1, Ordering::SeqCst) < wanted;
        let fault = call_within(time_left, &is_wanted, options(&service.url), json!({})).await;
        let told = "the service answered 503 (Service Unavailable): busy".to_owned();
        assert_eq!(
            (fault, service.heard().len()),
            (Err(ToolFault::Told(told)), calls),
            "wanted {wanted} times"
        );
    }
}

#[tokio::test]
async fn hosts_that_may_not_be_reached_are_not() {
    let service = Service::start(&[&ok("secret")]).await;
    let strict = qd_egress::Options::default();
    let tool = DescribedTool::new(options(&service.url), &bounds()).unwrap();
    let tool = HttpTool::new(tool, Guard::new(&strict, Duration::from_secs(1)).unwrap());
    let (arguments, step) = (Input::new(), StepId::tool(&TaskId::new("t"), 1, 0));
    let (job, time_left) =
        (JobId::parse("0198c0de-0000-7000-8000-000000000001").unwrap(), Duration::from_secs(9));
    let fault = tool
        .call(Invocation { arguments: &arguments, job, step: &step, time_left, is_wanted: &|| true })
        .await
        .unwrap_err();
    assert!(fault.to_string().contains("may not be reached"), "{fault}");
    assert!(service.heard().is_empty());
    let strict = Bounds::new(&strict).unwrap();
    for url in
        ["http://127.0.0.1:9/", "http://169.254.169.254/latest", "http://[::1]/{id}", "ftp://x.example/"]
    {
        let wrong = DescribedTool::new(options(url), &strict).unwrap_err();
        assert_eq!(wrong.field, "url", "{wrong}");
    }
}

#[test]
fn descriptions_that_make_no_sense_are_refused_by_field() {
    let good = || options("https://shop.example/orders/{id}");
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (options, field, reason) in [
        (HttpToolOptions { name: "Get Order".into(), ..good() }, "name", "1 to 64 of a-z"),
        (HttpToolOptions { description: " ".into(), ..good() }, "description", "is empty"),
        (HttpToolOptions { method: "get".into(), ..good() }, "method", "GET, POST"),
        (HttpToolOptions { parameters: json!({ "type": "string" }), ..good() }, "parameters", "object"),
        (HttpToolOptions { parameters: json!([]), ..good() }, "parameters", "JSON schema"),
        (HttpToolOptions { parameters: json!({}), ..good() }, "parameters", "no property `id`"),
        (HttpToolOptions { headers: header("a b", "x"), ..good() }, "headers", "no name of a header"),
        (HttpToolOptions { headers: header("Host", "x"), ..good() }, "headers", "set by the server"),
        (HttpToolOptions { headers: header("x", "a\nb"), ..good() }, "headers", "line break"),
        (HttpToolOptions { result: ResultMap::One("data".into()), ..good() }, "result", "JSON pointer"),
    ] {
        let wrong = DescribedTool::new(options, &bounds()).unwrap_err();
        assert!(wrong.field == field && wrong.reason.contains(reason), "{wrong}");
    }
    assert!(DescribedTool::new(good(), &bounds()).is_ok());
    for (template, reason) in [
        ("shop.example/{id}", "https://"),
        ("https://{id}.example/", "in its host"),
        ("https://shop.example{id}/", "in its host"),
        ("https://shop.example/#{id}", "fragment"),
        ("https://shop.example/{id", "without its }"),
        ("https://shop.example/id}", "without its {"),
        ("https://shop.example/{}", "can be no argument"),
        ("https://shop.example/{a.b}", "can be no argument"),
    ] {
        let wrong = UrlTemplate::parse(template).unwrap_err();
        assert!(wrong.contains(reason), "{template}: {wrong}");
    }
}

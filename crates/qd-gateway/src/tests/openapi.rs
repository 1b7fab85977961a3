//! The document itself: valid, complete, true to the router and to the checks of requests.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use qd_types::Code;
use serde_json::{Value, json};

use super::client::Reply;
use super::contract::{escaped, mistakes};
use super::{Server, contract};
use crate::openapi;

/// Every operation with its pointer into the document.
fn operations(document: &Value) -> Vec<(String, String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'_ Value)| {
        let pointer = format!("/paths/{}", escaped(path));
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_ascii_uppercase(), format!("{pointer}/{method}")))
            .collect::<Vec<_>>()
    };
    let all = paths
        .iter()
        .flat_map(|entry| of(entry).into_iter().map(|(method, pointer)| (method, entry.0.clone(), pointer)));
    all.map(|(method, path, pointer)| {
        let operation = document.pointer(&pointer).unwrap();
        (method, path, pointer, operation)
    })
    .collect()
}

/// Calls `see` with every value and its pointer.
fn walk(pointer: &str, value: &Value, see: &mut impl FnMut(&str, &Value)) {
    see(pointer, value);
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| walk(&format!("{pointer}/{}", escaped(key)), value, see));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| walk(&format!("{pointer}/{at}"), value, see));
        }
        _ => {}
    }
}

#[test]
fn the_document_is_valid_openapi() {
    let official: Value = serde_json::from_str(include_str!("openapi/oas-3.1-schema.json")).unwrap();
    let place = official["$id"].as_str().unwrap().to_owned();
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource(&place, official).unwrap();
    let index = compiler.compile(&place, &mut schemas).unwrap();
    let document = openapi();
    schemas.validate(&document, index).unwrap_or_else(|wrong| panic!("{wrong:#}"));
    // The check can fail.
    let mut broken = document;
    broken["paths"]["/v1/jobs"]["post"]["responses"]["202"].as_object_mut().unwrap().remove("description");
    assert!(schemas.validate(&broken, index).is_err());
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = openapi();
    let mut used = BTreeSet::new();
    walk("", &document, &mut |pointer, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(target).is_some(), "{pointer}: {reference}");
            used.insert(target.to_owned());
        }
    });
    for kind in ["schemas", "headers", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "{kind}/{name} is used nowhere");
        }
    }
}

#[test]
fn every_operation_is_named_once_described_and_tagged() {
    let document = openapi();
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let operations = operations(&document);
    let ids: BTreeSet<&str> =
        operations.iter().map(|(_, _, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    for (method, path, _, operation) in &operations {
        assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
        let captured: Vec<&str> = path.split('/').filter(|part| part.starts_with('{')).collect();
        let described: Vec<String> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        assert_eq!(captured, described, "{method} {path}");
        for response in operation["responses"].as_object().unwrap().values() {
            for link in response["links"].as_object().into_iter().flatten() {
                assert!(ids.contains(link.1["operationId"].as_str().unwrap()), "{method} {path}: {}", link.0);
            }
        }
    }
}

#[tokio::test]
async fn router_and_document_have_the_same_routes() {
    let server = Server::start().await;
    // What the router itself says: its paths as it shows them, and the methods of each as it tells them in `Allow`.
    let shown = format!("{:?}", crate::router::not_yet_routes(crate::router::routes().into_router().0));
    let paths: BTreeSet<&str> =
        shown.split('"').filter(|text| text.starts_with('/') && !text.contains("fallback")).collect();
    assert!(paths.len() > 20, "{shown}");
    let mut routed = BTreeSet::new();
    for path in paths {
        let concrete = path.replace(['{', '}'], "");
        let reply = server.request("TRACE", &concrete, &[], b"").await;
        let allowed = reply.header("allow").unwrap_or("ANY").to_owned();
        let methods = allowed.split(',').filter(|method| *method != "HEAD");
        routed.extend(methods.map(|method| format!("{method} {path}")));
    }
    let document = openapi();
    let mut expected: BTreeSet<String> =
        operations(&document).iter().map(|(method, path, _, _)| format!("{method} {path}")).collect();
    // Not built yet, and so not described.
    for route in ["POST /crews/{system}/scale", "POST /crews/{system}/backup"] {
        assert!(expected.insert(route.to_owned()), "{route} answers `not_supported` and is described");
    }
    assert_eq!(routed, expected);
}

#[test]
fn every_code_has_its_page_and_requests_fail_with_codes_that_some_route_tells() {
    let document = openapi();
    let words = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
    assert_eq!(words.len(), Code::ALL.len());
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (method, path, _, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem =
                &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"];
            for word in problem["code"]["enum"].as_array().into_iter().flatten() {
                let word = word.as_str().unwrap();
                let code: Code = word.parse().unwrap();
                let page = code.page();
                assert!(page.starts_with(&format!("# {word}\n")), "{word} has no page");
                assert!(page.contains(&format!("HTTP {status}")), "the page of {word} tells another status");
                told.insert(word.to_owned());
            }
            let failed = status.parse::<u16>().unwrap() >= 400;
            let has_body = response["content"].is_object();
            assert!(!failed || has_body, "{method} {path} {status} has no body");
        }
    }
    for code in ["not_found", "validation_failed", "queue_full", "store_unavailable", "events_pruned"] {
        assert!(told.contains(code), "{code}");
    }
}

#[test]
fn every_example_and_default_fits_its_schema() {
    let document = openapi();
    let mut examples = 0;
    walk("", &document, &mut |pointer, value| {
        // Of media types.
        if let (Some(_), Some(given)) =
            (value.get("schema"), value.get("examples").and_then(Value::as_object))
        {
            for (name, example) in given {
                examples += 1;
                assert_eq!(
                    mistakes(&format!("{pointer}/schema"), &example["value"]),
                    None,
                    "{pointer} {name}"
                );
            }
        }
        if let (Some(_), Some(example)) = (value.get("schema"), value.get("example")) {
            examples += 1;
            assert_eq!(mistakes(&format!("{pointer}/schema"), example), None, "{pointer}");
        }
        // Of schemas.
        if value.get("type").is_some_and(|kind| kind.is_string() || kind.is_array()) {
            let listed = value.get("examples").and_then(Value::as_array);
            for example in listed.into_iter().flatten().chain(value.get("default")) {
                examples += 1;
                assert_eq!(mistakes(pointer, example), None, "{pointer}");
            }
        }
    });
    assert!(examples > 15, "{examples}");
}

/// A value just inside or just outside of a bound.
struct Probe {
    field: String,
    value: Value,
    fits: bool,
}

/// Probes of a field that is `given` so in a good body.
fn probes(field: &str, schema: &Value, given: &Value) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut add = |value: Value, fits| probes.push(Probe { field: field.to_owned(), value, fits });
    let number = |name: &str| schema.get(name).and_then(Value::as_i64);
    let long = |length: i64| usize::try_from(length).unwrap();
    // An expression may begin with blanks, so that a long one is one.
    let text = |length: i64| match (field, given.as_str()) {
        ("cron", Some(good)) if long(length) > good.len() => format!("{good:>width$}", width = long(length)),
        _ => "x".repeat(long(length)),
    };
    if let Some(least) = number("minimum") {
        add(json!(least), true);
        add(json!(least - 1), false);
    }
    if let Some(most) = number("maximum") {
        add(json!(most), true);
        add(json!(most + 1), false);
    }
    if let Some(least) = number("minLength").filter(|least| *least > 0) {
        add(json!(text(least)), true);
        add(json!(text(least - 1)), false);
    }
    if let Some(most) = number("maxLength") {
        add(json!(text(most)), true);
        add(json!(text(most + 1)), false);
    }
    for (bound, beyond) in [(number("minItems"), -1), (number("maxItems"), 1)] {
        let Some(bound) = bound else { continue };
        add(vec![given[0].clone(); long(bound)].into(), true);
        add(vec![given[0].clone(); long(bound + beyond)].into(), false);
    }
    if let Some(most) = number("maxProperties") {
        let map = |count: i64| (0..count).map(|n| (n.to_string(), json!("x"))).collect::<Value>();
        add(map(most), true);
        add(map(most + 1), false);
        let longest = schema["additionalProperties"]["maxLength"].as_i64().unwrap();
        add(json!({ "a": text(longest) }), true);
        add(json!({ "a": text(longest + 1) }), false);
        let longest = schema["propertyNames"]["maxLength"].as_i64().unwrap();
        add(json!({ text(longest): "a" }), true);
        add(json!({ text(longest + 1): "a" }), false);
    }
    probes
}

impl Server {
    /// Asks. A schedule goes again at once, as its name can be taken once.
    async fn tried(&self, route: &str, body: &Value) -> Reply {
        let reply = self.post(route, body).await;
        if reply.status == 201 {
            let name = body["name"].as_str().unwrap();
            assert_eq!(self.delete(&format!("{route}/{name}")).await.status, 200);
        }
        reply
    }
}

fn is_made(reply: &Reply) -> bool {
    matches!(reply.status, 201 | 202)
}

#[tokio::test]
async fn bounds_of_the_document_are_those_of_the_server() {
    let server = Server::with(|_| {}, |options| options.open_batches = 1_000).await;
    let document = openapi();
    let mut probed = 0;
    for (route, schema, body) in [
        ("/v1/jobs", "NewJob", json!({ "crew": "solo", "input": { "topic": "t" } })),
        ("/v1/batches", "NewBatch", json!({ "crew": "solo", "inputs": [{ "topic": "t" }] })),
        ("/v1/schedules", "NewSchedule", json!({ "name": "n", "crew": "fixed", "cron": "30 6 * * *" })),
        ("/chat", "NewChat", json!({ "user_id": "u", "message": "m" })),
        ("/tasks", "NewTask", json!({ "task": "t" })),
    ] {
        assert!(is_made(&server.tried(route, &body).await), "{route}");
        let schema = &document["components"]["schemas"][schema];
        let fields = schema["properties"].as_object().unwrap();
        for probe in fields.iter().flat_map(|(field, schema)| probes(field, schema, &body[field])) {
            let mut body = body.clone();
            body[&probe.field] = probe.value;
            let reply = server.tried(route, &body).await;
            let refused = reply.paths().iter().any(|path| path.starts_with(&format!("/{}", probe.field)));
            // A name that fits may still be nobody's, and one letter no expression.
            let is_nobodys = ["unknown_crew", "is no time zone", "`x` is no cron expression"]
                .iter()
                .any(|why| reply.text().contains(why));
            let unknown = is_nobodys && probe.fits;
            assert!(refused != probe.fits || unknown, "{route} {body}: {}", reply.text());
            probed += 1;
        }
        for field in fields.keys() {
            let mut body = body.clone();
            body[field] = Value::Null;
            let optional = !schema["required"].as_array().unwrap().contains(&json!(field));
            let accepted = is_made(&server.tried(route, &body).await);
            // An input may be left out, but not this crew's only variable.
            assert!(accepted == optional || field == "input", "{route} {field}");
        }
        let mut extra = body.clone();
        extra["surprise"] = json!(1);
        assert_eq!(
            (schema["additionalProperties"].clone(), server.post(route, &extra).await.status),
            (json!(false), 422)
        );
    }
    assert!(probed > 30, "{probed}");
}

#[tokio::test]
async fn bounds_of_parameters_are_those_of_the_server() {
    let server = Server::start().await;
    let document = openapi();
    let parameters = document["paths"]["/v1/jobs"]["get"]["parameters"].as_array().unwrap();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        for probe in probes(name, &parameter["schema"], &Value::Null) {
            let text = probe.value.as_str().map_or_else(|| probe.value.to_string(), str::to_owned);
            let reply = server.get(&format!("/v1/jobs?{name}={text}")).await;
            assert_eq!(reply.status, if probe.fits { 200 } else { 422 }, "{name}={text}");
        }
    }
    let key = &document["components"]["parameters"]["IdempotencyKey"]["schema"];
    for probe in probes("key", key, &Value::Null) {
        let header = [("idempotency-key", probe.value.as_str().unwrap())];
        let reply = server.post_with("/v1/jobs", &header, &json!({ "crew": "fixed" })).await;
        assert_eq!(reply.status, if probe.fits { 202 } else { 400 }, "{:?}", probe.value);
    }
}

#[test]
fn answers_that_are_not_as_described_are_noticed() {
    let readiness = "/components/schemas/Readiness";
    assert_eq!(contract::mistakes(readiness, &json!({ "status": "ready" })), None);
    for wrong in [json!({}), json!({ "status": "well" }), json!({ "status": "ready", "more": 1 }), json!([])]
    {
        assert!(contract::mistakes(readiness, &wrong).is_some(), "{wrong}");
    }
}

#[tokio::test]
async fn document_and_page_are_served() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json(), openapi());
    let page = server.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(!text.contains("/*STYLE*/") && !text.contains("/*SCRIPT*/"));
    assert!(text.len() < 50_000, "{}", text.len());
    // Nothing from elsewhere, nothing that the policy would stop.
    for forbidden in ["http://", "https://", " src=", " style=\"", " onclick=", "@import", "url("] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
}

//! Every answer of every test is compared with the OpenAPI document: status, headers, content type, and body, which may
//! hold no field that the document does not have.

use std::cell::RefCell;
use std::collections::HashMap;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::client::Reply;

/// Where the document lies for the validator.
const PLACE: &str = "http://quarterdeck/openapi.json";

/// Paths of the admin port alone, which the document leaves out.
const ADMIN: [&str; 5] = ["/livez", "/readyz", "/startupz", "/metrics", "/scale"];

thread_local! {
    static CONTRACT: RefCell<Contract> = RefCell::new(Contract::new());
}

struct Contract {
    document: Value,
    compiler: Compiler,
    schemas: Schemas,
    compiled: HashMap<String, SchemaIndex>,
}

/// Checks one answer.
#[track_caller]
pub(super) fn check(method: &str, address: &str, reply: &Reply) {
    CONTRACT.with_borrow_mut(|contract| contract.check(method, address, reply));
}

/// Checks one event of a stream.
#[track_caller]
pub(super) fn check_event(id: Option<u64>, name: &str, data: &Value) {
    CONTRACT.with_borrow_mut(|contract| {
        let variants = contract.document["components"]["schemas"]["Event"]["oneOf"].as_array().unwrap();
        let at = variants.iter().position(|variant| variant["properties"]["event"]["const"] == name);
        let at = at.unwrap_or_else(|| panic!("event {name} is not described"));
        let variant = format!("/components/schemas/Event/oneOf/{at}");
        let mut event = json!({ "event": name, "data": data.to_string() });
        if let Some(id) = id {
            event["id"] = json!(id.to_string());
        }
        contract.valid(&variant, &event, &format!("event {name}"));
        contract.valid(&format!("{variant}/properties/data/contentSchema"), data, &format!("event {name}"));
    });
}

/// Why a value does not fit the schema at this place of the document, in which answers may hold no other fields.
pub(super) fn mistakes(pointer: &str, value: &Value) -> Option<String> {
    CONTRACT.with_borrow_mut(|contract| contract.mistakes(pointer, value))
}

/// As part of a JSON pointer.
pub(super) fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

impl Contract {
    fn new() -> Self {
        let mut document = crate::openapi();
        close(&mut document);
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document.clone()).unwrap();
        Self { document, compiler, schemas: Schemas::new(), compiled: HashMap::new() }
    }

    fn check(&mut self, method: &str, address: &str, reply: &Reply) {
        let path = address.split('?').next().unwrap();
        let what = format!("{method} {path}: {} {}", reply.status, reply.text());
        if reply.header("x-request-id").is_none() {
            // It never became a request: what HTTP itself does not allow, or a connection that was turned away.
            let refused = matches!(reply.status, 400 | 431) && reply.body.is_empty();
            let turned_away =
                || matches!(reply.json()["code"].as_str(), Some("overloaded" | "request_timeout"));
            return assert!(refused || turned_away(), "{what}");
        }
        // Answers that are no route's: none there, another method, not built yet, a port that has other routes.
        let hidden = reply.status == 401 && self.route(method, path).is_none();
        let beside = hidden || reply.text().contains("there is no route") || reply.status == 405;
        if beside || reply.text().contains("is part of the API but not built") {
            return self.valid("/components/schemas/Problem", &reply.json(), &what);
        }
        if ADMIN.contains(&path) || method == "HEAD" {
            return;
        }
        let route = self.route(method, path).unwrap_or_else(|| panic!("not in the document: {what}"));
        let answer = format!("{route}/responses/{}", reply.status);
        let described =
            self.document.pointer(&answer).cloned().unwrap_or_else(|| panic!("not described: {what}"));
        self.check_headers(&described, reply, &what);
        let Some(kind) = reply.header("content-type") else {
            assert!(described.get("content").is_none() && reply.body.is_empty(), "{what}");
            return;
        };
        assert!(described["content"].get(kind).is_some(), "{kind} is not described: {what}");
        if kind == "application/x-ndjson" {
            let schema = format!("{answer}/content/{}/schema", escaped(kind));
            for line in reply.text().lines() {
                self.valid(&schema, &serde_json::from_str(line).unwrap(), &what);
            }
        } else if kind.ends_with("json") {
            let schema = format!("{answer}/content/{}/schema", escaped(kind));
            self.valid(&schema, &reply.json(), &what);
        }
    }

    /// Those that must be there are, and those that are there look as described.
    fn check_headers(&mut self, described: &Value, reply: &Reply, what: &str) {
        for (name, reference) in described["headers"].as_object().unwrap() {
            let place = reference["$ref"].as_str().unwrap().trim_start_matches('#').to_owned();
            let header = self.document.pointer(&place).unwrap().clone();
            match reply.header(name) {
                None => assert_ne!(header["required"], true, "{name} is missing: {what}"),
                Some(text) if header["schema"]["type"] == "integer" => {
                    let number: i64 = text.parse().unwrap();
                    self.valid(&format!("{place}/schema"), &json!(number), what);
                }
                Some(text) => self.valid(&format!("{place}/schema"), &json!(text), what),
            }
        }
        for name in
            ["location", "retry-after", "idempotent-replayed", "preference-applied", "www-authenticate"]
        {
            let told =
                described["headers"].as_object().unwrap().keys().any(|told| told.eq_ignore_ascii_case(name));
            assert!(told || reply.header(name).is_none(), "{name} is not described: {what}");
        }
    }

    /// The operation of a request, as a pointer.
    fn route(&self, method: &str, path: &str) -> Option<String> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &&String| {
            let template: Vec<&str> = template.split('/').collect();
            template.len() == parts.len()
                && template
                    .iter()
                    .zip(&parts)
                    .all(|(template, part)| template.starts_with('{') || template == part)
        };
        let template = self.document["paths"].as_object().unwrap().keys().find(fits)?;
        let pointer = format!("/paths/{}/{}", escaped(template), method.to_ascii_lowercase());
        self.document.pointer(&pointer).is_some().then_some(pointer)
    }

    fn valid(&mut self, pointer: &str, value: &Value, what: &str) {
        if let Some(mistakes) = self.mistakes(pointer, value) {
            panic!("{mistakes}\n{what}");
        }
    }

    fn mistakes(&mut self, pointer: &str, value: &Value) -> Option<String> {
        let index = match self.compiled.get(pointer) {
            Some(index) => *index,
            None => {
                // Compiling checks the schema against its own meta-schema, too.
                let place = format!("{PLACE}#{}", pointer.replace('{', "%7B").replace('}', "%7D"));
                let index =
                    self.compiler.compile(&place, &mut self.schemas).unwrap_or_else(|e| panic!("{e:#}"));
                self.compiled.insert(pointer.to_owned(), index);
                index
            }
        };
        self.schemas.validate(value, index).err().map(|wrong| format!("{wrong:#}"))
    }
}

/// Published schemas let answers grow; for tests, every object with declared fields has those alone.
fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is_object = map.get("type").is_some_and(|kind| kind == "object");
            if is_object && map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

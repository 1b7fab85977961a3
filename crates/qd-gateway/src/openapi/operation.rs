//! What the document says of one route. Each stands next to its handler, as `about_…`.

use std::collections::BTreeMap;

use qd_types::Code;
use serde_json::{Map, Value, json};

use super::schema::Schema;
use crate::access::Needs;
use crate::observe::rejection;
use crate::problem::status_and_title;

/// A route's description.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    about: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Answer)>,
    codes: Vec<Code>,
    pub(crate) needs: Needs,
}

/// Codes that any request may be answered with: an address that is too long, a mistake of ours, too many connections.
const ALWAYS: [Code; 3] = [Code::InvalidRequest, Code::Internal, Code::Overloaded];

/// Codes of reading a body.
const OF_BODIES: [Code; 5] = [
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
    Code::ValidationFailed,
    Code::StoreUnavailable,
];

impl Operation {
    /// `id` is for programs and never changes; `summary` is also what `GET /` says of the route.
    pub(crate) fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            about: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: ALWAYS.to_vec(),
            needs: Needs::Nothing,
        }
    }

    pub(crate) fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// A captured part of the path.
    pub(crate) fn path(self, name: &str, about: &str, schema: Schema) -> Self {
        self.parameter("path", name, about, schema)
    }

    /// The id of a job that must be there.
    pub(crate) fn of_job(self) -> Self {
        let named = self.path("id", "Id of the job.", Schema::job_id());
        named.fails(&[Code::NotFound, Code::StoreUnavailable])
    }

    pub(crate) fn query(self, name: &str, about: &str, schema: Schema) -> Self {
        self.parameter("query", name, about, schema)
    }

    pub(crate) fn header(self, name: &str, about: &str, schema: Schema) -> Self {
        self.parameter("header", name, about, schema)
    }

    fn parameter(mut self, place: &str, name: &str, about: &str, schema: Schema) -> Self {
        self.parameters.push(json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": about,
            "schema": schema.into_value(),
        }));
        self
    }

    /// The `Idempotency-Key` header, and what it does to answers.
    pub(crate) fn idempotent(mut self) -> Self {
        self.parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        self.fails(&[Code::IdempotencyConflict])
    }

    /// A JSON body of the schema with this name.
    pub(crate) fn body(self, schema: &str, examples: &[(&str, Value)]) -> Self {
        self.body_as("application/json", Schema::named(schema), examples)
    }

    /// A body of this content type; several are alternatives.
    pub(crate) fn body_as(mut self, media: &str, schema: Schema, examples: &[(&str, Value)]) -> Self {
        let examples: Map<String, Value> =
            examples.iter().map(|(name, value)| ((*name).to_owned(), json!({ "value": value }))).collect();
        let content = json!({ "schema": schema.into_value(), "examples": examples });
        let body = self.body.get_or_insert_with(|| json!({ "required": true, "content": {} }));
        body["content"][media] = content;
        self.fails(&OF_BODIES)
    }

    /// The body may as well be lines of the schema with this name.
    pub(crate) fn or_lines(mut self, schema: &str) -> Self {
        if let Some(body) = &mut self.body {
            let schema = Schema::named(schema).into_value();
            body["content"]["application/x-ndjson"] = json!({ "schema": schema });
        }
        self
    }

    /// It may be left out.
    pub(crate) fn body_is_optional(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body["required"] = json!(false);
        }
        self
    }

    pub(crate) fn answers(mut self, status: u16, answer: Answer) -> Self {
        self.answers.push((status, answer));
        self
    }

    /// Codes of problems that this route may answer with.
    pub(crate) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// The answer is that of a job, which may have failed for whatever jobs fail for.
    pub(crate) fn fails_as_jobs_do(self) -> Self {
        let of_jobs: Vec<Code> =
            Code::ALL.iter().copied().filter(|code| rejection(*code).is_none()).collect();
        self.fails(&of_jobs)
    }

    /// What a caller must be allowed.
    pub(crate) fn needs(self, needs: Needs) -> Self {
        let needing = Self { needs, ..self };
        match needs {
            Needs::Nothing => needing,
            Needs::Key | Needs::Scope(_) | Needs::Operator(_) => needing.fails(&[
                Code::Unauthorized,
                Code::Forbidden,
                Code::RateLimited,
                Code::StoreUnavailable,
            ]),
        }
    }

    /// The operation object of the document.
    pub(crate) fn into_value(mut self) -> Value {
        self.codes.sort_by_key(|code| code.as_str());
        self.codes.dedup();
        let mut responses: BTreeMap<String, Value> = BTreeMap::new();
        for (status, answer) in self.answers {
            responses.insert(status.to_string(), answer.0);
        }
        for (status, problems) in problems(&self.codes) {
            match responses.get_mut(&status) {
                // The same status with a body of its own: both content types stand there.
                Some(answer) => {
                    answer["content"]["application/problem+json"] =
                        problems["content"]["application/problem+json"].clone()
                }
                None => {
                    responses.insert(status, problems);
                }
            }
        }
        let mut operation = json!({ "tags": [self.tag], "operationId": self.id, "summary": self.summary });
        let about = [self.about, &allowed(self.needs)].join(" ").trim().to_owned();
        if !about.is_empty() {
            operation["description"] = about.into();
        }
        operation["security"] = security(self.needs);
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation["responses"] = json!(responses);
        operation
    }
}

/// What a caller must be allowed, in words.
fn allowed(needs: Needs) -> String {
    match needs {
        Needs::Nothing | Needs::Key => String::new(),
        Needs::Scope(scope) => format!("Scope: `{}`.", scope.as_str()),
        Needs::Operator(scope) => format!("Scope: `{}`, of the tenant `default`.", scope.as_str()),
    }
}

/// The key may come in either header. A server in the mode `open` takes requests without one.
fn security(needs: Needs) -> Value {
    match needs {
        Needs::Nothing => json!([]),
        Needs::Key | Needs::Scope(_) | Needs::Operator(_) => json!([{ "bearer": [] }, { "header": [] }, {}]),
    }
}

/// Problem answers by status.
fn problems(codes: &[Code]) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(status_and_title(*code).0.as_u16()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), problem(status, &codes))).collect()
}

fn problem(status: u16, codes: &[Code]) -> Value {
    let told: Vec<String> =
        codes.iter().map(|code| format!("`{code}` ({})", status_and_title(*code).1)).collect();
    let narrowed = Schema::any()
        .optional("status", Schema::any().with("const", status))
        .optional("code", Schema::words(codes.iter().map(|code| code.as_str())));
    let schema = json!({ "allOf": [Schema::named("Problem").into_value(), narrowed.into_value()] });
    let mut answer = json!({
        "description": told.join(", "),
        "headers": { "X-Request-Id": header_ref("X-Request-Id") },
        "content": { "application/problem+json": { "schema": schema } },
    });
    if matches!(status, 429 | 503) {
        answer["headers"]["Retry-After"] = header_ref("Retry-After");
    }
    if status == 401 {
        answer["headers"]["WWW-Authenticate"] = header_ref("WWW-Authenticate");
    }
    answer
}

fn header_ref(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// What a route answers when it does what was asked.
pub(crate) struct Answer(Value);

impl Answer {
    /// No body.
    pub(crate) fn empty(about: &str) -> Self {
        let headers = json!({ "X-Request-Id": header_ref("X-Request-Id") });
        Self(json!({ "description": about, "headers": headers }))
    }

    /// JSON of the schema with this name.
    pub(crate) fn json(about: &str, schema: &str) -> Self {
        Self::media(about, "application/json", Schema::named(schema))
    }

    pub(crate) fn media(about: &str, media: &str, schema: Schema) -> Self {
        let mut answer = Self::empty(about);
        answer.0["content"][media] = json!({ "schema": schema.into_value() });
        answer
    }

    /// The same in another content type.
    pub(crate) fn or(mut self, media: &str, schema: Schema) -> Self {
        self.0["content"][media] = json!({ "schema": schema.into_value() });
        self
    }

    pub(crate) fn example(mut self, value: Value) -> Self {
        self.0["content"]["application/json"]["example"] = value;
        self
    }

    /// A header of `components/headers`.
    pub(crate) fn header(mut self, name: &str) -> Self {
        self.0["headers"][name] = header_ref(name);
        self
    }

    /// What can be done with the job of this answer: `field` holds its id.
    pub(crate) fn links(mut self, field: &str, operations: &[&str]) -> Self {
        for operation in operations {
            let parameters = json!({ "id": format!("$response.body#/{field}") });
            self.0["links"][operation] = json!({ "operationId": operation, "parameters": parameters });
        }
        self
    }
}

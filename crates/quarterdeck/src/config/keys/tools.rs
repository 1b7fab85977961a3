//! Keys of a tool that is an HTTP request: of `[tools.NAME]`.

use super::Kind::{Choice, Free, Secret, Secrets, Text, Texts, Whole};
use super::{Key, key};

pub(super) const TOOL: &[Key] = &[
    key("description", Text, "When and how to use it, for the model."),
    key("method", Choice(&["GET", "POST", "PUT", "PATCH", "DELETE"]), "Of the request [GET]."),
    key(
        "url",
        Text,
        "Where it goes. {argument} may stand in the path and the query, never in the host; arguments that it does not name go into the query, or with POST, PUT and PATCH into a JSON body.",
    ),
    key(
        "parameters",
        Free,
        "JSON schema of the arguments: properties, required and the like. Models are held to it [no arguments].",
    ),
    key("headers", Secrets, "Headers of every request, by name. Their values are taken for secrets."),
    key("bearer", Secret, "A token that is sent as `Authorization: Bearer ...`."),
    key(
        "result",
        Free,
        "What of a JSON answer the model is given: a JSON pointer such as \"/data/items\", or several by name [all of it].",
    ),
    key("timeout_seconds", Whole(1, 300), "How long a call may take, its repetitions included [20]."),
    key(
        "effect",
        Choice(&["read", "idempotent", "at_most_once"]),
        "What repeating a call does: nothing (read), nothing because the service knows the header Idempotency-Key (idempotent), or it happens twice (at_most_once: never repeated) [read].",
    ),
    key(
        "tenants",
        Texts,
        "Tenants whose crews may use it when they are published over the API; [\"*\"] for all [[\"default\"]]. Crews of this configuration may use every tool.",
    ),
];

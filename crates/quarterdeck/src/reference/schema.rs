//! The pages about files, from the schemas that editors get.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const CONFIGURATION: &str = "# Configuration

Generated from the program's own table of keys. A configuration is `quarterdeck.toml` in the current folder, or the file of
`--config` or `QUARTERDECK_CONFIG`; without one there are defaults alone. `quarterdeck config show --origin` shows the
settings in force and where each comes from, `quarterdeck check` finds every mistake at once, and
`quarterdeck config schema` prints a JSON Schema for editors (`#:schema FILE` in the first line names it).

## Who wins

Later ones win: defaults, the profile, the file, its `[env.NAME]` table, variables, flags.

- The profile is `--env`, else `QUARTERDECK_ENV`, else `development`. `staging` and `production` are built in, too; any other
  name needs a table `[env.NAME]`. Profiles differ in `auth.mode` (open, keys, keys), `worker.slots` (5, 20, 100) and
  `log.level` (debug, info, warn).
- `production` refuses literal secrets, the simulator and `auth.mode = \"open\"`. Every profile refuses a public address
  without keys. `server.insecure_public = true` allows both: for a proxy in front that asks who it is.
- `QUARTERDECK_SECTION__KEY` is `section.key`: `QUARTERDECK_WORKER__SLOTS=3`. Lists are written as JSON. Of the keys at the top
  there are `QUARTERDECK_DEFAULT_MODEL`, `QUARTERDECK_DEFAULT_CREW` and `QUARTERDECK_CREWS`. Other names that begin so are
  errors, but for those that Kubernetes makes for a service of that name.
- `.env` beside the file is read in `development` only: lines `NAME=VALUE`, values bare, in `'…'` or in `\"…\"`. A variable that
  is set already wins, even an empty one. `QUARTERDECK_API_KEY`, `QUARTERDECK_ENV`,
  `QUARTERDECK_CONFIG` and `QUARTERDECK_URL` cannot be set there.
- Relative paths are relative to the file.

Without `[providers]` and `[models]`, providers appear from the usual variables: `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`,
`OPENAI_BASE_URL`, `GROQ_API_KEY`, `GEMINI_API_KEY`, `OPENROUTER_API_KEY`, `MISTRAL_API_KEY`, `DEEPSEEK_API_KEY`, `OLLAMA_HOST`; the first
gives the default model. `default_model = \"sim/standard\"` needs no provider: it is the simulator.
";

const CREW: &str = "# Crew files

Generated from the loader's own table of keys. A crew is one YAML or JSON file with everything in it, or a folder with
`agents.yaml`, `tasks.yaml` and perhaps `crew.yaml`, in CrewAI's shape. `quarterdeck check` finds every mistake at once, and
`quarterdeck check --schema` prints a JSON Schema for editors (`# yaml-language-server: $schema=FILE` in the first line names
it); `--schema=agents`, `--schema=tasks` and `--schema=folder-crew` are those of a folder's files.

`{variable}` in a text stands for an input. A key that would change results and is not built yet is an error unless its
value is one that changes nothing: a crew that is taken means what it says.
";

/// The page about quarterdeck.toml.
pub(super) fn configuration(schema: &Value) -> String {
    let mut page = CONFIGURATION.to_owned();
    page.push_str("\n## At the top\n\n");
    let below = keys(&mut page, properties(schema), "");
    for (path, table) in below {
        section(&mut page, &path, table);
    }
    page
}

fn section(page: &mut String, path: &str, table: &Value) {
    let _ = write!(page, "\n## [{path}]\n\n");
    if let Some(about) = table["description"].as_str().filter(|about| !about.is_empty()) {
        let _ = writeln!(page, "{}\n", plain(about));
    }
    let inner = ["items", "additionalProperties"].map(|inner| &table[inner]);
    let table = inner.into_iter().find(|inner| inner.is_object()).unwrap_or(table);
    for (path, table) in keys(page, properties(table), path) {
        section(page, &path, table);
    }
}

/// A table of keys; answers the tables among them.
fn keys<'a>(page: &mut String, properties: &'a Map<String, Value>, path: &str) -> Vec<(String, &'a Value)> {
    let mut below = Vec::new();
    let mut rows = String::new();
    for (key, schema) in properties {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let named = &schema["additionalProperties"];
        if schema["properties"].is_object() || schema["items"]["properties"].is_object() {
            below.push((full, schema));
        } else if named["properties"].is_object() {
            below.push((format!("{full}.NAME"), schema));
        } else if named.is_object() {
            // Overlays are told about above.
            continue;
        } else {
            let default = &schema["default"];
            let default = if default.is_null() { String::new() } else { format!("`{default}`") };
            let about = plain(schema["description"].as_str().unwrap_or_default());
            let _ = writeln!(rows, "| `{key}` | {} | {default} | {about} |", shape(schema));
        }
    }
    if !rows.is_empty() {
        page.push_str("| key | value | default | what it is for |\n|---|---|---|---|\n");
        page.push_str(&rows);
    }
    below
}

/// The page about crews.
pub(super) fn crew_file(schema: &Value) -> String {
    let mut page = CREW.to_owned();
    for (definition, heading) in [
        ("crew", "The crew"),
        ("agent", "An agent: an entry of `agents`"),
        ("task", "A task: an entry of `tasks`"),
        ("llm", "A model: `llm` of an agent as a mapping"),
    ] {
        let table = &schema["$defs"][definition];
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let _ = write!(page, "\n## {heading}\n\n| key | value | what it is for |\n|---|---|---|\n");
        let (read, rest): (Vec<_>, Vec<_>) =
            properties(table).iter().partition(|(_, schema)| is_read(schema));
        for (key, schema) in read {
            let must = if required.contains(&key.as_str()) { ", required" } else { "" };
            let about = plain(schema["description"].as_str().unwrap_or_default());
            let _ = writeln!(page, "| `{key}` | {}{must} | {about} |", shape(schema));
        }
        if !rest.is_empty() {
            page.push_str("\nOther keys of CrewAI:\n\n| key | what becomes of it |\n|---|---|\n");
        }
        for (key, schema) in rest {
            let _ =
                writeln!(page, "| `{key}` | {} |", plain(schema["description"].as_str().unwrap_or_default()));
        }
    }
    page
}

fn is_read(schema: &Value) -> bool {
    let about = schema["description"].as_str().unwrap_or_default();
    !["Accepted;", "No effect:", "Not supported yet"].iter().any(|word| about.starts_with(word))
}

fn properties(schema: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    schema["properties"].as_object().unwrap_or(&NONE)
}

/// What a value looks like, in words.
fn shape(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        if words.contains(&Value::Bool(true)) {
            return "true or false".to_owned();
        }
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let mut forms: Vec<_> = forms.iter().map(shape).collect();
        forms.dedup();
        return forms.join(" or ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => format!("whole number{}", bounds(schema)),
        Some("number") => format!("number{}", bounds(schema)),
        Some("array") => "list".to_owned(),
        Some("object") => match schema["required"][0].as_str() {
            Some(key) => format!("`{{ {key} = \"…\" }}`"),
            None => "mapping".to_owned(),
        },
        _ => "mapping".to_owned(),
    }
}

fn bounds(schema: &Value) -> String {
    let [least, above, most] = ["minimum", "exclusiveMinimum", "maximum"].map(|key| &schema[key]);
    let text = match (least, above) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, above) => format!(" above {above}, to {most}"),
        (least, _) if most.is_null() => format!(" from {least}"),
        (least, _) => format!(" from {least} to {most}"),
    };
    // 86400.0 is no more exact than 86400.
    text.replace(".0", "")
}

/// Fit to stand in a table.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

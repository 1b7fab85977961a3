//! JSON Schema of crew files, for editors, from the tables that the loader itself goes by.
//!
//! It is looser than [`check`](fn@crate::check) where a schema cannot know better (names of agents, tools and models). It is stricter
//! in one place: an agents.yaml that leaves what is required to crew.yaml is right for the loader alone.

use serde_json::{Map, Value, json};

use super::keys::{self, Form, Inert, Keys, Rule};
use super::{AGENTS_MAX, TASKS_MAX};

/// Which file a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaOf {
    /// A crew in one file.
    Crew,
    /// `agents.yaml` of a folder.
    Agents,
    /// `tasks.yaml` of a folder.
    Tasks,
    /// `crew.yaml` of a folder.
    FolderCrew,
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a kind of file, in JSON Schema 2020-12. Every key of every part is in it, with a description.
#[must_use]
pub fn schema(of: SchemaOf) -> Value {
    let (title, mut root) = match of {
        SchemaOf::Crew => ("Quarterdeck crew", reference("crew")),
        SchemaOf::Agents => ("Quarterdeck agents of a crew", by_name("agent", AGENTS_MAX)),
        SchemaOf::Tasks => ("Quarterdeck tasks of a crew", by_name("task", TASKS_MAX)),
        SchemaOf::FolderCrew => ("Quarterdeck crew of a folder", reference("folder_crew")),
    };
    if let Value::Object(root) = &mut root {
        root.insert("$schema".into(), DIALECT.into());
        root.insert("title".into(), title.into());
        root.insert("$defs".into(), definitions());
    }
    root
}

fn definitions() -> Value {
    let mut crew = object("A crew: agents and the tasks they do, in one file.", keys::CREW);
    crew["required"] = json!(["agents"]);
    let mut agent = object("An agent: who does tasks.", keys::AGENT);
    agent["required"] = json!(["role", "goal", "backstory"]);
    let mut task = object("A task: what to do, by whom, with which context.", keys::TASK);
    task["required"] = json!(["description", "expected_output"]);
    let mut named_agent = agent.clone();
    named_agent["required"] = json!(["name", "role", "goal", "backstory"]);
    let mut folder = object("What agents.yaml and tasks.yaml do not say.", keys::CREW);
    folder["properties"]["agents"] = json!({
        "description": "Keys that lie over those of agents.yaml, by the name of the agent.",
        "type": ["object", "null"],
        "additionalProperties": object("Over an agent of agents.yaml.", keys::AGENT),
    });
    folder["properties"]["tasks"] = json!({
        "description": "Which tasks of tasks.yaml are done, in this order: names, or mappings that lie over them.",
        "type": ["array", "null"],
        "items": {"anyOf": [{"type": "string"}, object("Over a task of tasks.yaml.", keys::TASK)]},
    });
    json!({
        "crew": crew,
        "folder_crew": folder,
        "agent": agent,
        "named_agent": named_agent,
        "task": task,
        "llm": object("A model and how to sample from it.", keys::LLM),
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn by_name(definition: &str, most: usize) -> Value {
    json!({ "type": "object", "additionalProperties": reference(definition), "maxProperties": most })
}

fn object(description: &str, keys: Keys) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|(key, rule)| ((*key).to_owned(), property(rule))).collect();
    json!({ "type": "object", "description": description, "properties": properties, "additionalProperties": false })
}

fn property(rule: &Rule) -> Value {
    let only = |description: String, inert: &[Inert]| {
        let values = [json!(null), json!(""), json!([]), json!({})].into_iter();
        let values: Vec<Value> = values.chain(inert.iter().flat_map(spellings)).collect();
        json!({ "description": description, "enum": values })
    };
    match rule {
        Rule::Read(form, about) => read(*form, about),
        Rule::Harmless => json!({ "description": "Accepted; it changes nothing here." }),
        Rule::NoEffect(why) => json!({ "description": format!("No effect: {why}."), "deprecated": true }),
        Rule::Instead(hint) => only(format!("Not supported yet; {hint}."), &[]),
        Rule::Only([]) => only("Not supported yet.".to_owned(), &[]),
        Rule::Only(inert) => {
            let known: Vec<String> = inert.iter().map(|value| format!("`{value}`")).collect();
            only(format!("Not supported yet; only {} is accepted.", known.join(" or ")), inert)
        }
    }
}

fn read(form: Form, about: &str) -> Value {
    let mut schema = match form {
        Form::Text => json!({ "type": ["string", "null"] }),
        Form::Flag => {
            let words = spellings(&Inert::Flag(true)).into_iter().chain(spellings(&Inert::Flag(false)));
            json!({ "enum": words.chain([Value::Null]).collect::<Vec<_>>() })
        }
        Form::Whole(i64::MIN, i64::MAX) => json!({ "type": ["integer", "null"] }),
        Form::Whole(least, most) => {
            json!({ "type": ["integer", "null"], "minimum": least, "maximum": most })
        }
        Form::Float(least, most) => json!({ "type": ["number", "null"], "minimum": least, "maximum": most }),
        Form::Names => json!({ "type": ["array", "null"], "items": { "type": "string", "minLength": 1 } }),
        Form::Word(words) => {
            json!({ "enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>() })
        }
        Form::Stops(most) => {
            let text = json!({ "type": "string", "minLength": 1 });
            json!({ "anyOf": [text, { "type": ["array", "null"], "items": text, "maxItems": most }] })
        }
        Form::Llm => json!({ "anyOf": [{ "type": ["string", "null"], "minLength": 1 }, reference("llm")] }),
        Form::Agents => {
            let list = json!({ "type": "array", "items": reference("named_agent"), "maxItems": AGENTS_MAX });
            json!({ "anyOf": [by_name("agent", AGENTS_MAX), list] })
        }
        Form::Tasks => {
            let list = json!({ "type": "array", "items": reference("task"), "maxItems": TASKS_MAX });
            json!({ "anyOf": [list, by_name("task", TASKS_MAX)] })
        }
        Form::ModelCache => {
            let mapping = object("How long answers are kept.", keys::MODEL_CACHE);
            json!({ "anyOf": [read(Form::Flag, about), mapping] })
        }
        Form::HumanInput => {
            let mapping = object("How long a person is waited for.", keys::HUMAN_INPUT);
            json!({ "anyOf": [read(Form::Flag, about), mapping] })
        }
        Form::Inputs => json!({ "type": ["object", "null"] }),
    };
    schema["description"] = about.into();
    schema
}

/// Every way to write a value that changes nothing. YAML 1.1's words for flags are texts in YAML 1.2.
fn spellings(inert: &Inert) -> Vec<Value> {
    match inert {
        Inert::Flag(true) => {
            [json!(true)].into_iter().chain(texts(&["yes", "Yes", "YES", "on", "On", "ON"])).collect()
        }
        Inert::Flag(false) => {
            [json!(false)].into_iter().chain(texts(&["no", "No", "NO", "off", "Off", "OFF"])).collect()
        }
        Inert::Number(number) => vec![json!(number)],
        Inert::Word(word) => texts(&[word]).collect(),
    }
}

fn texts(words: &[&str]) -> impl Iterator<Item = Value> {
    words.iter().map(|word| json!(word)).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::{Keys, SchemaOf, keys, schema};

    #[test]
    fn every_key_of_every_table_is_in_the_schema_with_a_description() {
        let schema = schema(SchemaOf::Crew);
        let tables: [(&str, Keys); 5] = [
            ("crew", keys::CREW),
            ("folder_crew", keys::CREW),
            ("agent", keys::AGENT),
            ("task", keys::TASK),
            ("llm", keys::LLM),
        ];
        for (definition, table) in tables {
            let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
            assert_eq!(properties.len(), table.len(), "{definition}");
            for (key, _) in table {
                let about = properties[*key]["description"].as_str().unwrap();
                assert!(about.len() > 8 && about.ends_with(['.', ']']), "{definition}.{key}: {about}");
            }
        }
    }

    #[test]
    fn every_kind_of_file_has_a_schema_of_its_own() {
        for (of, word) in [
            (SchemaOf::Crew, "Quarterdeck crew"),
            (SchemaOf::Agents, "Quarterdeck agents of a crew"),
            (SchemaOf::Tasks, "Quarterdeck tasks of a crew"),
            (SchemaOf::FolderCrew, "Quarterdeck crew of a folder"),
        ] {
            let schema = schema(of);
            assert_eq!((schema["title"].as_str(), schema["$defs"].is_object()), (Some(word), true));
        }
    }
}

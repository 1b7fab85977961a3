//! `config show`: the settings in force, secrets masked.

use serde_json::Value;

use crate::cli::{Format, Global};
use crate::commands::configuration;
use crate::exit::Exit;
use crate::{config, output};

pub(crate) fn run(global: &Global, origin: bool) -> anyhow::Result<Exit> {
    let config = configuration(global, Vec::new())?;
    for warning in config.warnings.iter().filter(|_| !global.quiet) {
        output::say(&format!("warning: {warning}"));
    }
    let mut values = Value::Object(config.tree.values.clone());
    mask("", &mut values);
    if !origin {
        let shown =
            output::show(global.output, &values, |values| toml::to_string(values).unwrap_or_default());
        return shown.map(|()| Exit::Ok);
    }
    let mut rows = Vec::new();
    leaves("", &values, &mut |path, value| {
        rows.push(vec![path.to_owned(), value.to_string(), config.tree.origin(path).to_string()])
    });
    if global.output == Format::Table {
        output::print(&output::table(&["setting", "value", "origin"], &rows))?;
    } else {
        let items =
            rows.iter().map(|row| serde_json::json!({"setting": row[0], "value": row[1], "origin": row[2]}));
        output::show(global.output, &items.collect(), |_| String::new())?;
    }
    Ok(Exit::Ok)
}

/// References stay: they are no secrets, and show where one comes from.
fn mask(path: &str, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (key, value) in map.iter_mut() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if config::is_secret(&path) && !value.is_object() {
            *value = Value::String("[redacted]".to_owned());
        } else {
            mask(&path, value);
        }
    }
}

fn leaves(path: &str, value: &Value, hear: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, hear);
            }
        }
        leaf => hear(path, leaf),
    }
}

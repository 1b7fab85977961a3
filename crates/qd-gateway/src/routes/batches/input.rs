//! One input of a batch: the values alone, or with what its job is to have of its own.

use qd_store::ItemInput;
use qd_types::{Code, Input, Priority};
use serde_json::{Map, Value};

use crate::body::{Fields, kind};
use crate::crews::Published;
use crate::problem::FieldError;
use crate::routes::new_job::{self, PRIORITY_MAX};
use crate::submit;

/// What stands beside the values, where they do not stand alone.
const BESIDE: [&str; 3] = ["input", "metadata", "priority"];

/// Reads one; paths of mistakes begin at the input.
pub(super) fn read(value: Value, crew: &Published) -> Result<ItemInput, Vec<FieldError>> {
    let map = match value {
        Value::Object(map) => map,
        other => {
            let message = format!("must be an object, not {}", kind(&other));
            return Err(vec![FieldError { path: String::new(), code: Code::ValidationFailed, message }]);
        }
    };
    if !has_values_inside(&map) {
        let (errors, input) = (errors(crew, &map, "/input"), map);
        return if errors.is_empty() { Ok(ItemInput { input, ..ItemInput::default() }) } else { Err(errors) };
    }
    let mut fields = Fields::of(Value::Object(map)).map_err(|problem| problem.errors)?;
    let input = fields.object("input").unwrap_or_default();
    let priority = fields.integer("priority", 1, PRIORITY_MAX);
    let metadata = new_job::metadata(&mut fields);
    for error in errors(crew, &input, "") {
        fields.error_as(error.path, error.code, error.message);
    }
    fields.finish().map_err(|problem| problem.errors)?;
    Ok(ItemInput { input, priority: priority.and_then(|level| Priority::new(level).ok()), metadata })
}

/// An object under `input` with nothing unknown beside it. A crew whose variable is called `input` and is an object of
/// its own has to be given the longer form.
fn has_values_inside(map: &Map<String, Value>) -> bool {
    map.get("input").is_some_and(Value::is_object) && map.keys().all(|key| BESIDE.contains(&key.as_str()))
}

fn errors(crew: &Published, input: &Input, cut: &str) -> Vec<FieldError> {
    let mut errors = submit::input_errors(crew, input);
    for error in &mut errors {
        if let Some(rest) = error.path.strip_prefix(cut) {
            error.path = rest.to_owned();
        }
    }
    errors
}

//! JSON in one spelling: keys sorted, no spaces. What is compared or hashed goes through here.

use serde_json::Value;

/// The one spelling of a value.
pub(crate) fn canonical_json(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical_json;

    #[test]
    fn order_and_spaces_do_not_matter() {
        let value = serde_json::from_str(r#"{ "b": [ {"z": 1, "a": null} ], "a": "x y" }"#).unwrap();
        assert_eq!(canonical_json(&value), r#"{"a":"x y","b":[{"a":null,"z":1}]}"#);
    }
}

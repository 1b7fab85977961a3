//! A crew's variables from the command line.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use qd_types::Input;
use serde_json::Value;

use crate::cli::InputArgs;
use crate::exit::{Exit, ended};

/// An input file larger than this is a mistake.
const BYTES_MAX: u64 = 1 << 20;

/// Merges the file's variables and those of the command line, which win.
pub(crate) fn read(args: &InputArgs) -> anyhow::Result<Input> {
    let mut input = match &args.input_file {
        Some(path) => from_file(path)?,
        None => Input::new(),
    };
    let mut given = BTreeSet::new();
    for pair in &args.input {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(ended(Exit::Usage, format!("`{pair}` is no NAME=VALUE")));
        };
        let name = name.trim();
        if !given.insert(name) {
            let message = format!("`{name}` is given twice with -i; give it once, a list as NAME=[A,B]");
            return Err(ended(Exit::Usage, message));
        }
        input.insert(name.to_owned(), value_of(value));
    }
    Ok(input)
}

fn from_file(path: &Path) -> anyhow::Result<Input> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
    };
    let shown = path.display();
    let bytes = read.map_err(|e| ended(Exit::Usage, format!("cannot read the input {shown}: {e}")))?;
    if bytes as u64 > BYTES_MAX {
        return Err(ended(Exit::Usage, format!("the input {shown} is larger than {BYTES_MAX} bytes")));
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(_) => Err(ended(Exit::Usage, format!("the input {shown} is no JSON object"))),
        Err(error) => Err(ended(Exit::Usage, format!("the input {shown} is no JSON: {error}"))),
    }
}

/// Numbers, booleans, lists and objects as JSON; everything else is the text itself.
fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Null | Value::String(_)) | Err(_) => Value::String(text.to_owned()),
        Ok(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{InputArgs, read, value_of};

    #[test]
    fn values_are_json_where_they_look_like_it() {
        for (text, value) in [
            ("tides", json!("tides")),
            ("3", json!(3)),
            ("true", json!(true)),
            ("[1,2]", json!([1, 2])),
            ("null", json!("null")),
            ("\"x\"", json!("\"x\"")),
            ("", json!("")),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    #[test]
    fn command_line_wins_over_the_file_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, r#"{"a": 1, "b": 2}"#).unwrap();
        let args = |input: &[&str], file| InputArgs {
            input: input.iter().map(|s| (*s).to_owned()).collect(),
            input_file: file,
        };
        let merged = read(&args(&["b=3", "c=x=y"], Some(path.clone()))).unwrap();
        assert_eq!(serde_json::Value::Object(merged), json!({"a": 1, "b": 3, "c": "x=y"}));
        assert!(read(&args(&["b"], None)).unwrap_err().to_string().contains("`b` is no NAME=VALUE"));
        let twice = read(&args(&["a=1", " a =2"], None)).unwrap_err().to_string();
        assert!(twice.contains("`a` is given twice"), "{twice}");
        std::fs::write(&path, "[1]").unwrap();
        assert!(read(&args(&[], Some(path))).unwrap_err().to_string().contains("is no JSON object"));
    }
}

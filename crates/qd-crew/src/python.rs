//! Values as Python's `str()` writes them: what CrewAI puts in the place of a variable.

use std::fmt::Write as _;

use serde_json::{Number, Value};

use crate::diagnostic::is_deceptive;

/// `str(value)`.
pub(crate) fn to_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            repr(&mut out, other);
            out
        }
    }
}

fn repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => number_repr(out, number),
        Value::String(text) => text_repr(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                repr(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                separate(out, index);
                text_repr(out, key);
                out.push_str(": ");
                repr(out, value);
            }
            out.push('}');
        }
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push_str(", ");
    }
}

fn number_repr(out: &mut String, number: &Number) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => float_repr(out, float),
        None => out.push_str(&number.to_string()),
    }
}

/// The shortest digits that read back alike, with an exponent below 1e-4 and from 1e16 on.
fn float_repr(out: &mut String, float: f64) {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        out.push_str(&scientific);
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        // Rust never uses an exponent here and writes the same shortest digits.
        let plain = float.to_string();
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write_to(out, format_args!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
    }
}

/// A quoted text: single quotes, unless it holds those and no double ones.
fn text_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => escape(out, c),
        }
    }
    out.push(quote);
}

/// Python's idea of printable, without its tables: controls, separators other than the space, formats and private use are not.
fn is_printable(c: char) -> bool {
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    !(is_deceptive(c) || private || c == '\u{ad}' || (c.is_whitespace() && c != ' '))
}

fn escape(out: &mut String, c: char) {
    match u32::from(c) {
        code @ 0..=0xff => write_to(out, format_args!("\\x{code:02x}")),
        code @ 0x100..=0xffff => write_to(out, format_args!("\\u{code:04x}")),
        code => write_to(out, format_args!("\\U{code:08x}")),
    }
}

fn write_to(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_str;

    #[test]
    fn values_read_as_python_writes_them() {
        for (value, expected) in [
            (json!("plain 'text'"), "plain 'text'"),
            (json!(true), "True"),
            (json!(false), "False"),
            (json!(null), "None"),
            (json!(7), "7"),
            (json!(-7), "-7"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1.0), "1.0"),
            (json!(0.1), "0.1"),
            (json!(-2.5), "-2.5"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(1.25e-7), "1.25e-07"),
            (json!(-0.0), "-0.0"),
            (json!([]), "[]"),
            (json!({}), "{}"),
            (json!([1, "a", null, [true]]), "[1, 'a', None, [True]]"),
            (json!({"a": 1, "b": {"c": "x"}}), "{'a': 1, 'b': {'c': 'x'}}"),
            (json!(["it's"]), "[\"it's\"]"),
            (json!(["say \"it's\""]), "['say \"it\\'s\"']"),
            (
                json!(["a\nb\t\\ \u{1b} \u{a0} \u{200b} é \u{1f600}"]),
                "['a\\nb\\t\\\\ \\x1b \\xa0 \\u200b é \u{1f600}']",
            ),
        ] {
            assert_eq!(to_str(&value), expected, "{value}");
        }
    }
}

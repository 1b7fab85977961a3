//! URLs with places for arguments. Whatever an argument holds, it stays inside its own part of the path or the query.

use qd_types::Input;
use serde_json::Value;

/// A URL whose path and query name arguments: `https://shop.example/orders/{id}?full={full}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UrlTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    InPath(String),
    InQuery(String),
}

impl UrlTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let after_scheme = text.find("://").map(|at| at + 3).ok_or("must begin with https:// or http://")?;
        let authority_end =
            text[after_scheme..].find(['/', '?', '#']).map_or(text.len(), |at| after_scheme + at);
        if text[..authority_end].contains(['{', '}']) {
            return Err(
                "names an argument in its host; arguments may stand in the path and the query".to_owned()
            );
        }
        if text.contains('#') {
            return Err("has a fragment (#), which is never sent; leave it out".to_owned());
        }
        let (mut parts, mut rest, mut in_query) = (Vec::new(), text, false);
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or("has a { without its }")? + open;
            let (before, name) = (&rest[..open], &rest[open + 1..close]);
            if before.contains('}') {
                return Err("has a } without its {".to_owned());
            }
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("names `{{{name}}}`, which can be no argument"));
            }
            in_query |= before.contains('?');
            parts.push(Part::Text(before.to_owned()));
            let name = name.to_owned();
            parts.push(if in_query { Part::InQuery(name) } else { Part::InPath(name) });
            rest = &rest[close + 1..];
        }
        if rest.contains('}') {
            return Err("has a } without its {".to_owned());
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Arguments that it names.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::InPath(name) | Part::InQuery(name) => Some(name.as_str()),
        })
    }

    /// With something in each place, to see whether the host may be reached.
    pub(super) fn sample(&self) -> String {
        let shown = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::InPath(_) | Part::InQuery(_) => "x".to_owned(),
        };
        self.0.iter().map(shown).collect()
    }

    /// Puts arguments in, and takes them out of the given ones.
    pub(super) fn fill(&self, arguments: &mut Input) -> Result<String, String> {
        let mut url = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::InQuery(name) => {
                    let value = arguments.get(name).map(|value| text_of(name, value)).transpose()?;
                    encode(&value.unwrap_or_default(), &mut url);
                }
                Part::InPath(name) => {
                    let value = arguments.get(name).filter(|value| **value != "");
                    let value = value.ok_or_else(|| format!("the argument `{name}` is needed"))?;
                    encode(&text_of(name, value)?, &mut url);
                }
            }
        }
        for name in self.arguments() {
            arguments.swap_remove(name);
        }
        let path = url.split('?').next().unwrap_or_default();
        // These would lead to another path than the one that the operator wrote.
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(
                "an argument of the path is `.` or `..`; give the name or number of a thing".to_owned()
            );
        }
        Ok(url)
    }
}

fn text_of(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("the argument `{name}` must be a text, a number or true or false"))
        }
    }
}

/// Everything but what needs no encoding anywhere in a URL.
fn encode(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Adds arguments to a URL's query; lists and objects as JSON.
pub(super) fn append_query(url: &mut String, arguments: &Input) {
    for (name, value) in arguments {
        url.push(if url.contains('?') { '&' } else { '?' });
        encode(name, url);
        url.push('=');
        encode(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), url);
    }
}

//! `calculator`: arithmetic on one line. Models are bad at it, and this costs nothing.

use std::future::ready;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_types::{Input, ToolSpec};
use serde_json::{Value, json};

use super::{Invocation, Tool, ToolFault};

/// Longest expression.
const CHARS_MAX: usize = 1_000;
/// Deepest nesting of parentheses, signs and powers.
const DEPTH_MAX: usize = 64;

/// See the module.
pub(super) struct Calculator;

impl Tool for Calculator {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "calculator".into(),
            description: "Computes an arithmetic expression exactly as written and returns the number. Knows + - * / % ^, \
                          parentheses, pi, e, and sqrt, abs, round, floor, ceil, ln, log10, exp, sin, cos, tan, min, max."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {"expression": {"type": "string", "description": "for example (1200 * 1.19) / 12"}},
                "required": ["expression"],
                "additionalProperties": false
            }),
        }
    }

    fn call<'a>(&'a self, invocation: Invocation<'a>) -> BoxFuture<'a, Result<String, ToolFault>> {
        ready(compute(invocation.arguments)).boxed()
    }
}

fn compute(arguments: &Input) -> Result<String, ToolFault> {
    let expression = arguments.get("expression").and_then(Value::as_str).unwrap_or_default();
    let number = evaluate(expression)
        .map_err(|why| ToolFault::Told(format!("cannot compute `{expression}`: {why}")))?;
    Ok(written(number))
}

/// Without the noise of binary fractions: at most 12 significant decimals, no trailing zeros.
fn written(number: f64) -> String {
    let rounded = format!("{number:.12}");
    let trimmed = rounded.trim_end_matches('0').trim_end_matches('.');
    if trimmed.is_empty() || trimmed == "-0" || trimmed == "-" { "0".to_owned() } else { trimmed.to_owned() }
}

fn evaluate(text: &str) -> Result<f64, String> {
    if text.chars().count() > CHARS_MAX {
        return Err(format!("it is longer than {CHARS_MAX} characters"));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let number = parser.sum()?;
    parser.skip_space();
    match parser.rest.chars().next() {
        Some(odd) => Err(format!("`{odd}` was not expected there")),
        None if number.is_finite() => Ok(number),
        None => Err("the result is not a finite number".to_owned()),
    }
}

/// Recursive descent: sum, product, sign, power, atom.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut left = self.product()?;
        loop {
            if self.take('+') {
                left += self.product()?;
            } else if self.take('-') {
                left -= self.product()?;
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut left = self.sign()?;
        loop {
            if self.take('*') {
                left *= self.sign()?;
            } else if self.take('/') {
                left /= not_zero(self.sign()?)?;
            } else if self.take('%') {
                left %= not_zero(self.sign()?)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn sign(&mut self) -> Result<f64, String> {
        self.nested(|parser| {
            if parser.take('-') {
                return Ok(-parser.sign()?);
            }
            if parser.take('+') {
                return parser.sign();
            }
            parser.power()
        })
    }

    fn power(&mut self) -> Result<f64, String> {
        let base = self.atom()?;
        // `**` is what a model that thinks in Python writes.
        if self.take('^') || self.take_text("**") { Ok(base.powf(self.sign()?)) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.take('(') {
            let inner = self.nested(Self::sum)?;
            return if self.take(')') { Ok(inner) } else { Err("a `)` is missing".to_owned()) };
        }
        self.skip_space();
        match self.rest.chars().next() {
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.name(),
            Some(odd) => Err(format!("`{odd}` was not expected there")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn number(&mut self) -> Result<f64, String> {
        let digits = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
        let mut end = self.rest.find(|c| !digits(c)).unwrap_or(self.rest.len());
        if let Some(exponent) = self.rest[end..].strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let length = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
            if length > 0 {
                end += 1 + (exponent.len() - unsigned.len()) + length;
            }
        }
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.replace('_', "").parse().map_err(|_| format!("`{number}` is no number"))
    }

    fn name(&mut self) -> Result<f64, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        match name {
            "pi" => return Ok(std::f64::consts::PI),
            "e" => return Ok(std::f64::consts::E),
            _ => {}
        }
        if !self.take('(') {
            return Err(format!("`{name}` is neither a number nor followed by `(`"));
        }
        let mut arguments = vec![self.nested(Self::sum)?];
        while self.take(',') {
            arguments.push(self.nested(Self::sum)?);
        }
        if !self.take(')') {
            return Err(format!("a `)` is missing after the arguments of `{name}`"));
        }
        apply(name, &arguments)
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        // A `*` that begins `**` is not a multiplication.
        if wanted == '*' && self.rest.starts_with("**") {
            return false;
        }
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_text(&mut self, wanted: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn not_zero(number: f64) -> Result<f64, String> {
    if number == 0.0 { Err("it divides by zero".to_owned()) } else { Ok(number) }
}

fn apply(name: &str, arguments: &[f64]) -> Result<f64, String> {
    let number = match (name, arguments) {
        ("sqrt", [x]) => x.sqrt(),
        ("abs", [x]) => x.abs(),
        ("round", [x]) => x.round(),
        ("round", [x, places]) => {
            let factor = 10_f64.powf(places.clamp(0.0, 12.0).trunc());
            (x * factor).round() / factor
        }
        ("floor", [x]) => x.floor(),
        ("ceil", [x]) => x.ceil(),
        ("ln", [x]) => x.ln(),
        ("log10", [x]) => x.log10(),
        ("exp", [x]) => x.exp(),
        ("sin", [x]) => x.sin(),
        ("cos", [x]) => x.cos(),
        ("tan", [x]) => x.tan(),
        ("min", [first, rest @ ..]) => rest.iter().fold(*first, |a, b| a.min(*b)),
        ("max", [first, rest @ ..]) => rest.iter().fold(*first, |a, b| a.max(*b)),
        _ => return Err(format!("`{name}` with {} arguments is not known", arguments.len())),
    };
    Ok(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    fn compute(expression: &str) -> Result<String, String> {
        super::compute(json!({ "expression": expression }).as_object().unwrap())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn expressions_give_plain_numbers() {
        for (expression, number) in [
            ("1 + 2 * 3", "7"),
            ("(1200 * 1.19) / 12", "119"),
            ("0.1 + 0.2", "0.3"),
            ("-2 ^ 2", "-4"),
            ("2 ^ 3 ^ 2", "512"),
            ("2 ** 10", "1024"),
            ("10 % 4", "2"),
            ("1e3 + 1_000", "2000"),
            ("round(2.345, 2) + max(1, 2, 3)", "5.35"),
            ("sqrt(16) * pi", "12.566370614359"),
            ("1 - 1", "0"),
            ("- -3", "3"),
        ] {
            assert_eq!(compute(expression).as_deref(), Ok(number), "{expression}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let deep = "(".repeat(100);
        let long = "1+".repeat(600);
        for (expression, why) in [
            ("", "ends too early"),
            ("1 / 0", "divides by zero"),
            ("(1 + 2", "`)` is missing"),
            ("1 + x", "neither a number"),
            ("2 3", "`3` was not expected"),
            ("launch(1)", "`launch` with 1 arguments is not known"),
            ("10 ^ 400", "not a finite number"),
            ("1.2.3", "`1.2.3` is no number"),
            (deep.as_str(), "nested deeper"),
            (long.as_str(), "longer than"),
        ] {
            let fault = compute(expression).unwrap_err();
            assert!(fault.contains(why), "{expression}: {fault}");
        }
    }
}

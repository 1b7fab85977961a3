//! The parameters of an address, taken one by one as `body::Fields` takes those of a body: every mistake is collected,
//! parameters that nobody took are mistakes, and so is one that stands more than once.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use qd_types::Code;

use crate::body::pointer;
use crate::problem::{FieldError, Problem, shown};

/// Thousands of parameters are no honest query. No route knows as many as these.
const PARAMETERS_MAX: usize = 32;

/// A query being read.
pub(crate) struct Parameters {
    left: Vec<(String, String)>,
    /// Every parameter that was asked for, to suggest.
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(left) =
            read.map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
        Ok(Self::of(left))
    }
}

impl Parameters {
    fn of(mut left: Vec<(String, String)>) -> Self {
        left.truncate(PARAMETERS_MAX);
        Self { left, known: Vec::new(), errors: Vec::new() }
    }

    /// A parameter's value as it stands there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values = self.left.extract_if(.., |(known, _)| known == name).map(|(_, value)| value);
        let (first, second) = (values.next(), values.next());
        drop(values);
        if second.is_some() {
            self.error(name, "stands more than once; give it one value");
        }
        first
    }

    /// A value that is read by its own rules, which say what is wrong with it.
    pub(crate) fn read<T, E: Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        read(&value).map_err(|wrong| self.error(name, wrong.to_string())).ok()
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&mut self, name: &'static str, what: &str, words: &[(&str, T)]) -> Option<T> {
        self.read(name, |value| {
            let found = words.iter().find(|(word, _)| *word == value).map(|(_, meant)| *meant);
            found.ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("`{}` is no {what}; there are {}", shown(value), known.join(", "))
            })
        })
    }

    /// A whole number within bounds.
    pub(crate) fn whole<N: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        name: &'static str,
        least: N,
        most: N,
    ) -> Option<N> {
        self.read(name, |value| {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse::<N>().ok().filter(|number| digits && (least..=most).contains(number));
            number
                .ok_or_else(|| format!("`{}` is not a whole number between {least} and {most}", shown(value)))
        })
    }

    pub(crate) fn error(&mut self, name: &str, message: impl Into<String>) {
        let (path, message) = (pointer("", name), message.into());
        self.errors.push(FieldError { path, code: Code::ValidationFailed, message });
    }

    /// # Errors
    /// Every mistake that was found, unknown parameters included.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.left) {
            let message = match self.known.as_slice() {
                [] => "is no parameter of this address, which takes none".to_owned(),
                known => format!("is no parameter of this address; it takes {}", known.join(", ")),
            };
            self.error(&name, message);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::of_fields(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    fn of(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::of(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn every_mistake_of_a_query_is_told_at_once() {
        let mut query =
            of(&[("limit", "0"), ("kind", "x"), ("a", "1"), ("a", "2"), ("odd", ""), ("b", "+3")]);
        assert_eq!(query.whole("limit", 1, 9), None);
        assert_eq!(query.word("kind", "kind", &[("y", 1), ("z", 2)]), None);
        assert_eq!(query.take("a").as_deref(), Some("1"));
        assert_eq!(query.whole::<u64>("b", 0, u64::MAX), None);
        assert_eq!(query.whole::<u8>("none", 0, 1), None);
        let problem = query.finish().unwrap_err();
        let told: Vec<_> = problem.errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect();
        assert_eq!(
            told,
            [
                "/limit: `0` is not a whole number between 1 and 9",
                "/kind: `x` is no kind; there are y, z",
                "/a: stands more than once; give it one value",
                "/b: `+3` is not a whole number between 0 and 18446744073709551615",
                "/odd: is no parameter of this address; it takes limit, kind, a, b, none",
            ]
        );
    }

    #[test]
    fn a_query_whose_parameters_are_all_taken_is_good() {
        let mut query = of(&[("limit", "9"), ("kind", "z")]);
        assert_eq!((query.whole("limit", 1, 9), query.word("kind", "kind", &[("z", 2)])), (Some(9), Some(2)));
        assert!(query.finish().is_ok());
        assert!(of(&[]).finish().is_ok());
    }
}

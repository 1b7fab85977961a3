//! What a rule has to say about a place.

use std::fmt;

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// From the root of the repository.
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// Which rule, as exceptions name it.
    pub(crate) rule: &'static str,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

/// In the form that editors jump to.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule)
    }
}

/// Line of a place in a text, from 1.
pub(crate) fn line_of(text: &str, place: usize) -> usize {
    1 + text.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count()
}

/// Places where a word stands alone: neither letters, digits nor `_` touch it where it begins or ends with such.
pub(crate) fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(place, _)| place).filter(move |place| {
        let before = text[..*place].chars().next_back();
        let after = text[place + word.len()..].chars().next();
        let joins = |inside: Option<char>, outside: Option<char>| {
            inside.is_some_and(is_word) && outside.is_some_and(is_word)
        };
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
    })
}

#[cfg(test)]
mod tests {
    use super::{Finding, line_of, places};

    #[test]
    fn words_stand_alone() {
        let found = |text, word| places(text, word).collect::<Vec<_>>();
        assert_eq!(found("fn a() fnord() a.fn", "fn"), [0, 17]);
        assert_eq!(found("x.unwrap() y.unwrap_or()", ".unwrap()"), [1]);
        assert_eq!(found("dbg!(x) my_dbg!(y)", "dbg!"), [0]);
    }

    #[test]
    fn findings_print_as_editors_expect_them() {
        let text = "a\nb\nc";
        let finding = Finding::new("src/x.rs", line_of(text, 4), "words", "mend it");
        assert_eq!(finding.to_string(), "src/x.rs:3: mend it [words]");
    }
}

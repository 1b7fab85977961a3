//! One Rust file as the rules see it: its code, its functions, and which of its lines are tests.

use std::ops::RangeInclusive;

use super::finding::{line_of, places};
use super::mask::{self, closing};

/// A Rust file.
#[derive(Debug)]
pub(crate) struct RustFile {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments and literals, place by place.
    pub(crate) code: String,
    pub(crate) functions: Vec<Function>,
    /// The whole file is compiled for tests only.
    pub(crate) is_test: bool,
    /// Lines of what is compiled for tests only.
    test_items: Vec<RangeInclusive<usize>>,
    /// Lines of modules inside this file that are.
    test_modules: Vec<RangeInclusive<usize>>,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of its `fn`.
    pub(crate) line: usize,
    /// From there to its last brace.
    pub(crate) lines: usize,
}

/// Something behind `#[cfg(test)]`.
struct TestItem {
    lines: RangeInclusive<usize>,
    /// A module's name, and whether its body is in another file.
    module: Option<(String, bool)>,
}

impl RustFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = mask::code(text);
        let items = test_items(&code);
        let inline = items.iter().filter(|item| matches!(item.module, Some((_, false))));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            functions: functions(&code),
            is_test: lies_among_tests(path),
            test_modules: inline.map(|item| item.lines.clone()).collect(),
            test_items: items.into_iter().map(|item| item.lines).collect(),
            code,
        }
    }

    /// Paths of test modules that it declares: `…/x.rs`, and the folder `…/x/`.
    pub(crate) fn test_modules_elsewhere(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let folder = match name {
            "lib.rs" | "main.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
        };
        let items = test_items(&self.code).into_iter().filter_map(|item| item.module);
        items.filter(|(_, elsewhere)| *elsewhere).map(|(name, _)| format!("{folder}/{name}")).collect()
    }

    /// All lines.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Lines without inline test modules.
    pub(crate) fn net_lines(&self) -> usize {
        self.lines() - self.test_modules.iter().map(|lines| lines.clone().count()).sum::<usize>()
    }

    /// Whether a line is compiled for tests only.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_items.iter().any(|lines| lines.contains(&line))
    }

    /// Lines on which a word of code stands.
    pub(crate) fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        places(&self.code, word).map(|place| line_of(&self.code, place))
    }
}

fn lies_among_tests(path: &str) -> bool {
    path.split('/').nth(2) == Some("tests")
}

fn functions(code: &str) -> Vec<Function> {
    let begin = |place: usize| {
        let rest = &code[place + "fn".len()..];
        let name = rest.trim_start();
        let length =
            name.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '#')).unwrap_or(name.len());
        // `fn(` is a type and `fn $name` a pattern.
        if length == 0 || name.len() == rest.len() {
            return None;
        }
        let open = body_of(code, place)?;
        let (line, last) = (line_of(code, place), line_of(code, closing(code, open)?));
        Some(Function { name: name[..length].to_owned(), line, lines: last - line + 1 })
    };
    places(code, "fn").filter_map(begin).collect()
}

/// Where the body of the item that begins here opens; `None` if it has none.
fn body_of(code: &str, item: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in code.as_bytes()[item..].iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(item + offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn test_items(code: &str) -> Vec<TestItem> {
    let mark = "#[cfg(test)]";
    code.match_indices(mark).filter_map(|(place, _)| test_item(code, place, place + mark.len())).collect()
}

fn test_item(code: &str, mark: usize, after: usize) -> Option<TestItem> {
    let mut item = after + white_space(&code[after..]);
    while code[item..].starts_with("#[") {
        item = closing(code, item + 1)? + 1;
        item += white_space(&code[item..]);
    }
    let end = match body_of(code, item) {
        Some(open) => closing(code, open)?,
        None => item + code[item..].find(';')?,
    };
    let is_elsewhere = code.as_bytes()[end] == b';';
    let module = module_name(&code[item..end]).map(|name| (name, is_elsewhere));
    Some(TestItem { lines: line_of(code, mark)..=line_of(code, end), module })
}

/// The name of the module that an item is, if it is one.
fn module_name(item: &str) -> Option<String> {
    let mut item = item.trim_start_matches("pub").trim_start();
    if item.starts_with('(') {
        item = item[closing(item, 0)? + 1..].trim_start();
    }
    let name = item.strip_prefix("mod ")?;
    name.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().map(str::to_owned)
}

fn white_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::{Function, RustFile};

    const FILE: &str = "\
//! Doc.
fn one() {
    // fn not_this() {}
    two(|x: fn(u8) -> u8| {
        x
    });
}

trait T {
    fn declared(&self);
    fn with_body(&self) -> [u8; 2] { [0; 2] }
}

#[cfg(test)]
pub(crate) mod stage;

#[cfg(test)]
use std::fmt;

#[cfg(test)]
#[path = \"x.rs\"]
mod tests {
    fn three() {
        x.unwrap();
    }
}
";

    #[test]
    fn functions_are_found_with_their_lengths() {
        let file = RustFile::new("crates/a/src/lib.rs", FILE);
        let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
        assert_eq!(
            file.functions,
            [function("one", 2, 6), function("with_body", 11, 1), function("three", 23, 3)]
        );
    }

    #[test]
    fn test_modules_are_told_from_code() {
        let file = RustFile::new("crates/a/src/lib.rs", FILE);
        assert_eq!((file.lines(), file.net_lines()), (26, 19));
        assert!(!file.is_test_line(2) && file.is_test_line(18) && file.is_test_line(24));
        assert_eq!(file.test_modules_elsewhere(), ["crates/a/src/stage"]);
        assert_eq!(
            RustFile::new("crates/a/src/b.rs", FILE).test_modules_elsewhere(),
            ["crates/a/src/b/stage"]
        );
        assert!(RustFile::new("crates/a/tests/it/main.rs", "").is_test);
        assert_eq!(file.lines_with(".unwrap()").collect::<Vec<_>>(), [24]);
    }
}

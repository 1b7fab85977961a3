//! `.env` beside the configuration: variables of one developer's machine. Nothing in it is passed over in silence.

use super::position::Place;

/// A variable of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// A line that is no variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Reads `NAME=VALUE` lines. Values stand bare, in `'…'` as they are, or in `"…"` with `\n`, `\t`, `\"` and `\\`;
/// `export` before a name and `# …` after a value are let pass. `$NAME` is not replaced.
pub(super) fn parse(text: &str) -> (Vec<Entry>, Vec<Mistake>) {
    let (mut entries, mut mistakes) = (Vec::<Entry>::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let place = Place { line: number, column: indent + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Ok((name, _)) if entries.iter().any(|entry| entry.name == name) => {
                mistakes.push(Mistake { place, message: format!("{name} is given twice; remove one") });
            }
            Ok((name, value)) => entries.push(Entry { name: name.to_owned(), value, place }),
            Err(message) => mistakes.push(Mistake { place, message }),
        }
    }
    (entries, mistakes)
}

fn variable(line: &str) -> Result<(&str, String), String> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    // The rest of a line may be a secret: messages show none of it.
    let Some((name, value)) = line.split_once('=') else {
        return Err("is no NAME=VALUE; a comment begins with #".to_owned());
    };
    let name = name.trim();
    let starts_well = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("the part before = is no name of a variable; it has letters, digits and _".to_owned());
    }
    Ok((name, value_of(value.trim()).map_err(|why| format!("{name}: {why}"))?))
}

fn value_of(text: &str) -> Result<String, &'static str> {
    let (value, rest) = match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'').ok_or("the quote ' is not closed on this line")?;
            (value.to_owned(), rest)
        }
        Some('"') => quoted(&text[1..])?,
        _ => {
            let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
            (text[..end].trim_end().to_owned(), "")
        }
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err("something follows the closing quote")
    }
}

fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err("after \\ only n, t, \" and \\ are read; use '…' for a value as it is"),
            },
            c => value.push(c),
        }
    }
    Err("the quote \" is not closed on this line")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_read_as_shells_write_them() {
        let text = "\u{feff}# comment\r\nA=1\r\n  export B = two words # and a comment\nC='as $it \\n is' # c\nD=\"a\\n\\\"b\\\"\"\nE=\nF=a#b\n";
        let (entries, mistakes) = parse(text);
        assert_eq!(mistakes, []);
        let read: Vec<_> =
            entries.iter().map(|e| (e.name.as_str(), e.value.as_str(), e.place.line)).collect();
        assert_eq!(
            read,
            [
                ("A", "1", 2),
                ("B", "two words", 3),
                ("C", "as $it \\n is", 4),
                ("D", "a\n\"b\"", 5),
                ("E", "", 6),
                ("F", "a#b", 7)
            ]
        );
        assert_eq!(entries[1].place.column, 3);
    }

    #[test]
    fn lines_that_are_no_variables_are_named_without_their_text() {
        for (line, message) in [
            ("sk-secret", "is no NAME=VALUE"),
            ("1A=sk-secret", "is no name of a variable"),
            ("A B=sk-secret", "is no name of a variable"),
            ("=sk-secret", "is no name of a variable"),
            ("A='sk-secret", "A: the quote ' is not closed"),
            ("A=\"sk-secret", "A: the quote \" is not closed"),
            ("A=\"sk-secret\" b", "A: something follows"),
            ("A='sk-secret'b", "A: something follows"),
            ("A=\"\\q sk-secret\"", "A: after \\ only"),
            ("A=1\nA=sk-secret", "A is given twice"),
        ] {
            let (_, mistakes) = parse(line);
            assert_eq!(mistakes.len(), 1, "{line}");
            assert!(mistakes[0].message.contains(message), "{line}: {}", mistakes[0].message);
            assert!(!mistakes[0].message.contains("sk-secret"), "{}", mistakes[0].message);
        }
    }
}

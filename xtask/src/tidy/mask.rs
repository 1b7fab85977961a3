//! Rust code without what is no code: comments and literals become spaces, so that a plain search finds code alone.
//!
//! Every byte keeps its place and every line its number.

/// The code of a text.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = end_of_non_code(text, at) else {
            at += 1;
            continue;
        };
        for byte in &mut masked[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(masked).expect("characters are blanked whole")
}

/// Where the comment or literal that begins here ends; `None` if none begins here.
fn end_of_non_code(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let next = bytes.get(at + 1).copied();
    match bytes[at] {
        b'/' if next == Some(b'/') => Some(text[at..].find('\n').map_or(text.len(), |length| at + length)),
        b'/' if next == Some(b'*') => Some(end_of_block_comment(bytes, at)),
        b'"' => Some(end_of_string(bytes, at)),
        b'\'' => end_of_character(text, at),
        b'r' | b'b' | b'c' => end_of_raw_string(text, at),
        _ => None,
    }
}

/// Block comments nest.
fn end_of_block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut here) = (0, at);
    while here < bytes.len() {
        match &bytes[here..bytes.len().min(here + 2)] {
            b"/*" => {
                depth += 1;
                here += 2;
            }
            b"*/" => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// `'x'` and `'\n'` are characters, `'x` is a lifetime.
fn end_of_character(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at + 1..];
    let first = rest.chars().next()?;
    if first == '\\' {
        // What follows the backslash may itself be a quote.
        let close = rest.get(2..)?.find('\'')?;
        return Some(at + 1 + 2 + close + 1);
    }
    let after = first.len_utf8();
    rest[after..].starts_with('\'').then_some(at + 1 + after + 1)
}

/// `r"…"`, `r#"…"#`, also with `b` or `c` before.
fn end_of_raw_string(text: &str, at: usize) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if at > 0 && text.as_bytes().get(at - 1).is_some_and(is_word) {
        return None;
    }
    let rest = text[at..].strip_prefix(['b', 'c']).unwrap_or(&text[at..]);
    let rest = rest.strip_prefix('r')?;
    let inside = rest.trim_start_matches('#');
    let hashes = rest.len() - inside.len();
    let inside = inside.strip_prefix('"')?;
    let begin = text.len() - inside.len();
    let close = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&close).map_or(text.len(), |length| begin + length + close.len()))
}

/// Where the bracket that opens here closes, in masked code.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + offset);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{closing, code};

    #[test]
    fn comments_and_literals_are_no_code() {
        for (text, masked) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("todo!() \" x") g"#, "f(              ) g"),
            (r###"f(r#"a " b"#) g"###, "f(          ) g"),
            (r#"b"x" + br"y\" + c"z""#, "b    +        + c   "),
            (r"'x' + '\'' + '\u{1F}' + 'ü'", "    +      +          +     "),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#type = 1; bar\"x\"", "r#type = 1; bar   "),
            ("\"never closed", "             "),
            ("/* never closed", "               "),
        ] {
            assert_eq!(code(text), masked, "{text}");
            assert_eq!(code(text).len(), text.len());
        }
    }

    #[test]
    fn brackets_are_paired() {
        assert_eq!(closing("{ a[1] (b) { } } }", 0), Some(15));
        assert_eq!(closing("{ a", 0), None);
    }
}

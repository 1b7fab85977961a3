//! Files made to hurt: they are refused fast, with a message and without a crash.

use std::fmt::Write as _;

use crate::{CrewSource, SourceFile, load};

fn refusal(text: &str) -> String {
    let source = CrewSource::Single(SourceFile::new("x.yaml", text));
    load(&source).expect_err("it must be refused").to_string()
}

fn repeated_aliases(levels: usize, fan_out: usize) -> String {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..=levels {
        let uses = vec![format!("*a{}", level - 1); fan_out].join(", ");
        writeln!(text, "a{level}: &a{level} [{uses}]").unwrap();
    }
    text
}

/// Every level nests the one before, so that what aliases repeat grows deeper and deeper.
fn deepening_aliases(levels: usize) -> String {
    let (open, close) = ("[".repeat(20), "]".repeat(20));
    let mut text = format!("a0: &a0 {open}x{close}\n");
    for level in 1..=levels {
        writeln!(text, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    text
}

#[test]
fn bombs_are_refused() {
    let nested_maps = |depth: usize| {
        let mut text = String::new();
        for level in 0..depth {
            writeln!(text, "{}k:", " ".repeat(level)).unwrap();
        }
        text
    };
    for (what, text, expected) in [
        ("too large", "#".repeat(300_000), "300000 bytes; at most 262144 are read"),
        ("deep flow lists", "[".repeat(100_000), "levels of nesting"),
        ("deep flow mappings", "{a: ".repeat(50_000), "levels of nesting"),
        ("deep block mappings", nested_maps(600), "levels of nesting; at most 32"),
        (
            "33 levels that are closed",
            format!("a: {}{}", "[".repeat(33), "]".repeat(33)),
            "levels of nesting",
        ),
        ("many values", format!("a: [{}]", "1,".repeat(20_000)), "too many values; at most 10000"),
        ("many keys", (0..20_000).fold(String::new(), |t, n| t + &format!("k{n}: 1\n")), "too many values"),
        ("billion laughs", repeated_aliases(9, 10), "aliases"),
        (
            "quadratic aliases",
            format!("a: &a [{}]\nb: [{}]", "1,".repeat(5_000), "*a,".repeat(90)),
            "too many values",
        ),
        ("many aliases", format!("a: &a 1\nb: [{}]", "*a,".repeat(200)), "too many aliases; at most 100"),
        ("deepening aliases", deepening_aliases(50), "levels of nesting"),
        (
            "many anchors",
            (0..200).fold(String::new(), |t, n| t + &format!("k{n}: &a{n} 1\n")),
            "too many anchors",
        ),
        ("an anchor in itself", "a: &a [*a]".to_owned(), "an alias refers to what holds it"),
        (
            "merge keys",
            "a: &a {x: 1}\n".to_owned()
                + &(0..150).fold(String::new(), |t, n| t + &format!("k{n}:\n  <<: *a\n")),
            "too many",
        ),
        (
            "merged lists",
            format!(
                "a: &a {{{}}}\nb: {{<<: [{}]}}",
                (0..4_000).map(|n| format!("k{n}: 1,")).collect::<String>(),
                "*a,".repeat(90)
            ),
            "too many values",
        ),
        ("many documents", "--- a\n".repeat(20_000), "several documents"),
        ("long key", format!("{}: 1", "k".repeat(200_000)), "error: "),
        ("long plain text", "k".repeat(200_000), "a crew file is a mapping"),
    ] {
        let message = refusal(&text);
        assert!(message.contains(expected), "{what}: {}", message.chars().take(300).collect::<String>());
        assert!(message.len() < 1_000, "{what}: the message is bounded, not {} bytes", message.len());
    }
}

#[test]
fn any_text_is_read_or_refused_without_a_crash() {
    let full = include_str!("../../../../../examples/crews/research.yaml");
    let mut cut = 0;
    for end in (0..full.len()).filter(|end| full.is_char_boundary(*end)) {
        let source = CrewSource::Single(SourceFile::new("x.yaml", &full[..end]));
        cut += usize::from(load(&source).is_err());
    }
    assert!(cut > full.len() / 2, "most beginnings of a crew are no crew");
    for text in [
        "\0",
        "\u{1b}[31m",
        "\u{7f}",
        "%YAML 9.9\n---\na",
        "%",
        "!",
        "&",
        "*",
        "? ",
        ": ",
        "- ",
        "|",
        ">",
        "'",
        "\"",
        "\u{85}",
        "\u{2028}",
    ] {
        refusal(text);
    }
}

#[test]
fn thousands_of_mistakes_are_told_in_part() {
    let keys = (0..4_900).fold(String::new(), |text, n| text + &format!("roel{n}: 1\n"));
    let message = refusal(&keys);
    assert_eq!(message.lines().count(), 101);
    // The crew also lacks agents.
    assert_eq!(message.lines().last(), Some("x.yaml: error: 4801 more findings are not shown"));
}

#[test]
fn messages_about_hostile_names_are_harmless() {
    let text = "agents:\n  \"\\e[31mred\\u202e\": {role: \"\\e[2Jr\", goal: G, backstory: B}\ntasks:\n  - {name: \"a/../b\", description: D, expected_output: E, agent: \"\\e]0;x\\a\"}\n\"\\ekey\": 1\n";
    let message = refusal(text);
    assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{message:?}");
    assert!(!message.contains('\u{202e}'), "{message:?}");
    assert!(message.contains("may hold only letters, digits, `_` and `-`"), "{message}");
}

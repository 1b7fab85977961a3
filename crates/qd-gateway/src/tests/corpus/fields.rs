//! What does not fit into a field, by the kind of the field. Numbers have a section of their own.

use serde_json::{Map, Value, json};

/// What a field takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Any text that holds something.
    Text,
    /// A name of 1 to 128 characters.
    Name,
    /// One of some words.
    Word,
    /// A published crew.
    Crew,
    /// A moment.
    Moment,
    /// Dollars in quotes.
    Dollars,
    /// Yes or no.
    Flag,
    /// An object.
    Object,
    /// Labels.
    Labels,
    /// Where a webhook goes.
    Url,
    /// When a schedule is due.
    Cron,
    /// A zone of time.
    Zone,
    /// A whole number: here only what it is mixed up with.
    Whole,
}

/// A value that does not fit: how it is called, what it is, the code, and the path below the field.
pub(super) type Wrong = (String, Value, &'static str, &'static str);

const FAILED: &str = super::FAILED;

pub(super) fn long(n: usize) -> String {
    "x".repeat(n)
}

fn all(values: &[Value]) -> Vec<Wrong> {
    values.iter().map(|value| (shown(value), value.clone(), FAILED, "")).collect()
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// What is no text, and the texts that this kind does not take.
fn texts(wrong: &[&str]) -> Vec<Wrong> {
    let others = [json!(7), json!(true), json!(["a"]), json!({})];
    let texts: Vec<Value> = wrong.iter().map(|text| json!(text)).collect();
    all(&[&others[..], &texts].concat())
}

impl Kind {
    pub(super) fn wrong(self) -> Vec<Wrong> {
        match self {
            Self::Text => texts(&["", " \n"]),
            Self::Name => texts(&["", &long(129), "a\u{0}b", "a\nb", "a\u{7}"]),
            Self::Word => texts(&["", "never", "\u{0}"]),
            Self::Crew => crews(),
            Self::Moment => texts(&MOMENTS),
            Self::Dollars => texts(&["", "-1", "NaN", "1e3", "1,50", "$1", "0.0000000001", "99999999999"]),
            Self::Flag => all(&[json!("yes"), json!("true"), json!(1), json!([true]), json!({})]),
            Self::Object => all(&[json!("x"), json!(1), json!(false), json!([["a", "b"]])]),
            Self::Labels => labels(),
            Self::Url => texts(&URLS),
            Self::Cron => texts(&[
                "",
                " ",
                "hourly",
                "@never",
                "* * * *",
                "* * * * * *",
                "60 * * * *",
                "0 0 30 2 *",
                "a * * * *",
                "*/0 * * * *",
                "5-1 * * * *",
            ]),
            Self::Zone => texts(&["", "Berlin", "Europe/", "../etc/passwd", "UTC+1"]),
            Self::Whole => {
                all(&[json!("1"), json!(true), json!([1]), json!({}), json!(1.5), json!(2_147_483_648_u64)])
            }
        }
    }
}

fn crews() -> Vec<Wrong> {
    let mut wrong = texts(&["", "  "]);
    for name in ["nobody", "../solo", &long(129), "solo\u{0}", "SOLO", "solo ", "'; DROP TABLE crews --"] {
        wrong.push((shown(&json!(name)), json!(name), "unknown_crew", ""));
    }
    wrong.push(("broken".to_owned(), json!("broken"), "invalid_crew", ""));
    wrong
}

fn labels() -> Vec<Wrong> {
    let mut wrong = Kind::Object.wrong();
    let many: Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    wrong.push(("17 labels".to_owned(), json!(many), FAILED, ""));
    for (value, path) in [
        (json!({ "a": 1, "c": "fine" }), "/a"),
        (json!({ "a": null }), "/a"),
        (json!({ "a": ["v"] }), "/a"),
        (json!({ "a": long(513) }), "/a"),
        (json!({ "": "v" }), "/"),
        (json!({ "a\u{7f}": "v" }), "/a\\u{7f}"),
    ] {
        wrong.push((shown(&value), value, FAILED, path));
    }
    wrong
}

const MOMENTS: [&str; 17] = [
    "",
    "now",
    "tomorrow",
    "2099-01-01",
    "2099-01-01T00:00:00",
    "2099-13-01T00:00:00Z",
    "2099-02-30T00:00:00Z",
    "2099-01-01T24:01:00Z",
    "2099-01-01T00:00:61Z",
    "0000-00-00T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "4102444800",
    "2099-01-01T00:00Z",
    "2099-01-01T00:00:00Z[UTC]",
    "2099-01-01T00:00:00+99:00",
    "20990101T000000Z",
    "2099-01-01T00:00:00Z\n",
];

const URLS: [&str; 12] = [
    "hooks",
    "http://",
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://169.254.169.254/latest",
    "http://10.0.0.1/",
    "http://0x7f000001/",
    "https://ann:secret@receiver.example",
    "ftp://receiver.example",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://a b/",
];

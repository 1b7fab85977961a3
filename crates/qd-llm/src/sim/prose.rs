//! The sentences of the simulator: plain words about any subject, in the form that the task asks for.
//!
//! The texts claim nothing that could be wrong of the subject; they should read well in a demonstration.

use qd_env::Rng;
use serde_json::json;

use super::brief::Brief;

/// The form that a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Review,
    Steps,
    Bullets,
    Short,
    Article,
    Paragraph,
}

impl Form {
    fn of(brief: &Brief) -> Self {
        let role = brief.role.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| brief.wanted.contains(word));
        if any(&["json"]) {
            Self::Json
        } else if any(&["review", "critique", "feedback", "proofread"]) || role.contains("review") {
            Self::Review
        } else if any(&["step", "plan", "roadmap", "instructions"]) || role.contains("planner") {
            Self::Steps
        } else if any(&["bullet", "list", "findings", "facts", "points"]) || role.contains("research") {
            Self::Bullets
        } else if any(&["tweet", "headline", "one sentence", "slogan", "title only", "yes or no"]) {
            Self::Short
        } else if any(&["article", "report", "post", "essay", "guide", "documentation"])
            || role.contains("writ")
        {
            Self::Article
        } else {
            Self::Paragraph
        }
    }
}

/// An answer to a prompt, without its tool results.
pub(crate) fn answer(brief: &Brief, rng: &mut Rng) -> String {
    let subject = brief.subject.as_str();
    match Form::of(brief) {
        Form::Json => as_json(subject, rng),
        Form::Review => review(subject, rng),
        Form::Steps => steps(subject, rng),
        Form::Bullets => bullets(brief, rng),
        Form::Short => fill(one_of(CLOSINGS, rng), subject),
        Form::Article => article(brief, rng),
        Form::Paragraph => paragraph(brief, rng),
    }
}

/// The first sentence of an answer that builds on tool results.
pub(crate) fn lead_over_results(subject: &str, results: &[(String, String)]) -> String {
    let quotes: Vec<String> =
        results.iter().map(|(tool, content)| format!("`{tool}` answered: {content}")).collect();
    if let [only] = quotes.as_slice() {
        return format!("For {subject}, {only}");
    }
    let lines: Vec<String> = quotes.iter().map(|quote| format!("- {quote}")).collect();
    format!("What the tools say about {subject}:\n\n{}", lines.join("\n"))
}

const OPENINGS: &[&str] = &[
    "{s} is easier to judge once it is clear who needs it and when.",
    "Three questions decide about {s}: who uses it, what it replaces, and what it costs to keep.",
    "Most of what is written about {s} repeats the same few claims, so it pays to look at the parts.",
    "The short version of {s}: the idea is simple, the details decide.",
    "Seen from a distance {s} looks like one topic; up close there are several.",
];

const POINTS: &[(&str, &str)] = &[
    ("Purpose", "people turn to {s} because it takes a recurring worry off their hands"),
    ("Starting point", "a small trial of {s} shows more than a long comparison on paper"),
    ("Cost", "the visible price of {s} is the smaller part; upkeep and training are the larger one"),
    ("Risk", "{s} fails quietly when nobody owns it, so one name should stand next to it"),
    ("Evidence", "figures about {s} should be measured where they will be used"),
    ("People", "those who work with {s} every day know its weak spots best and should be asked first"),
    ("Timing", "{s} gains most when it is introduced before the next busy season"),
    ("Limits", "{s} is no cure for unclear goals and should not be sold as one"),
    ("Alternatives", "doing without {s} is an honest option and a good yardstick"),
    ("Next step", "agree on one measurable result for {s} and look at it again in a month"),
];

const CLOSINGS: &[&str] = &[
    "{s} is worth a first, small step now and a second look in a month.",
    "Start small with {s}, measure, and let the numbers decide how far to go.",
    "Whoever keeps {s} simple gets most of its benefit for a fraction of the effort.",
    "In the end {s} is a matter of care rather than of tools.",
];

const STEPS: &[&str] = &[
    "Write down in one sentence what {s} should achieve",
    "Ask two people who know {s} what usually goes wrong",
    "Choose the smallest part of {s} that is useful by itself",
    "Try it for a week and note every surprise",
    "Compare the notes with the goal and drop what did not help",
    "Decide who looks after {s} from now on",
];

const PRAISE: &[&str] = &[
    "the text comes to the point early",
    "the claims about {s} are stated carefully",
    "the order of the parts is easy to follow",
];

const WISHES: &[&str] = &[
    "one concrete example of {s} would make the second part stronger",
    "the costs of {s} deserve a sentence of their own",
    "the ending could name the next step more plainly",
    "two sentences say the same thing about {s} and can be merged",
];

fn bullets(brief: &Brief, rng: &mut Rng) -> String {
    let lines: Vec<String> = some_points(4, rng)
        .into_iter()
        .map(|(title, text)| format!("- **{title}**: {}.", fill(text, &brief.subject)))
        .collect();
    format!("Key points on {}:\n\n{}", brief.subject, lines.join("\n"))
}

fn article(brief: &Brief, rng: &mut Rng) -> String {
    let subject = brief.subject.as_str();
    let parts: Vec<String> = some_points(3, rng)
        .into_iter()
        .map(|(title, text)| format!("## {title}\n\n{}.", fill_start(text, subject)))
        .collect();
    format!(
        "# {}\n\n{}\n\n{}\n\n{}",
        capital(subject),
        fill_start(one_of(OPENINGS, rng), subject),
        parts.join("\n\n"),
        fill_start(one_of(CLOSINGS, rng), subject)
    )
}

fn paragraph(brief: &Brief, rng: &mut Rng) -> String {
    let subject = brief.subject.as_str();
    let points = some_points(2, rng);
    let sentences: Vec<String> =
        points.into_iter().map(|(_, text)| format!("{}.", fill_start(text, subject))).collect();
    let opening = fill_start(one_of(OPENINGS, rng), subject);
    format!("{opening} {} {}", sentences.join(" "), fill_start(one_of(CLOSINGS, rng), subject))
}

fn steps(subject: &str, rng: &mut Rng) -> String {
    let first = usize::try_from(rng.below(2)).unwrap_or(0);
    let lines: Vec<String> = STEPS[first..]
        .iter()
        .take(5)
        .enumerate()
        .map(|(i, step)| format!("{}. {}.", i + 1, fill(step, subject)))
        .collect();
    format!("A plan for {subject}:\n\n{}", lines.join("\n"))
}

fn review(subject: &str, rng: &mut Rng) -> String {
    let praise = fill(one_of(PRAISE, rng), subject);
    let wish = fill(one_of(WISHES, rng), subject);
    format!(
        "**Verdict**: ready after one small change.\n\n- Good: {praise}.\n- To improve: {wish}.\n\n{}",
        fill_start(one_of(CLOSINGS, rng), subject)
    )
}

fn as_json(subject: &str, rng: &mut Rng) -> String {
    let points: Vec<String> = some_points(3, rng).into_iter().map(|(_, text)| fill(text, subject)).collect();
    json!({ "subject": subject, "summary": fill_start(one_of(CLOSINGS, rng), subject), "points": points })
        .to_string()
}

/// Different points in an order that the seed decides.
fn some_points(count: usize, rng: &mut Rng) -> Vec<(&'static str, &'static str)> {
    let mut left: Vec<_> = POINTS.to_vec();
    (0..count.min(left.len()))
        .map(|_| {
            let index = usize::try_from(rng.below(left.len() as u64)).unwrap_or(0);
            left.remove(index)
        })
        .collect()
}

/// One of the sentences.
fn one_of(sentences: &[&'static str], rng: &mut Rng) -> &'static str {
    rng.pick::<&'static str>(sentences)
}

fn fill(template: &str, subject: &str) -> String {
    template.replace("{s}", subject)
}

fn fill_start(template: &str, subject: &str) -> String {
    capital(&fill(template, subject))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use qd_env::Rng;

    use super::{Brief, Form, answer};

    fn brief(role: &str, wanted: &str) -> Brief {
        Brief {
            role: role.to_owned(),
            subject: "tidal power".to_owned(),
            wanted: wanted.to_owned(),
            expression: String::new(),
        }
    }

    #[test]
    fn the_form_follows_task_and_role() {
        for (role, wanted, form) in [
            ("Senior Researcher", "look into it", Form::Bullets),
            ("Writer", "write it", Form::Article),
            ("Assistant", "a json object", Form::Json),
            ("Editor", "give feedback", Form::Review),
            ("Assistant", "say hello", Form::Paragraph),
            ("Assistant", "a plan", Form::Steps),
            ("Assistant", "a headline", Form::Short),
        ] {
            assert_eq!(Form::of(&brief(role, wanted)), form, "{role}: {wanted}");
        }
    }

    #[test]
    fn answers_speak_of_the_subject_and_depend_on_the_seed_alone() {
        for wanted in ["", "json", "review", "plan", "list", "headline", "article"] {
            let write = |seed| answer(&brief("Assistant", wanted), &mut Rng::labelled(seed, "prose"));
            let text = write(1);
            assert!(text.to_lowercase().contains("tidal power"), "{text}");
            assert!(!text.contains("{s}"), "{text}");
            assert_eq!(text, write(1));
        }
        let text = answer(&brief("Assistant", "json"), &mut Rng::labelled(3, "prose"));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}

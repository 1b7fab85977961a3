//! Reads from a prompt what it is about: who answers, to what task, in which form.
//!
//! Prompts of crews have known phrases; any other prompt is read as a task by itself. Nothing here can fail.

use qd_types::{ChatRequest, Message};

use super::marker::without_markers;

/// What the simulator understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Brief {
    /// `Researcher`, or `Assistant` if nobody is named.
    pub(crate) role: String,
    /// What to write about, in a few words.
    pub(crate) subject: String,
    /// The task and what is expected, for looking up words.
    pub(crate) wanted: String,
    /// An expression to calculate.
    pub(crate) expression: String,
}

/// How a crew's prompt begins its task and what it expects: ours, then the original framework's.
const LAYOUTS: [(&str, &str); 2] = [
    ("Your task:", "The answer has to be:"),
    ("Current Task:", "This is the expected criteria for your final answer:"),
];
/// Words looked at; a prompt may be megabytes of context.
const MAX_TASK_CHARS: usize = 2000;
const MAX_SUBJECT_WORDS: usize = 7;

impl Brief {
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let prompt = task_message(request);
        let layout = LAYOUTS.iter().find(|(task, _)| prompt.contains(task));
        let (task, expected) = layout.map_or((prompt, ""), |(start, expected)| {
            let task = between(prompt, start, expected).unwrap_or(prompt);
            (task, between(prompt, expected, "\n").unwrap_or_default())
        });
        let task: String = without_markers(task).chars().take(MAX_TASK_CHARS).collect();
        Self {
            role: role(request.system.as_deref().unwrap_or_default()),
            subject: subject(&task),
            expression: expression(&task).unwrap_or_else(|| "(17 + 4) * 3".to_owned()),
            wanted: format!("{task}\n{expected}").to_lowercase(),
        }
    }
}

/// The last user message that states a task, else the last user message.
fn task_message(request: &ChatRequest) -> &str {
    let mut last = None;
    for message in request.messages.iter().rev() {
        let Message::User { text } = message else { continue };
        if LAYOUTS.iter().any(|(task, _)| text.contains(task)) {
            return text;
        }
        last = last.or(Some(text.as_str()));
    }
    last.unwrap_or_default()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1.trim_start();
    Some(rest.split(end).next().unwrap_or(rest).trim())
}

fn role(system: &str) -> String {
    let named = system.split_once("You are ").map(|(_, rest)| rest);
    let role = named.and_then(|rest| rest.split(['.', '\n', ',']).next()).unwrap_or_default();
    let role = role.trim().trim_start_matches("a ").trim_start_matches("an ").trim_start_matches("the ");
    if role.is_empty() || role.chars().count() > 60 { "Assistant".to_owned() } else { role.to_owned() }
}

/// A quoted phrase, what follows `about` or `on`, or the first words of the task without their verb.
fn subject(task: &str) -> String {
    let task = task.trim();
    if let Some(quoted) = quoted(task) {
        return quoted.to_owned();
    }
    let lower = task.to_ascii_lowercase();
    const LEADS: [&str; 8] =
        ["topic: ", "topic is ", " about ", " on the topic of ", " on ", " regarding ", " of ", " for "];
    // The first one that a task says is what it is about; later ones are details. Longer leads win at the same place.
    let places =
        LEADS.iter().filter_map(|lead| lower.find(lead).map(|at| (at, usize::MAX - lead.len(), *lead)));
    if let Some((at, _, lead)) = places.min() {
        // ASCII lower case keeps byte positions.
        let phrase = phrase(&task[at + lead.len()..]);
        if !phrase.is_empty() {
            return phrase;
        }
    }
    let without_verb = task.split_once(' ').map_or(task, |(_, rest)| rest);
    let phrase = phrase(without_verb);
    if phrase.is_empty() { "the question".to_owned() } else { phrase }
}

fn quoted(task: &str) -> Option<&str> {
    for (open, close) in [('"', '"'), ('“', '”'), ('`', '`')] {
        if let Some((_, rest)) = task.split_once(open)
            && let Some((inside, _)) = rest.split_once(close)
            && (3..=80).contains(&inside.chars().count())
        {
            return Some(inside.trim());
        }
    }
    None
}

fn phrase(text: &str) -> String {
    let end = text.find(['.', ',', ';', ':', '\n', '?', '!', '(']).unwrap_or(text.len());
    let words = text[..end].split_whitespace().take(MAX_SUBJECT_WORDS).enumerate();
    // What follows these words says how to write, no longer what about.
    const TURNS: &[&str] = &["based", "using", "for", "with", "that", "which", "so", "because", "and"];
    let words = words.take_while(|(index, word)| *index < 2 || !TURNS.contains(word));
    let mut words: Vec<&str> = words.map(|(_, word)| word).collect();
    if words.first().is_some_and(|word| ["this", "that", "these", "those"].contains(word)) {
        words.remove(0);
    }
    // A phrase cut at seven words should not end in a word that asks for more.
    while words
        .last()
        .is_some_and(|w| ["and", "or", "the", "a", "an", "of", "in", "for", "to", "with"].contains(w))
    {
        words.pop();
    }
    words.join(" ").chars().take(80).collect()
}

/// The longest stretch of the task that looks like arithmetic.
fn expression(task: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || "+-*/(). ^%".contains(c);
    let runs = task.split(|c| !is_part(c)).map(|run| {
        run.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '(')
            .trim_end_matches(|c: char| !c.is_ascii_digit() && c != ')')
    });
    let runs = runs.filter(|run| {
        let operators = run.chars().filter(|c| "+-*/^%".contains(*c)).count();
        operators > 0
            && run.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).count() > operators
    });
    let longest = runs.max_by_key(|run| run.len())?;
    let balanced = longest.matches('(').count() == longest.matches(')').count();
    Some(if balanced { longest.to_owned() } else { longest.replace(['(', ')'], "") })
}

#[cfg(test)]
mod tests {
    use qd_types::{ChatRequest, Message};

    use super::Brief;

    fn brief(system: &str, user: &str) -> Brief {
        Brief::of(&ChatRequest {
            system: Some(system.to_owned()),
            ..ChatRequest::new("sim/demo", vec![Message::user(user)])
        })
    }

    #[test]
    fn the_prompt_of_a_crew_is_understood() {
        let brief = brief(
            "You are Senior Researcher. You dig deep.\nYour personal goal is: find facts",
            "\nCurrent Task: Collect the key facts about tidal power in Brittany.\n\n\
             This is the expected criteria for your final answer: A bullet list\nyou MUST return it",
        );
        assert_eq!(brief.role, "Senior Researcher");
        assert_eq!(brief.subject, "tidal power in Brittany");
        assert!(brief.wanted.ends_with("a bullet list"), "{}", brief.wanted);
    }

    #[test]
    fn subjects_are_found_in_plain_prompts() {
        for (prompt, subject) in [
            ("Write a post about the history of tea, please", "the history of tea"),
            ("Write an article about tidal energy in Europe based on the notes", "tidal energy in Europe"),
            ("Explain \"event sourcing\" to a child", "event sourcing"),
            (
                "Collect findings on heat pumps for the years to come, and what is about to change",
                "heat pumps",
            ),
            ("Translate this", "the question"),
            ("Hello", "Hello"),
            ("[[sim: fault=503]]Summarize quarterly numbers", "quarterly numbers"),
            ("", "the question"),
        ] {
            assert_eq!(brief("", prompt).subject, subject, "{prompt}");
        }
    }

    #[test]
    fn expressions_are_found() {
        for (prompt, expression) in [
            ("What is 12 * (3 + 4)?", "12 * (3 + 4)"),
            ("Multiply (see 6*7) now", "6*7"),
            ("Nothing to count in 2026.", "(17 + 4) * 3"),
        ] {
            assert_eq!(brief("", prompt).expression, expression, "{prompt}");
        }
    }
}

//! What was said so far, in fewer words: where a request is longer than its model's window, the text before the task is cut
//! into parts, each part is summarised, and the summaries stand in its place.
//!
//! Every summary is a step of its own. Whether and how large the parts are is decided outside, where windows are known.

use qd_types::{ChatRequest, Message, StepId, ToolResult};

use super::Machine;
use crate::plan::PlannedAgent;

/// More parts are not summarised for one request.
pub(super) const PARTS_MAX: usize = 64;
/// Bytes of the task that the model is told, so that it knows what matters.
const TASK_BYTES_MAX: usize = 2_000;
/// All summaries together take this part of what fits at once.
const SHARE: u64 = 2;
/// What a token is taken for when an answer is bounded, and a word when it is asked for.
const BYTES_PER_TOKEN: u64 = 4;
const BYTES_PER_WORD: u64 = 6;
/// No summary is bounded below or above this, in tokens.
const SUMMARY_TOKENS: (u64, u64) = (64, 4_096);

/// Parts and their summaries.
#[derive(Debug, Clone)]
pub(super) struct Compaction {
    parts: Vec<String>,
    summaries: Vec<Option<String>>,
    /// Of one summary.
    tokens: u32,
}

impl Compaction {
    /// Of these texts, in their order; no part is longer than so many bytes. None if that takes too many parts.
    pub(super) fn of(texts: &[String], part_bytes: u64) -> Option<Self> {
        let size = usize::try_from(part_bytes).unwrap_or(usize::MAX).max(1);
        let mut parts: Vec<String> = Vec::new();
        for text in texts {
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let room = parts.last().map_or(0, |part| size.saturating_sub(part.len() + 1));
                if rest.len() <= room {
                    let part = parts.last_mut()?;
                    part.push('\n');
                    part.push_str(rest);
                    break;
                }
                let piece = prefix(rest, size);
                // A part of less than a letter would never end.
                let piece =
                    if piece.is_empty() { rest.get(..rest.chars().next()?.len_utf8())? } else { piece };
                if parts.len() == PARTS_MAX {
                    return None;
                }
                parts.push(piece.to_owned());
                rest = &rest[piece.len()..];
            }
        }
        let each = part_bytes / SHARE / u64::try_from(parts.len().max(1)).unwrap_or(u64::MAX);
        let tokens = (each / BYTES_PER_TOKEN).clamp(SUMMARY_TOKENS.0, SUMMARY_TOKENS.1);
        let summaries = vec![None; parts.len()];
        Some(Self { parts, summaries, tokens: u32::try_from(tokens).unwrap_or(u32::MAX) })
    }

    /// Indexes of the parts without a summary.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> + '_ {
        self.summaries.iter().enumerate().filter(|(_, summary)| summary.is_none()).map(|(index, _)| index)
    }

    /// Takes a summary in. Answers all of them once the last one is there.
    pub(super) fn summarised(&mut self, index: usize, text: &str) -> Option<String> {
        *self.summaries.get_mut(index)? = Some(text.trim().to_owned());
        let all: Option<Vec<&str>> = self.summaries.iter().map(Option::as_deref).collect();
        all.map(|summaries| summaries.join("\n\n"))
    }

    /// What the model is asked for a part.
    pub(super) fn request(&self, index: usize, agent: &PlannedAgent, task: &str) -> ChatRequest {
        let words = u64::from(self.tokens) * BYTES_PER_TOKEN / BYTES_PER_WORD;
        let user = format!(
            "The task:\n{}\n\nPart {} of {} of what was said and found so far:\n{}\n\nWrite this part down in at most \
             {words} words.",
            prefix(task, TASK_BYTES_MAX),
            index + 1,
            self.parts.len(),
            self.parts[index],
        );
        ChatRequest {
            system: Some(INSTRUCTIONS.to_owned()),
            max_tokens: Some(self.tokens),
            seed: agent.sampling.seed,
            ..ChatRequest::new(&agent.model, vec![Message::user(user)])
        }
    }
}

const INSTRUCTIONS: &str = "You condense what an agent has said and found so far, so that it can go on with its task from \
     your words alone. Keep every fact, figure, name, address, decision, result and open question that the task may need. \
     Leave out repetition and courtesies. Write nothing but the condensed text.";

fn prefix(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A message as texts to be summarised.
pub(super) fn told(message: &Message) -> Vec<String> {
    match message {
        Message::User { text } => vec![format!("User: {text}")],
        Message::Assistant { text, tool_calls, .. } => {
            let mut texts = Vec::new();
            if !text.is_empty() {
                texts.push(format!("Assistant: {text}"));
            }
            texts.extend(
                tool_calls
                    .iter()
                    .map(|call| format!("Assistant calls {} with {}", call.name, call.arguments)),
            );
            texts
        }
        Message::Tool { results } => results.iter().map(returned).collect(),
    }
}

fn returned(result: &ToolResult) -> String {
    let what = if result.is_error { "fails" } else { "returns" };
    format!("{} {what}: {}", result.name, result.content)
}

impl Machine {
    /// How many bytes a step's request would be shorter without what can be summarised; none if it cannot be.
    #[must_use]
    pub fn compactable(&self, step: &StepId) -> Option<u64> {
        let task = self.task()?;
        if !self.current.may_compact(&task.name, step) || !self.doer(task).agent.respect_context_window {
            return None;
        }
        let bytes: usize = self.material(task).iter().map(String::len).sum();
        u64::try_from(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Compaction, PARTS_MAX};

    fn texts(sizes: &[usize]) -> Vec<String> {
        sizes.iter().map(|size| "x".repeat(*size)).collect()
    }

    #[test]
    fn parts_hold_whole_texts_where_they_fit_and_pieces_where_not() {
        for (sizes, part, expected) in [
            (&[][..], 10, &[][..]),
            (&[4, 5], 10, &[10]),
            (&[4, 6], 10, &[4, 6]),
            (&[25], 10, &[10, 10, 5]),
            (&[25, 4, 3], 10, &[10, 10, 10, 3]),
        ] {
            let made = Compaction::of(&texts(sizes), part).unwrap();
            let lengths: Vec<_> = made.parts.iter().map(String::len).collect();
            assert_eq!(lengths, expected, "{sizes:?}");
        }
    }

    #[test]
    fn letters_are_not_cut_and_parts_are_bounded() {
        let made = Compaction::of(&["äöü".to_owned()], 3).unwrap();
        assert_eq!(made.parts, ["ä", "ö", "ü"]);
        assert_eq!(Compaction::of(&["äö".to_owned()], 1).unwrap().parts, ["ä", "ö"]);
        assert!(Compaction::of(&texts(&[PARTS_MAX * 10]), 10).is_some());
        assert!(Compaction::of(&texts(&[PARTS_MAX * 10 + 1]), 10).is_none());
    }

    #[test]
    fn summaries_stand_in_the_order_of_their_parts() {
        let mut made = Compaction::of(&texts(&[10, 10, 10]), 10).unwrap();
        assert_eq!(made.summarised(2, "three"), None);
        assert_eq!(made.summarised(0, " one\n"), None);
        assert_eq!(made.open().collect::<Vec<_>>(), [1]);
        assert_eq!(made.summarised(1, ""), Some("one\n\n\n\nthree".to_owned()));
        assert_eq!(made.summarised(9, "no such part"), None);
    }
}

//! What can go wrong, and how it is written.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// What can go wrong. Written as a status (`"503"`) or a word (`"hang"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An error answer as the provider would word it: 400 to 599.
    Status(u16),
    /// `refused`: takes no connections. Over HTTP a rule without conditions, but for its window, closes the address; with
    /// others it is a reset.
    Refused,
    /// `reset`: closes the connection without an answer.
    Reset,
    /// `hang`: takes the request and says nothing.
    Hang,
    /// `silent`: sends the headers of an answer and then nothing.
    Silent,
    /// `stall`: sends half of an answer and then nothing.
    Stall,
    /// `drip`: sends the answer in pieces that are far apart.
    Drip,
    /// `cut`: breaks the connection in the middle of the answer.
    Cut,
    /// `cut_character`: the same, in the middle of a character.
    CutCharacter,
    /// `cut_tool_call`: the same, in the middle of the arguments of a tool call; as `cut` where there is none.
    CutToolCall,
    /// `truncated`: ends the answer properly in the middle, without its finish marker.
    Truncated,
    /// `error_event`: half of an answer, then an error; an answer in one piece is an error with status 200.
    ErrorEvent,
    /// `html`: a page instead of an answer, with status 200.
    Html,
    /// `garbage`: half a JSON document, with status 200.
    Garbage,
    /// `empty`: a well-formed answer that says nothing.
    Empty,
    /// `empty_stream`: status 200 and not one byte.
    EmptyStream,
    /// `refusal`: an answer that refuses to answer.
    Refusal,
    /// `context_length`: the prompt is said to be too long.
    ContextLength,
    /// `spend_limit`: the money is said to be spent.
    SpendLimit,
    /// `ramp_limit`: requests are said to grow too fast.
    RampLimit,
    /// `duplicate_events`: events that hold no text come twice. The answer is good.
    DuplicateEvents,
    /// `unknown_events`: events come that nobody has heard of. The answer is good.
    UnknownEvents,
    /// `no_usage`: a good answer without its tokens.
    NoUsage,
    /// `wrong_usage`: a good answer that claims ten times its tokens.
    WrongUsage,
}

const WORDS: &[(&str, FaultKind)] = &[
    ("refused", FaultKind::Refused),
    ("reset", FaultKind::Reset),
    ("hang", FaultKind::Hang),
    ("silent", FaultKind::Silent),
    ("stall", FaultKind::Stall),
    ("drip", FaultKind::Drip),
    ("cut", FaultKind::Cut),
    ("cut_character", FaultKind::CutCharacter),
    ("cut_tool_call", FaultKind::CutToolCall),
    ("truncated", FaultKind::Truncated),
    ("error_event", FaultKind::ErrorEvent),
    ("html", FaultKind::Html),
    ("garbage", FaultKind::Garbage),
    ("empty", FaultKind::Empty),
    ("empty_stream", FaultKind::EmptyStream),
    ("refusal", FaultKind::Refusal),
    ("context_length", FaultKind::ContextLength),
    ("spend_limit", FaultKind::SpendLimit),
    ("ramp_limit", FaultKind::RampLimit),
    ("duplicate_events", FaultKind::DuplicateEvents),
    ("unknown_events", FaultKind::UnknownEvents),
    ("no_usage", FaultKind::NoUsage),
    ("wrong_usage", FaultKind::WrongUsage),
];

impl FaultKind {
    /// Every fault that is written as a word.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// Whether the client has a good answer in the end.
    pub(in crate::sim) fn leaves_an_answer(self) -> bool {
        matches!(
            self,
            Self::Hang
                | Self::Silent
                | Self::Stall
                | Self::Drip
                | Self::DuplicateEvents
                | Self::UnknownEvents
                | Self::NoUsage
                | Self::WrongUsage
        )
    }

    /// Whether the answer ends before its end.
    pub(in crate::sim) fn breaks_off(self) -> bool {
        matches!(
            self,
            Self::Cut | Self::CutCharacter | Self::CutToolCall | Self::Truncated | Self::ErrorEvent
        )
    }

    /// Whether it lasts as long as somebody says.
    pub(super) fn has_silence(self) -> bool {
        matches!(self, Self::Hang | Self::Silent | Self::Stall | Self::Drip)
    }
}

/// As it is written in options.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            word => {
                let found = WORDS.iter().find(|(_, kind)| kind == word);
                f.write_str(found.map_or("", |(word, _)| word))
            }
        }
    }
}

impl FromStr for FaultKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, kind)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*kind);
        }
        match text.parse() {
            Ok(status @ 400..=599) => Ok(Self::Status(status)),
            Ok(_) | Err(_) => {
                let words = Self::words().collect::<Vec<_>>().join(", ");
                Err(format!("`{text}` is no fault: a status from 400 to 599, or one of {words}"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for FaultKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Status(u16),
            Word(String),
        }
        let word = match Written::deserialize(deserializer)? {
            Written::Status(status) => status.to_string(),
            Written::Word(word) => word,
        };
        word.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultKind, WORDS};

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (word, kind) in WORDS.iter().copied().chain([("503", FaultKind::Status(503))]) {
            assert_eq!(word.parse(), Ok(kind));
            assert_eq!(kind.to_string(), word);
        }
        for wrong in ["", "200", "600", "Hang", "-1"] {
            assert!(wrong.parse::<FaultKind>().unwrap_err().contains("is no fault"), "{wrong}");
        }
    }
}

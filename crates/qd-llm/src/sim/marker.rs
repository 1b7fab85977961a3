//! `[[sim: …]]`: wishes of a test or a curious person, written into the prompt.
//!
//! Unknown words are passed over: the text around may come from anywhere, and a prompt must never make the simulator
//! fail in a way nobody asked for.

use std::time::Duration;

use super::options::FaultKind;

/// What the markers of a prompt ask for. Later markers win.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Wishes {
    pub(crate) fault: Option<FaultKind>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) silence: Option<Duration>,
    pub(crate) latency: Option<Duration>,
    pub(crate) tool: Option<String>,
    /// For a fault: how many tries of the step meet it (all, if not said). For a tool: how many turns call it.
    pub(crate) fault_times: Option<u32>,
    pub(crate) tool_times: Option<u32>,
    pub(crate) answer: Option<String>,
}

const OPEN: &str = "[[sim:";
const CLOSE: &str = "]]";

impl Wishes {
    /// Reads the markers of one text.
    pub(crate) fn read(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = rest.find(OPEN) {
            rest = &rest[start + OPEN.len()..];
            let Some(end) = rest.find(CLOSE) else { return };
            self.take(&rest[..end]);
            rest = &rest[end..];
        }
    }

    fn take(&mut self, inside: &str) {
        // The answer is the rest of its marker, for it may hold blanks.
        if let Some(answer) = inside.trim().strip_prefix("answer=") {
            self.answer = Some(answer.to_owned());
            return;
        }
        let (mut is_fault, mut times) = (false, None);
        for word in inside.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            match key {
                "fault" => {
                    self.fault = value.parse().ok();
                    is_fault = self.fault.is_some();
                }
                "retry_after" => self.retry_after = span(value),
                "silence" => self.silence = span(value),
                "latency" => self.latency = span(value),
                "tool" => self.tool = Some(value.to_owned()),
                "times" => times = value.parse().ok(),
                _ => {}
            }
        }
        if times.is_some() {
            *(if is_fault { &mut self.fault_times } else { &mut self.tool_times }) = times;
        }
    }
}

/// The text without its markers, so that an answer does not carry them on into the next task's prompt.
pub(crate) fn without_markers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let Some(end) = rest[start..].find(CLOSE) else { break };
        clean.push_str(&rest[..start]);
        rest = &rest[start + end + CLOSE.len()..];
    }
    clean.push_str(rest);
    clean
}

/// `250ms`, `2s`, or a bare number of seconds; at most an hour.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Wishes, without_markers};
    use crate::sim::FaultKind;

    fn read(text: &str) -> Wishes {
        let mut wishes = Wishes::default();
        wishes.read(text);
        wishes
    }

    #[test]
    fn markers_say_what_happens() {
        let wishes = read(
            "Write. [[sim: fault=503 times=2]] Now [[sim: latency=1000ms]][[sim:tool=calculator times=3]]",
        );
        assert_eq!(wishes.fault, Some(FaultKind::Status(503)));
        assert_eq!((wishes.fault_times, wishes.tool_times), (Some(2), Some(3)));
        assert_eq!(wishes.latency, Some(Duration::from_secs(1)));
        assert_eq!(wishes.tool.as_deref(), Some("calculator"));
        assert_eq!(read("[[sim: answer=all is well]]").answer.as_deref(), Some("all is well"));
        assert_eq!(
            read("[[sim: fault=429 retry_after=1.5s]]").retry_after,
            Some(Duration::from_millis(1500))
        );
        assert_eq!(read("[[sim: fault=stall silence=2s]]").silence, Some(Duration::from_secs(2)));
    }

    #[test]
    fn half_or_wrong_markers_ask_for_nothing() {
        for text in [
            "[[sim: fault=503",
            "[[sim:]]",
            "[[sim: fault=200]]",
            "[sim: fault=503]",
            "[[sim: latency=9999h]]",
        ] {
            assert_eq!(read(text), Wishes::default(), "{text}");
        }
    }

    #[test]
    fn the_rest_of_the_text_stays() {
        assert_eq!(without_markers("a [[sim: fault=hang]]b[[sim:x]] c"), "a b c");
        assert_eq!(without_markers("open [[sim: never"), "open [[sim: never");
    }
}

//! Server-sent events as our server writes them, for the command line's own use.

use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Its name, e.g. `task.started`.
    pub(crate) name: String,
    /// Its place in the job's sequence; live pieces have none.
    pub(crate) id: Option<u64>,
    /// Its data.
    pub(crate) data: Value,
}

/// Longest unfinished event; our server writes none that come near.
const PENDING_MAX: usize = 8 << 20;

/// Takes bytes in any pieces and gives events.
#[derive(Default)]
pub(crate) struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Adds bytes; answers the events that they complete, or `None` if the other side does not speak our format.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
            let frame: Vec<u8> = self.pending.drain(..end + 2).collect();
            events.extend(event(std::str::from_utf8(&frame).ok()?));
        }
        (self.pending.len() <= PENDING_MAX).then_some(events)
    }
}

fn event(frame: &str) -> Option<Event> {
    let mut event = Event { name: String::new(), id: None, data: Value::Null };
    for line in frame.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("id", id)) => event.id = id.parse().ok(),
            Some(("data", data)) => event.data = serde_json::from_str(data).ok()?,
            // Comments keep the connection alive; `retry` is a browser's business.
            Some(_) | None => {}
        }
    }
    (!event.name.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Decoder;

    #[test]
    fn events_do_not_depend_on_how_the_bytes_arrive() {
        let text = ": hello\n\nid: 3\nevent: task.started\ndata: {\"task\":\"ü\"}\n\nevent: delta\ndata: {\"text\":\"a\"}\n\nretry: 1\n\n";
        for size in 1..text.len() {
            let mut decoder = Decoder::default();
            let events: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| decoder.push(piece).unwrap()).collect();
            assert_eq!(events.len(), 2);
            assert_eq!(
                (events[0].name.as_str(), events[0].id, &events[0].data),
                ("task.started", Some(3), &json!({"task": "ü"}))
            );
            assert_eq!((events[1].name.as_str(), events[1].id), ("delta", None));
        }
    }
}

//! Server-sent events out of bytes that arrive in any pieces. Written here because the crates for it have no bounds.
//!
//! An event counts when its blank line has arrived; what an ended stream leaves over is dropped, as the standard says.
//! Two things are read that are no part of it: llama.cpp once sent errors under a field of that name, and servers that
//! fail in the middle of a stream may write a bare JSON object into it.

/// Bytes of one line, and of the data of one event.
const MAX_BYTES: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SseEvent {
    /// Its `event:` field; empty without.
    pub(crate) name: String,
    /// Its `data:` fields, joined by line ends.
    pub(crate) data: String,
}

/// A line or an event beyond the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// An incremental parser.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    after_cr: bool,
    after_first_line: bool,
}

impl SseParser {
    /// Takes the next bytes; events that they complete are appended to `events`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            // The second half of a CRLF, perhaps in another piece than the first.
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|b| *b == b'\n' || *b == b'\r') else {
                return self.keep(bytes);
            };
            self.keep(&bytes[..end])?;
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    /// A bare object that the stream ended with, without an end of its line.
    pub(crate) fn finish(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        text.starts_with('{').then(|| SseEvent { name: String::new(), data: text.into_owned() })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > MAX_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        // Whole lines only, so that a character cut by a piece's end is still one.
        let text = String::from_utf8_lossy(&line);
        let first = !std::mem::replace(&mut self.after_first_line, true);
        let text = if first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        if text.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                events.push(event);
            }
            return Ok(());
        }
        if text.starts_with('{') {
            events.push(SseEvent { name: String::new(), data: text.to_owned() });
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.add_data(value)?,
            "error" => {
                "error".clone_into(&mut self.event.name);
                self.add_data(value)?;
            }
            // Comments keep connections open; ids and reconnection times mean nothing to a POST.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: &str) -> Result<(), TooLong> {
        if self.event.data.len() + value.len() >= MAX_BYTES {
            return Err(TooLong);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.event.data.push('\n');
        }
        self.event.data.push_str(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use qd_env::Rng;

    use super::{MAX_BYTES, SseEvent, SseParser, TooLong};

    fn parse(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, &mut events).unwrap();
        }
        events
    }

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent { name: name.to_owned(), data: data.to_owned() }
    }

    const STREAM: &str = "\u{feff}event: a\r\ndata: {\"t\":\"zwölf – 十二\"}\r\n\r\n: comment\n\ndata:x\rdata: y\r\rid: 7\nretry: 1\n\
                          event:b\ndata\n\nevent: lost\n\ndata: [DONE]\n\ndata: half";

    fn expected() -> Vec<SseEvent> {
        vec![event("a", "{\"t\":\"zwölf – 十二\"}"), event("", "x\ny"), event("b", ""), event("", "[DONE]")]
    }

    #[test]
    fn events_are_read_with_every_kind_of_line_end() {
        assert_eq!(parse(&[STREAM.as_bytes()]), expected());
    }

    #[test]
    fn the_result_does_not_depend_on_where_pieces_end() {
        let bytes = STREAM.as_bytes();
        for cut in 0..=bytes.len() {
            assert_eq!(parse(&[&bytes[..cut], &bytes[cut..]]), expected(), "cut at {cut}");
        }
        for seed in 0..500 {
            let mut rng = Rng::labelled(seed, "pieces");
            let (mut rest, mut pieces) = (bytes, Vec::new());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + rng.below(9) as usize));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(parse(&pieces), expected(), "seed {seed}");
        }
    }

    #[test]
    fn errors_outside_of_events_are_events() {
        let old = "data: {}\n\nerror: {\"code\":400}\n\n";
        assert_eq!(parse(&[old.as_bytes()]), [event("", "{}"), event("error", "{\"code\":400}")]);
        let bare = "data: {}\n\n{\"error\":\"out\"}\n";
        assert_eq!(parse(&[bare.as_bytes()]), [event("", "{}"), event("", "{\"error\":\"out\"}")]);
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        parser.push(b"{\"error\":1}", &mut events).unwrap();
        assert_eq!((events.len(), parser.finish()), (0, Some(event("", "{\"error\":1}"))));
        assert_eq!(parser.finish(), None);
    }

    #[test]
    fn lines_and_events_beyond_the_bound_are_refused() {
        let piece = vec![b'a'; MAX_BYTES / 2];
        let mut events = Vec::new();
        let mut parser = SseParser::default();
        assert_eq!(parser.push(&piece, &mut events), Ok(()));
        assert_eq!(parser.push(&piece, &mut events), Ok(()));
        assert_eq!(parser.push(b"b", &mut events), Err(TooLong));

        let mut parser = SseParser::default();
        let line = [b"data:".as_slice(), &piece, b"\n"].concat();
        assert_eq!(parser.push(&line, &mut events), Ok(()));
        assert_eq!(parser.push(&line, &mut events), Err(TooLong));
    }
}

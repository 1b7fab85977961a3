//! What the body of an answer does, beat by beat, with each of the faults that leave one.

use std::time::Duration;

use bytes::Bytes;
use qd_types::{ChatReply, StopReason};

use super::body::Beat;
use crate::sim::script::{DROP_PAUSE, Pace, exaggerated};
use crate::sim::{Decision, FaultKind, pieces};
use crate::wires::{Refusal, Said, ServeWire, Served, Speech, simulated};

/// How a body is to be played.
pub(super) struct Score {
    /// Its content type.
    pub(super) kind: &'static str,
    pub(super) beats: Vec<Beat>,
    pub(super) pace: Option<Pace>,
    /// Whether the client has an answer at its end.
    pub(super) is_answer: bool,
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
/// Bytes of a piece of an answer that drips and has no pieces of its own.
const DROP_BYTES: usize = 64;
pub(super) fn score(wire: &dyn ServeWire, served: &Served, decision: Decision) -> Score {
    let Decision { fault, mut reply, stop_text, mut usage, mut pace, .. } = decision;
    let kind = fault.map(|fault| fault.kind);
    if kind == Some(FaultKind::Empty) {
        reply = ChatReply { text: String::new(), tool_calls: Vec::new(), stop: StopReason::End, ..reply };
    }
    if kind == Some(FaultKind::WrongUsage) {
        usage = exaggerated(&usage);
    }
    if kind == Some(FaultKind::Garbage) {
        let beats = vec![text(r#"{"id": "half of an ans"#)];
        return Score { kind: JSON, beats, pace: None, is_answer: false };
    }
    let said = Said {
        reply: &reply,
        stop_text: stop_text.as_deref(),
        usage: (kind != Some(FaultKind::NoUsage)).then_some(&usage),
        is_refused: kind == Some(FaultKind::Refusal),
    };
    let silence = fault.and_then(|fault| fault.silence);
    if kind == Some(FaultKind::Drip) {
        pace = Pace::every(silence.unwrap_or(DROP_PAUSE));
    }
    let mut broken = Bytes::new();
    if kind == Some(FaultKind::CutCharacter) {
        // A piece that follows another one, up to the first of the two bytes of its letter.
        let piece = wire.speech(&said, &["", "é"], served).pieces.pop().unwrap_or_default();
        let end = piece.find('é').map_or(0, |at| at + 1);
        broken = Bytes::from(piece).slice(..end);
    }
    let play = Play { wire, kind, silence, broken, model: &served.request.model };
    let (content_type, mut beats) = if served.stream {
        (EVENTS, play.stream(wire.speech(&said, &pieces(&reply.text), served)))
    } else {
        // An answer in one piece has no pace of its own.
        (JSON, play.whole(wire.reply(&said)))
    };
    let is_paced = !pace.is_instant() && (served.stream || kind == Some(FaultKind::Drip));
    if !is_paced {
        beats = joined(beats);
    }
    let pace = is_paced.then_some(pace);
    Score { kind: content_type, beats, pace, is_answer: kind.is_none_or(FaultKind::leaves_an_answer) }
}

/// One body in the making.
struct Play<'a> {
    wire: &'a dyn ServeWire,
    kind: Option<FaultKind>,
    silence: Option<Duration>,
    /// Ends inside a character.
    broken: Bytes,
    model: &'a str,
}

impl Play<'_> {
    fn stream(&self, speech: Speech) -> Vec<Beat> {
        let Speech { opening, pieces, tools, tools_cut, closing } = speech;
        let mut beats: Vec<Beat> = std::iter::once(opening).chain(pieces).map(text).collect();
        let half = beats.len().div_ceil(2);
        match self.kind {
            Some(FaultKind::EmptyStream) => return Vec::new(),
            Some(FaultKind::CutToolCall) if tools_cut > 0 => {
                let inside = tools_cut + (tools.len() - tools_cut) / 2;
                beats.push(Beat::Piece(Bytes::from(tools).slice(..inside)));
                beats.push(Beat::Break);
                return beats;
            }
            Some(FaultKind::Cut | FaultKind::CutToolCall) => {
                beats.truncate(half);
                beats.push(Beat::Break);
                return beats;
            }
            Some(FaultKind::CutCharacter) => {
                beats.truncate(half);
                beats.extend([Beat::Piece(self.broken.clone()), Beat::Break]);
                return beats;
            }
            Some(FaultKind::Truncated) => {
                beats.truncate(half);
                return beats;
            }
            Some(FaultKind::ErrorEvent) => {
                beats.truncate(half);
                beats.push(text(self.wire.error_event(&self.overloaded())));
                return beats;
            }
            _ => {}
        }
        // One piece, so that no pause comes between what is said and its end.
        let mut end = tools + &closing;
        match self.kind {
            Some(FaultKind::DuplicateEvents) => {
                if let Some(Beat::Piece(opening)) = beats.first() {
                    let opening = Beat::Piece(opening.clone());
                    beats.insert(0, opening);
                }
                end += &closing;
            }
            Some(FaultKind::UnknownEvents) => {
                beats.insert(half, text(self.wire.unknown_event()));
                end.insert_str(0, &self.wire.unknown_event());
            }
            Some(FaultKind::Stall) => beats.insert(half, Beat::Silence(self.silence)),
            Some(FaultKind::Silent) => beats.insert(0, Beat::Silence(self.silence)),
            _ => {}
        }
        beats.push(text(end));
        beats
    }

    fn whole(&self, mut body: String) -> Vec<Beat> {
        let half = body.floor_char_boundary(body.len() / 2);
        match self.kind {
            Some(FaultKind::EmptyStream) => vec![text("")],
            Some(FaultKind::ErrorEvent) => vec![text(self.wire.error(&self.overloaded()))],
            Some(FaultKind::Truncated) => {
                body.truncate(half);
                vec![text(body)]
            }
            Some(FaultKind::Cut | FaultKind::CutToolCall) => {
                body.truncate(half);
                vec![text(body), Beat::Break]
            }
            Some(FaultKind::CutCharacter) => {
                body.truncate(half);
                vec![text(body), text(&b"\xc3"[..]), Beat::Break]
            }
            Some(FaultKind::Stall) => {
                let rest = body.split_off(half);
                vec![text(body), Beat::Silence(self.silence), text(rest)]
            }
            Some(FaultKind::Silent) => vec![Beat::Silence(self.silence), text(body)],
            Some(FaultKind::Drip) => {
                let body = Bytes::from(body);
                let drops = (0..body.len()).step_by(DROP_BYTES);
                drops.map(|at| Beat::Piece(body.slice(at..body.len().min(at + DROP_BYTES)))).collect()
            }
            _ => vec![text(body)],
        }
    }

    fn overloaded(&self) -> Refusal {
        Refusal { model: self.model.to_owned(), ..Refusal::said(529, simulated(529)) }
    }
}

fn text(text: impl Into<Bytes>) -> Beat {
    Beat::Piece(text.into())
}

/// Without pauses one write is cheaper than many, and looks the same to the reader.
fn joined(beats: Vec<Beat>) -> Vec<Beat> {
    let mut joined = Vec::new();
    let mut run: Vec<Bytes> = Vec::new();
    for beat in beats {
        match beat {
            Beat::Piece(piece) => run.push(piece),
            other => {
                if !run.is_empty() {
                    joined.push(text(std::mem::take(&mut run).concat()));
                }
                joined.push(other);
            }
        }
    }
    if !run.is_empty() {
        joined.push(text(run.concat()));
    }
    joined
}

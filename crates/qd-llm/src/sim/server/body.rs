//! Bodies of answers: pieces with pauses between them, silences, and how each of them ends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::sim::script::Pace;
use crate::sim::visit::Visit;

/// The end of a body that breaks off.
#[derive(Debug, thiserror::Error)]
#[error("simulated break of the connection")]
pub(super) struct Broken;

/// What happens next in a body.
#[derive(Debug)]
pub(super) enum Beat {
    Piece(Bytes),
    /// Nothing comes for so long; for ever without.
    Silence(Option<Duration>),
    /// The connection breaks.
    Break,
}

/// Text on the wire, beat by beat.
pub(super) struct SimBody {
    beats: std::vec::IntoIter<Beat>,
    /// Exact length, for bodies in one piece.
    length: Option<u64>,
    pace: Option<Pace>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Ends a silence that would last for ever.
    shutdown: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    visit: Option<Visit>,
    /// Whether its end makes the visit an answered one.
    is_answer: bool,
    /// Whether everything before a break was given the time to leave.
    is_flushed: bool,
}

impl SimBody {
    /// A body in one piece that answers nothing that was asked of a model.
    pub(super) fn plain(text: impl Into<Bytes>) -> Self {
        Self::new(vec![Beat::Piece(text.into())], None, None, false).measured()
    }

    /// A body of beats with pauses after each piece but the last.
    pub(super) fn of(beats: Vec<Beat>, pace: Option<Pace>, visit: Visit, is_answer: bool) -> Self {
        Self::new(beats, pace, Some(visit), is_answer)
    }

    fn new(beats: Vec<Beat>, pace: Option<Pace>, visit: Option<Visit>, is_answer: bool) -> Self {
        let beats = beats.into_iter();
        Self { beats, length: None, pace, pause: None, shutdown: None, visit, is_answer, is_flushed: false }
    }

    /// The same, sent with its length if it is a single piece.
    pub(super) fn measured(mut self) -> Self {
        if let [Beat::Piece(text)] = self.beats.as_slice() {
            self.length = Some(text.len() as u64);
        }
        self
    }

    /// The same, told when the server is to stop.
    pub(super) fn until(mut self, shutdown: &CancellationToken) -> Self {
        self.shutdown = Some(Box::pin(shutdown.clone().cancelled_owned()));
        self
    }

    fn end(&mut self) {
        if let Some(mut visit) = self.visit.take()
            && self.is_answer
        {
            visit.answered();
        }
    }

    fn piece(&mut self, text: Bytes) -> Frame<Bytes> {
        if let Some(pace) = &mut self.pace
            && self.beats.len() > 0
        {
            let wait = pace.next();
            self.pause = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        }
        // hyper never polls again after the last byte of a body of known length.
        if self.length.is_some() {
            self.end();
        }
        Frame::data(text)
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(context));
                this.pause = None;
            }
            match this.beats.next() {
                Some(Beat::Piece(text)) => return Poll::Ready(Some(Ok(this.piece(text)))),
                Some(Beat::Silence(Some(span))) => this.pause = Some(Box::pin(tokio::time::sleep(span))),
                Some(Beat::Silence(None)) => {
                    // The silence stays the next beat until the server stops.
                    this.beats = vec![Beat::Silence(None)].into_iter();
                    if let Some(shutdown) = &mut this.shutdown {
                        ready!(shutdown.as_mut().poll(context));
                    }
                    return Poll::Ready(Some(Err(Broken)));
                }
                // hyper drops what it has not sent when a body fails, and sends when a body makes it wait.
                Some(Beat::Break) if !std::mem::replace(&mut this.is_flushed, true) => {
                    this.beats = vec![Beat::Break].into_iter();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Beat::Break) => return Poll::Ready(Some(Err(Broken))),
                None => {
                    this.end();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

//! Bodies of answers: whole, or in pieces with pauses between them, and how each of them ends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::sim::script::Pace;
use crate::sim::visit::Visit;

/// The end of a body that breaks off.
#[derive(Debug, thiserror::Error)]
#[error("simulated break of the connection")]
pub(super) struct Broken;

/// Text on the wire, piece by piece.
pub(super) struct SimBody {
    pieces: std::vec::IntoIter<Bytes>,
    /// Exact length, for bodies in one piece.
    length: Option<u64>,
    pace: Option<Pace>,
    pause: Option<Pin<Box<Sleep>>>,
    breaks: bool,
    /// Told when the last piece is taken.
    visit: Option<Visit>,
}

impl SimBody {
    /// A body in one piece; `visit` counts as answered once it is taken.
    pub(super) fn whole(text: impl Into<Bytes>, visit: Option<Visit>) -> Self {
        let text = text.into();
        let length = Some(text.len() as u64);
        Self { pieces: vec![text].into_iter(), length, pace: None, pause: None, breaks: false, visit }
    }

    /// A body in pieces with pauses after each but the last.
    pub(super) fn paced(pieces: Vec<Bytes>, pace: Pace, visit: Option<Visit>) -> Self {
        // Without pauses one write is cheaper than many, and looks the same to the reader.
        let (pieces, pace) =
            if pace.is_instant() { (vec![Bytes::from(pieces.concat())], None) } else { (pieces, Some(pace)) };
        Self { pieces: pieces.into_iter(), length: None, pace, pause: None, breaks: false, visit }
    }

    /// The same, with the connection broken at its end.
    pub(super) fn breaking(mut self) -> Self {
        self.breaks = true;
        self.length = None;
        self
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if std::mem::take(&mut self.breaks) {
            return Poll::Ready(Some(Err(Broken)));
        }
        if let Some(visit) = self.visit.take() {
            visit.answered();
        }
        Poll::Ready(None)
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
        if let Some(pause) = &mut this.pause {
            std::task::ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        let Some(piece) = this.pieces.next() else { return this.end() };
        if let Some(pace) = &mut this.pace
            && this.pieces.len() > 0
        {
            let wait = pace.next();
            this.pause = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        }
        // hyper never polls again after the last byte of a body of known length.
        if this.length.is_some()
            && let Some(visit) = this.visit.take()
        {
            visit.answered();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

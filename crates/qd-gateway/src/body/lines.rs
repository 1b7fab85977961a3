//! A body that is read line by line, however long it is: JSON lines.

use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use qd_types::Code;

use super::too_large;
use crate::context::Context;
use crate::problem::Problem;

/// Whether a body is JSON lines by its own word.
pub(crate) fn are_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// The lines of a body. One of them is held at a time.
pub(crate) struct Lines {
    body: Body,
    /// What was read and not handed out.
    buffer: BytesMut,
    /// How much of it is known to hold no end of a line.
    searched: usize,
    read: usize,
    number: usize,
    is_over: bool,
    bytes_max: usize,
    line_max: usize,
    patience: Duration,
}

impl Lines {
    /// # Errors
    /// If the body is compressed.
    pub(crate) fn of(request: Request<Body>, bytes_max: usize, context: &Context) -> Result<Self, Problem> {
        let encoding = request.headers().get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let detail = "bodies in a `Content-Encoding` are not read; send the lines as they are";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        Ok(Self {
            body: request.into_body(),
            buffer: BytesMut::new(),
            searched: 0,
            read: 0,
            number: 0,
            is_over: false,
            bytes_max,
            line_max: context.options.body_bytes_max,
            patience: context.options.body_read,
        })
    }

    /// The next line that holds something, without its end; `None` at the end of the body.
    ///
    /// # Errors
    /// If the body or the line is too large, breaks off, or does not come.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(line) = self.line().await? {
            self.number += 1;
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Number of the line that was handed out last, from 1.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| self.searched + end) {
                self.searched = 0;
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return self.within(line).map(Some);
            }
            self.searched = self.buffer.len();
            if self.is_over {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return if rest.is_empty() { Ok(None) } else { self.within(rest).map(Some) };
            }
            self.within(Bytes::new())?;
            self.more().await?;
        }
    }

    fn within(&self, line: Bytes) -> Result<Bytes, Problem> {
        if line.len().max(self.searched) <= self.line_max {
            return Ok(line);
        }
        let detail = format!(
            "line {} is longer than {} bytes; each line is one input, and one JSON document ends with its line",
            self.number + 1,
            self.line_max
        );
        Err(Problem::new(Code::PayloadTooLarge, detail))
    }

    async fn more(&mut self) -> Result<(), Problem> {
        let frame = tokio::time::timeout(self.patience, self.body.frame()).await.map_err(|_| {
            let detail = format!("nothing of the body came for {} s", self.patience.as_secs_f32());
            Problem::new(Code::RequestTimeout, detail)
        })?;
        let Some(frame) = frame else {
            self.is_over = true;
            return Ok(());
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "an upload broke off");
            Problem::new(Code::InvalidRequest, "the body broke off or its framing is broken")
        })?;
        let Ok(piece) = frame.into_data() else { return Ok(()) };
        self.read += piece.len();
        if self.read > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        self.buffer.extend_from_slice(&piece);
        Ok(())
    }
}

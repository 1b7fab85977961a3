//! Answers without a foreseeable end, written to the socket by ourselves.
//!
//! hyper keeps 24 KiB of buffers and its state for as long as an answer lasts; thousands of event streams, of which most
//! are silent, need none of it. Over HTTP/1.1 such an answer therefore takes the socket over: its head, then chunks as
//! they come. The connection serves nothing after it. Other versions are answered by hyper as ever.

use std::io::{self, Write as _};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::accept::Shutdown;
use super::guarded::Guarded;

/// Marks an answer as one of these, in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endless;

/// Collected before a write, as long as there is more at once.
const WRITE_BYTES: usize = 16 * 1024;
/// What a client may send while it listens; it has nothing to say.
const HEARD_MAX: usize = 64 * 1024;

/// Writes the answer to its end, or until the client leaves.
pub(super) async fn answer(socket: Guarded<TcpStream>, response: Response, shutdown: &Shutdown) {
    let written = tokio::select! {
        written = write(socket, response) => written,
        () = shutdown.abort.cancelled() => return,
    };
    if let Err(error) = written {
        tracing::debug!(%error, "connection ended early");
    }
}

async fn write(mut socket: Guarded<TcpStream>, response: Response) -> io::Result<()> {
    let (parts, mut body) = response.into_parts();
    let mut bytes = head(parts.status, &parts.headers);
    drop(parts);
    let mut is_over = collect(&mut body, &mut bytes)?;
    loop {
        socket.write_all(&bytes).await?;
        // Silence is what there is most of; it shall cost no memory.
        drop(std::mem::take(&mut bytes));
        if is_over {
            return socket.shutdown().await;
        }
        let Some(frame) = next(&mut body, &mut socket).await? else { return Ok(()) };
        is_over = put(frame, &mut bytes)? || collect(&mut body, &mut bytes)?;
    }
}

type NextFrame = Option<Result<Frame<Bytes>, axum::Error>>;

/// The next frame, `None` within for the end; `None` if the client has left.
async fn next(body: &mut Body, socket: &mut Guarded<TcpStream>) -> io::Result<Option<NextFrame>> {
    let (mut said, mut heard) = ([0; 64], 0);
    loop {
        tokio::select! {
            frame = body.frame() => return Ok(Some(frame)),
            came = socket.read(&mut said) => match came? {
                0 => return Ok(None),
                came => heard += came,
            },
        }
        if heard > HEARD_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client talks instead of listening"));
        }
    }
}

/// Puts what is there already; whether the end was among it.
fn collect(body: &mut Body, bytes: &mut Vec<u8>) -> io::Result<bool> {
    while bytes.len() < WRITE_BYTES {
        match body.frame().now_or_never() {
            None => return Ok(false),
            Some(frame) => {
                if put(frame, bytes)? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Puts a frame as a chunk; whether it was the end.
fn put(frame: NextFrame, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let Some(frame) = frame else {
        bytes.extend_from_slice(b"0\r\n\r\n");
        return Ok(true);
    };
    // Without its last chunk an answer is seen to be cut.
    let frame = frame.map_err(io::Error::other)?;
    // Trailers are not sent, and an empty chunk would be the last one.
    if let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) {
        write!(bytes, "{:x}\r\n", data.len())?;
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(false)
}

fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    let mut line = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    for (name, value) in headers {
        line(name.as_str().as_bytes(), value.as_bytes());
    }
    line(b"transfer-encoding", b"chunked");
    line(b"connection", b"close");
    head.extend_from_slice(b"\r\n");
    [format!("HTTP/1.1 {status}\r\n").into_bytes(), head].concat()
}

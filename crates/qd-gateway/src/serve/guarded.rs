//! A socket that gives up on peers which dawdle: a request's head must be complete soon after its first byte, the first
//! request must come soon, and bytes that are ready to be sent must be taken.
//!
//! hyper has one timer for an idle connection and for a slow head; waiting long for the next request is normal, for
//! the rest of a head it is an attack. It has none for a client that never reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a client that speaks HTTP/2 begins with; HTTP/1 has no such method.
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether requests are being answered on a connection.
#[derive(Clone, Default)]
pub(crate) struct Activity(Arc<Inner>);

#[derive(Default)]
struct Inner {
    busy: AtomicUsize,
    /// A request has come since the last time somebody asked.
    came: AtomicBool,
    /// A request has come.
    ever: AtomicBool,
}

/// A request being answered.
pub(crate) struct Busy(Activity);

impl Activity {
    /// A request has come.
    pub(crate) fn begin(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::AcqRel);
        self.0.came.store(true, Ordering::Release);
        self.0.ever.store(true, Ordering::Release);
        Busy(self.clone())
    }

    /// Whether no request has come yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.0.ever.load(Ordering::Acquire)
    }

    fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Acquire) > 0
    }

    fn took_request(&self) -> bool {
        self.0.came.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The socket.
pub(crate) struct Guarded<S> {
    inner: S,
    activity: Activity,
    header_read: Duration,
    write_stall: Duration,
    head: Head,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    speaks: Option<Version>,
    first: FirstBytes,
}

/// What was read to learn the version, until it is handed on.
#[derive(Default)]
struct FirstBytes {
    bytes: [u8; H2_PREFACE.len()],
    len: usize,
}

enum Head {
    /// None has begun.
    Idle,
    /// One is on its way. Most are complete with their first bytes and need no timer.
    Begun,
    /// It did not come at once.
    Late(Pin<Box<Sleep>>),
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

impl FirstBytes {
    /// Takes `at_most` of them.
    fn take(&mut self, at_most: usize) -> Self {
        let mut taken = Self { len: self.len.min(at_most), ..Self::default() };
        taken.bytes[..taken.len].copy_from_slice(&self.bytes[..taken.len]);
        self.bytes.copy_within(taken.len..self.len, 0);
        self.len -= taken.len;
        taken
    }
}

impl<S> Guarded<S> {
    pub(crate) fn new(inner: S, activity: Activity, header_read: Duration, write_stall: Duration) -> Self {
        // The first head is awaited from the beginning: a client that connects has something to say.
        let (head, first) = (Head::Begun, FirstBytes::default());
        Self { inner, activity, header_read, write_stall, head, stall: None, speaks: None, first }
    }

    /// Fails once a head has been incomplete for too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.activity.took_request() {
            self.head = Head::Idle;
        }
        if matches!(self.head, Head::Begun) {
            self.head = Head::Late(Box::pin(tokio::time::sleep(self.header_read)));
        }
        match &mut self.head {
            Head::Late(timer) => {
                timer.as_mut().poll(cx).map(|()| late("the request's head did not arrive in time"))
            }
            Head::Idle | Head::Begun => Poll::Pending,
        }
    }

    fn came(&mut self, bytes: &[u8]) {
        // Frames of HTTP/2 come between requests as well; its first request is awaited, the others are not.
        let head_begins =
            self.speaks == Some(Version::Http1) && !bytes.is_empty() && !self.activity.is_busy();
        // A timer that an earlier request left behind is void.
        if head_begins && (self.activity.took_request() || matches!(self.head, Head::Idle)) {
            self.head = Head::Begun;
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let span = self.write_stall;
        let timer = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(span)));
        timer.as_mut().poll(cx).map(|()| late("the client does not take its answer"))
    }
}

fn late(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Waits for the first bytes and says what the client speaks; they are read again by whoever reads next. `None` if
    /// it has left without a word.
    pub(crate) async fn version(&mut self) -> io::Result<Option<Version>> {
        let mut first = FirstBytes::default();
        let version = loop {
            if !H2_PREFACE.starts_with(&first.bytes[..first.len]) {
                break Version::Http1;
            }
            if first.len == H2_PREFACE.len() {
                break Version::Http2;
            }
            match self.read(&mut first.bytes[first.len..]).await? {
                0 if first.len == 0 => return Ok(None),
                // Let the parser of requests say what is wrong with it.
                0 => break Version::Http1,
                came => first.len += came,
            }
        };
        (self.first, self.speaks) = (first, Some(version));
        Ok(Some(version))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let first = self.first.take(buf.remaining());
        buf.put_slice(&first.bytes[..first.len]);
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let bytes = &buf.filled()[before..];
                self.came(bytes);
                Poll::Ready(Ok(()))
            }
            // An error comes again with the next read.
            _ if first.len > 0 => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Ready(Err(ready!(self.poll_head(cx)))),
        }
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn written(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        Poll::Ready(Err(ready!(self.poll_stall(cx))))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

//! As much of HTTP/1.1 as a webhook needs: one request with a length, one answer, and the connection is closed.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEAD_MAX: usize = 16 << 10;
const BODY_MAX: usize = 16 << 20;

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads one; `None` for what is no `POST` with a length that is not too large.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Option<Request>> {
    let mut bytes = Vec::with_capacity(4_096);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > HEAD_MAX || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let Some((headers, length)) = head(&bytes[..end]) else { return Ok(None) };
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    body.truncate(length);
    Ok(Some(Request { headers, body }))
}

type Headers = Vec<(String, String)>;

fn head(bytes: &[u8]) -> Option<(Headers, usize)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
    lines.next()?.strip_prefix("POST ")?;
    let headers: Headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    (length <= BODY_MAX).then_some((headers, length))
}

/// Answers without a body.
pub(super) async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: u16) -> anyhow::Result<()> {
    let length = if status == 204 { "" } else { "content-length: 0\r\n" };
    let head = format!("HTTP/1.1 {status} -\r\n{length}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BODY_MAX, HEAD_MAX, Request, read};

    async fn of(text: &str) -> Option<Request> {
        read(&mut text.as_bytes()).await.unwrap()
    }

    #[tokio::test]
    async fn a_webhook_is_read_and_what_is_none_is_refused() {
        let whole = "POST / HTTP/1.1\r\nWebhook-Id: 7\r\ncontent-length:  3\r\n\r\nabcd";
        let request = of(whole).await.unwrap();
        assert_eq!((request.header("webhook-id"), request.body.as_slice()), (Some("7"), &b"abc"[..]));
        for bad in [
            "",
            "POST / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc",
            &format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", BODY_MAX + 1),
            &format!("POST / HTTP/1.1\r\nx: {}", "a".repeat(HEAD_MAX + 8_192)),
        ] {
            assert_eq!(of(bad).await, None, "{bad:.60}");
        }
    }
}

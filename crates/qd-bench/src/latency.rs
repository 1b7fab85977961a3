//! From sending a job to its first model call arriving at the provider, queue empty: the whole way through HTTP,
//! durable accept, claim, machine and the wire.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::load::Wire;
use crate::process::{Server, project};

const ROUNDS: usize = 2_000;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## accept to first model call");
    let (provider, mut arrivals) = provider(Duration::ZERO).await?;
    let folder = project(&format!(
        "default_crew = \"echo\"\ndefault_model = \"stub/m\"\n[log]\nlevel = \"error\"\n{provider}"
    ))?;
    let server = Server::serve(folder.path()).await?;
    let mut wire = Wire::connect(&server.address).await?;
    let (mut from_send, mut from_answer) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for n in 0..ROUNDS {
        let sent = Instant::now();
        let status = wire.post("/chat", &format!("{{\"user_id\":\"u{n}\",\"message\":\"hello\"}}")).await?;
        anyhow::ensure!(status == 202, "answered {status}");
        let accepted = Instant::now();
        let call: Instant = arrivals.recv().await.ok_or_else(|| anyhow::anyhow!("the provider is gone"))?;
        from_send.record(micros(call.duration_since(sent)))?;
        from_answer.record(micros(call.saturating_duration_since(accepted)))?;
        // Until the job is over, so that the queue is empty again.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for (what, histogram) in [("from sending the request", from_send), ("from its 202", from_answer)] {
        let ms = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        println!("{what}: p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
    }
    Ok(())
}

/// A provider that notes when calls arrive and answers each after so long: its settings, as `stub`, and what it notes.
pub(crate) async fn provider(takes: Duration) -> anyhow::Result<(String, mpsc::UnboundedReceiver<Instant>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (arrived, arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(answer(stream, arrived.clone(), takes));
        }
    });
    let settings =
        format!("[providers.stub]\nkind = \"openai\"\nbase_url = \"http://{address}/v1\"\nstream = false\n");
    Ok((settings, arrivals))
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Answers every request on a connection with the same completion and tells when each arrived.
async fn answer(mut stream: TcpStream, arrived: mpsc::UnboundedSender<Instant>, takes: Duration) {
    let body = r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut buffer = Vec::new();
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&buffer).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head]
            .lines()
            .find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if buffer.len() >= head + 4 + length.unwrap_or(0) {
            let _ = arrived.send(Instant::now());
            buffer.clear();
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

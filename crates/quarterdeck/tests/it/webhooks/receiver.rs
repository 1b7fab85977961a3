//! A receiver of webhooks that a test tells what to answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One webhook as it came, and what it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) text: String,
    pub(crate) status: u16,
}

impl Hook {
    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn job(&self) -> String {
        self.body()["data"]["id"].as_str().unwrap_or_default().to_owned()
    }
}

type Decide = Arc<dyn Fn(&Hook, &[Hook]) -> u16 + Send + Sync>;

/// Listens until the test ends.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    hooks: Arc<Mutex<Vec<Hook>>>,
    decide: Arc<Mutex<Decide>>,
}

impl Receiver {
    /// Answers with what `decide` makes of a webhook and of those before it, after a while.
    pub(crate) async fn start(
        takes: Duration,
        decide: impl Fn(&Hook, &[Hook]) -> u16 + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let decide: Decide = Arc::new(decide);
        let receiver = Self { url, hooks: Arc::default(), decide: Arc::new(Mutex::new(decide)) };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                // A sender that is killed breaks off.
                tokio::spawn(async move { serving.serve(stream, takes).await.ok() });
            }
        });
        receiver
    }

    /// Changes its mind.
    pub(crate) fn answers(&self, status: u16) {
        *self.decide.lock().unwrap() = Arc::new(move |_, _| status);
    }

    pub(crate) fn hooks(&self) -> Vec<Hook> {
        self.hooks.lock().unwrap().clone()
    }

    async fn serve(&self, stream: TcpStream, takes: Duration) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let Some(mut hook) = read(&mut stream).await? else { return Ok(()) };
            // As long as this takes, the sender may be killed.
            let _ = tokio::time::timeout(takes, std::future::pending::<()>()).await;
            let decide = Arc::clone(&self.decide.lock().unwrap());
            hook.status = {
                let mut hooks = self.hooks.lock().unwrap();
                hook.status = decide(&hook, &hooks);
                hooks.push(hook.clone());
                hook.status
            };
            let answer = format!("HTTP/1.1 {} -\r\ncontent-length: 0\r\n\r\n", hook.status);
            stream.get_mut().write_all(answer.as_bytes()).await?;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Hook>> {
    let mut hook = Hook {
        id: String::new(),
        timestamp: String::new(),
        signature: String::new(),
        path: String::new(),
        authorization: String::new(),
        text: String::new(),
        status: 0,
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            // The first line: `POST /hooks HTTP/1.1`.
            hook.path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => value.clone_into(&mut hook.id),
            "webhook-timestamp" => value.clone_into(&mut hook.timestamp),
            "webhook-signature" => value.clone_into(&mut hook.signature),
            "authorization" => value.clone_into(&mut hook.authorization),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    hook.text = String::from_utf8(body).unwrap();
    Ok(Some(hook))
}

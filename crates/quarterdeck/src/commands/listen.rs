//! `listen`: receives webhooks on this machine, verifies them, shows them and passes them on. For whoever builds a receiver.

mod request;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use qd_engine::{SigningSecret, WebhookHeaders, verify};
use qd_env::Env;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::serve::stop_signals;
use crate::cli::{Format, Global, Listen};
use crate::config::{read_secret_text, variable};
use crate::exit::{Exit, ended};
use crate::output::{self, excerpt, harmless, say};
use request::Request;

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a sender may take for one webhook, and the receiver behind for its answer.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn run(global: &Global, args: Listen) -> anyhow::Result<Exit> {
    let env = Env::system();
    let secret = secret(args.secret_file.as_deref(), &env)?;
    let mut stop = stop_signals()?;
    let listener = TcpListener::bind(&args.listen).await.map_err(|error| {
        ended(
            Exit::Conflict,
            format!("cannot listen on {}: {error}; choose another address with --listen", args.listen),
        )
    })?;
    let address = listener.local_addr()?;
    say(&format!("Receiving webhooks at http://{address}"));
    if let Some(forward) = &args.forward {
        say(&format!("  passed on to {forward}"));
    }
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let (env, format) = (env.clone(), global.output);
    let ear = Arc::new(Ear { secret, forward: args.forward, http, env: env.clone(), format });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        loop {
            let place = Arc::clone(&places).acquire_owned().await?;
            let (stream, _) = listener.accept().await?;
            let ear = Arc::clone(&ear);
            env.spawn(async move {
                // Whatever becomes of one connection is told to its sender alone.
                let _ = tokio::time::timeout(PATIENCE * 2, ear.serve(stream)).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        ended = accepting => ended,
        () = stop.wait() => Ok(Exit::Interrupted),
    }
}

/// The secret of a file or a variable, or a new one, which is shown.
fn secret(file: Option<&Path>, env: &Env) -> anyhow::Result<SigningSecret> {
    let text = match file {
        Some(path) => read_secret_text(path).map_err(|error| ended(Exit::Usage, error))?,
        None => match variable("QUARTERDECK_WEBHOOK_SECRET") {
            Some(text) => text,
            None => {
                let bytes: Vec<u8> = (0..4).flat_map(|_| env.draw().to_le_bytes()).collect();
                let text = qd_engine::SigningSecret::text_of(&bytes);
                say(&format!("A secret for this run, for the configuration of the server:\n  {text}"));
                text
            }
        },
    };
    SigningSecret::parse(&text).map_err(|error| ended(Exit::Usage, error.to_string()))
}

struct Ear {
    secret: SigningSecret,
    forward: Option<String>,
    http: reqwest::Client,
    env: Env,
    format: Format,
}

impl Ear {
    async fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        let Some(request) = request::read(&mut stream).await? else {
            return request::answer(&mut stream, 400).await;
        };
        let status = self.hear(&request).await;
        request::answer(&mut stream, status).await
    }

    /// Verifies, shows, passes on; answers the status for the sender.
    async fn hear(&self, request: &Request) -> u16 {
        let header = |name: &str| request.header(name).unwrap_or_default();
        let headers = WebhookHeaders {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let now = self.env.now().0.div_euclid(1_000);
        if let Err(why) = verify(&self.secret, &headers, &request.body, now) {
            say(&format!("refused {}: {why}", harmless(headers.id)));
            return 401;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let status = match &self.forward {
            Some(url) => self.pass_on(url, request).await,
            None => 204,
        };
        // A reader that went away is no reason to refuse a webhook.
        let _ = self.show(headers.id, &body, status);
        status
    }

    async fn pass_on(&self, url: &str, request: &Request) -> u16 {
        let mut passed = self.http.post(url).body(request.body.clone());
        for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            if let Some(value) = request.header(name) {
                passed = passed.header(name, value);
            }
        }
        match passed.send().await.context("the receiver did not answer") {
            Ok(response) => response.status().as_u16(),
            Err(error) => {
                say(&format!("{url}: {error}"));
                502
            }
        }
    }

    fn show(&self, id: &str, body: &Value, status: u16) -> anyhow::Result<()> {
        if self.format != Format::Table {
            let line = json!({"id": id, "type": body["type"], "status": status, "body": body});
            return output::print(&line.to_string());
        }
        let (event, job) = (body["type"].as_str().unwrap_or("?"), &body["data"]);
        let crew = job["crew"].as_str().unwrap_or_default();
        let result = job["output"]["raw"].as_str().or(job["error"]["message"].as_str()).unwrap_or_default();
        let of_job = job["id"].as_str().unwrap_or_default();
        output::print(&format!("{event}  {of_job}  {}  {}  {status}", harmless(crew), excerpt(result, 60)))
    }
}

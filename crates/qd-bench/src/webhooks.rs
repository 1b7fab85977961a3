//! Webhooks to a healthy receiver with a dead one beside it: jobs that are told to both, deliveries a second to the one
//! that is well, and how long after its job each arrives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::routing::post;
use http::StatusCode;
use qd_load::Latency;
use serde_json::Value;

use crate::load::{Target, no_headers, run as load};
use crate::process::{Server, project};

const RATE: f64 = 600.0;
const SPAN: Duration = Duration::from_secs(20);
/// How long deliveries may take to be done after the last job was sent.
const SETTLE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## webhooks: {RATE} jobs/s to a receiver that is well and one that is dead");
    let (taken, delays) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Latency::default())));
    let (count, note) = (Arc::clone(&taken), Arc::clone(&delays));
    let hear = move |Json(hook): Json<Value>| async move {
        count.fetch_add(1, Ordering::Relaxed);
        if let (Some(ended), Ok(mut delays)) = (moment(&hook["timestamp"]), note.lock()) {
            let late = jiff::Timestamp::now().as_millisecond() - ended;
            delays.note(Duration::from_millis(u64::try_from(late).unwrap_or(0)));
        }
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let well = listener.local_addr()?;
    let receiver =
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", post(hear))).await });
    // Connections are taken by the system and answered by nobody.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint =
        |name: &str, at| format!("[webhooks.{name}]\nurl = \"http://{at}/\"\nsecret = \"{SECRET}\"\n");
    let folder = project(&format!(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[providers.sim]\n[worker]\nslots = 64\n\
         [queue]\nmax_depth = 2000000\n[log]\nlevel = \"off\"\n{}{}",
        endpoint("well", well),
        endpoint("dead", silent.local_addr()?)
    ))?;
    let server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"{n}\"}}}}"));
    let target = Target {
        address: server.address.clone(),
        path: "/v1/jobs",
        headers: no_headers(),
        body,
        status: 202,
    };
    let begin = Instant::now();
    let offered = load(target, 64, Some(RATE), SPAN).await?;
    let in_time = taken.load(Ordering::Relaxed);
    let wanted = offered.requests - offered.errors;
    while taken.load(Ordering::Relaxed) < wanted && begin.elapsed() < SPAN + SETTLE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (done, took) = (taken.load(Ordering::Relaxed), begin.elapsed());
    println!("accepting: {}", offered.line());
    println!(
        "{:.0} deliveries/s while jobs came, {done} of {wanted} after {:.1} s",
        in_time as f64 / offered.elapsed.as_secs_f64(),
        took.as_secs_f64()
    );
    if let Ok(delays) = delays.lock() {
        println!(
            "from a job's end to its webhook: p50 {:.0} ms, p99 {:.0} ms",
            delays.ms(0.5),
            delays.ms(0.99)
        );
    }
    println!("server memory at most: {:.0} MiB", server.rss_mib()?.1);
    receiver.abort();
    Ok(())
}

fn moment(of: &Value) -> Option<i64> {
    Some(of.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

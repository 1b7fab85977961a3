//! `loadtest`: sends jobs at a steady rate, follows each to its end, checks what came of it, and says whether that is as it
//! should be.

mod aim;
mod following;
mod ledger;
mod plan;
mod progress;
mod report;
mod seen;
mod sending;
mod series;
mod slo;
mod span;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qd_env::Env;
use tokio_util::sync::CancellationToken;

use super::serve::stop_signals;
use crate::cli::{Format, Global, Loadtest};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::output;
use plan::Plan;
use report::{Ending, Report};
use sending::{JobSender, Shared};

/// How long requests under way may take to be answered once somebody has had enough.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(global: &Global, args: Loadtest) -> anyhow::Result<Exit> {
    let env = Env::system();
    let mut plan = Plan::read(&args, format!("load-{}", env.job_id()))?;
    let aim = aim::at(&Client::base_of(&args.target), args.allow_remote).await?;
    // A report that cannot be written is better known before than after.
    let mut file = args.report.as_deref().map(create).transpose()?;
    let client = Client::at(&args.target, &aim.url, &aim.addresses, plan.connections)?;
    plan.settle_crew(&client).await?;
    if !global.quiet {
        output::say(&format!(
            "Loading {} with {} jobs a second of crew {} for {:.0} s",
            client.base(),
            plan.rate,
            plan.crew,
            (plan.warm_up + plan.duration).as_secs_f64()
        ));
    }
    let started_at = jiff::Timestamp::from_millisecond(env.now().0)?.to_string();
    let shared = Arc::new(Shared::new(plan, client, env));
    let ending = load(&shared, global.quiet).await?;
    let report = Report::of(&shared.plan, &aim, &shared.ledger(), &started_at, ending);
    if let Some(file) = &mut file {
        use std::io::Write as _;
        writeln!(file, "{}", serde_json::to_string_pretty(report.json())?)?;
    }
    if !global.quiet {
        report.warnings().iter().for_each(|warning| output::say(&format!("warning: {warning}")));
    }
    match global.output {
        Format::Table => output::print(&report.page())?,
        format => output::show(format, report.json(), |_| String::new())?,
    }
    Ok(match (report.interrupted, report.passed()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Ok,
        (false, false) => Exit::Failed,
    })
}

fn create(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::File::create(path).map_err(|error| {
        ended(Exit::Usage, format!("--report {}: cannot be written: {error}", path.display()))
    })
}

/// Sends, follows, and checks; ends early, with what there is, when somebody has had enough.
async fn load(shared: &Arc<Shared>, quiet: bool) -> anyhow::Result<Ending> {
    let mut stop = stop_signals()?;
    let (enough, sending) = (CancellationToken::new(), Arc::new(AtomicBool::new(true)));
    let senders = (0..shared.plan.connections).map(|_| JobSender(Arc::clone(shared))).collect();
    let sent = async {
        // Nothing that happens to one request ends the load.
        let _ = qd_load::run(senders, shared.plan.schedule(), &shared.env, &enough).await;
        sending.store(false, Ordering::Release);
    };
    let followed = following::by_list(shared, || sending.load(Ordering::Acquire));
    let whole = async {
        let mut followed = std::pin::pin!(followed);
        let mut sent = std::pin::pin!(sent);
        tokio::select! {
            () = &mut sent => {}
            // It does not end while there is more to come.
            () = &mut followed => return following::check_all(shared).await,
        }
        let _ = tokio::time::timeout(shared.plan.settle, followed).await;
        following::check_all(shared).await
    };
    let mut whole = std::pin::pin!(whole);
    let checked = tokio::select! {
        checked = &mut whole => Some(checked.is_ok()),
        () = progress::show(Arc::clone(shared), quiet) => None,
        () = stop.wait() => {
            enough.cancel();
            let _ = tokio::time::timeout(GRACE, async {
                while sending.load(Ordering::Acquire) {
                    tokio::select! {
                        _ = &mut whole => return,
                        () = tokio::time::sleep(Duration::from_millis(10)) => {}
                    }
                }
                // What ended since the last look is told as well.
                let _ = following::look(shared, &mut 0).await;
            })
            .await;
            None
        }
    };
    shared.ledger().stop_waiting();
    Ok(match checked {
        Some(true) => Ending::Checked,
        Some(false) => Ending::Unchecked,
        None => Ending::Interrupted,
    })
}

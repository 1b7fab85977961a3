//! One line on a terminal that says how far the load is; nothing elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use super::sending::Shared;
use super::slo::Span;

const PAUSE: Duration = Duration::from_millis(500);

/// Shows the line again and again, until it is dropped.
pub(super) async fn show(shared: Arc<Shared>, quiet: bool) {
    if quiet || !std::io::stderr().is_terminal() {
        std::future::pending::<()>().await;
    }
    let _clear = Clear;
    let begin = shared.env.monotonic();
    loop {
        tokio::time::sleep(PAUSE).await;
        let elapsed = shared.env.monotonic() - begin;
        let line = line(&shared, elapsed);
        let mut err = std::io::stderr();
        let _ = write!(err, "\r\u{1b}[2K{line}");
        let _ = err.flush();
    }
}

fn line(shared: &Shared, elapsed: Duration) -> String {
    let (plan, ledger) = (&shared.plan, shared.ledger());
    let whole = plan.warm_up + plan.duration;
    let phase = if elapsed < plan.warm_up {
        "warming up"
    } else if elapsed < whole {
        "sending"
    } else {
        "waiting for jobs"
    };
    let (requests, jobs) = (&ledger.figures.requests, &ledger.figures.jobs);
    format!(
        "{phase} {:.0}/{:.0} s  accepted {}  refused {}  errors {}  over {}  open {}  accept p99 {:.0} ms",
        elapsed.as_secs_f64().min(whole.as_secs_f64()),
        whole.as_secs_f64(),
        requests.accepted,
        requests.refusals(),
        requests.failures(),
        jobs.over(),
        ledger.open.len(),
        ledger.figures.span(Span::Accept).ms(0.99)
    )
}

/// Leaves no half line behind.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
    }
}

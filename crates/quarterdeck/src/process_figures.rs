//! The process as the system sees it: memory, processor time, files. Read right before each scrape.
//!
//! What the system does not tell (`/proc` is Linux's) stays at zero.

use std::sync::Arc;

use qd_env::Env;
use qd_telemetry::Metrics;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Has the figures read before every scrape.
pub(crate) fn serve(metrics: &Arc<Metrics>, env: &Env) {
    metrics.build_info.with([env!("CARGO_PKG_VERSION")]).set(1.0);
    metrics.process_start.only().set(seconds(env.now().0, 1_000));
    metrics.before_scrape(read);
}

fn read(metrics: &Metrics) {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let used = seconds(used.tv_sec, 1) + seconds(used.tv_nsec, 1_000_000_000);
    let counted = metrics.process_cpu.only();
    counted.inc_by((used - counted.get()).max(0.0));
    if let Some(most) = getrlimit(Resource::Nofile).current {
        metrics.process_max_fds.only().set(count(most));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Looking takes a file itself.
        metrics.process_open_fds.only().set(count((open.count() as u64).saturating_sub(1)));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = |name| number(&status, name);
    metrics.process_resident.only().set(count(told("VmRSS:") * 1024));
    metrics.process_virtual.only().set(count(told("VmSize:") * 1024));
    metrics.process_threads.only().set(count(told("Threads:")));
}

/// The number after a name in `/proc/self/status`.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[allow(clippy::cast_precision_loss)]
fn seconds(ticks: i64, per_second: i64) -> f64 {
    ticks as f64 / per_second as f64
}

#[allow(clippy::cast_precision_loss)]
fn count(things: u64) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn figures_are_found_in_what_the_system_tells() {
        let status = "Name:\tquarterdeck\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\nThreads:\t7\n";
        for (name, expected) in [("VmRSS:", 10_240), ("VmSize:", 204_800), ("Threads:", 7), ("VmSwap:", 0)] {
            assert_eq!(number(status, name), expected, "{name}");
        }
    }
}

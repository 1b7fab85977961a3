//! What a supervisor such as systemd gives a process and wants to hear from it: sockets that stay open over restarts
//! (`LISTEN_FDS`), and word of being ready and of stopping (`NOTIFY_SOCKET`). Without one, nothing here does anything.

use anyhow::Context as _;
use qd_gateway::Listeners;
use sd_notify::NotifyState;

/// The listeners that were handed over: the API first, then the admin port.
pub(crate) fn listeners() -> anyhow::Result<Listeners> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut take = |index: usize, port: &str| {
        handed
            .take_tcp_listener(index)
            .with_context(|| format!("socket {index} handed over for the {port} is no TCP listener"))
    };
    Ok(Listeners { api: take(0, "API")?, admin: take(1, "admin port")? })
}

/// Every port answers and jobs are taken up.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// No new jobs are taken up; what is under way ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor could not be told");
    }
}

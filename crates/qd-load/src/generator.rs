//! The loop that starts requests when they are meant to start.
//!
//! Every request has an intended start, and its latency counts from there: a server that stalls cannot hide the requests
//! that would have come meanwhile, and neither can a sender that is still waiting for the answer before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qd_env::Env;
use tokio_util::sync::CancellationToken;

use crate::Schedule;

#[cfg(test)]
mod tests;

/// Sends requests, one after the other: one connection, if it keeps any.
pub trait Sender: Send + 'static {
    /// What ends the whole load; what may happen to a single request is the sender's own business.
    type Error: Send + 'static;

    /// Sends one request, waits for the whole answer, and keeps what came of it.
    fn send(&mut self, shot: &Shot) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// One request that is to be sent now.
pub struct Shot {
    /// Its place in the load; the first is 0.
    pub number: u64,
    /// When it was meant to start, after the beginning of the load.
    pub intended: Duration,
    /// How much later than that its sender came to it.
    pub late: Duration,
    env: Env,
    begin: Duration,
}

impl Shot {
    /// How long the load has lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.env.monotonic().saturating_sub(self.begin)
    }

    /// From the intended start until now.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.elapsed().saturating_sub(self.intended)
    }
}

/// Sends until the schedule is over or `stop` is cancelled, with all senders at once. Answers the senders, with what they
/// kept, once each has its last answer.
///
/// # Errors
/// The first error of a sender; the others end with their next request.
pub async fn run<S: Sender>(
    senders: Vec<S>,
    schedule: Schedule,
    env: &Env,
    stop: &CancellationToken,
) -> Result<Vec<S>, S::Error> {
    // Ends the others when one fails, without ending what the caller's token stands for.
    let stop = stop.child_token();
    let load = Arc::new(Load { next: AtomicU64::new(0), schedule, env: env.clone(), begin: env.monotonic() });
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|sender| env.spawn(Arc::clone(&load).run_one(sender, stop.clone())))
        .collect();
    let (mut ended, mut failure) = (Vec::with_capacity(tasks.len()), None);
    for task in tasks {
        match task.await {
            Ok(Ok(sender)) => ended.push(sender),
            Ok(Err(error)) => {
                stop.cancel();
                failure.get_or_insert(error);
            }
            Err(crashed) => std::panic::resume_unwind(crashed.into_panic()),
        }
    }
    failure.map_or(Ok(ended), Err)
}

/// What all senders of a load share.
struct Load {
    next: AtomicU64,
    schedule: Schedule,
    env: Env,
    begin: Duration,
}

impl Load {
    async fn run_one<S: Sender>(
        self: Arc<Self>,
        mut sender: S,
        stop: CancellationToken,
    ) -> Result<S, S::Error> {
        while let Some(shot) = self.take(&stop).await {
            if let Err(error) = sender.send(&shot).await {
                stop.cancel();
                return Err(error);
            }
        }
        Ok(sender)
    }

    /// The next request, once it is time for it; nothing when there are no more.
    async fn take(&self, stop: &CancellationToken) -> Option<Shot> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.elapsed();
        let intended = self.schedule.start_of(number, now)?;
        if intended > now {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(intended - now) => {}
            }
        } else if stop.is_cancelled() {
            return None;
        }
        let late = self.elapsed().saturating_sub(intended);
        Some(Shot { number, intended, late, env: self.env.clone(), begin: self.begin })
    }

    fn elapsed(&self) -> Duration {
        self.env.monotonic().saturating_sub(self.begin)
    }
}

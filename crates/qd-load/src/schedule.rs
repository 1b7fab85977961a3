//! When requests are meant to start.

use std::time::Duration;

/// The intended starts of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Requests a second; none means as fast as answers come.
    rate: Option<f64>,
    span: Duration,
}

impl Schedule {
    /// Open loop: so many requests a second, whatever comes back. A rate that is no positive number sends nothing.
    #[must_use]
    pub fn open(rate: f64, span: Duration) -> Self {
        Self { rate: Some(rate), span }
    }

    /// Closed loop: each sender's next request starts when its last one was answered.
    #[must_use]
    pub fn closed(span: Duration) -> Self {
        Self { rate: None, span }
    }

    /// How long after the beginning the `number`-th request is meant to start, the first being number 0; nothing when
    /// the load is over by then. `now` is how long the load has lasted, which decides in a closed loop.
    #[must_use]
    pub fn start_of(&self, number: u64, now: Duration) -> Option<Duration> {
        let start = match self.rate {
            Some(rate) => Duration::try_from_secs_f64(number as f64 / rate).ok()?,
            None => now,
        };
        (start < self.span).then_some(start)
    }

    /// How long it lasts.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Schedule;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_open_loop_starts_at_even_distances_whatever_the_time_is() {
        let schedule = Schedule::open(4.0, SECOND);
        for now in [Duration::ZERO, SECOND * 100] {
            let starts: Vec<_> = (0..6).map(|n| schedule.start_of(n, now).map(|at| at.as_millis())).collect();
            assert_eq!(starts, [Some(0), Some(250), Some(500), Some(750), None, None]);
        }
    }

    #[test]
    fn a_closed_loop_starts_now_until_it_is_over() {
        let schedule = Schedule::closed(SECOND);
        assert_eq!(schedule.start_of(1_000, SECOND / 2), Some(SECOND / 2));
        assert_eq!(schedule.start_of(0, SECOND), None);
    }

    #[test]
    fn rates_that_are_none_send_nothing_after_the_first() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(Schedule::open(rate, SECOND).start_of(1, Duration::ZERO), None, "{rate}");
        }
    }
}

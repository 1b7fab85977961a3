//! How many answers are made at once: places, a bounded queue before them, and how much slower a full house is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::options::LoadOptions;

/// The places of one simulator. Clones share them.
#[derive(Clone)]
pub(crate) struct Load {
    options: LoadOptions,
    places: Option<Arc<Semaphore>>,
    waiting: Arc<AtomicUsize>,
}

/// A place that is taken until it is dropped.
pub(crate) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    /// How many times as long the answer takes.
    pub(crate) factor: f64,
}

/// Everything is taken, the places to wait too.
pub(crate) struct Full;

impl Load {
    pub(crate) fn new(options: LoadOptions) -> Self {
        let places = options.max_concurrency.map(|most| Arc::new(Semaphore::new(most)));
        Self { options, places, waiting: Arc::default() }
    }

    /// Waits for a place, in order of arrival.
    pub(crate) async fn enter(&self) -> Result<Place, Full> {
        let (Some(places), Some(most)) = (&self.places, self.options.max_concurrency) else {
            return Ok(Place { _permit: None, factor: 1.0 });
        };
        let permit = match Arc::clone(places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::join(&self.waiting, self.options.queue).ok_or(Full)?;
                Arc::clone(places).acquire_owned().await.map_err(|_| Full)?
            }
        };
        let taken = most - places.available_permits().min(most);
        Ok(Place { _permit: Some(permit), factor: slowdown(self.options.factor, taken, most) })
    }
}

/// One for who is alone, the whole factor for the last place.
#[allow(clippy::cast_precision_loss)]
fn slowdown(factor: f64, taken: usize, most: usize) -> f64 {
    let others = (taken.saturating_sub(1)) as f64 / (most.saturating_sub(1).max(1)) as f64;
    1.0 + (factor - 1.0) * others
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let joined =
            waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        joined.ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{Load, LoadOptions};

    #[tokio::test]
    async fn places_are_bounded_then_the_queue_and_a_full_house_is_slow() {
        let options = LoadOptions { max_concurrency: Some(3), queue: 1, factor: 5.0 };
        let load = Load::new(options);
        let mut places = Vec::new();
        for factor in [1.0, 3.0, 5.0] {
            let place = load.enter().await.ok().unwrap();
            assert!((place.factor - factor).abs() < 1e-9, "{} is not {factor}", place.factor);
            places.push(place);
        }
        let mut waiting = Box::pin(load.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(load.enter().now_or_never().unwrap().is_err(), "the queue is full");
        places.pop();
        assert!(waiting.await.is_ok());
        assert!(load.enter().now_or_never().unwrap().is_ok(), "the place of who left is free");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_queue() {
        let load = Load::new(LoadOptions { max_concurrency: Some(1), queue: 1, factor: 1.0 });
        let _place = load.enter().await.ok().unwrap();
        assert!(load.enter().now_or_never().is_none());
        assert!(load.enter().now_or_never().is_none(), "the first one that waited is gone");
    }

    #[tokio::test]
    async fn without_a_bound_nobody_waits_and_nothing_is_slower() {
        let load = Load::new(LoadOptions::default());
        let places: Vec<_> = (0..1000).map(|_| load.enter().now_or_never().unwrap().ok().unwrap()).collect();
        assert!(places.iter().all(|place| (place.factor - 1.0).abs() < 1e-9));
    }
}

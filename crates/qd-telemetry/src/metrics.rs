//! Families of series: one metric, its labels, and a handle for each combination of their values.
//!
//! A handle is a few words and counts with an atomic operation (a histogram with a short lock). Finding it costs an
//! allocation and a look-up: whoever counts often keeps its handles, see [`crate::Handles`].

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::{TypedMetric, counter, gauge, histogram};
use prometheus_client::registry::Registry;

/// Series of one metric at most. What comes beyond is counted under the label values `other`: labels are bounded by
/// configuration, and this is the bound should a configuration have none.
pub const SERIES_MAX: usize = 5_000;

/// The value of a label that stands for everything that has no value of its own.
pub const OTHER: &str = "other";

/// Counts things.
pub type Counter = counter::Counter<u64, AtomicU64>;
/// Counts what has fractions: seconds, dollars.
pub type Amount = counter::Counter<f64, AtomicU64>;
/// A value that goes up and down.
pub type Gauge = gauge::Gauge<f64, AtomicU64>;
/// A distribution.
pub type Histogram = histogram::Histogram;

/// Counters by `N` labels.
pub type Counters<const N: usize> = Series<Counter, N>;
/// Amounts by `N` labels.
pub type Amounts<const N: usize> = Series<Amount, N>;
/// Gauges by `N` labels.
pub type Gauges<const N: usize> = Series<Gauge, N>;
/// Histograms by `N` labels.
pub type Histograms<const N: usize> = Series<Histogram, N>;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts again at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations below each bound, with their sum.
    Histogram,
}

impl Kind {
    /// The word in the exposition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One line of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// As it is served.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Bounds of its buckets, for a histogram.
    pub buckets: &'static [f64],
    /// What it tells, with its unit and the values of its labels.
    pub help: &'static str,
}

/// One combination of label values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Labels<const N: usize> {
    names: &'static [&'static str],
    values: [Box<str>; N],
}

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, value) in self.names.iter().zip(&self.values) {
            (*name, &**value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// A kind of handle that a [`Series`] makes.
pub trait Metric: EncodeMetric + TypedMetric + Clone + fmt::Debug + Send + Sync + Sized + 'static {
    /// What it is.
    const KIND: Kind;
    /// One that has observed nothing.
    fn empty(buckets: &'static [f64]) -> Self;
}

impl Metric for Counter {
    const KIND: Kind = Kind::Counter;
    fn empty(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Metric for Amount {
    const KIND: Kind = Kind::Counter;
    fn empty(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Metric for Gauge {
    const KIND: Kind = Kind::Gauge;
    fn empty(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Metric for Histogram {
    const KIND: Kind = Kind::Histogram;
    fn empty(buckets: &'static [f64]) -> Self {
        Self::new(buckets.iter().copied())
    }
}

/// Makes the handles of one series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Empty(&'static [f64]);

impl<M: Metric> MetricConstructor<M> for Empty {
    fn new_metric(&self) -> M {
        M::empty(self.0)
    }
}

/// One metric of the catalogue: its handles by label values.
#[derive(Debug)]
pub struct Series<M, const N: usize> {
    labels: &'static [&'static str],
    family: Family<Labels<N>, M, Empty>,
    made: AtomicUsize,
    /// The only one of a metric without labels.
    only: M,
}

impl<M: Metric, const N: usize> Series<M, N> {
    /// Registers the metric of a line. One without labels is there at once, at zero.
    pub(crate) fn register(registry: &mut Registry, line: &Line) -> Self {
        let family = Family::new_with_constructor(Empty(line.buckets));
        // The encoder adds to names and texts what we spell out.
        let name = match line.kind {
            Kind::Counter => line.name.strip_suffix("_total").unwrap_or(line.name),
            Kind::Gauge | Kind::Histogram => line.name,
        };
        let only = M::empty(line.buckets);
        if N == 0 {
            registry.register(name, line.help, only.clone());
        } else {
            registry.register(name, line.help, family.clone());
        }
        Self { labels: line.labels, family, made: AtomicUsize::new(0), only }
    }

    /// The handle for these values, in the order of the line's labels. Made at the first time, at zero.
    #[must_use]
    pub fn with(&self, values: [&str; N]) -> M {
        let labels = Labels { names: self.labels, values: values.map(Box::from) };
        if let Some(known) = self.family.get(&labels) {
            return known.clone();
        }
        if self.made.fetch_add(1, Ordering::Relaxed) < SERIES_MAX {
            return self.family.get_or_create_owned(&labels);
        }
        self.family.get_or_create_owned(&Labels { names: self.labels, values: [OTHER; N].map(Box::from) })
    }

    /// Forgets every value by label: what is not known is not shown.
    pub fn clear(&self) {
        self.family.clear();
        self.made.store(0, Ordering::Relaxed);
    }
}

impl<M: Metric> Series<M, 0> {
    /// The handle of a metric without labels.
    pub fn only(&self) -> &M {
        &self.only
    }
}

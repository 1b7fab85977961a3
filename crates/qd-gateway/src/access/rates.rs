//! How often keys and tenants may ask, and how callers are told: the header fields `RateLimit-Policy` and `RateLimit` of
//! the IETF's draft, and `Retry-After` where it was too often. Each process counts for itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Code, TenantId};

use super::pace::{Bucket, Pace, Taken};
use crate::problem::Problem;

static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Paces of requests.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// Of each key; `None` for no bound.
    pub key: Option<Pace>,
    /// Of all keys of a tenant together.
    pub tenant: Option<Pace>,
    /// Of these tenants, in place of the others.
    pub tenants: BTreeMap<TenantId, TenantPace>,
}

/// Paces of one tenant; what is `None` is as for every tenant.
#[derive(Debug, Clone, Copy, Default)]
pub struct TenantPace {
    /// Of each of its keys; `Some(None)` for no bound.
    pub key: Option<Option<Pace>>,
    /// Of all of them together; `Some(None)` for no bound.
    pub tenant: Option<Option<Pace>>,
}

impl Rates {
    /// Of each key of a tenant, and of all of them together.
    fn of(&self, tenant: &TenantId) -> Paces {
        let own = self.tenants.get(tenant).copied().unwrap_or_default();
        Paces { key: own.key.unwrap_or(self.key), tenant: own.tenant.unwrap_or(self.tenant) }
    }

    /// What a key of a tenant is counted by; `shared` is the tenant's.
    pub(super) fn meter(&self, tenant: &TenantId, own: Arc<Bucket>, shared: Arc<Bucket>) -> Meter {
        let pace = self.of(tenant);
        let paces = [("key", pace.key), ("tenant", pace.tenant)];
        let mut policy = String::new();
        for (name, pace) in paces.iter().filter_map(|(name, pace)| Some((name, (*pace)?))) {
            let comma = if policy.is_empty() { "" } else { ", " };
            let (quota, window) = (pace.burst(), pace.window_seconds());
            let _ = write!(policy, "{comma}\"{name}\";q={quota};w={window}");
        }
        let policy = HeaderValue::try_from(policy).ok().filter(|policy| !policy.is_empty());
        Meter { pace, own, shared, policy }
    }
}

#[derive(Debug, Clone, Copy)]
struct Paces {
    key: Option<Pace>,
    tenant: Option<Pace>,
}

/// Counts the requests of one key.
#[derive(Debug)]
pub(super) struct Meter {
    pace: Paces,
    pub(super) own: Arc<Bucket>,
    pub(super) shared: Arc<Bucket>,
    policy: Option<HeaderValue>,
}

/// What is left to a caller, for the head of its answer.
pub(super) struct Standing<'a> {
    meter: &'a Meter,
    left: [(&'static str, Option<(u32, Duration)>); 2],
}

impl Meter {
    /// Counts one request.
    pub(super) fn take(&self, now: Duration) -> Result<Standing<'_>, Problem> {
        let take = |bucket: &Bucket, pace: Option<Pace>| pace.map(|pace| bucket.take(pace, now));
        let own = match take(&self.own, self.pace.key) {
            Some(Taken::No { retry_after }) => return Err(too_often("this key", retry_after)),
            own => own,
        };
        let shared = match take(&self.shared, self.pace.tenant) {
            Some(Taken::No { retry_after }) => {
                // It was not let in, so the key has not used anything up.
                if let Some(pace) = self.pace.key {
                    self.own.give_back(pace);
                }
                return Err(too_often("this tenant's keys together", retry_after));
            }
            shared => shared,
        };
        let left = |taken| match taken {
            Some(Taken::Yes { left, full_in }) => Some((left, full_in)),
            Some(Taken::No { .. }) | None => None,
        };
        Ok(Standing { meter: self, left: [("key", left(own)), ("tenant", left(shared))] })
    }
}

impl Standing<'_> {
    /// Tells it.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Some(policy) = &self.meter.policy else { return };
        let mut text = String::with_capacity(48);
        for (name, left) in self.left {
            let Some((left, full_in)) = left else { continue };
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}\"{name}\";r={left};t={}", seconds(full_in));
        }
        if let Ok(text) = HeaderValue::try_from(text) {
            headers.insert(&RATELIMIT_POLICY, policy.clone());
            headers.insert(&RATELIMIT, text);
        }
    }
}

fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

fn too_often(who: &str, retry_after: Duration) -> Problem {
    let detail = format!(
        "{who} asked more often than it may; nothing was done, so send the request again after `Retry-After` seconds"
    );
    Problem::new(Code::RateLimited, detail).retry_after(retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(rates: &Rates, tenant: &str) -> Meter {
        rates.meter(&TenantId::new(tenant), Arc::default(), Arc::default())
    }

    fn told(meter: &Meter, now: u64) -> Option<(String, String)> {
        let standing = meter.take(Duration::from_secs(now)).ok()?;
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        let text =
            |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap()).to_owned();
        Some((text(&RATELIMIT_POLICY), text(&RATELIMIT)))
    }

    #[test]
    fn callers_are_told_what_is_left_and_refused_beyond() {
        let rates =
            Rates { key: Some(Pace::new(2.0, 4)), tenant: Some(Pace::new(1.0, 3)), ..Rates::default() };
        let meter = meter(&rates, "acme");
        let policy = "\"key\";q=4;w=2, \"tenant\";q=3;w=3".to_owned();
        assert_eq!(told(&meter, 9), Some((policy.clone(), "\"key\";r=3;t=1, \"tenant\";r=2;t=1".into())));
        assert_eq!(told(&meter, 9), Some((policy.clone(), "\"key\";r=2;t=1, \"tenant\";r=1;t=2".into())));
        assert!(told(&meter, 9).is_some());
        let refused = meter.take(Duration::from_secs(9)).err().unwrap();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(Duration::from_secs(1))));
        assert!(refused.detail.contains("tenant"), "{}", refused.detail);
        // The refused one has cost the key nothing.
        assert_eq!(told(&meter, 10), Some((policy, "\"key\";r=2;t=1, \"tenant\";r=0;t=3".into())));
    }

    #[test]
    fn tenants_may_have_paces_of_their_own_and_none_is_no_bound() {
        let small = TenantPace { key: None, tenant: Some(Some(Pace::new(1.0, 1))) };
        let free = TenantPace { key: Some(None), tenant: None };
        let tenants = BTreeMap::from([(TenantId::new("small"), small), (TenantId::new("free"), free)]);
        let rates = Rates { key: Some(Pace::new(1.0, 5)), tenant: None, tenants };
        assert_eq!(told(&meter(&rates, "big"), 1).unwrap().0, "\"key\";q=5;w=5");
        assert_eq!(told(&meter(&rates, "small"), 1).unwrap().0, "\"key\";q=5;w=5, \"tenant\";q=1;w=1");
        assert_eq!(told(&meter(&rates, "free"), 1), Some((String::new(), String::new())));
        assert_eq!(told(&meter(&Rates::default(), "big"), 1), Some((String::new(), String::new())));
    }
}

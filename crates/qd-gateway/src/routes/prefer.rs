//! `Prefer: wait=N` (RFC 7240): answering once the job is over, if that is soon.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_store::{LiveEvent, Watch};
use qd_types::Job;

use crate::context::Context;
use crate::options::WAIT_MAX;
use crate::problem::Problem;

pub(crate) static PREFER: HeaderName = HeaderName::from_static("prefer");
pub(crate) static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Hints may be lost, so that the job is looked at this often without one.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long the client wants to wait: a preference, so that what cannot be understood is ignored as the standard says,
/// and more than the most is cut to the most.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        (name.trim().eq_ignore_ascii_case("wait") && digits)
            // More digits than fit mean more than the most.
            .then(|| value.parse().unwrap_or(u64::MAX))
    })?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX))
}

/// What the answer says of a preference that was honoured.
pub(crate) fn applied(span: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("wait={}", span.as_secs())).unwrap_or(HeaderValue::from_static("wait"))
}

/// The job as it is once it is over, or when the time is up or the server stops.
pub(crate) async fn until_over(
    context: &Context,
    mut watch: Watch,
    job: Box<Job>,
    span: Duration,
) -> Result<Box<Job>, Problem> {
    let (id, tenant) = (job.id, job.tenant.clone());
    let over = async {
        let mut job = job;
        while !job.status.is_terminal() {
            changed(&mut watch).await;
            *job = context.job(&tenant, id).await?;
        }
        Ok(job)
    };
    tokio::select! {
        over = over => over,
        () = tokio::time::sleep(span) => Ok(Box::new(context.job(&tenant, id).await?)),
        () = context.closing.cancelled() => Ok(Box::new(context.job(&tenant, id).await?)),
    }
}

async fn changed(watch: &mut Watch) {
    let heard = async { while let LiveEvent::Delta(_) = watch.next().await {} };
    let _ = tokio::time::timeout(LOOK_AGAIN, heard).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_and_bounded() {
        for (value, seconds) in [
            ("wait=10", Some(10)),
            ("respond-async, Wait = \"7\"", Some(7)),
            ("return=minimal; wait=3", Some(3)),
            ("wait=0", Some(0)),
            ("wait=600", Some(60)),
            ("wait=99999999999999999999999", Some(60)),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("wait=", None),
            ("wait", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(&PREFER, value.parse().unwrap());
            assert_eq!(wait(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }
}

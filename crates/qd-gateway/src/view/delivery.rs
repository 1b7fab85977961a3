//! A delivery of a webhook as the API shows it.

use qd_store::{Delivery, DeliveryStatus, Destination, Event, Tried};
use serde::Serialize;

use super::time::Rfc3339;
use crate::openapi::Schema;

/// A delivery.
#[derive(Serialize)]
pub(crate) struct DeliveryView<'a> {
    id: String,
    job_id: Option<String>,
    batch_id: Option<String>,
    event: &'a str,
    endpoint: Option<&'a str>,
    url: Option<&'a str>,
    status: &'a str,
    tries: u32,
    created_at: Rfc3339,
    next_at: Option<Rfc3339>,
    last_try: Option<TryView<'a>>,
    ended_at: Option<Rfc3339>,
}

#[derive(Serialize)]
struct TryView<'a> {
    at: Rfc3339,
    http_status: Option<u16>,
    error: Option<&'a str>,
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let (endpoint, url) = match &delivery.destination {
            Destination::Endpoint(name) => (Some(name.as_str()), None),
            // What stands behind the question mark may be a secret.
            Destination::Url(url) => (None, url.split('?').next()),
        };
        Self {
            id: delivery.id.to_string(),
            job_id: delivery.job.map(|id| id.to_string()),
            batch_id: delivery.batch.map(|id| id.to_string()),
            event: delivery.event.as_str(),
            endpoint,
            url,
            status: delivery.status.as_str(),
            tries: delivery.tries,
            created_at: Rfc3339(delivery.at),
            next_at: delivery.next_at.map(Rfc3339),
            last_try: delivery.last.as_ref().map(TryView::from),
            ended_at: delivery.ended_at.map(Rfc3339),
        }
    }
}

impl<'a> From<&'a Tried> for TryView<'a> {
    fn from(tried: &'a Tried) -> Self {
        Self { at: Rfc3339(tried.at), http_status: tried.http_status, error: tried.error.as_deref() }
    }
}

/// The words of statuses.
pub(crate) fn status_schema() -> Schema {
    Schema::words(DeliveryStatus::ALL.map(DeliveryStatus::as_str))
}

/// The words of events.
pub(crate) fn event_schema() -> Schema {
    Schema::words(Event::all().map(Event::as_str).collect::<Vec<_>>())
}

/// What the document says of deliveries.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let tried = Schema::object()
        .field("at", Schema::moment())
        .field("http_status", Schema::count().nullable().about("What the receiver answered, if anything."))
        .field("error", Schema::text().nullable().about("What went wrong, if anything."));
    let delivery = Schema::object()
        .about("One webhook for one event.")
        .field("id", Schema::job_id().about("UUIDv7: the `webhook-id` of each of its tries."))
        .field("job_id", Schema::job_id().nullable().about("The job that it tells of, if it tells of one."))
        .field(
            "batch_id",
            Schema::job_id().nullable().about("The batch that it tells of, if it tells of one."),
        )
        .field("event", event_schema())
        .field("endpoint", Schema::text().nullable().about("The endpoint of the configuration."))
        .field("url", Schema::text().nullable().about("Or the job's own URL, without its query."))
        .field("status", status_schema())
        .field("tries", Schema::count().about("So far, or since it was last sent again by hand."))
        .field("created_at", Schema::moment().about("When it happened."))
        .field("next_at", Schema::moment().nullable().about("When it is tried next, while pending."))
        .field("last_try", tried.nullable())
        .field("ended_at", Schema::moment().nullable().about("When it was taken or given up."));
    vec![("Delivery", delivery)]
}

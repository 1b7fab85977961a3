//! Parameters of lists that do not fit, stand twice or are unknown.

use super::world::Things;
use super::{Case, FAILED, request, try_all};

/// A list and its parameters, each with values that do not fit.
type List<'a> = (&'a str, &'a [(&'a str, &'a [&'a str])]);

/// Wrong values of each kind of parameter.
const LIMITS: [&str; 9] = ["0", "501", "-1", "+1", "x", "", "1.5", "1e2", "99999999999999999999"];
const CURSORS: [&str; 8] = ["", "1", "x", "cxyz", "c-1", "C1", "c1%00", "cffffffffffffffffffff"];
const NAMES: [&str; 3] = ["", "%00", "a%0Ab"];
const WORDS: [&str; 4] = ["", "done", "QUEUED", "queued%20"];
const MOMENTS: [&str; 5] =
    ["", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+02:00"];
const DAYS: [&str; 5] = ["", "yesterday", "2026-02-30", "2026-1-1", "26-01-01"];
const NUMBERS: [&str; 6] = ["", "-1", "x", "1.5", "0x1", "99999999999999999999"];

/// Every list; the addresses of two of them hold an id.
fn lists<'a>(results: &'a str, deliveries: &'a str) -> Vec<List<'a>> {
    vec![
        (
            "/v1/jobs",
            &[
                ("limit", &LIMITS),
                ("cursor", &CURSORS),
                ("crew", &NAMES),
                ("status", &WORDS),
                ("created_after", &MOMENTS),
                ("created_before", &MOMENTS),
            ],
        ),
        ("/v1/batches", &[("limit", &LIMITS), ("cursor", &CURSORS), ("crew", &NAMES), ("status", &WORDS)]),
        (results, &[("status", &WORDS)]),
        ("/v1/schedules", &[("limit", &LIMITS), ("cursor", &["", "no%20name", "a%2Fb", "%00", "%C3%BC"])]),
        (
            "/v1/dead-letters",
            &[
                ("crew", &NAMES),
                ("task", &NAMES),
                ("code", &WORDS),
                ("failed_after", &MOMENTS),
                ("failed_before", &MOMENTS),
            ],
        ),
        (
            "/v1/deliveries",
            &[
                ("limit", &LIMITS),
                ("cursor", &CURSORS),
                ("status", &WORDS),
                ("event", &WORDS),
                ("job", &["", "x", "1"]),
            ],
        ),
        (deliveries, &[("limit", &LIMITS), ("cursor", &CURSORS), ("status", &WORDS)]),
        ("/v1/usage", &[("from", &DAYS), ("to", &DAYS), ("crew", &NAMES)]),
        ("/v1/audit", &[("limit", &LIMITS), ("after", &NUMBERS)]),
        ("/v1/crews/fixed", &[("version", &["", "0", "-1", "v1", "1.5", "4294967296"])]),
    ]
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let results = format!("/v1/batches/{}/results", things.batch);
    let deliveries = format!("/v1/jobs/{}/deliveries", things.done);
    let mut cases = Vec::new();
    let mut add = |path: &str, query: &str, at: &str| {
        cases.push(request(query, "GET", format!("{path}?{query}")).fails(422, FAILED).at(at));
    };
    for (path, parameters) in lists(&results, &deliveries) {
        for (name, values) in parameters {
            for value in *values {
                add(path, &format!("{name}={value}"), &format!("/{name}"));
            }
        }
        let (first, _) = parameters[0];
        add(path, "surprise=5", "/surprise");
        add(path, "%ff=1", "/\u{fffd}");
        add(path, &format!("{first}%00=5"), &format!("/{first}\\0"));
        let upper = first.to_uppercase();
        add(path, &format!("{upper}=1"), &format!("/{upper}"));
    }
    for (path, query, at) in [
        ("/v1/jobs", "limit=5&limit=5", "/limit"),
        ("/v1/jobs", "offset=5", "/offset"),
        ("/v1/batches", "limit=1&limit=2", "/limit"),
        ("/v1/schedules", "limit=1&limit=2", "/limit"),
        ("/v1/schedules", "page=2", "/page"),
        ("/v1/deliveries", "limit=1&limit=2", "/limit"),
        (&deliveries, &format!("job={}", things.done), "/job"),
        ("/v1/usage", "to=2026-02-01&to=2026-02-01", "/to"),
        ("/v1/usage", "from=2026-02-02&to=2026-02-01", "/from"),
        ("/v1/usage", "from=2020-01-01&to=2026-02-01", "/from"),
        ("/v1/audit", "before=3", "/before"),
        ("/v1/crews/fixed", "version=1&version=1", "/version"),
    ] {
        add(path, query, at);
    }
    for (query, hint) in [
        ("from=tomorrow", "2026-10-31"),
        ("to=2026-02-31", "no day of the calendar"),
        ("from=2026-02-03&to=2026-02-01", "after the last day"),
        ("from=2020-01-02&to=2026-02-01", "at most 400 days"),
        ("since=2026-02-01", "it takes crew, from, to"),
    ] {
        cases.push(request(hint, "GET", format!("/v1/usage?{query}")).fails(422, FAILED).says(hint));
    }
    let many = request("1,500 parameters", "GET", format!("/v1/jobs?{}", "x=1&".repeat(1_500)));
    cases.push(many.fails(422, FAILED));
    let version = request("a version that there is not", "GET", "/v1/crews/fixed?version=3");
    cases.push(version.fails(404, "not_found"));
    cases
}

#[tokio::test]
async fn queries_that_do_not_fit() {
    try_all(cases).await;
}

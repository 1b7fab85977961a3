//! Whose turn it is after which failures.

use std::sync::Arc;

use qd_env::{Env, ManualClock};
use qd_llm::{Models, Options};
use qd_types::{Call, Class, Code, Failure};
use serde_json::json;

use super::{FailedTry, most_hopeful, next};

/// `main`, which falls back to `spare` on outages only, then to `large`, then to `small`.
fn models() -> Models {
    let sometimes = json!([{ "model": "spare", "on": ["outage"] }]);
    let options: Options = serde_json::from_value(json!({
        "providers": { "p": { "kind": "sim" } },
        "models": {
            "main": { "provider": "p", "model": "a", "context_window": 8_000,
                "fallbacks": sometimes, "fallback": ["large", "small"] },
            "spare": { "provider": "p", "model": "b" },
            "large": { "provider": "p", "model": "c", "context_window": 100_000 },
            "small": { "provider": "p", "model": "d", "context_window": 4_000 },
        },
    }))
    .unwrap();
    Models::build(options, Env::with(Arc::new(ManualClock::at(0)), 1)).unwrap()
}

fn tried(model: &str, deployment: Option<&str>, code: Code, class: Class) -> FailedTry {
    let call =
        Call { target: model.to_owned(), deployment: deployment.map(str::to_owned), ..Call::default() };
    FailedTry::new(&call, &Failure::new(code, class, "no"))
}

fn outage(model: &str) -> FailedTry {
    tried(model, Some("p/x"), Code::ModelServerError, Class::Transient)
}

fn limited(model: &str) -> FailedTry {
    tried(model, Some("p/x"), Code::ModelRateLimited, Class::RateLimited)
}

#[test]
fn each_failure_goes_to_the_next_that_helps_with_it() {
    let models = models();
    let chain = models.chain("main");
    let too_long = |model| tried(model, None, Code::ContextLength, Class::Permanent);
    let bad_request = tried("main", None, Code::ModelInvalidRequest, Class::Permanent);
    for (name, failed, first, is_fresh) in [
        ("nothing yet", vec![], 0, true),
        ("an outage", vec![outage("main")], 1, true),
        ("outages on", vec![outage("main"), outage("spare")], 2, true),
        ("a limit skips who stands in for outages", vec![limited("main")], 2, true),
        ("a window skips the smaller one", vec![too_long("large")], 0, false),
        ("a window looks for a larger one", vec![too_long("main")], 2, true),
        (
            "the whole round failed",
            vec![outage("main"), outage("spare"), outage("large"), outage("small")],
            0,
            false,
        ),
        ("a request that nobody would answer", vec![bad_request], 0, false),
    ] {
        let next = next(&chain, &failed, |_, _| false);
        assert_eq!((next.first, next.is_fresh), (first, is_fresh), "{name}");
    }
}

#[test]
fn the_same_model_elsewhere_comes_before_another_model() {
    let models = models();
    let chain = models.chain("main");
    let failed = [limited("main")];
    let other = next(&chain, &failed, |name, asked| name == "main" && asked == [Arc::from("p/x")]);
    assert_eq!((other.first, other.is_fresh, other.avoid), (0, true, vec![Arc::from("p/x")]));
    // Useless answers and windows are the model's own.
    let failed = [tried("main", Some("p/x"), Code::ModelBadOutput, Class::Transient)];
    assert_eq!(next(&chain, &failed, |_, _| true).first, 2);
}

#[test]
fn a_stand_in_with_a_wrong_key_fails_no_job_whose_model_is_only_busy() {
    let models = models();
    let chain = models.chain("main");
    let refused = |model| tried(model, None, Code::ModelAuth, Class::Permanent);
    for (failed, code) in [
        (vec![limited("main"), refused("large"), refused("small")], Code::ModelRateLimited),
        (vec![refused("main"), refused("large")], Code::ModelAuth),
        // What an earlier round brought counts no more.
        (vec![limited("main"), outage("small"), refused("main")], Code::ModelAuth),
    ] {
        assert_eq!(most_hopeful(&chain, &failed).unwrap().code, code, "{failed:?}");
    }
}

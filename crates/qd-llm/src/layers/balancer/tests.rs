//! Several deployments of a model, as they are put together from options, over simulated providers.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use qd_env::{Env, ManualClock};
use qd_types::{ChatRequest, Code, Message, StepId};
use serde_json::json;

use crate::sim::{Distribution, FaultRule};
use crate::{
    CallError, CallScope, DeploymentOptions, ModelOptions, Models, Options, ProviderKind, ProviderOptions,
    Strategy,
};

/// Models with the alias `main` over the providers that are given, of which each has a fault or a latency.
struct Bench {
    models: Models,
    clock: Arc<ManualClock>,
}

fn place(provider: &str, weight: u32) -> DeploymentOptions {
    let options = json!({ "provider": provider, "model": "standard", "weight": weight });
    serde_json::from_value(options).unwrap()
}

fn bench(strategy: Strategy, providers: &[(&str, u32, Option<&str>)]) -> Bench {
    let mut options = Options::default();
    for (name, _, fault) in providers {
        let mut provider = ProviderOptions::new(ProviderKind::Sim);
        provider.sim.faults.extend(fault.map(|fault| FaultRule {
            retry_after_seconds: Some(60.0),
            ..FaultRule::always(fault.parse().unwrap())
        }));
        options.providers.insert((*name).to_owned(), provider);
    }
    let deployments = providers.iter().map(|(name, weight, _)| place(name, *weight)).collect();
    let main = ModelOptions { deployments, strategy, ..ModelOptions::default() };
    options.models.insert("main".to_owned(), main);
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    Bench { models: Models::build(options, Env::with(clock.clone(), 7)).unwrap(), clock }
}

fn request() -> ChatRequest {
    ChatRequest::new("main", vec![Message::user("Say something.")])
}

impl Bench {
    async fn call(&self, avoid: &[&str]) -> Result<String, CallError> {
        let avoid = avoid.iter().map(|name| Arc::from(*name)).collect();
        let scope = CallScope { avoid, ..CallScope::of_step(StepId::new("t/turn-1/model")) };
        let answer = self.models.get("main").unwrap().call(&request(), &scope).await?;
        Ok(answer.deployment.unwrap().to_string())
    }

    /// Calls that reached a provider.
    fn started(&self, provider: &str) -> u64 {
        self.models.ledger(provider).unwrap().page().totals.started
    }
}

#[tokio::test]
async fn calls_are_spread_as_the_strategy_says() {
    for (strategy, weights, least) in [
        (Strategy::RoundRobin, [1, 1, 1], [100, 100, 100]),
        (Strategy::LeastBusy, [1, 1, 1], [100, 100, 100]),
        (Strategy::Weighted, [4, 1, 1], [170, 30, 30]),
        (Strategy::Latency, [1, 1, 1], [70, 70, 70]),
    ] {
        let [a, b, c] = weights;
        let bench = bench(strategy, &[("a", a, None), ("b", b, None), ("c", c, None)]);
        for _ in 0..300 {
            bench.call(&[]).await.unwrap();
        }
        let made = ["a", "b", "c"].map(|provider| bench.started(provider));
        assert!(made.iter().zip(least).all(|(made, least)| *made >= least), "{strategy:?}: {made:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_deployments_get_fewer_calls_when_latency_counts() {
    let mut options = Options::default();
    for (name, ms) in [("slow", 2_000.0), ("quick", 20.0)] {
        let mut provider = ProviderOptions::new(ProviderKind::Sim);
        provider.sim.latency.first_token = Distribution::Fixed { ms };
        options.providers.insert(name.to_owned(), provider);
    }
    let deployments = vec![place("slow", 1), place("quick", 1)];
    options.models.insert("main".to_owned(), ModelOptions { deployments, ..ModelOptions::default() });
    let clock = Arc::new(ManualClock::at(0));
    let models = Models::build(options, Env::with(clock.clone(), 7)).unwrap();
    let model = models.get("main").unwrap();
    let scope = CallScope::of_step(StepId::new("t/turn-1/model"));
    for _ in 0..50 {
        let (request, clock) = (request(), Arc::clone(&clock));
        let mut call = model.call(&request, &scope);
        // The models' clock goes as the test's does.
        while (&mut call).now_or_never().is_none() {
            let step = Duration::from_millis(10);
            tokio::time::advance(step).await;
            clock.advance(step);
        }
    }
    let made = ["slow", "quick"].map(|name| models.ledger(name).unwrap().page().totals.started);
    assert!(made[0] <= 8 && made[0] + made[1] == 50, "{made:?}");
}

#[tokio::test]
async fn a_refused_key_is_left_out_while_others_carry_on() {
    let bench = bench(Strategy::RoundRobin, &[("good", 1, None), ("bad", 1, Some("401"))]);
    let mut failed = 0;
    for _ in 0..40 {
        match bench.call(&[]).await {
            Ok(answered) => assert_eq!(answered, "good/standard"),
            Err(error) => {
                assert_eq!(
                    (error.code, error.deployment.as_deref()),
                    (Code::ModelAuth, Some("bad/standard"))
                );
                failed += 1;
            }
        }
    }
    assert_eq!((failed, bench.started("bad")), (1, 1));
    let states = bench.models.deployments();
    assert_eq!(states.iter().map(|state| state.is_out).collect::<Vec<_>>(), [true, false]);
    // It is looked at again some time later.
    bench.clock.advance(Duration::from_secs(601));
    for _ in 0..4 {
        let _ = bench.call(&[]).await;
    }
    assert_eq!(bench.started("bad"), 2);
}

#[tokio::test]
async fn a_lone_deployment_is_asked_and_fails_with_what_it_says() {
    let bench = bench(Strategy::RoundRobin, &[("bad", 1, Some("401"))]);
    for _ in 0..3 {
        assert_eq!(bench.call(&[]).await.unwrap_err().code, Code::ModelAuth);
    }
    assert_eq!(bench.started("bad"), 3);
}

#[tokio::test]
async fn who_is_at_its_limit_is_passed_over_until_it_may_be_asked_again() {
    let bench = bench(Strategy::RoundRobin, &[("full", 1, Some("429")), ("free", 1, None)]);
    let failed = async |bench: &Bench| {
        let mut failed = 0;
        for _ in 0..20 {
            failed += u32::from(bench.call(&[]).await.is_err());
        }
        failed
    };
    assert_eq!((failed(&bench).await, bench.started("full")), (1, 1));
    assert!(bench.models.has_other_deployment("main", &["full/standard".into()]));
    assert!(!bench.models.has_other_deployment("main", &["free/standard".into()]));
    bench.clock.advance(Duration::from_secs(61));
    assert_eq!((failed(&bench).await, bench.started("full")), (1, 2));
}

#[tokio::test]
async fn deployments_that_failed_at_a_step_are_asked_last() {
    let bench = bench(Strategy::RoundRobin, &[("a", 1, None), ("b", 1, None)]);
    for _ in 0..10 {
        assert_eq!(bench.call(&["a/standard"]).await.unwrap(), "b/standard");
    }
    assert!(bench.call(&["a/standard", "b/standard"]).await.is_ok(), "last is not never");
}

#[tokio::test]
async fn when_each_refuses_the_first_to_be_free_says_when_to_come_back() {
    let bench = bench(Strategy::RoundRobin, &[("a", 1, Some("429")), ("b", 1, Some("429"))]);
    assert_eq!(bench.call(&[]).await.unwrap_err().code, Code::ModelRateLimited);
    bench.clock.advance(Duration::from_secs(20));
    assert_eq!(bench.call(&[]).await.unwrap_err().code, Code::ModelRateLimited);
    let refused = bench.call(&[]).await.unwrap_err();
    assert_eq!((refused.code, refused.was_made()), (Code::ModelBusy, false));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(40)));
}

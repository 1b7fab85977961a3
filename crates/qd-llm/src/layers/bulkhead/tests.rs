//! Places of two models of one provider, under paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use qd_env::Env;
use qd_types::{ChatRequest, Code, StepId};
use tokio::sync::{Notify, Semaphore};

use super::{Bulkhead, COME_BACK};
use crate::error::Kind;
use crate::stack::ProviderGuards;
use crate::{
    Answer, CallError, CallScope, ChatModel, DeploymentOptions, ModelOptions, ProviderKind, ProviderOptions,
};

/// Answers, with a failure, once it is told to.
#[derive(Default)]
struct Held(Notify);

#[async_trait]
impl ChatModel for Held {
    async fn call(&self, _: &ChatRequest, _: &CallScope) -> Result<Answer, CallError> {
        self.0.notified().await;
        Err(CallError::new(Kind::Auth, "made"))
    }
}

fn bulkhead(model: &Arc<Held>, deployment: &Arc<Semaphore>, provider: &Arc<Semaphore>) -> Bulkhead {
    let inner = Arc::clone(model) as Arc<dyn ChatModel>;
    Bulkhead { inner, places: [Arc::clone(deployment), Arc::clone(provider)], name: "p/m".into() }
}

fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

fn request() -> ChatRequest {
    ChatRequest::new("p/m", Vec::new())
}

fn scope() -> CallScope {
    CallScope::of_step(StepId::new("t/turn-1/model"))
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_place_is_not_made_and_says_when_to_come_back() {
    let (model, request) = (Arc::<Held>::default(), request());
    let guard = bulkhead(&model, &places(1), &places(9));
    let (first, second) = (scope(), scope());
    let mut first = guard.call(&request, &first);
    assert!((&mut first).now_or_never().is_none(), "the first one is under way");
    let began = tokio::time::Instant::now();
    let error = guard.call(&request, &second).await.unwrap_err();
    assert_eq!((error.code, error.retry_after), (Code::ModelBusy, Some(COME_BACK)));
    assert!(!error.was_made());
    assert_eq!(began.elapsed(), second.patience);
    model.0.notify_one();
    assert_eq!(first.await.unwrap_err().code, Code::ModelAuth);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_slow_model_leave_its_provider_to_others() {
    let (slow, quick, request, env) =
        (Arc::<Held>::default(), Arc::<Held>::default(), request(), Env::system());
    // As they are really put together: two places at the provider, one of them for the slow model.
    let guards = ProviderGuards::new(&ProviderOptions {
        max_concurrent: 2,
        ..ProviderOptions::new(ProviderKind::Sim)
    });
    let around = |model: &Arc<Held>, name: &str, max_concurrent| {
        let options = DeploymentOptions {
            provider: "p".to_owned(),
            model: name.to_owned(),
            weight: 1,
            max_concurrent,
            rpm: None,
            tpm: None,
        };
        guards.around(Arc::clone(model) as Arc<dyn ChatModel>, &options, &ModelOptions::default(), &env).model
    };
    let (crowded, free) = (around(&slow, "slow", Some(1)), around(&quick, "quick", None));
    let scopes: Vec<_> = (0..6).map(|_| scope()).collect();
    let mut waiting: Vec<_> = scopes.iter().map(|scope| crowded.call(&request, scope)).collect();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    quick.0.notify_one();
    let other = scope();
    let answer = free.call(&request, &other).now_or_never().expect("the provider has a place left");
    assert_eq!(answer.unwrap_err().code, Code::ModelAuth);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_wants_any_more_is_not_made_after_its_wait() {
    let (model, request, deployment) = (Arc::<Held>::default(), request(), places(1));
    let guard = bulkhead(&model, &deployment, &places(9));
    let taken = deployment.acquire().await.unwrap();
    let wanted = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&wanted);
    let scope = CallScope { wanted: Some(Arc::new(move || asked.load(Ordering::SeqCst))), ..scope() };
    let mut call = guard.call(&request, &scope);
    assert!((&mut call).now_or_never().is_none(), "it waits for a place");
    wanted.store(false, Ordering::SeqCst);
    drop(taken);
    let answer = tokio::time::timeout(Duration::from_secs(1), call).await.expect("at once");
    assert_eq!(answer.unwrap_err().code, Code::JobCancelled);
}

//! What the model layer adds to a call: 16 callers at once, each the same call to the same simulator, directly over a socket,
//! through the layer, and through it with the answer journaled. Callers rest for a random moment between calls: without,
//! they all march in step with the ticks of the provider's timer, which swallow or double whatever is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use qd_env::Env;
use qd_llm::{CallScope, Models};
use qd_store::{Enqueued, NewJob, Record, Store};
use qd_types::{
    Call, ChatRequest, CrewName, CrewVersion, Entry, Input, LogItem, Message, Priority, Progress, Source,
    StepId, TenantId, WorkerId,
};

use crate::load::Wire;
use crate::process::Server;

const CALLERS: usize = 16;
const SPAN: Duration = Duration::from_secs(10);
/// The longest rest between two calls: some ticks of a timer.
const REST_MICROSECONDS: u64 = 5_000;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## what the model layer adds, {CALLERS} callers, provider of 20 ms");
    let sim = Server::sim(&["--latency-ms", "20"]).await?;
    let plain = measure(|| direct(sim.address.clone())).await?;
    let models = models(&sim.address)?;
    let layered = measure(|| through(Arc::clone(&models), None)).await?;
    let folder = tempfile::tempdir_in(".")?;
    let env = Env::system();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = qd_store::open(&qd_store::Options { url, ..qd_store::Options::default() }, &env)?;
    let journaled = measure(|| through(Arc::clone(&models), Some((store.clone(), env.clone())))).await?;
    let ms = |histogram: &Histogram<u64>, quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    for (name, histogram) in
        [("direct", &plain), ("through the layer", &layered), ("and journaled", &journaled)]
    {
        let (p50, p99) = (ms(histogram, 0.5), ms(histogram, 0.99));
        println!(
            "{name}: {} calls, p50 {p50:.2} ms, p99 {p99:.2} ms; added p50 {:.2} ms, p99 {:.2} ms",
            histogram.len(),
            p50 - ms(&plain, 0.5),
            p99 - ms(&plain, 0.99)
        );
    }
    Ok(())
}

async fn measure<F>(caller: impl Fn() -> F) -> anyhow::Result<Histogram<u64>>
where
    F: Future<Output = anyhow::Result<Histogram<u64>>> + Send + 'static,
{
    let tasks: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(caller())).collect();
    let mut all = Histogram::<u64>::new(3)?;
    for task in tasks {
        all.add(&task.await??)?;
    }
    Ok(all)
}

fn note(histogram: &mut Histogram<u64>, began: Instant) -> anyhow::Result<()> {
    Ok(histogram.record(u64::try_from(began.elapsed().as_micros())?.max(1))?)
}

async fn direct(address: String) -> anyhow::Result<Histogram<u64>> {
    let (mut wire, mut histogram) = (Wire::connect(&address).await?, Histogram::new(3)?);
    let body = r#"{"model":"standard","messages":[{"role":"user","content":"Say something."}]}"#;
    let start = Instant::now();
    while start.elapsed() < SPAN {
        let began = Instant::now();
        let status = wire.post("/v1/chat/completions", body).await?;
        anyhow::ensure!(status == 200, "answered {status}");
        note(&mut histogram, began)?;
        rest().await;
    }
    Ok(histogram)
}

fn models(address: &str) -> anyhow::Result<Arc<Models>> {
    let mut options = qd_llm::Options::default();
    let mut provider = qd_llm::ProviderOptions::new(qd_llm::ProviderKind::Openai);
    provider.base_url = Some(format!("http://{address}/v1"));
    provider.stream = false;
    options.providers.insert("stub".to_owned(), provider);
    Ok(Arc::new(Models::build(options, Env::system())?))
}

async fn through(models: Arc<Models>, journal: Option<(Store, Env)>) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = Histogram::new(3)?;
    let request = ChatRequest::new("stub/standard", vec![Message::user("Say something.")]);
    let journal = match journal {
        Some((store, env)) => Some(Journal::begin(store, &env).await?),
        None => None,
    };
    let (start, mut turn) = (Instant::now(), 0);
    while start.elapsed() < SPAN {
        turn += 1;
        let step = StepId::new(format!("work/turn-{turn}/model"));
        let began = Instant::now();
        let scope = CallScope::of_step(step.clone());
        let answer = models.get(&request.model)?.call(&request, &scope).await?;
        if let Some(journal) = &journal {
            let entry = Entry::Model {
                step,
                reply: answer.reply,
                source: Source::Executed,
                usage: answer.usage,
                cost: answer.cost,
                call: Call::default(),
            };
            journal.write(entry).await?;
        }
        note(&mut histogram, began)?;
        rest().await;
    }
    Ok(histogram)
}

async fn rest() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..REST_MICROSECONDS))).await;
}

/// A claimed job.
struct Journal {
    store: Store,
    claimed: qd_store::Claimed,
}

impl Journal {
    async fn begin(store: Store, env: &Env) -> anyhow::Result<Self> {
        let job = NewJob {
            id: env.job_id(),
            tenant: TenantId::default(),
            crew: CrewName::new("bench"),
            crew_version: CrewVersion(1),
            machine_version: 1,
            total_tasks: 1,
            input: Input::new(),
            priority: Priority::NORMAL,
            conversation: None,
            run_at: None,
            expires_at: None,
            timeout_seconds: 300,
            max_attempts: 5,
            budget: None,
            metadata: Default::default(),
            webhook_url: None,
            hooks: None,
            redrive_of: None,
            idempotency: None,
        };
        let made = store.enqueue(job).await?;
        anyhow::ensure!(matches!(made, Enqueued::Created(_)), "not created");
        let claimed = store.claim(&WorkerId::new("bench"), 1).await?.pop();
        Ok(Self { store, claimed: claimed.ok_or_else(|| anyhow::anyhow!("no job"))? })
    }

    async fn write(&self, entry: Entry) -> anyhow::Result<()> {
        let (job, fence) = (self.claimed.job.id, self.claimed.lease.fence);
        let items = vec![LogItem::Entry { entry: Box::new(entry) }];
        let record = Record { job, fence, items, progress: Progress::default() };
        self.store.record(record).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        Ok(())
    }
}

//! The engine's part, played step by step by a test.

use qd_store::{Claimed, Finish, Outcome, Record};
use qd_types::{
    AgentId, Ask, AskRules, Billed, Call, ChatReply, Class, Code, Delta, Entry, Failure, Job, JobId,
    JobOutput, LogItem, NanoDollars, Progress, Source, StepId, StopReason, TaskId, TaskOutput, TenantId,
    ToolResult, Usage, WorkerId,
};

use super::{Server, soon};

impl Server {
    /// Until there is a job to take up.
    pub(in crate::tests) async fn queued(&self) {
        soon("the job", async {
            while self.store.stats().await.unwrap().queued == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Takes up the next job.
    pub(in crate::tests) async fn claim(&self) -> Claimed {
        let mut claimed = self.store.claim(&WorkerId::new("test"), 1).await.unwrap();
        assert_eq!(claimed.len(), 1, "one job is ready");
        claimed.remove(0)
    }

    pub(in crate::tests) async fn record(&self, claimed: &Claimed, items: Vec<LogItem>) {
        let progress =
            Progress { completed_tasks: 1, total_tasks: 2, current_task: Some(TaskId::new("polish")) };
        let record = Record { job: claimed.job.id, fence: claimed.lease.fence, items, progress };
        self.store.record(record).await.unwrap().unwrap();
    }

    pub(in crate::tests) async fn finish(&self, claimed: &Claimed, outcome: Outcome) {
        let progress = Progress { completed_tasks: 2, total_tasks: 2, current_task: None };
        let finish = Finish {
            job: claimed.job.id,
            fence: claimed.lease.fence,
            items: Vec::new(),
            progress,
            outcome,
            history: Vec::new(),
            doubt_settled: true,
        };
        self.store.finish(finish).await.unwrap().unwrap();
    }

    /// Takes the next job up and ends it well.
    pub(in crate::tests) async fn succeed(&self) -> JobId {
        let claimed = self.claim().await;
        self.finish(&claimed, Outcome::Succeeded(output())).await;
        claimed.job.id
    }

    /// Takes the next job up and has it ask, with a text for each round.
    pub(in crate::tests) async fn waits(&self, round: u32, rules: AskRules) -> Claimed {
        let claimed = self.claim().await;
        let (task, agent) = (TaskId::new("draft"), AgentId::new("writer"));
        let (step, output) = (StepId::human(&task, round), format!("draft {round}"));
        let ask = Ask { step, task, agent, output, round, rules };
        self.finish(&claimed, Outcome::Wait(Box::new(ask))).await;
        claimed
    }

    pub(in crate::tests) async fn stored(&self, id: JobId) -> Job {
        self.store.job(&TenantId::default(), id).await.unwrap().unwrap()
    }

    /// A job whose history has one thing of each kind; it has the sequence 1 to 11 and ends well in its second attempt.
    pub(in crate::tests) async fn eventful(&self) -> JobId {
        let first = self.claim().await;
        let items = vec![
            LogItem::Entry { entry: Box::new(Entry::Fact { key: "conversation".into(), value: "x".into() }) },
            started("draft"),
            model(1, "first"),
            tool(1),
            failed(2, 1),
        ];
        self.record(&first, items).await;
        self.finish(&first, Outcome::Release).await;
        let second = self.claim().await;
        self.record(&second, vec![model(2, "second"), ended("draft")]).await;
        self.finish(&second, Outcome::Succeeded(output())).await;
        second.job.id
    }
}

pub(in crate::tests) fn output() -> JobOutput {
    let task = TaskOutput {
        name: TaskId::new("draft"),
        agent: AgentId::new("writer"),
        raw: "the draft".into(),
        json: None,
    };
    JobOutput { raw: "the answer".into(), json: Some(serde_json::json!({ "a": 1 })), tasks: vec![task] }
}

pub(in crate::tests) fn failure() -> Failure {
    Failure::new(Code::ModelOverloaded, Class::Overloaded, "the provider is overloaded")
        .in_task(TaskId::new("draft"))
}

pub(in crate::tests) fn started(task: &str) -> LogItem {
    LogItem::TaskStarted { task: TaskId::new(task), agent: AgentId::new("writer") }
}

pub(in crate::tests) fn ended(task: &str) -> LogItem {
    LogItem::TaskFinished { task: TaskId::new(task), agent: AgentId::new("writer"), raw: "the draft".into() }
}

fn call(target: &str, number: u32) -> Call {
    Call {
        deployment: None,
        route: None,
        agent: Some(AgentId::new("writer")),
        target: target.into(),
        number,
        duration_ms: 12,
        possibly_billed: 0,
        reserved: None,
        saved: None,
    }
}

pub(in crate::tests) fn step(turn: u32) -> StepId {
    StepId::model(&TaskId::new("draft"), turn)
}

/// A model's answer that was in the result cache.
pub(in crate::tests) fn known(turn: u32, text: &str) -> LogItem {
    let LogItem::Entry { mut entry } = model(turn, text) else { unreachable!() };
    if let Entry::Model { source, usage, cost, call, .. } = &mut *entry {
        call.saved = Some(std::mem::take(cost));
        (*source, *usage) = (Source::Cached, Usage::default());
    }
    LogItem::Entry { entry }
}

pub(in crate::tests) fn model(turn: u32, text: &str) -> LogItem {
    let entry = Entry::Model {
        step: step(turn),
        reply: ChatReply {
            text: text.into(),
            tool_calls: Vec::new(),
            stop: StopReason::End,
            model: "sim-1".into(),
            response_id: None,
            blocks: None,
        },
        source: Source::Executed,
        usage: Usage { model_calls: 1, input_tokens: 10, output_tokens: 5, ..Usage::default() },
        cost: NanoDollars(12_300_000),
        call: call("main", turn),
    };
    LogItem::Entry { entry: Box::new(entry) }
}

fn tool(turn: u32) -> LogItem {
    let entry = Entry::Tool {
        step: StepId::tool(&TaskId::new("draft"), turn, 0),
        result: ToolResult {
            id: "t".into(),
            name: "calculator".into(),
            content: "4".into(),
            is_error: false,
        },
        call: call("calculator", 1),
    };
    LogItem::Entry { entry: Box::new(entry) }
}

pub(in crate::tests) fn failed(turn: u32, number: u32) -> LogItem {
    let entry = Entry::CallFailed {
        step: step(turn),
        failure: failure(),
        billed: Billed::Possibly,
        call: call("main", number),
    };
    LogItem::Entry { entry: Box::new(entry) }
}

pub(in crate::tests) fn piece(job: JobId, turn: u32, offset: u64, text: &str) -> Delta {
    Delta { job, step: step(turn), call: 1, offset, text: text.into() }
}

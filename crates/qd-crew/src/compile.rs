//! A [`CrewSpec`] into a [`Plan`]: names of models and tools are looked up, names inside the crew resolved.

use std::time::Duration;

use qd_types::{AgentId, Catalog, ToolSpec};

use crate::diagnostic::{Diagnostics, Report, quote};
use crate::plan::{AgentTexts, DateFact, Hand, Pace, Plan, PlannedAgent, PlannedTask, Sampling, TaskTexts};
use crate::references::{self, Places};
use crate::spec::{AgentSpec, CrewSpec, LlmSpec, SPEC_VERSION, TaskSpec};
use crate::suggest::did_you_mean;
use crate::template::Template;

/// Makes a stored crew executable.
///
/// # Errors
/// If it names models, tools, agents or tasks that are not there. Places are not known: the path says `crew NAME`.
pub fn compile(spec: &CrewSpec, catalog: &Catalog) -> Result<Plan, Diagnostics> {
    let mut report = Report::new(vec![format!("crew {}", spec.name)]);
    let places = Places::default();
    if spec.v == SPEC_VERSION {
        references::check(spec, &places, &mut report);
    } else {
        let message = format!("the stored crew has version {}; this release reads {SPEC_VERSION}", spec.v);
        report.error(places.at(""), message);
    }
    let plan = resolve(spec, catalog, &places, &mut report);
    report.finish()?;
    Ok(plan)
}

/// The plan, without tasks whose agent is not defined: `references` has reported those.
pub(crate) fn resolve(spec: &CrewSpec, catalog: &Catalog, places: &Places, report: &mut Report) -> Plan {
    let agents: Vec<PlannedAgent> =
        (0..spec.agents.len()).map(|index| plan_agent(spec, index, catalog, places, report)).collect();
    let mut resolver = Resolver { spec, catalog, places, report };
    // Those of agents whose tasks all bring their own tools are looked up for the sake of their mistakes.
    for (index, agent) in spec.agents.iter().enumerate() {
        resolver.tools(&agent.tools, &format!("agents/{index}"));
    }
    let tasks = (0..spec.tasks.len()).filter_map(|index| resolver.task(index)).collect();
    let mut plan = Plan {
        name: spec.name.clone(),
        agents,
        tasks,
        inputs: spec.inputs.clone(),
        variables: Default::default(),
    };
    plan.variables = plan.templates().flat_map(Template::variables).map(str::to_owned).collect();
    plan
}

fn plan_agent(
    crew: &CrewSpec,
    index: usize,
    catalog: &Catalog,
    places: &Places,
    report: &mut Report,
) -> PlannedAgent {
    let agent = &crew.agents[index];
    let llm = agent.llm.clone().unwrap_or_default();
    let date = agent
        .date_format
        .as_ref()
        .map(|format| DateFact { key: format!("date:{format}"), format: format.clone() });
    PlannedAgent {
        name: agent.name.clone(),
        role: agent.role.clone(),
        model: model(index, &agent.name, &llm, catalog, places, report),
        texts: AgentTexts {
            role: Template::parse(&agent.role),
            goal: Template::parse(&agent.goal),
            backstory: Template::parse(&agent.backstory),
        },
        sampling: Sampling {
            max_tokens: llm.max_tokens.or(agent.max_tokens),
            temperature: llm.temperature,
            top_p: llm.top_p,
            seed: llm.seed,
            stop: llm.stop,
        },
        max_iter: agent.max_iter,
        max_retry_limit: agent.max_retry_limit,
        pace: pace(crew, agent),
        max_execution_time: agent.max_execution_time.map(|s| Duration::from_secs(u64::from(s))),
        date,
        use_system_prompt: agent.use_system_prompt,
        respect_context_window: agent.respect_context_window,
    }
}

/// An agent's own pace, else the one that the crew's agents share.
fn pace(crew: &CrewSpec, agent: &AgentSpec) -> Option<Pace> {
    let own = agent.max_rpm.map(|calls_per_minute| Pace { calls_per_minute, shared: false });
    own.or(crew.max_rpm.map(|calls_per_minute| Pace { calls_per_minute, shared: true }))
}

/// The agent's model or the default one; empty, and reported, if there is none.
fn model(
    index: usize,
    agent: &AgentId,
    llm: &LlmSpec,
    catalog: &Catalog,
    places: &Places,
    report: &mut Report,
) -> String {
    let Some(name) = &llm.model else {
        return catalog.default_model.clone().unwrap_or_else(|| {
            let message =
                format!("agent {} names no `llm` and there is no default model", quote(agent.as_str()));
            let hint = "set `default_model` in the configuration".to_owned();
            report.error_hint(places.at(&format!("agents/{index}")), message, Some(hint));
            String::new()
        });
    };
    if !catalog.knows_model(name) {
        let known: Vec<String> = catalog.model_names().collect();
        let near = did_you_mean(name, known.iter().map(String::as_str));
        let hint = near.or_else(|| {
            (!known.is_empty()).then(|| {
                format!("known are {}", known.iter().map(|n| quote(n)).collect::<Vec<_>>().join(", "))
            })
        });
        let message = format!("model {} is not known", quote(name));
        report.error_hint(places.at(&format!("agents/{index}/llm")), message, hint);
    }
    name.clone()
}

struct Resolver<'a> {
    spec: &'a CrewSpec,
    catalog: &'a Catalog,
    places: &'a Places,
    report: &'a mut Report,
}

impl Resolver<'_> {
    fn task(&mut self, index: usize) -> Option<PlannedTask> {
        let spec = self.spec;
        let task = &spec.tasks[index];
        let own_tools = self.tools(&task.tools, &format!("tasks/{index}"));
        let mut hands = vec![self.hand(&task.agent, &own_tools)?];
        hands.extend(task.fallback_agents.iter().filter_map(|agent| self.hand(agent, &own_tools)));
        let agent = &spec.agents[hands[0].agent_index];
        Some(PlannedTask {
            name: task.name.clone(),
            hands,
            description: task.description.clone(),
            expected_output: task.expected_output.clone(),
            model_cache: self.model_cache(task, agent),
            texts: TaskTexts {
                description: Template::parse(&task.description),
                expected_output: Template::parse(&task.expected_output),
            },
            human_input: task.human_input,
            context: task.context.as_ref().map(|_| self.context(index, task)),
            markdown: task.markdown,
            sees_conversation: task.conversation.unwrap_or(index == 0),
        })
    }

    /// An agent with the task's tools, else its own. None for an agent that is not defined: `references` has reported it.
    fn hand(&mut self, agent: &AgentId, own_tools: &[ToolSpec]) -> Option<Hand> {
        let agents = &self.spec.agents;
        let agent_index = agents.iter().position(|known| known.name == *agent)?;
        let tools = match own_tools {
            // Those that do not exist were reported at the agent.
            [] => self.known_tools(&agents[agent_index].tools),
            own => own.to_vec(),
        };
        Some(Hand { agent: agent.clone(), agent_index, tools })
    }

    fn known_tools(&self, names: &[String]) -> Vec<ToolSpec> {
        names.iter().filter_map(|name| self.catalog.tools.get(name).cloned()).collect()
    }

    /// The task's own word, else its agent's, else the crew's.
    fn model_cache(&self, task: &TaskSpec, agent: &AgentSpec) -> Option<Duration> {
        let said = task.model_cache.or(agent.model_cache).or(self.spec.model_cache)?;
        (said.ttl_seconds > 0).then(|| Duration::from_secs(u64::from(said.ttl_seconds)))
    }

    /// Indexes of the named earlier tasks; others were reported.
    fn context(&self, index: usize, task: &TaskSpec) -> Vec<usize> {
        let earlier = &self.spec.tasks[..index];
        let names = task.context.iter().flatten();
        names.filter_map(|name| earlier.iter().position(|other| other.name == *name)).collect()
    }

    fn tools(&mut self, names: &[String], path: &str) -> Vec<ToolSpec> {
        let mut specs = Vec::new();
        for (nth, name) in names.iter().enumerate() {
            match self.catalog.tools.get(name) {
                Some(spec) => specs.push(spec.clone()),
                None => self.unknown_tool(name, &format!("{path}/tools/{nth}")),
            }
        }
        specs
    }

    fn unknown_tool(&mut self, name: &str, path: &str) {
        let at = self.places.at(path);
        if name.contains(':') {
            let hint = "name a tool of the configuration".to_owned();
            self.report.error_hint(
                at,
                format!("a tool reference such as {} is not supported yet", quote(name)),
                Some(hint),
            );
            return;
        }
        let known = || self.catalog.tools.keys().map(String::as_str);
        let near = did_you_mean(name, known()).or_else(|| {
            let shown: Vec<String> = known().take(10).map(quote).collect();
            (!shown.is_empty()).then(|| format!("known are {}", shown.join(", ")))
        });
        self.report.error_hint(at, format!("tool {} is not known", quote(name)), near);
    }
}

#[cfg(test)]
mod tests;

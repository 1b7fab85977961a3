//! A crew as the API shows it.

use qd_crew::CrewSpec;
use qd_store::StoredCrew;
use qd_types::Input;
use serde::Serialize;

use super::time::Rfc3339;
use crate::crews::{Compiled, Published, Unusable};
use crate::openapi::Schema;

/// A version of a crew.
#[derive(Serialize)]
pub(crate) struct CrewView {
    name: String,
    version: u32,
    hash: String,
    agents: Vec<AgentView>,
    tasks: Vec<TaskView>,
    variables: Vec<String>,
    required_variables: Vec<String>,
    default_inputs: Input,
    /// Why no job can be made of it; empty for a usable crew.
    problems: Vec<String>,
    created_at: Rfc3339,
}

#[derive(Serialize)]
struct AgentView {
    name: String,
    role: String,
    model: Option<String>,
}

#[derive(Serialize)]
struct TaskView {
    name: String,
    agent: String,
    /// Who does it when that one cannot.
    fallback_agents: Vec<String>,
    description: String,
    expected_output: String,
    tools: Vec<String>,
}

impl From<&Published> for CrewView {
    fn from(crew: &Published) -> Self {
        let plan = &crew.plan;
        let agents = plan.agents().iter().map(|agent| AgentView {
            name: agent.name.to_string(),
            role: agent.role.clone(),
            model: Some(agent.model.clone()),
        });
        let tasks = plan.tasks().iter().map(|task| TaskView {
            name: task.name.to_string(),
            agent: task.agent().to_string(),
            fallback_agents: task.stand_ins().map(ToString::to_string).collect(),
            description: task.description.clone(),
            expected_output: task.expected_output.clone(),
            tools: task.tools().iter().map(|tool| tool.name.clone()).collect(),
        });
        Self {
            agents: agents.collect(),
            tasks: tasks.collect(),
            variables: plan.variables().iter().cloned().collect(),
            required_variables: plan.required_variables().into_iter().collect(),
            default_inputs: plan.default_inputs().clone(),
            ..Self::bare(&crew.stored, Vec::new())
        }
    }
}

impl CrewView {
    /// A crew, whether this server can execute it or not.
    pub(crate) fn of(stored: &StoredCrew, compiled: &Compiled) -> Self {
        match compiled {
            Ok(published) => Self::from(&**published),
            Err(why) => Self::unusable(stored, why),
        }
    }

    /// A crew that this server cannot execute: what its stored form says, and why.
    fn unusable(stored: &StoredCrew, why: &Unusable) -> Self {
        let mut view = Self::bare(stored, why.reasons().to_vec());
        let Ok(spec) = serde_json::from_str::<CrewSpec>(&stored.spec) else { return view };
        let agents = spec.agents.into_iter().map(|agent| AgentView {
            name: agent.name.to_string(),
            role: agent.role,
            model: agent.llm.and_then(|llm| llm.model),
        });
        let tasks = spec.tasks.into_iter().map(|task| TaskView {
            name: task.name.to_string(),
            agent: task.agent.to_string(),
            fallback_agents: task.fallback_agents.iter().map(ToString::to_string).collect(),
            description: task.description,
            expected_output: task.expected_output,
            tools: task.tools,
        });
        view.agents = agents.collect();
        view.tasks = tasks.collect();
        view.default_inputs = spec.inputs;
        view
    }

    fn bare(stored: &StoredCrew, problems: Vec<String>) -> Self {
        Self {
            name: stored.name.to_string(),
            version: stored.version.0,
            hash: stored.hash.clone(),
            agents: Vec::new(),
            tasks: Vec::new(),
            variables: Vec::new(),
            required_variables: Vec::new(),
            default_inputs: Input::new(),
            problems,
            created_at: Rfc3339(stored.created_at),
        }
    }
}

/// What publishing a crew is answered with.
#[derive(Serialize)]
pub(crate) struct PublishedView {
    #[serde(flatten)]
    pub(crate) crew: CrewView,
    /// What somebody should look at.
    pub(crate) warnings: Vec<String>,
}

/// What the document says of crews.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let texts = |about| Schema::list(Schema::text()).about(about);
    let crew = |about| {
        Schema::object()
            .about(about)
            .field("name", Schema::text())
            .field("version", Schema::count())
            .field("hash", Schema::text().about("Of its definition."))
            .field("agents", Schema::list(Schema::named("CrewAgent")))
            .field("tasks", Schema::list(Schema::named("CrewTask")))
            .field("variables", texts("What an input may give values for."))
            .field("required_variables", texts("What an input must give values for."))
            .field("default_inputs", Schema::object().about("Values of variables that an input leaves out."))
            .field("problems", texts("Why no job can be made of it; empty for a usable crew."))
            .field("created_at", Schema::moment())
    };
    let agent = Schema::object()
        .field("name", Schema::text())
        .field("role", Schema::text())
        .field("model", Schema::text().nullable());
    let task = Schema::object()
        .field("name", Schema::text())
        .field("agent", Schema::text())
        .field("description", Schema::text())
        .field("fallback_agents", Schema::list(Schema::text()).about("Who does it when that one cannot."))
        .field("expected_output", Schema::text())
        .field("tools", texts("What its agent may use for it."));
    let list = Schema::object().about("Every crew.").field("crews", Schema::list(Schema::named("Crew")));
    let published = crew("A version of a crew that was published.")
        .field("warnings", texts("What somebody should look at."));
    let crew = crew("A version of a crew.");
    vec![
        ("PublishedCrew", published),
        ("Crew", crew),
        ("CrewAgent", agent),
        ("CrewTask", task),
        ("CrewList", list),
    ]
}

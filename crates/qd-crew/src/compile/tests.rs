//! Names of models and tools against a catalog, with and without places.

use qd_types::{AgentId, Catalog, TaskId};

use super::compile;
use crate::machine::stage::catalog;
use crate::{CrewSource, CrewSpec, SourceFile, check, load};

const YAML: &str = "
agents:
  w: {role: R, goal: G, backstory: B, llm: mian, tools: [calculator, 'custom:mine', 'mod:Class']}
  v: {role: R, goal: G, backstory: B, llm: {temperature: 0, model: grok/x}, tools: [clok]}
  u: {role: R, goal: G, backstory: B}
tasks:
  - {name: a, description: D, expected_output: E, agent: w}
  - {name: b, description: D, expected_output: E, agent: v, tools: [add, sub]}
  - {name: c, description: D, expected_output: E, agent: uu, context: [d]}
";

fn source(yaml: &str) -> CrewSource {
    CrewSource::Single(SourceFile::new("x", yaml))
}

fn spec(yaml: &str) -> CrewSpec {
    load(&source(yaml)).unwrap_or_else(|problems| panic!("{problems}")).spec
}

#[test]
fn check_tells_mistakes_of_every_kind_at_once_and_in_their_places() {
    let mut catalog = catalog();
    catalog.default_model = None;
    let found = check(&source(YAML), &catalog).unwrap_err().to_string();
    assert_eq!(
        found,
        "x:3:44: error: model `mian` is not known; did you mean `main`?\n\
         x:3:58: error: tool `calculator` is not known; known are `add`, `clock`\n\
         x:3:70: error: a tool reference such as `custom:mine` is not supported yet; name a tool of the configuration\n\
         x:3:85: error: a tool reference such as `mod:Class` is not supported yet; name a tool of the configuration\n\
         x:4:68: error: model `grok/x` is not known; did you mean `groq/…`?\n\
         x:4:85: error: tool `clok` is not known; did you mean `clock`?\n\
         x:5:3: error: agent `u` names no `llm` and there is no default model; set `default_model` in the configuration\n\
         x:8:74: error: tool `sub` is not known; known are `add`, `clock`\n\
         x:9:58: error: agent `uu` is not defined\n\
         x:9:72: error: task `d` is not defined"
    );
}

#[test]
fn tools_of_an_agent_are_checked_even_where_its_tasks_bring_their_own() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [clok]}}
tasks: [{name: a, description: D, expected_output: E, tools: [add]}]
";
    let found = check(&source(yaml), &catalog()).unwrap_err().to_string();
    assert_eq!(found, "x:2:54: error: tool `clok` is not known; did you mean `clock`?");
}

#[test]
fn a_stored_crew_is_compiled_without_places() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [clock]}}
tasks: [{name: a, description: D, expected_output: E}]
";
    let plan = compile(&spec(yaml), &catalog()).unwrap();
    assert_eq!(
        (plan.tasks()[0].tools()[0].name.as_str(), plan.agents()[0].model.as_str()),
        ("clock", "main")
    );
    let found = compile(&spec(yaml), &Catalog::default()).unwrap_err().to_string();
    assert_eq!(
        found,
        "crew x: error: agent `w` names no `llm` and there is no default model; set `default_model` in the \
         configuration\ncrew x: error: tool `clock` is not known"
    );
}

#[test]
fn a_stored_crew_is_not_trusted() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B}}
tasks: [{name: a, description: D, expected_output: E}, {name: b, description: D, expected_output: E}]
";
    let good = spec(yaml);
    type Change = fn(&mut CrewSpec);
    let changes: [(Change, &str); 7] = [
        (|crew| crew.v = 2, "the stored crew has version 2; this release reads 1"),
        (|crew| crew.tasks.clear(), "the crew has no tasks"),
        (|crew| crew.agents.clear(), "agent `w` is not defined"),
        (|crew| crew.tasks[0].agent = AgentId::new(""), "task `a` lacks `agent`"),
        (|crew| crew.tasks[0].name = TaskId::new("a/turn-1"), "may hold only letters"),
        (|crew| crew.tasks[1].name = TaskId::new("a"), "task `a` is defined twice"),
        (|crew| crew.tasks[0].context = Some(vec![TaskId::new("b")]), "task `b` comes later"),
    ];
    for (change, expected) in changes {
        let mut crew = good.clone();
        change(&mut crew);
        let found = compile(&crew, &catalog()).unwrap_err().to_string();
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn providers_of_the_catalog_take_any_model() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, llm: groq/llama-3.3-70b}}
tasks: [{name: a, description: D, expected_output: E}]
";
    assert_eq!(compile(&spec(yaml), &catalog()).unwrap().agents()[0].model, "groq/llama-3.3-70b");
}

#[test]
fn a_task_says_more_of_kept_answers_than_its_agent_and_that_more_than_the_crew() {
    let yaml = "
model_cache: {ttl_seconds: 5}
agents:
  w: {role: R, goal: G, backstory: B}
  v: {role: R, goal: G, backstory: B, model_cache: {ttl_seconds: 7}}
tasks:
  - {name: a, description: D, expected_output: E, agent: w}
  - {name: b, description: D, expected_output: E, agent: v}
  - {name: c, description: D, expected_output: E, agent: v, model_cache: true}
  - {name: d, description: D, expected_output: E, agent: v, model_cache: false}
";
    let spans = |yaml: &str| {
        let plan = compile(&spec(yaml), &catalog()).unwrap();
        plan.tasks().iter().map(|task| task.model_cache.map(|ttl| ttl.as_secs())).collect::<Vec<_>>()
    };
    assert_eq!(spans(yaml), [Some(5), Some(7), Some(86_400), None]);
    let silent = yaml.replace("model_cache: {ttl_seconds: 5}", "verbose: true");
    assert_eq!(spans(&silent)[0], None, "nothing is kept unless somebody says so");
}

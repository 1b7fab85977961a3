//! Files that are read, and what is read from them.

use serde_json::json;

use crate::{CrewSource, CrewSpec, Loaded, SourceFile, load};

fn single(text: &str) -> CrewSource {
    CrewSource::Single(SourceFile::new("crews/x.yaml", text))
}

fn read(text: &str) -> Loaded {
    load(&single(text)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn spec_json(spec: &CrewSpec) -> serde_json::Value {
    serde_json::to_value(spec).unwrap()
}

const FULL: &str = "
name: full
process: sequential
verbose: true
agents:
  one:
    role: Role {x}
    goal: Goal
    backstory: >
      Folded
      text
    llm: {model: main, temperature: 0, top_p: 0.5, max_tokens: 100, seed: -4, stop: END}
    tools: [calculator]
    max_iter: 3
    max_tokens: 50
    inject_date: true
    date_format: '%d.%m.%Y'
    use_system_prompt: false
    allow_delegation: false
    memory: null
  two: {role: R, goal: G, backstory: B, llm: groq/llama, tools: , inject_date: no, date_format: '%Y', model_cache: no}
tasks:
  - name: first
    description: D
    expected_output: E
    agent: one
    tools: [clock, calculator]
    markdown: true
    human_input: yes
    conversation: false
    async_execution: false
  - description: D2
    expected_output: E2
    agent: two
    context: []
  - {name: last, description: D3, expected_output: E3, agent: two, context: [first, task-2], output_json: , model_cache: {ttl_seconds: 60}, human_input: {reminder_seconds: 0, reminders: 2, expires_seconds: 60, on_expiry: approve, max_rounds: 1}}
inputs: {x: 1, y: {a: [true, null, 1.5]}}
";

#[test]
fn every_key_arrives_in_the_spec() {
    let Loaded { spec, warnings } = read(FULL);
    let expected = json!({
        "v": 1, "name": "full", "process": "sequential",
        "agents": [
            {"name": "one", "role": "Role {x}", "goal": "Goal", "backstory": "Folded text\n",
             "llm": {"model": "main", "temperature": 0.0, "top_p": 0.5, "max_tokens": 100, "seed": -4, "stop": ["END"]},
             "tools": ["calculator"], "max_iter": 3, "max_tokens": 50, "date_format": "%d.%m.%Y",
             "use_system_prompt": false},
            {"name": "two", "role": "R", "goal": "G", "backstory": "B", "llm": {"model": "groq/llama"},
             "max_iter": 25, "model_cache": {"ttl_seconds": 0}, "use_system_prompt": true},
        ],
        "tasks": [
            {"name": "first", "description": "D", "expected_output": "E", "agent": "one",
             "tools": ["clock", "calculator"], "markdown": true, "human_input": {}, "conversation": false},
            {"name": "task-2", "description": "D2", "expected_output": "E2", "agent": "two", "context": []},
            {"name": "last", "description": "D3", "expected_output": "E3", "agent": "two",
             "context": ["first", "task-2"], "model_cache": {"ttl_seconds": 60},
             "human_input": {"reminder_seconds": 0, "reminders": 2, "expires_seconds": 60, "on_expiry": "approve", "max_rounds": 1}},
        ],
        "inputs": {"x": 1, "y": {"a": [true, null, 1.5]}},
    });
    assert_eq!(spec_json(&spec), expected);
    let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["crews/x.yaml:37:16: warning: no text uses the variable `y`"]);
}

#[test]
fn a_list_of_agents_json_and_aliases_mean_the_same_as_maps_and_yaml() {
    let yaml = "
agents:
  w: {role: R, goal: G, backstory: B}
tasks:
  - {name: t, description: D, expected_output: E}
";
    let list = "
agents:
  - {name: w, role: R, goal: G, backstory: B}
tasks:
  t: {description: D, expected_output: E, agent: w}
";
    let json = r#"{
	"agents": {"w": {"role": "R", "goal": "G", "backstory": "B"}},
	"tasks": [ { "name": "t", "description": "\u0044", "expected_output": "E" } ]
}"#;
    let aliases = "
agents:
  w: &w {role: R, goal: G, backstory: old}
  <<: {}
tasks:
  - &t {name: t, description: D, expected_output: E, agent: w}
";
    let merged = "
agents:
  w:
    <<: &base {goal: G, backstory: B, role: other}
    role: R
tasks: [{name: t, description: D, expected_output: E}]
";
    let expected = read(yaml).spec;
    assert_eq!(expected.name.as_str(), "x", "the file's name");
    for (what, text) in [("list", list), ("json", json), ("merge", merged)] {
        assert_eq!(read(text).spec, expected, "{what}");
    }
    assert_eq!(read(aliases).spec.agents[0].backstory, "old");
}

#[test]
fn windows_line_ends_byte_order_mark_and_norway_are_read() {
    let text = "\u{feff}agents:\r\n  no: {role: R, goal: G, backstory: B}\r\ntasks:\r\n  - {description: D, expected_output: E, agent: 'no'}\r\n";
    assert_eq!(read(text).spec.agents[0].name.as_str(), "no");
}

#[test]
fn keys_without_effect_warn_or_pass() {
    let text = "
cache: true
share_crew: false
output_log_file: run.log
manager_llm: gpt
memory: false
planning: no
agents:
  w: {role: R, goal: G, backstory: B, checkpoint: true, max_retry_limit: 2, tools: [a, a], type: Agent}
  idle: {role: R, goal: G, backstory: B}
tasks:
  - {name: t, description: D, expected_output: E, agent: w, guardrail: null, guardrails: [], callback: ''}
inputs: {unused: 1}
";
    let shown: Vec<String> =
        read(text).warnings.iter().map(|w| w.to_string().replace("crews/x.yaml:", "")).collect();
    assert_eq!(
        shown,
        [
            "2:1: warning: `cache` of the crew has no effect: tool results are not cached",
            "4:1: warning: `output_log_file` of the crew has no effect: the server writes the logs",
            "5:1: warning: `manager_llm` of the crew has no effect: a sequential process has no manager",
            "9:39: warning: `checkpoint` of agent `w` has no effect: every job can be resumed anyway",
            "9:88: warning: `tools` of agent `w` names `a` twice",
            "10:3: warning: agent `idle` has no task",
            "13:10: warning: no text uses the variable `unused`",
        ]
    );
}

fn folder(agents: &str, tasks: &str, crew: Option<&str>) -> CrewSource {
    let file = |name: &str, text: &str| SourceFile::new(format!("c/{name}.yaml"), text);
    CrewSource::Directory {
        name: "c".to_owned(),
        agents: file("agents", agents),
        tasks: file("tasks", tasks),
        crew: crew.map(|text| file("crew", text)),
    }
}

const AGENTS: &str = "w: {role: R, goal: G, backstory: B}\nv: {role: R, goal: G, backstory: B, tools: [x]}\n";
const TASKS: &str =
    "b: {description: D, expected_output: E, agent: w}\na: {description: D, expected_output: E, agent: v}\n";

#[test]
fn a_folder_takes_its_name_and_the_order_of_the_file() {
    let loaded = load(&folder(AGENTS, TASKS, None)).unwrap();
    let names: Vec<&str> = loaded.spec.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!((loaded.spec.name.as_str(), names), ("c", vec!["b", "a"]));
}

#[test]
fn a_crew_file_lies_over_agents_and_tasks() {
    let crew = "
name: named
inputs: {}
agents:
  v: {tools: [y, z]}
tasks: [a, {name: b, agent: v, context: [a]}]
";
    let spec = load(&folder(AGENTS, TASKS, Some(crew))).unwrap_or_else(|problems| panic!("{problems}")).spec;
    let tasks: Vec<_> = spec.tasks.iter().map(|task| (task.name.as_str(), task.agent.as_str())).collect();
    assert_eq!((spec.name.as_str(), tasks), ("named", vec![("a", "v"), ("b", "v")]));
    assert_eq!(spec.agents[1].tools, ["y", "z"]);
    assert_eq!(spec.tasks[1].context.as_ref().map(Vec::len), Some(1));
}

#[test]
fn tasks_that_a_crew_file_leaves_out_are_left_out_with_a_warning() {
    let loaded = load(&folder(AGENTS, TASKS, Some("tasks: [a]"))).unwrap();
    assert_eq!(loaded.spec.tasks.len(), 1);
    let shown: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "c/agents.yaml:1:1: warning: agent `w` has no task",
            "c/tasks.yaml:1:1: warning: task `b` is not listed in `crew.yaml` and is left out",
        ]
    );
}

#[test]
fn the_examples_load_without_warnings() {
    let research = include_str!("../../../../../examples/crews/research.yaml");
    let support = include_str!("../../../../../examples/crews/support.yaml");
    let newsletter = CrewSource::Directory {
        name: "newsletter".to_owned(),
        agents: SourceFile::new(
            "agents.yaml",
            include_str!("../../../../../examples/crews/newsletter/agents.yaml"),
        ),
        tasks: SourceFile::new(
            "tasks.yaml",
            include_str!("../../../../../examples/crews/newsletter/tasks.yaml"),
        ),
        crew: Some(SourceFile::new(
            "crew.yaml",
            include_str!("../../../../../examples/crews/newsletter/crew.yaml"),
        )),
    };
    for (source, name, agents, tasks) in [
        (single(research), "research", 2, 2),
        (single(support), "support", 1, 1),
        (newsletter, "newsletter", 3, 3),
    ] {
        let Loaded { spec, warnings } = load(&source).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((spec.name.as_str(), spec.agents.len(), spec.tasks.len()), (name, agents, tasks));
        assert_eq!(warnings, []);
        assert!(spec.agents.iter().all(|agent| agent.llm.is_none()), "the default model applies");
        let stored: CrewSpec = serde_json::from_value(spec_json(&spec)).unwrap();
        assert_eq!((&stored, stored.hash()), (&spec, spec.hash()));
    }
}

#[test]
fn crew_without_tasks_does_what_it_is_asked() {
    let agent = "agents: {w: {role: R, goal: G, backstory: B}}";
    let explicit = format!(
        "{agent}\ntasks: [{{name: answer, description: '{{message}}', \
         expected_output: 'What is asked for, complete and correct'}}]"
    );
    let expected = read(&explicit).spec;
    for text in [agent.to_owned(), format!("{agent}\ntasks:"), format!("{agent}\ntasks: []")] {
        assert_eq!(read(&text), Loaded { spec: expected.clone(), warnings: Vec::new() }, "{text}");
    }
    // Which of two is meant is a guess, and told.
    let two = "agents:\n  w: {role: R, goal: G, backstory: B}\n  v: {role: R, goal: G, backstory: B}\n";
    let Loaded { spec, warnings } = read(two);
    assert_eq!(spec.tasks[0].agent.as_str(), "w");
    assert!(warnings.len() == 1 && warnings[0].to_string().contains("`v`"), "{warnings:?}");
}

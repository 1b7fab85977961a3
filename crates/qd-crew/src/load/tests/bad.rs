//! Bad crew files, each with every message it gets and the places of the messages.

use crate::{CrewSource, Severity, SourceFile, load};

/// What is wrong with a source, one finding a line, without warnings.
fn mistakes(source: &CrewSource) -> String {
    let problems = load(source).expect_err("the file must be refused");
    let errors = problems.0.iter().filter(|d| d.severity == Severity::Error);
    let lines: Vec<String> = errors.map(|d| d.to_string().replace(": error: ", " ")).collect();
    lines.join("\n")
}

fn check_all(cases: &[(&str, &str)], build: impl Fn(&str) -> CrewSource) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, mistakes(&build(text)), expected))
        .filter(|(_, actual, expected)| actual != *expected)
        .map(|(text, actual, expected)| format!("{text:?}\n  gets     {actual:?}\n  expected {expected:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn single(text: &str) -> CrewSource {
    CrewSource::Single(SourceFile::new("x", text))
}

/// A crew with an agent in lines 2 to 6 and a task in lines 8 to 12; extra keys stand in lines 6, 12 and 13.
fn crew(of_agent: &str, of_task: &str, of_crew: &str) -> CrewSource {
    single(&format!(
        "agents:\n  w:\n    role: R\n    goal: G\n    backstory: B\n    {of_agent}\ntasks:\n  - name: t\n    description: \
         D\n    expected_output: E\n    agent: w\n    {of_task}\n{of_crew}\n"
    ))
}

#[test]
fn syntax() {
    check_all(
        &[
            ("", "x the file is empty"),
            ("# only a comment\n", "x the file is empty"),
            ("null", "x the file is empty"),
            ("[1]", "x:1:1 a crew file is a mapping with `agents` and `tasks`, found a list"),
            ("just text", "x:1:1 a crew file is a mapping with `agents` and `tasks`, found text"),
            (
                "a: b: c",
                "x:1:5 mapping values are not allowed in this context; put a text that holds `: ` in quotes",
            ),
            (
                "a:\n\tb: 1",
                "x:2:2 tabs disallowed within this context (block indentation); indent with spaces",
            ),
            ("agents: [", "x:1:9 unclosed bracket '['"),
            ("a: 'x", "x:1:4 unclosed quote"),
            ("a: \"\\q\"", "x:1:4 while parsing a quoted scalar, found unknown escape character"),
            ("- a\nb: 1", "x:2:1 while parsing a block collection, did not find expected '-' indicator"),
            ("agents: *x", "x:1:9 an alias names an anchor that is not defined before it"),
            ("a: !!python/object:os.system x", "x:1:30 the tag `!!python/object:os.system` is not read"),
            ("a: !custom x", "x:1:12 the tag `!custom` is not read"),
            ("a: .nan", "x:1:4 `.nan` is no number that can be used"),
            ("a: !!binary '###'", "x:1:13 a value does not fit its tag"),
            ("[a]: 1", "x:1:1 a key must be text"),
            ("a: 1e999", "x:1:4 `1e999` is no number that can be used"),
            ("? [a]\n: 1", "x:1:3 a key must be text"),
            ("~: 1", "x:1:1 a key is empty"),
            ("--- a\n--- b", "x:2:1 the file has several documents (`---`); a crew file has one"),
            ("a: @x", "x:1:4 unexpected character: `@'"),
            ("a: !!int x", "x:1:10 a value does not fit its tag"),
            ("a\0b: 1", "x:1:2 unexpected character: `\\u{0}'"),
            ("a:\n  - b\n c: 1", "x:3:2 while parsing a block mapping, did not find expected key"),
            ("{\"agents\" 1}", "x:1:11 invalid trailing content after double-quoted scalar"),
        ],
        single,
    );
}

#[test]
fn keys_of_the_crew() {
    check_all(
        &[
            ("nmae: x", "x:13:1 the crew has no key `nmae`; did you mean `name`?"),
            ("name: ''", "x:13:7 the name of the crew is empty"),
            (
                "name: my crew",
                "x:13:7 crew name `my crew` may hold only letters, digits, `_` and `-`; use `my-crew`",
            ),
            ("name: 5", "x:13:7 `name` of the crew must be text, found `5`; put it in quotes"),
            ("name: [a]", "x:13:7 `name` of the crew must be text, found a list"),
            (
                "name: ../../etc",
                "x:13:7 crew name `../../etc` may hold only letters, digits, `_` and `-`; use `------etc`",
            ),
            (
                "name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                "x:13:7 crew name `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…` is longer than 64 characters",
            ),
            ("name: a\nname: b", "x:14:1 `name` is given twice, first in line 13"),
            (
                "process: hierarchical",
                "x:13:10 `process: hierarchical` is not supported yet; use `sequential` and name the agent of each task",
            ),
            ("process: sequentail", "x:13:10 `sequentail` is no process; did you mean `sequential`?"),
            ("process: parallel", "x:13:10 `parallel` is no process; use `sequential`"),
            ("memory: true", "x:13:1 `memory` of the crew is not supported yet; only `false` is accepted"),
            ("planning: yes", "x:13:1 `planning` of the crew is not supported yet; only `false` is accepted"),
            ("max_rpm: 0", "x:13:10 `max_rpm` of the crew is 0; it must be between 1 and 100000"),
            ("manager_agnt: x", "x:13:1 the crew has no key `manager_agnt`; did you mean `manager_agent`?"),
            ("knowledge_sources: [a.txt]", "x:13:1 `knowledge_sources` of the crew is not supported yet"),
            (
                "before_kickoff_callbacks: [f]",
                "x:13:1 `before_kickoff_callbacks` of the crew is not supported yet",
            ),
            ("step_callback: {python: m.f}", "x:13:1 `step_callback` of the crew is not supported yet"),
            (
                "tool_failure_policy: raise",
                "x:13:1 `tool_failure_policy` of the crew is not supported yet; only `warn` is accepted",
            ),
            ("inputs: [a]", "x:13:9 `inputs` must map variables to default values, found a list"),
            ("inputs: text", "x:13:9 `inputs` must map variables to default values, found text"),
            ("config: {a: 1}", "x:13:1 `config` of the crew is not supported yet"),
            ("function_calling_llm: gpt-4", "x:13:1 `function_calling_llm` of the crew is not supported yet"),
            ("prompt_file: p.json", "x:13:1 `prompt_file` of the crew is not supported yet"),
            ("skills: [./skills]", "x:13:1 `skills` of the crew is not supported yet"),
        ],
        |extra| crew("", "", extra),
    );
}

#[test]
fn keys_of_an_agent() {
    check_all(
        &[
            ("gaol: x", "x:6:5 agent `w` has no key `gaol`; did you mean `goal`?"),
            (
                "allow_delagation: true",
                "x:6:5 agent `w` has no key `allow_delagation`; did you mean `allow_delegation`?",
            ),
            (
                "allow_delegation: true",
                "x:6:5 `allow_delegation` of agent `w` is not supported yet; only `false` is accepted",
            ),
            (
                "allow_delegation: maybe",
                "x:6:5 `allow_delegation` of agent `w` is not supported yet; only `false` is accepted",
            ),
            (
                "respect_context_window: 3",
                "x:6:29 `respect_context_window` of agent `w` must be `true` or `false`, found `3`",
            ),
            (
                "max_retry_limit: -1",
                "x:6:22 `max_retry_limit` of agent `w` is -1; it must be between 0 and 100",
            ),
            (
                "max_execution_time: 1 min",
                "x:6:25 `max_execution_time` of agent `w` must be a whole number, found `1 min`",
            ),
            (
                "model_cache: 60",
                "x:6:18 `model_cache` of agent `w` must be `true`, `false` or a mapping, found a number; write \
                 `model_cache: {ttl_seconds: 3600}`",
            ),
            (
                "model_cache: {ttl_seconds: 0}",
                "x:6:32 `ttl_seconds` of `model_cache` of agent `w` is 0; it must be between 1 and 31536000",
            ),
            ("model_cache: {ttl: 5}", "x:6:19 `model_cache` of agent `w` has no key `ttl`"),
            ("memory: {a: 1}", "x:6:5 `memory` of agent `w` is not supported yet; only `false` is accepted"),
            ("mcps: [https://host/mcp]", "x:6:5 `mcps` of agent `w` is not supported yet"),
            ("apps: [gmail]", "x:6:5 `apps` of agent `w` is not supported yet"),
            (
                "reasoning: true",
                "x:6:5 `reasoning` of agent `w` is not supported yet; only `false` is accepted",
            ),
            (
                "multimodal: true",
                "x:6:5 `multimodal` of agent `w` is not supported yet; only `false` is accepted",
            ),
            ("system_template: x", "x:6:5 `system_template` of agent `w` is not supported yet"),
            ("function_calling_llm: gpt", "x:6:5 `function_calling_llm` of agent `w` is not supported yet"),
            ("step_callback: f", "x:6:5 `step_callback` of agent `w` is not supported yet"),
            (
                "type: {python: a.B}",
                "x:6:5 `type` of agent `w` is not supported yet; only `Agent` is accepted",
            ),
            ("from_repository: x", "x:6:5 `from_repository` of agent `w` is not supported yet"),
            ("llm: 5", "x:6:10 `llm` of agent `w` must be a model's name or a mapping, found a number"),
            ("llm: ''", "x:6:10 `llm` of agent `w` is empty"),
            ("llm: [a]", "x:6:10 `llm` of agent `w` must be a model's name or a mapping, found a list"),
            ("llm: {modle: x}", "x:6:11 `llm` of agent `w` has no key `modle`; did you mean `model`?"),
            (
                "llm: {model: 5}",
                "x:6:18 `model` of `llm` of agent `w` must be text, found `5`; put it in quotes",
            ),
            (
                "llm: {model: m, temperature: hot}",
                "x:6:34 `temperature` of `llm` of agent `w` must be a number, found `hot`",
            ),
            (
                "llm: {model: m, temperature: 3}",
                "x:6:34 `temperature` of `llm` of agent `w` is 3; it must be between 0 and 2",
            ),
            (
                "llm: {model: m, top_p: -1}",
                "x:6:28 `top_p` of `llm` of agent `w` is -1; it must be between 0 and 1",
            ),
            (
                "llm: {model: m, max_tokens: 0}",
                "x:6:33 `max_tokens` of `llm` of agent `w` is 0; it must be between 1 and 10000000",
            ),
            (
                "llm: {model: m, base_url: http://x}",
                "x:6:21 `base_url` of `llm` of agent `w` is not supported yet; describe the model under `[models]` and its provider under `[providers]`",
            ),
            (
                "llm: {model: m, api_key: sk-1}",
                "x:6:21 `api_key` of `llm` of agent `w` is not supported yet; describe the model under `[models]` and its provider under `[providers]`",
            ),
            (
                "llm: {model: m, n: 2}",
                "x:6:21 `n` of `llm` of agent `w` is not supported yet; only `1` is accepted",
            ),
            (
                "llm: {model: m, stop: [a, '', 1]}",
                "x:6:31 `stop` of `llm` of agent `w` has an empty text\nx:6:35 `stop` of `llm` of agent `w` must hold texts, found `1`",
            ),
            (
                "llm: {model: m, stop: [a, b, c, d, e]}",
                "x:6:27 `stop` of `llm` of agent `w` has more than 4 texts",
            ),
            (
                "llm: {model: m, reasoning_effort: high}",
                "x:6:21 `reasoning_effort` of `llm` of agent `w` is not supported yet",
            ),
            (
                "tools: calculator",
                "x:6:12 `tools` of agent `w` must be a list, found `calculator`; write `tools: [name]`",
            ),
            ("tools: [1]", "x:6:13 `tools` of agent `w` must hold names, found a number"),
            ("tools: ['']", "x:6:13 `tools` of agent `w` has an empty entry"),
            (
                "tools: [{name: x}]",
                "x:6:13 a tool written as a mapping in `tools` of agent `w` is not supported yet; name a tool of the configuration",
            ),
            ("max_iter: 0", "x:6:15 `max_iter` of agent `w` is 0; it must be between 1 and 1000"),
            ("max_iter: many", "x:6:15 `max_iter` of agent `w` must be a whole number, found `many`"),
            ("max_iter: 1.5", "x:6:15 `max_iter` of agent `w` must be a whole number, found `1.5`"),
            (
                "max_iter: 99999999999999999999",
                "x:6:15 `max_iter` of agent `w` must be a whole number, found `1e+20`",
            ),
            ("max_tokens: -1", "x:6:17 `max_tokens` of agent `w` is -1; it must be between 1 and 10000000"),
            ("inject_date: 5", "x:6:18 `inject_date` of agent `w` must be `true` or `false`, found `5`"),
            ("date_format: 5", "x:6:18 `date_format` of agent `w` must be text, found `5`; put it in quotes"),
            ("date_format: plain", "x:6:18 `date_format` of agent `w` holds no part of a date, such as `%Y`"),
            ("date_format: '%Q'", "x:6:18 `date_format` of agent `w` has `%Q`, which is not read"),
            ("date_format: '%Y%'", "x:6:18 `date_format` of agent `w` ends in a single `%`"),
            ("date_format: '%%'", "x:6:18 `date_format` of agent `w` holds no part of a date, such as `%Y`"),
            (
                "date_format: '%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y'",
                "x:6:18 `date_format` of agent `w` is longer than 64 characters",
            ),
            (
                "use_system_prompt: 'ok'",
                "x:6:24 `use_system_prompt` of agent `w` must be `true` or `false`, found `ok`",
            ),
        ],
        |extra| crew(extra, "", ""),
    );
}

#[test]
fn keys_of_a_task() {
    check_all(
        &[
            ("desciption: x", "x:12:5 task `t` has no key `desciption`; did you mean `description`?"),
            (
                "async_execution: true",
                "x:12:5 `async_execution` of task `t` is not supported yet; only `false` is accepted",
            ),
            (
                "human_input: perhaps",
                "x:12:18 `human_input` of task `t` must be `true`, `false` or a mapping, found text; write `human_input: {expires_seconds: 86400}`",
            ),
            (
                "human_input: {expire_seconds: 5}",
                "x:12:19 `human_input` of task `t` has no key `expire_seconds`; did you mean `expires_seconds`?",
            ),
            (
                "human_input: {max_rounds: -1}",
                "x:12:31 `max_rounds` of `human_input` of task `t` is -1; it must be between 0 and 100",
            ),
            (
                "human_input: {on_expiry: cancel}",
                "x:12:30 `on_expiry` of `human_input` of task `t` must be `fail` or `approve`, found `cancel`",
            ),
            ("output_json: Model", "x:12:5 `output_json` of task `t` is not supported yet"),
            ("output_pydantic: {type: object}", "x:12:5 `output_pydantic` of task `t` is not supported yet"),
            ("response_model: M", "x:12:5 `response_model` of task `t` is not supported yet"),
            ("output_file: out.md", "x:12:5 `output_file` of task `t` is not supported yet"),
            ("guardrail: be nice", "x:12:5 `guardrail` of task `t` is not supported yet"),
            ("guardrails: [a, b]", "x:12:5 `guardrails` of task `t` is not supported yet"),
            ("callback: f", "x:12:5 `callback` of task `t` is not supported yet"),
            ("condition: {python: m.f}", "x:12:5 `condition` of task `t` is not supported yet"),
            (
                "type: ConditionalTask",
                "x:12:5 `type` of task `t` is not supported yet; only `Task` is accepted",
            ),
            ("input_files: {a: b.png}", "x:12:5 `input_files` of task `t` is not supported yet"),
            (
                "allow_crewai_trigger_context: true",
                "x:12:5 `allow_crewai_trigger_context` of task `t` is not supported yet; only `false` is accepted",
            ),
            (
                "context: other",
                "x:12:14 `context` of task `t` must be a list, found `other`; write `context: [name]`",
            ),
            ("context: [t]", "x:12:15 task `t` cannot be its own context"),
            ("context: [nobody]", "x:12:15 task `nobody` is not defined"),
            ("context: [1]", "x:12:15 `context` of task `t` must hold names, found a number"),
            ("context: [[a]]", "x:12:15 `context` of task `t` must hold names, found a list"),
            (
                "tools: [{a: 1}]",
                "x:12:13 a tool written as a mapping in `tools` of task `t` is not supported yet; name a tool of the configuration",
            ),
            ("markdown: 1", "x:12:15 `markdown` of task `t` must be `true` or `false`, found `1`"),
            (
                "conversation: always",
                "x:12:19 `conversation` of task `t` must be `true` or `false`, found `always`",
            ),
            ("name: u", "x:12:5 `name` is given twice, first in line 8"),
            ("agent: x", "x:12:5 `agent` is given twice, first in line 11"),
        ],
        |extra| crew("", extra, ""),
    );
}

#[test]
fn whole_crews() {
    check_all(
        &[
            ("agents: {}\ntasks: []", "x:1:9 the crew has no agents\nx:2:8 the crew has no tasks"),
            ("agents:\ntasks:", "x:1:1 the crew lacks `agents`"),
            (
                "agents: 5\ntasks: 5",
                "x:1:9 the agents must be a mapping by name, found a number\nx:2:8 the tasks must be a mapping by name, found a number",
            ),
            (
                "agents: {w: x}\ntasks: [x]",
                "x:1:13 agent `w` must be a mapping, found text\nx:2:9 task 1 must be a mapping, found text",
            ),
            (
                "agents: {w: {}}\ntasks: [{}]",
                "x:1:10 agent `w` lacks `role`\nx:1:10 agent `w` lacks `goal`\nx:1:10 agent `w` lacks `backstory`\nx:2:9 task `task-1` lacks `description`\nx:2:9 task `task-1` lacks `expected_output`",
            ),
            (
                "agents: [{role: R, goal: G, backstory: B}]\ntasks: [{description: D, expected_output: E}]",
                "x:1:10 agent 1 lacks `name`",
            ),
            (
                "agents: [researcher]\ntasks: [{description: D, expected_output: E, agent: researcher}]",
                "x:1:10 agent `researcher` in a file of its own is not supported yet; write the agent here, with its `role`\nx:2:53 agent `researcher` is not defined",
            ),
            (
                "agents:\n  writer: {role: Senior Writer, goal: G, backstory: B}\n  editor: {role: R, goal: G, backstory: B}\ntasks:\n  - {description: D, expected_output: E, agent: writter}\n  - {description: D, expected_output: E, agent: Senior Writer}\n  - {description: D, expected_output: E}\n  - {description: D, expected_output: E, agent: ''}\n  - {description: D, expected_output: E, agent: [a]}",
                "x:5:49 agent `writter` is not defined; did you mean `writer`?\nx:6:49 agent `Senior Writer` is not defined; that is the role of agent `writer`: write `writer`\nx:7:5 task `task-3` lacks `agent`\nx:8:49 `agent` of task `task-4` is empty\nx:9:49 `agent` of task `task-5` must be text, found a list",
            ),
            (
                "agents: {w: {role: R, goal: G, backstory: B}, x: {role: R, goal: G, backstory: B}}\ntasks:\n  - {description: D, expected_output: E, agent: w, fallback_agents: [w, x, x, y]}\n  - {description: D, expected_output: E, agent: w, fallback_agents: x}",
                "x:3:70 agent `w` does the task already and cannot stand in\nx:3:76 `fallback_agents` names agent `x` twice\nx:3:79 agent `y` is not defined\nx:4:69 `fallback_agents` of task `task-2` must be a list, found `x`; write `fallback_agents: [name]`",
            ),
            (
                "agents: {w: {role: R, goal: G, backstory: B}}\ntasks:\n  - {name: a, description: D, expected_output: E, context: [b]}\n  - {name: b, description: D, expected_output: E, context: [a, a, reserch]}\n  - {name: research, description: D, expected_output: E}\n  - {name: b, description: D, expected_output: E}",
                "x:3:61 task `b` comes later and cannot be context of `a`; change the order of the tasks\nx:4:64 `context` names task `a` twice\nx:4:67 task `reserch` is not defined; did you mean `research`?\nx:6:12 task `b` is defined twice",
            ),
            (
                "agents:\n  w: {role: '', goal: ' ', backstory: }\n  w: {role: R, goal: G, backstory: B}\n  'a/b': {role: 5, goal: yes, backstory: true}\ntasks:\n  - {name: 'x y', description: {a: 1}, expected_output: [E], agent: w}",
                "x:2:13 `role` of agent `w` is empty\nx:2:23 `goal` of agent `w` is empty\nx:2:37 `backstory` of agent `w` is empty\nx:3:3 `w` is given twice, first in line 2\nx:4:3 agent name `a/b` may hold only letters, digits, `_` and `-`; use `a-b`\nx:4:17 `role` of agent `a/b` must be text, found `5`; put it in quotes\nx:4:42 `backstory` of agent `a/b` must be text, found `true`; put it in quotes\nx:6:12 task name `x y` may hold only letters, digits, `_` and `-`; use `x-y`\nx:6:32 `description` of task `x y` must be text, found a mapping\nx:6:57 `expected_output` of task `x y` must be text, found a list",
            ),
            (
                "agents: [{name: w, role: R, goal: G, backstory: B}, {name: w, role: R, goal: G, backstory: B}]\ntasks: [{name: 'a/turn-1', description: D, expected_output: E, agent: w}, {name: 7, description: D, expected_output: E, agent: w}]",
                "x:1:60 agent `w` is defined twice\nx:2:16 task name `a/turn-1` may hold only letters, digits, `_` and `-`; use `a-turn-1`\nx:2:82 `name` of task 2 must be text, found `7`; put it in quotes",
            ),
            (
                "agents: {w: {role: \"a\\e[31mb\", goal: G, backstory: B}}\ntasks: [{description: D, expected_output: E}]",
                "x:1:20 `role` of agent `w` holds the invisible character `\\u{1b}`",
            ),
            (
                "tasks:\n  t: {name: other, description: D, expected_output: E, agent: w}\nagents: {w: {name: v, role: R, goal: G, backstory: B}}",
                "x:2:13 task `t` has another name, `other`\nx:3:20 agent `w` has another name, `v`",
            ),
        ],
        single,
    );
}

#[test]
fn folders() {
    let agents = "w: {role: R, goal: G, backstory: B}\n";
    let tasks = "t: {description: D, expected_output: E, agent: w}\n";
    let build = |text: &str| {
        let (file, text) = text.split_once('|').expect("a case names its file");
        let of = |name: &str, otherwise: &str| {
            SourceFile::new(format!("{name}.yaml"), if file == name { text } else { otherwise })
        };
        let crew = (file == "crew").then(|| of("crew", ""));
        CrewSource::Directory {
            name: "c".to_owned(),
            agents: of("agents", agents),
            tasks: of("tasks", tasks),
            crew,
        }
    };
    check_all(
        &[
            ("agents|", "agents.yaml:1:1 there are no agents\ntasks.yaml:1:48 agent `w` is not defined"),
            (
                "agents|[a]",
                "agents.yaml:1:1 the agents must be a mapping by name, found a list\ntasks.yaml:1:48 agent `w` is not defined",
            ),
            ("agents|w: {role: R, goal: G}", "agents.yaml:1:1 agent `w` lacks `backstory`"),
            (
                "agents|w: {role: R, goal: G, backstory: B, gaol: 1}\nv: 5",
                "agents.yaml:1:37 agent `w` has no key `gaol`; did you mean `goal`?\nagents.yaml:2:4 agent `v` must be a mapping, found a number",
            ),
            ("tasks|", "tasks.yaml:1:1 there are no tasks"),
            ("tasks|- {name: t}", "tasks.yaml:1:1 the tasks must be a mapping by name, found a list"),
            ("tasks|t: {description: D, expected_output: E}", "tasks.yaml:1:1 task `t` lacks `agent`"),
            (
                "tasks|t: {description: D, expected_output: E, agent: x, async_execution: true}",
                "tasks.yaml:1:48 agent `x` is not defined\ntasks.yaml:1:51 `async_execution` of task `t` is not supported yet; only `false` is accepted",
            ),
            ("crew|[a]", "crew.yaml:1:1 `crew.yaml` is a mapping, found a list"),
            ("crew|nope: 1", "crew.yaml:1:1 the crew has no key `nope`"),
            (
                "crew|process: hierarchical",
                "crew.yaml:1:10 `process: hierarchical` is not supported yet; use `sequential` and name the agent of each task",
            ),
            (
                "crew|tasks: {t: {}}",
                "crew.yaml:1:8 `tasks` must be a list in the order in which they are done, found a mapping",
            ),
            (
                "crew|tasks: [t, t, u, 5, {agent: w}]",
                "crew.yaml:1:12 task `t` is listed twice\ncrew.yaml:1:15 task `u` is not defined in `tasks.yaml`\ncrew.yaml:1:18 an entry of `tasks` must be a name, found a number\ncrew.yaml:1:21 an entry of `tasks` lacks `name`",
            ),
            (
                "crew|tasks: [{name: t, agent: x, output_file: a}]",
                "crew.yaml:1:26 agent `x` is not defined\ncrew.yaml:1:29 `output_file` of task `t` is not supported yet",
            ),
            ("crew|agents: [w]", "crew.yaml:1:9 `agents` must be a mapping by name, found a list"),
            (
                "crew|agents: {w: {rol: x}, v: {tools: []}, ww: 5}",
                "crew.yaml:1:14 agent `w` has no key `rol`; did you mean `role`?\ncrew.yaml:1:23 agent `v` is not defined in `agents.yaml`\ncrew.yaml:1:43 agent `ww` must be a mapping, found a number",
            ),
            ("crew|tasks: []", "crew.yaml:1:8 the crew has no tasks"),
            (
                "crew|name: a b\ninputs: 5",
                "crew.yaml:1:7 crew name `a b` may hold only letters, digits, `_` and `-`; use `a-b`\ncrew.yaml:2:9 `inputs` must map variables to default values, found a number",
            ),
        ],
        build,
    );
}

#[test]
fn counts_are_bounded() {
    let many = |n: usize, line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let agents = many(101, &|n| format!("  a{n}: {{role: R, goal: G, backstory: B}}\n"));
    let tasks =
        many(501, &|n| format!("  - {{name: t{n}, description: D, expected_output: E, agent: a1}}\n"));
    let text = format!("agents:\n{agents}tasks:\n{tasks}");
    assert_eq!(
        mistakes(&single(&text)),
        "x:102:3 the crew has 101 agents; at most 100 are read\nx:604:12 the crew has 501 tasks; at most 500 are read"
    );
    let tools = many(129, &|n| format!("x{n},"));
    assert_eq!(
        mistakes(&crew(&format!("tools: [{tools}]"), "", "")),
        "x:6:543 `tools` of agent `w` has more than 128 entries"
    );
}

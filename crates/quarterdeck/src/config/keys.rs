//! Every key of the configuration: what its value looks like and what it is for.
//!
//! One table for the messages and bounds of `decode.rs`, the schema for editors and the reference. What a key with a
//! default is for stands above it in `defaults.toml`. That serde knows the same keys is tested.

mod sim;
mod tools;

use qd_types::OnExpiry;

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is for; empty where `defaults.toml` says it.
    pub(crate) about: &'static str,
}

/// What a value looks like.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Flag,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// A number within bounds.
    Number(f64, f64),
    /// A number above zero and within a bound.
    Positive(f64),
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of numbers within bounds.
    Numbers(f64, f64),
    /// A text, `{ env = … }` or `{ file = … }`. Never shown.
    Secret,
    /// The same by names of the user's own.
    Secrets,
    /// Anything, as whoever reads it says.
    Free,
    /// A table of these keys.
    Table(&'static [Key]),
    /// Tables of these keys, by name.
    Named(&'static [Key]),
    /// A list of tables of these keys.
    List(&'static [Key]),
}

use Kind::{
    Choice, Flag, Free, List, Named, Number, Numbers, Positive, Secret, Secrets, Table, Text, Texts, Whole,
};

const DAY: f64 = 86_400.0;
/// Connections and calls beyond this are a slip of the finger, and would not fit the counters behind them.
const COUNT_MAX: u64 = 1_000_000;

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

/// A key that `defaults.toml` explains.
const fn set(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, about: "" }
}

/// The top of the file.
pub(crate) const ROOT: &[Key] = &[
    key(
        "default_model",
        Text,
        "What agents without `llm` use: an alias of [models] or provider/model. Without one: that of the first provider whose usual variable is set (ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENAI_BASE_URL, GROQ_API_KEY, OLLAMA_HOST, ...).",
    ),
    set("default_crew", Text),
    set("crews", Texts),
    key(
        "prices_file",
        Text,
        "A file of prices like those under [prices], which go before it. Relative to this one.",
    ),
    key("server", Table(SERVER), "Where the API is served, and its bounds."),
    key("auth", Table(AUTH), "Who is let in."),
    key("store", Table(STORE), "Where jobs are kept."),
    key("queue", Table(QUEUE), "Jobs that wait."),
    key("batches", Table(BATCHES), "How large batches may be, and how many there may be."),
    key("worker", Table(WORKER), "Who works on jobs."),
    key("retry", Table(RETRY), "When a step that failed is tried again."),
    key("limits", Table(LIMITS), "What one job, one API key and one tenant may do."),
    key("conversations", Table(CONVERSATIONS), "History that jobs share."),
    key("human_input", Table(HUMAN_INPUT), "How people are waited for who look at answers of tasks."),
    key("budgets", Table(BUDGETS), "What may be spent on model calls."),
    key("delivery", Table(DELIVERY), "How webhooks are delivered."),
    key(
        "egress",
        Table(EGRESS),
        "How far requests reach to addresses that somebody else chose: those of webhooks and of tools.",
    ),
    key(
        "webhooks",
        Named(WEBHOOK),
        "Endpoints that are told of what happens to jobs, by a name of your own.",
    ),
    key("tools", Named(tools::TOOL), "Tools that are HTTP requests, by the name that crews and models use."),
    key("retention", Table(RETENTION), "How long things are kept."),
    key("log", Table(LOG), "What the server writes about itself."),
    key(
        "systems",
        Named(SYSTEM),
        "Named sets of crews that are run as one. The system `default` holds all crews.",
    ),
    key("tenants", Named(TENANT), "Bounds of single tenants, by name, in place of those under [limits]."),
    key(
        "providers",
        Named(PROVIDER),
        "Who serves models. With a table here, none appears from the usual variables. Known names (anthropic, openai, groq, gemini, openrouter, mistral, deepseek, ollama, sim) imply kind and base_url.",
    ),
    key("models", Named(MODEL), "Aliases: one model at a provider under a name of your own."),
    key("routing", Table(ROUTING), "Which model is asked where a crew says `llm: auto`."),
    key(
        "prices",
        Named(PRICE),
        "Prices that replace the built-in list, by provider/model or by model; the simulator keeps its own.",
    ),
];

const SERVER: &[Key] = &[
    set("listen", Text),
    set("admin_listen", Text),
    set("insecure_public", Flag),
    set("max_connections", Whole(1, COUNT_MAX)),
    set("max_connections_per_address", Whole(1, COUNT_MAX)),
    set("max_body_bytes", Whole(1_024, 64 << 20)),
];

const AUTH: &[Key] = &[
    set("mode", Choice(&["keys", "open"])),
    key(
        "pepper",
        Secret,
        "What digests of API keys are made under, of at least 32 characters: { env = \"NAME\" } or { file = \"PATH\" }. Without one: a file beside the store, made at the first start.",
    ),
];

const STORE: &[Key] = &[
    set("url", Text),
    set("durability", Choice(&["strict", "relaxed"])),
    set("cache_entries", Whole(0, COUNT_MAX)),
    set("cache_bytes", Whole(0, 1 << 40)),
];

const QUEUE: &[Key] =
    &[set("max_depth", Whole(1, 100_000_000)), set("sharing", Choice(&["weighted", "strict"]))];

const BATCHES: &[Key] = &[
    set("max_open", Whole(1, COUNT_MAX)),
    set("max_inputs", Whole(1, 10_000_000)),
    set("max_upload_bytes", Whole(1, 1 << 40)),
    set("max_body_bytes", Whole(1, 1 << 30)),
];

const WORKER: &[Key] = &[
    set("slots", Whole(0, 10_000)),
    key(
        "spare_slots",
        Whole(0, 10_000),
        "Jobs at once beyond `slots`, of tenants of which few run: while n of these are free, one of a tenant with fewer than n. So a quiet tenant does not wait for jobs of a busy one. At most `slots`; without it a quarter of them, rounded down.",
    ),
    set("lease_seconds", Whole(3, 3_600)),
    set("drain_timeout_seconds", Whole(0, 3_600)),
];

const RETRY: &[Key] = &[
    set("max_attempts", Whole(1, 20)),
    set("base_ms", Whole(1, 3_600_000)),
    set("cap_ms", Whole(1, 86_400_000)),
    set("wait_in_slot_ms", Whole(0, 60_000)),
];

const LIMITS: &[Key] = &[
    set("model_calls", Whole(1, COUNT_MAX)),
    set("tool_calls", Whole(0, COUNT_MAX)),
    set("tokens", Whole(1, 1_000_000_000_000)),
    set("parallel_effects", Whole(1, 256)),
    set("key_requests_per_second", Number(0.0, 1e6)),
    set("key_burst", Whole(1, COUNT_MAX)),
    set("tenant_requests_per_second", Number(0.0, 1e6)),
    set("tenant_burst", Whole(1, COUNT_MAX)),
    key(
        "tenant_max_queued",
        Whole(1, 100_000_000),
        "Queued jobs of one tenant beyond which its new ones are refused with 429. Without it: queue.max_depth alone.",
    ),
    key(
        "tenant_max_running",
        Whole(1, 10_000),
        "Jobs of one tenant at once; its others wait, and those of other tenants pass. Without it: what slots there are.",
    ),
];

const TENANT: &[Key] = &[
    key(
        "key_requests_per_second",
        Number(0.0, 1e6),
        "Requests a second of each of its API keys; 0 for no bound.",
    ),
    key("key_burst", Whole(1, COUNT_MAX), "Requests at once of each of its API keys."),
    key(
        "requests_per_second",
        Number(0.0, 1e6),
        "Requests a second of all its keys together; 0 for no bound.",
    ),
    key("burst", Whole(1, COUNT_MAX), "Requests at once of all its keys together."),
    key("max_queued", Whole(1, 100_000_000), "Its queued jobs beyond which new ones are refused with 429."),
    key("max_running", Whole(1, 10_000), "Its jobs at once; others wait meanwhile."),
];

const CONVERSATIONS: &[Key] = &[
    set("ttl_seconds", Whole(1, 31_536_000)),
    set("token_budget", Whole(1, 100_000_000)),
    set("reserve_tokens", Whole(0, 100_000_000)),
];

const HUMAN_INPUT: &[Key] = &[
    set("reminder_seconds", Whole(0, 2_592_000)),
    set("reminders", Whole(0, 100)),
    set("expires_seconds", Whole(0, 31_536_000)),
    set("on_expiry", Choice(OnExpiry::WORDS)),
    set("max_rounds", Whole(0, 100)),
];

const BUDGETS: &[Key] = &[
    key("tenant_day_usd", Number(0.0, 1e6), "Dollars that all crews together may spend each day (UTC)."),
    key("job_usd", Number(0.0, 1e6), "Dollars that one job may spend, unless it or its crew says otherwise."),
    set("on_exceeded", Choice(&["fail", "wait", "degrade"])),
    key(
        "degrade_to",
        Text,
        "The model that is asked instead with on_exceeded = \"degrade\": an alias or provider/model.",
    ),
    set("unknown_price", Choice(&["warn", "deny"])),
    key("crews", Named(CREW_BUDGET), "Budgets of one crew."),
];

const CREW_BUDGET: &[Key] = &[
    key("day_usd", Number(0.0, 1e6), "Dollars that all its jobs together may spend each day (UTC)."),
    key(
        "job_usd",
        Number(0.0, 1e6),
        "Dollars that each of its jobs may spend, unless the job says otherwise.",
    ),
];

const DELIVERY: &[Key] = &[
    key(
        "secret",
        Secret,
        "Signs webhooks to URLs that come with jobs (whsec_...); without it jobs may bring none.",
    ),
    key("previous_secret", Secret, "Signs them, too, while receivers change to a new secret."),
    set("per_endpoint", Whole(1, 1_000)),
    set("at_once", Whole(1, 10_000)),
    set("timeout_seconds", Whole(1, 60)),
    set("disable_after_hours", Whole(1, 10_000)),
];

const EGRESS: &[Key] = &[
    set("allow", Texts),
    set("deny", Texts),
    set("loopback", Flag),
    set("https_only", Flag),
    key(
        "proxy",
        Text,
        "A proxy that makes the connections, e.g. http://proxy.example:3128. It must keep names in bounds itself.",
    ),
];

const WEBHOOK: &[Key] = &[
    key("url", Text, "Where it is."),
    key(
        "events",
        Texts,
        "What it is told of: job.started, job.retrying, job.waiting, job.succeeded, job.failed, job.cancelled, batch.finished [the three ends of a job].",
    ),
    key("crews", Texts, "Of which crews [all]."),
    key("secret", Secret, "What signs: whsec_ and 24 to 64 bytes in base64."),
    key("previous_secret", Secret, "Signs, too, while the receiver changes to a new secret."),
];

const RETENTION: &[Key] = &[set("jobs_days", Whole(1, 36_500))];

const LOG: &[Key] = &[set("level", Text), set("format", Choice(&["auto", "text", "json"]))];

const SYSTEM: &[Key] = &[key("crews", Texts, "Names of its crews.")];

const PROVIDER: &[Key] = &[
    key("kind", Choice(&["anthropic", "openai", "sim"]), "Which protocol it speaks; known names imply it."),
    key("base_url", Text, "Where it is, e.g. http://127.0.0.1:11434/v1; known names imply it."),
    key(
        "api_key",
        Secret,
        "Its key: { env = \"NAME\" }, { file = \"PATH\" }, or the text itself, which production refuses. Local servers need none.",
    ),
    key("stream", Flag, "Whether answers are streamed [true]. Streaming notices a dead provider early."),
    key(
        "trace_header",
        Flag,
        "Whether calls carry X-Quarterdeck-Call: job/step/try [false; always for sim].",
    ),
    key(
        "prompt_cache",
        Flag,
        "Whether the provider is asked to keep the beginning of prompts where that pays [true]. It says something to the protocol anthropic alone.",
    ),
    key("connect_timeout_seconds", Positive(DAY), "Bound of connecting, TLS included [5]."),
    key(
        "first_token_timeout_seconds",
        Positive(DAY),
        "Bound from the request to the first piece of a streamed answer [30].",
    ),
    key(
        "idle_timeout_seconds",
        Positive(DAY),
        "Bound of the silence between two pieces of a streamed answer [30].",
    ),
    key("total_timeout_seconds", Positive(DAY), "Bound of a streamed answer [120]."),
    key("unary_timeout_seconds", Positive(DAY), "Bound of an answer in one piece [30]."),
    key("max_body_bytes", Whole(1_024, u64::MAX), "Bound of an answer's body [16777216]."),
    key("max_concurrent", Whole(1, COUNT_MAX), "Calls at once, over all its models [1024]."),
    key(
        "rpm",
        Whole(1, PACE_MAX),
        "Requests a minute to each of its models; learned from answers where they tell.",
    ),
    key(
        "tpm",
        Whole(1, PACE_MAX),
        "Tokens a minute to each of its models; learned from answers where they tell.",
    ),
    key("breaker", Table(BREAKER), "When calls to a model that keeps failing are no longer made."),
    key("sim", Table(sim::SIM), "How the simulator behaves; for kind sim without base_url."),
];

const BREAKER: &[Key] = &[
    key("failures", Whole(0, COUNT_MAX), "Failures within the window that open it; 0 switches it off [5]."),
    key(
        "share",
        Number(0.0, 1.0),
        "Share of the calls within the window that must have failed besides [0.5].",
    ),
    key("window_seconds", Positive(DAY), "How long a failure counts [60]."),
    key(
        "open_seconds",
        Positive(DAY),
        "How long it stays open at first; half as long again each time a probe fails [30].",
    ),
    key(
        "open_max_seconds",
        Positive(DAY),
        "The longest that it stays open, unless the provider asks for more [300].",
    ),
    key("probes", Whole(1, COUNT_MAX), "Calls at once that try whether the provider is back [1]."),
];

const MODEL: &[Key] = &[
    key("provider", Text, "Name of its provider: a table of [providers]."),
    key("model", Text, "Its name there."),
    key(
        "tools",
        Choice(&["auto", "native", "text"]),
        "How it is given tools: as its protocol has it, in words, or in words once its provider says that it takes none [auto].",
    ),
    key("timeout_seconds", Positive(DAY), "Bound of one call, below the provider's own bounds."),
    key("max_tokens", Whole(1, u32::MAX as u64), "Bound of an answer where the request sets none."),
    key("temperature", Number(0.0, 2.0), "Sampling where the request sets none."),
    key("top_p", Number(0.0, 1.0), "Nucleus sampling where the request sets none."),
    key("max_concurrent", Whole(1, COUNT_MAX), "Calls at once; those of its provider without."),
    key("rpm", Whole(1, PACE_MAX), "Requests a minute; those of its provider without."),
    key("tpm", Whole(1, PACE_MAX), "Tokens a minute; those of its provider without."),
    key("context_window", Whole(1, PACE_MAX), "Tokens of prompt and answer that it can hold."),
    key(
        "deployments",
        List(DEPLOYMENT),
        "The places where it runs, if there are several; instead of provider and model.",
    ),
    key(
        "strategy",
        Choice(&["latency", "round_robin", "least_busy", "weighted"]),
        "How calls are spread over them; those that are left alone or at their limits come last [latency].",
    ),
    key("fallback", Texts, "Models to ask in this order when it cannot answer: aliases or provider/model."),
    key("fallbacks", List(FALLBACK), "Models to ask before those, after some failures only."),
];

const ROUTING: &[Key] = &[
    key(
        "small",
        Text,
        "The model for what is short and simple (fewer than 20 simple words), with answers of up to 400 tokens; while there are no rules.",
    ),
    key(
        "standard",
        Text,
        "The model for everything else, with answers of up to 800 tokens; savings are told against it [default_model].",
    ),
    key("rules", List(RULE), "Rules of your own instead: the first one that applies says which model."),
];

const RULE: &[Key] = &[
    key("name", Text, "Steps are shown with it."),
    key(
        "when",
        Text,
        "A minijinja expression over words, kind (simple, code, reasoning, other), text, tools, prompt_tokens, history, crew, agent and priority; always true without.",
    ),
    key("model", Text, "The model to ask: an alias or provider/model."),
    key("max_tokens", Whole(1, u32::MAX as u64), "Bound of an answer, where the request has none."),
];

const DEPLOYMENT: &[Key] = &[
    key("provider", Text, "Name of the provider: a table of [providers]; another key is another provider."),
    key("model", Text, "The model's name there."),
    key("weight", Whole(1, 1_000), "Its part of the calls, with the strategy weighted [1]."),
    key("max_concurrent", Whole(1, COUNT_MAX), "Calls at once; those of the provider without."),
    key("rpm", Whole(1, PACE_MAX), "Requests a minute; those of the provider without."),
    key("tpm", Whole(1, PACE_MAX), "Tokens a minute; those of the provider without."),
];

const FALLBACK: &[Key] = &[
    key("model", Text, "An alias or provider/model."),
    key("on", Texts, "After which: outage, rate_limit, quota, access, context_length, bad_output."),
];

/// Nobody allows more, a minute.
const PACE_MAX: u64 = 1_000_000_000_000;

const PRICE: &[Key] = &[
    key("input", Number(0.0, 1e6), "Dollars for a million tokens of prompts."),
    key("output", Number(0.0, 1e6), "Dollars for a million tokens of answers."),
    key(
        "cache_read",
        Number(0.0, 1e6),
        "Dollars for a million prompt tokens read from the provider's cache [input].",
    ),
    key(
        "cache_write",
        Number(0.0, 1e6),
        "Dollars for a million prompt tokens written to the provider's cache [input].",
    ),
];

/// Keys that must be there in a table by name.
pub(super) fn required(table: &str) -> &'static [&'static str] {
    match table {
        "systems" => &["crews"],
        // Names that are known imply it.
        "providers" => &["kind"],
        "fallbacks" => &["model", "on"],
        "deployments" => &["provider", "model"],
        "rules" => &["name", "model"],
        "prices" => &["input", "output"],
        "webhooks" => &["url", "secret"],
        "tools" => &["description", "url"],
        _ => &[],
    }
}

/// What stands under a key of [`Secrets`].
static ONE_SECRET: Key = key("", Secret, "");

/// The key at a path as serde names it, e.g. `providers.x.sim.faults[0].rate`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let mut keys = ROOT;
    let mut rest = path;
    loop {
        let (name, below) = rest.split_once('.').map_or((rest, None), |(name, below)| (name, Some(below)));
        let found = keys.iter().find(|key| key.name == name.split('[').next().unwrap_or(name))?;
        let Some(below) = below else { return Some(found) };
        (keys, rest) = match found.kind {
            Table(keys) | List(keys) => (keys, below),
            // Names may hold dots; no key does.
            Named(keys) => {
                (keys, keys.iter().filter_map(|key| at_key(below, key.name)).max_by_key(|rest| rest.len())?)
            }
            Secrets => return Some(&ONE_SECRET),
            Free => return Some(found),
            Text | Flag | Whole(..) | Number(..) | Positive(_) | Choice(_) | Texts | Numbers(..) | Secret => {
                return None;
            }
        };
    }
}

/// The keys that a table may have: of the root, of `server`, of `providers.x`, of `providers.x.sim.faults[0]`.
pub(super) fn of_table(path: &str) -> Option<&'static [Key]> {
    if path.is_empty() {
        return Some(ROOT);
    }
    match find(path).map(|key| &key.kind) {
        Some(Table(keys) | List(keys)) => Some(keys),
        Some(_) => None,
        None => match find(path.split_once('.')?.0)?.kind {
            Named(keys) => Some(keys),
            _ => None,
        },
    }
}

/// What follows the name in front of a key: `api_key` of `x.y.api_key`.
fn at_key<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    path.match_indices(key).find_map(|(place, _)| {
        let after = path[place + key.len()..].chars().next();
        (path[..place].ends_with('.') && after.is_none_or(|c| c == '.' || c == '[')).then(|| &path[place..])
    })
}

impl Kind {
    /// What a value must be, in words.
    pub(super) fn wanted(&self) -> String {
        match self {
            Text => "text in quotes".to_owned(),
            Flag => "true or false".to_owned(),
            Whole(0, u64::MAX) => "a whole number".to_owned(),
            Whole(0, most) => format!("a whole number of at most {most}"),
            Whole(least, u64::MAX) => format!("a whole number of at least {least}"),
            Whole(least, most) => format!("a whole number between {least} and {most}"),
            Number(least, most) => format!("a number from {least} to {most}"),
            Positive(most) => format!("a number above 0 and at most {most}"),
            Choice(words) => format!("one of {}", words.join(", ")),
            Texts => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
            Numbers(least, most) => format!("a list of numbers from {least} to {most}"),
            Secret => "text, { env = \"NAME\" } or { file = \"PATH\" }".to_owned(),
            Secrets => "a table of texts, { env = \"NAME\" } or { file = \"PATH\" }".to_owned(),
            Free => "a text or a table".to_owned(),
            Table(_) => "a table".to_owned(),
            Named(_) => "tables by name".to_owned(),
            List(_) => "a list of tables".to_owned(),
        }
    }
}

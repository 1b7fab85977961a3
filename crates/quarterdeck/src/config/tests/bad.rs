//! Bad configurations: each gives one message, with its place, that names the thing and says what it must be.

use super::super::keys::{self, Key, Kind};
use super::{from, sources};

/// The one message of a file with one mistake.
fn message(file: &str) -> String {
    let problems = from(&sources(file, &[])).err().unwrap_or_else(|| panic!("this was taken:\n{file}"));
    assert_eq!(problems.0.len(), 1, "one mistake, one message:\n{file}\n{problems}");
    problems.to_string()
}

const LOCAL: &str = "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n";

/// Files with one mistake, and what is said of each; what begins with a setting has no place of its own.
const ROWS: &[(&str, &str)] = &[
    // Routing.
    (
        "[routing]\nsmall = \"a/b\"\nstandard = \"c/d\"\n[providers.a]\nkind = \"sim\"",
        "3:1: routing.standard: there is no model `c/d`",
    ),
    (
        "[providers.a]\nkind = \"sim\"\n[routing]\nsmall = \"a/b\"\nstandard = \"a/b\"\nsmal = \"a\"",
        "there is no setting `smal` in [routing]; did you mean `small`?",
    ),
    // No TOML.
    ("[server", "1:8: unclosed table, expected `]`"),
    ("listen = ", "1:10: string values must be quoted"),
    ("crews = [\"a\"", "1:13: unclosed array, expected `]`"),
    ("a = 1\na = 2", "2:1: duplicate key"),
    ("[server]\n[server]", "2:2: duplicate key"),
    ("default_crew = \"a", "1:18: invalid basic string"),
    ("default_crew = 'a", "1:18: invalid literal string"),
    ("default_crew = a", "1:16: string values must be quoted"),
    ("default_crew = \"\\q\"", "1:18: missing escaped value"),
    ("slots = 1 2", "1:9: string values must be quoted"),
    ("= 1", "1:1: unquoted keys cannot be empty"),
    ("{}", "1:1: "),
    ("a", "1:2: key with no value"),
    (
        "[worker]\nslots = 99999999999999999999",
        "worker.slots: must be a whole number of at most 10000, found",
    ),
    (
        "[worker]\nslots = 0x7fffffffffffffffff",
        "worker.slots: must be a whole number of at most 10000, found",
    ),
    ("[worker]\nslots = nan", "worker.slots: must be a whole number of at most 10000, found `\"nan\"`"),
    ("[worker]\nslots = inf", "worker.slots: must be a whole number of at most 10000, found `\"inf\"`"),
    ("[worker]\nslots = 1.5", "2:1: worker.slots: must be a whole number of at most 10000, found `1.5`"),
    (
        "[worker]\nslots = 2026-01-31",
        "worker.slots: must be a whole number of at most 10000, found `\"2026-01-31\"`",
    ),
    // Budgets.
    (
        "[budgets]\non_exceeded = \"degrade\"",
        "2:1: budgets.on_exceeded: is degrade, which needs budgets.degrade_to",
    ),
    ("[budgets]\ndegrade_to = \"m\"", "2:1: budgets.degrade_to: "),
    ("[budgets]\njob_usd = \"1\"", "2:1: budgets.job_usd: must be a number from 0 to 1000000, found"),
    ("[budgets]\ntenant_day_usd = nan", "budgets.tenant_day_usd: must be a number from 0 to 1000000, found"),
    ("[budgets.crews.x]\nday_usd = -1.0", "2:1: budgets.crews.x.day_usd: must be a number from 0 to 1000000"),
    ("[budgets.crews.x]\nday = 1.0", "budgets.crews.x.day: there is no setting `day` in [budgets.crews.x]"),
    // Keys that are not there.
    ("colour = 1", "1:1: colour: there is no setting `colour` at the top; known: "),
    (
        "default_modle = \"x\"",
        "1:1: default_modle: there is no setting `default_modle` at the top; did you mean `default_model`?",
    ),
    ("crew = []", "1:1: crew: there is no setting `crew` at the top; did you mean `crews`?"),
    ("[sever]\nlisten = \"x\"", "1:2: sever: there is no setting `sever` at the top; did you mean `server`?"),
    (
        "[workers]\nslots = 1",
        "1:2: workers: there is no setting `workers` at the top; did you mean `worker`?",
    ),
    ("[server]\nport = 8000", "2:1: server.port: there is no setting `port` in [server]; known: listen"),
    (
        "[server]\nlisten_addr = \"x\"",
        "2:1: server.listen_addr: there is no setting `listen_addr` in [server]",
    ),
    (
        "server.admin_listn = \"\"",
        "1:8: server.admin_listn: there is no setting `admin_listn` in [server]; did you mean `admin_listen`?",
    ),
    (
        "[store]\nuri = \"memory:\"",
        "2:1: store.uri: there is no setting `uri` in [store]; did you mean `url`?",
    ),
    (
        "[queue]\nmaxdepth = 1",
        "2:1: queue.maxdepth: there is no setting `maxdepth` in [queue]; did you mean `max_depth`?",
    ),
    (
        "[queue]\nmax-depth = 1",
        "2:1: queue.max-depth: there is no setting `max-depth` in [queue]; did you mean `max_depth`?",
    ),
    ("[worker]\nslot = 1", "2:1: worker.slot: there is no setting `slot` in [worker]; did you mean `slots`?"),
    (
        "[worker]\ndrain_timeout = 1",
        "2:1: worker.drain_timeout: there is no setting `drain_timeout` in [worker]",
    ),
    ("[retry]\nattempts = 1", "2:1: retry.attempts: there is no setting `attempts` in [retry]"),
    (
        "[limits]\nmodel_call = 1",
        "2:1: limits.model_call: there is no setting `model_call` in [limits]; did you mean `model_calls`?",
    ),
    ("[conversations]\nttl = 1", "2:1: conversations.ttl: there is no setting `ttl` in [conversations]"),
    ("[retention]\ndays = 1", "2:1: retention.days: there is no setting `days` in [retention]"),
    ("[log]\nlvl = \"info\"", "2:1: log.lvl: there is no setting `lvl` in [log]"),
    ("[log]\nlevel.x = 1", "2:1: log.level: must be text in quotes, found a table"),
    (
        "[systems.a]\ncrew = [\"x\"]\ncrews = [\"x\"]",
        "2:1: systems.a.crew: there is no setting `crew` in [systems.a]; did you mean `crews`?",
    ),
    (
        "[providers.groq]\nkey = \"x\"",
        "2:1: providers.groq.key: there is no setting `key` in [providers.groq]",
    ),
    (
        "[providers.groq]\nbaseurl = \"x\"",
        "2:1: providers.groq.baseurl: there is no setting `baseurl` in [providers.groq]; did you mean `base_url`?",
    ),
    (
        "[providers.groq]\ntimeout_seconds = 1",
        "2:1: providers.groq.timeout_seconds: there is no setting `timeout_seconds` in [providers.groq]",
    ),
    (
        "[providers.sim.sim]\nsede = 1",
        "2:1: providers.sim.sim.sede: there is no setting `sede` in [providers.sim.sim]; did you mean `seed`?",
    ),
    (
        "[providers.sim.sim.latency]\nfirst = 1",
        "2:1: providers.sim.sim.latency.first: there is no setting `first` in [providers.sim.sim.latency]",
    ),
    (
        "[prices.x]\ninput = 1\noutput = 1\ncached = 1",
        "4:1: prices.x.cached: there is no setting `cached` in [prices.x]",
    ),
    ("[env.development.server]\nprot = 1", "2:1: server.prot: there is no setting `prot` in [server]"),
    ("[env.development]\nenv = 1", "2:1: env: there is no setting `env` at the top"),
    // Tables that are none.
    ("server = 1", "1:1: server: must be a table, found `1`"),
    ("worker = []", "1:1: worker: must be a table, found `[]`"),
    ("providers = \"groq\"", "1:1: providers: must be tables by name, found `\"groq\"`"),
    ("providers.groq = \"x\"", "1:11: providers.groq: "),
    ("models = []", "1:1: models: must be tables by name, found `[]`"),
    ("systems = true", "1:1: systems: must be tables by name, found `true`"),
    ("prices.x = 1", "1:8: prices.x: "),
    ("env = 1", "1:1: env: there is no setting `env` at the top"),
    (
        "[env]\ndevelopment = 1",
        "2:1: env.development: must be a table of settings for the profile development",
    ),
    ("[[server]]\nlisten = \"x\"", "1:3: server: must be a table, found"),
    ("[[providers.sim.sim.latency]]", "1:21: providers.sim.sim.latency: must be a table, found"),
    // Addresses.
    (
        "[server]\nlisten = \"localhost:8000\"",
        "2:1: server.listen: is an address and a port such as 127.0.0.1:8000",
    ),
    ("[server]\nlisten = \"127.0.0.1\"", "2:1: server.listen: is an address and a port"),
    ("[server]\nlisten = \"\"", "2:1: server.listen: is an address and a port"),
    ("[server]\nlisten = \":8000\"", "2:1: server.listen: is an address and a port"),
    ("[server]\nlisten = \"127.0.0.1:70000\"", "2:1: server.listen: is an address and a port"),
    ("[server]\nlisten = \"127.0.0.1:-1\"", "2:1: server.listen: is an address and a port"),
    ("[server]\nlisten = \"::1:8000\"", "2:1: server.listen: "),
    ("[server]\nlisten = \"http://127.0.0.1:8000\"", "2:1: server.listen: is an address and a port"),
    (
        "[auth]\nmode = \"key\"",
        "2:1: auth.mode: must be one of keys, open, found `\"key\"`; did you mean `keys`?",
    ),
    ("[auth]\npepper = \"short\"", "2:1: auth.pepper: has fewer than 32 characters"),
    ("[auth]\npepper = { env = \"NOT_SET\" }", "2:1: auth.pepper: the variable NOT_SET is not set"),
    ("[auth]\npepper = 5", "2:1: auth.pepper: must be text, { env = \"NAME\" } or { file = \"PATH\" }"),
    ("[limits]\nkey_burst = 0", "2:1: limits.key_burst: must be between 1 and 1000000"),
    ("[tenants.acme]\nmax_queud = 1", "2:1: tenants.acme.max_queud: there is no setting `max_queud`"),
    ("[tenants.\"\"]\nburst = 1", "tenants.: tenant name is empty"),
    ("[server]\nlisten = \"0.0.0.0:8000\"", "2:1: server.listen: refusing to listen on 0.0.0.0:8000"),
    ("[server]\nlisten = \"[::]:8000\"", "2:1: server.listen: refusing to listen on [::]:8000"),
    ("[server]\nlisten = \"10.1.2.3:8000\"", "2:1: server.listen: refusing to listen on 10.1.2.3:8000"),
    (
        "[server]\nadmin_listen = \"8080\"",
        "2:1: server.admin_listen: is an address and a port such as 127.0.0.1:8080, or empty",
    ),
    (
        "[server]\nadmin_listen = \"127.0.0.1:8000\"",
        "2:1: server.admin_listen: is the address of the API, too",
    ),
    // The store.
    ("[store]\nurl = \"\"", "2:1: store.url: `` names no store; use sqlite:PATH or memory:"),
    ("[store]\nurl = \"data/x.db\"", "2:1: store.url: `data/x.db` names no store"),
    ("[store]\nurl = \"sqlite:\"", "2:1: store.url: `sqlite:` names no store"),
    ("[store]\nurl = \"SQLITE:x\"", "2:1: store.url: `SQLITE:x` names no store"),
    ("[store]\nurl = \"memory\"", "2:1: store.url: `memory` names no store"),
    ("[store]\nurl = \"postgres://u@h/d\"", "2:1: store.url: `postgres://u@h/d` names no store"),
    ("[store]\nurl = { env = \"SET\" }", "2:1: store.url: must be text in quotes, found a table"),
    (
        "[store]\ndurability = \"Strict\"",
        "2:1: store.durability: must be one of strict, relaxed, found `\"Strict\"`; did you mean `strict`?",
    ),
    // Combinations.
    ("[retry]\nbase_ms = 100\ncap_ms = 99", "3:1: retry.cap_ms: must be at least retry.base_ms"),
    ("[retry]\nbase_ms = 60001", "retry.cap_ms: must be at least retry.base_ms"),
    (
        "[conversations]\nreserve_tokens = 6000",
        "2:1: conversations.reserve_tokens: must be below conversations.token_budget",
    ),
    (
        "[conversations]\ntoken_budget = 800",
        "conversations.reserve_tokens: must be below conversations.token_budget",
    ),
    // Texts with a meaning.
    ("[log]\nlevel = \"loud\"", "2:1: log.level: log level `loud` is not understood"),
    ("[log]\nlevel = \"\"", "2:1: log.level: log level `` is not understood"),
    ("[log]\nformat = \"xml\"", "2:1: log.format: must be one of auto, text, json, found `\"xml\"`"),
    ("[queue]\nsharing = \"fair\"", "2:1: queue.sharing: must be one of weighted, strict, found `\"fair\"`"),
    ("default_crew = \"\"", "1:1: default_crew: is empty"),
    ("default_crew = \" \"", "1:1: default_crew: is empty"),
    ("crews = [\"crews/[\"]", "1:1: crews: `crews/[` is no pattern"),
    ("crews = [\"a/***/b\"]", "1:1: crews: `a/***/b` is no pattern"),
    ("crews = [1]", "1:10: crews[0]: must be text in quotes"),
    ("crews = [\"a\", [\"b\"]]", "1:15: crews[1]: must be text in quotes"),
    // Models.
    (
        "default_model = \"main\"",
        "1:1: default_model: there is no model `main`; name an alias of [models] or provider/model",
    ),
    ("default_model = \"\"", "1:1: default_model: there is no model ``"),
    (
        "default_model = \"anthropic/x\"",
        "1:1: default_model: there is no model `anthropic/x`; set ANTHROPIC_API_KEY (in development also in .env), or add [providers.anthropic]",
    ),
    ("default_model = \"ollama/x\"", "1:1: default_model: there is no model `ollama/x`; set OLLAMA_HOST"),
    (
        "default_model = \"anthropc/x\"",
        "1:1: default_model: there is no model `anthropc/x`; add [providers.anthropc] with its kind and base_url",
    ),
    ("default_model = \"groq/\"\n[providers.groq]", "1:1: default_model: there is no model `groq/`"),
    (
        "default_model = \"openai/x\"\n[providers.groq]",
        "1:1: default_model: there is no model `openai/x`; add [providers.openai] with api_key = { env = \"OPENAI_API_KEY\" }",
    ),
    (
        "[models.main]\nprovider = \"groq\"\nmodel = \"m\"",
        "2:1: models.main.provider: there is no provider `groq`",
    ),
    ("[models.main]\nmodel = \"m\"", "1:9: models.main.provider: is missing"),
    ("[providers.groq]\n[models.main]\nprovider = \"groq\"", "2:9: models.main.model: is missing or empty"),
    (
        "[providers.groq]\n[models.main]\nprovider = \"groq\"\nmodel = \"\"",
        "4:1: models.main.model: is missing or empty",
    ),
    (
        "[providers.groq]\n[models.main]\nprovider = \"groq\"\nmodel = 5",
        "4:1: models.main.model: must be text in quotes, found `5`",
    ),
    ("[prices.x]\ninput = 1", "1:9: prices.x: lacks `output`"),
    (
        "[prices.x]\ninput = \"1\"\noutput = 1",
        "2:1: prices.x.input: must be a number from 0 to 1000000, found `\"1\"`",
    ),
    // Providers.
    ("[providers.local]", "1:12: providers.local: lacks `kind`"),
    (
        "[providers.local]\nkind = \"llama\"",
        "2:1: providers.local.kind: must be one of anthropic, openai, sim, found `\"llama\"`",
    ),
    (
        "[providers.local]\nkind = \"OpenAI\"",
        "2:1: providers.local.kind: must be one of anthropic, openai, sim, found `\"OpenAI\"`; did you mean `openai`?",
    ),
    (
        "[providers.groq]\nbase_url = \"api.groq.com\"",
        "2:1: providers.groq.base_url: `api.groq.com` must start with http:// or https://",
    ),
    (
        "[providers.groq]\nbase_url = \"ftp://x\"",
        "2:1: providers.groq.base_url: `ftp://x` must start with http:// or https://",
    ),
    ("[providers.groq]\nbase_url = \"\"", "2:1: providers.groq.base_url: `` is no URL"),
    ("[providers.groq]\nbase_url = \"https://\"", "2:1: providers.groq.base_url: "),
    ("[providers.groq]\nbase_url = \"https://u:p@x\"", "2:1: providers.groq.base_url: "),
    (
        "[providers.groq]\nbase_url = \"https://x?k=1\"",
        "2:1: providers.groq.base_url: `https://x?k=1` must not have a query",
    ),
    ("[providers.groq]\nbase_url = \"https://a b\"", "2:1: providers.groq.base_url: `https://a b` is no URL"),
    (
        "[providers.groq]\napi_key = \"\"",
        "2:1: providers.groq.api_key: is empty or has characters that no header can carry",
    ),
    ("[providers.groq]\napi_key = \"a\\nb\"", "2:1: providers.groq.api_key: is empty or has characters"),
    (
        "[providers.groq]\napi_key = { env = \"NOT_SET\" }",
        "2:1: providers.groq.api_key: the variable NOT_SET is not set",
    ),
    (
        "[providers.groq]\napi_key = 5",
        "2:1: providers.groq.api_key: must be text, { env = \"NAME\" } or { file = \"PATH\" }",
    ),
    (
        "[providers.\"a/b\"]\nkind = \"sim\"",
        "1:12: providers.a/b: a provider's name is not empty and holds no `/`",
    ),
    ("[providers.\"\"]\nkind = \"sim\"", "1:12: providers.: a provider's name is not empty"),
    (
        "[providers.groq]\nconnect_timeout_seconds = \"1y\"",
        "2:1: providers.groq.connect_timeout_seconds: must be a number above 0 and at most 86400, found `\"1y\"`",
    ),
    (
        "[providers.groq]\nconnect_timeout_seconds = \"∞\"",
        "2:1: providers.groq.connect_timeout_seconds: must be a number above 0",
    ),
    (
        "[providers.groq]\nidle_timeout_seconds = inf",
        "2:1: providers.groq.idle_timeout_seconds: must be a number above 0",
    ),
    (
        "[providers.groq]\nidle_timeout_seconds = nan",
        "2:1: providers.groq.idle_timeout_seconds: must be a number above 0",
    ),
    (
        "[providers.groq]\nunary_timeout_seconds = 1e300",
        "2:1: providers.groq.unary_timeout_seconds: must be a number above 0",
    ),
    // The simulator.
    (
        "[providers.sim.sim]\nfaults = [{ kind = \"lightning\" }]",
        "2:13: providers.sim.sim.faults[0].kind: `lightning` is no fault",
    ),
    (
        "[providers.sim.sim]\nfaults = [{ kind = \"200\" }]",
        "2:13: providers.sim.sim.faults[0].kind: `200` is no fault",
    ),
    ("[providers.sim.sim]\nfaults = [{ rate = 0.5 }]", "2:11: providers.sim.sim.faults[0]: lacks `kind`"),
    (
        "[providers.sim.sim]\nscenario = \"calm.toml\"",
        "2:1: providers.sim.sim.scenario: cannot read calm.toml: it is not in this test",
    ),
    (
        "[providers.sim.sim]\nscenario = 3",
        "2:1: providers.sim.sim.scenario: must be text in quotes, found `3`",
    ),
    (
        "[providers.sim.sim]\nfaults = [{ kind = \"hang\", rate = 2.0 }]",
        "providers.sim.sim.faults[0].rate: must be a number from 0 to 1",
    ),
    (
        "[providers.sim.sim]\nfaults = [{ kind = \"hang\", often = 1 }]",
        "providers.sim.sim.faults[0].often: there is no setting `often`",
    ),
    (
        "[providers.sim.sim]\nfaults = { kind = \"hang\" }",
        "2:1: providers.sim.sim.faults: must be a list of tables, found a table",
    ),
    (
        "[providers.sim.sim.latency]\nfirst_token = { kind = \"fixed\" }",
        "2:1: providers.sim.sim.latency.first_token: lacks `ms`",
    ),
    (
        "[providers.sim.sim.latency]\nfirst_token = { kind = \"uniform\" }",
        "2:17: providers.sim.sim.latency.first_token.kind: must be one of none, fixed, normal, lognormal, empirical, found `\"uniform\"`",
    ),
    (
        "[providers.sim.sim.latency]\nfirst_token = { kind = \"fixed\", ms = -1.0 }",
        "providers.sim.sim.latency.first_token",
    ),
    (
        "[providers.sim.sim.latency]\nfirst_token = { kind = \"lognormal\", p50_ms = 9.0, p99_ms = 3.0 }",
        "2:1: providers.sim.sim.latency.first_token: needs milliseconds",
    ),
    // Tools.
    ("[tools.x]\nurl = \"https://a.example\"", "1:8: tools.x: lacks `description`"),
    (
        "[tools.\"Get it\"]\nurl = \"https://a.example\"\ndescription = \"d\"",
        "1:8: tools.Get it: must be 1 to 64 of a-z, 0-9 and _",
    ),
    (
        "[tools.calculator]\nurl = \"https://a.example\"\ndescription = \"d\"",
        "1:8: tools.calculator: is the name of a built-in tool; take another",
    ),
    (
        "[tools.x]\nurl = \"https://{host}/\"\ndescription = \"d\"",
        "2:1: tools.x.url: names an argument in its host",
    ),
    (
        "[tools.x]\nurl = \"http://10.0.0.1/\"\ndescription = \"d\"",
        "2:1: tools.x.url: names a host that may not be reached",
    ),
    (
        "[tools.x]\nurl = \"https://a.example/{id}\"\ndescription = \"d\"",
        "tools.x.parameters: has no property `id`, which the URL names",
    ),
    (
        "[tools.x]\nurl = \"https://a.example\"\ndescription = \"d\"\nmethod = \"get\"",
        "4:1: tools.x.method: must be GET, POST, PUT, PATCH or DELETE",
    ),
    (
        "[tools.x]\nurl = \"https://a.example\"\ndescription = \"d\"\nbearer = \"a\"\nheaders = { Authorization = \"b\" }",
        "4:1: tools.x.bearer: is also given by `headers`; leave one of them out",
    ),
    (
        "[tools.x]\nurl = \"https://a.example\"\ndescription = \"d\"\nheaders = \"a\"",
        "4:1: tools.x.headers: must be a table of texts",
    ),
    (
        "[tools.x]\nurl = \"https://a.example\"\ndescription = \"d\"\nheaders = { A = { env = \"NOT_THERE\" } }",
        "tools.x.headers.A: ",
    ),
    (
        "[tools.x]\nurl = \"https://a.example\"\ndescription = \"d\"\neffect = \"once\"",
        "4:1: tools.x.effect: must be one of read, idempotent, at_most_once, found `\"once\"`",
    ),
    // Systems.
    ("[systems.shop]", "1:10: systems.shop: lacks `crews`"),
    ("[systems.shop]\ncrews = []", "2:1: systems.shop.crews: names no crew"),
    (
        "[systems.shop]\ncrews = \"support\"",
        "2:1: systems.shop.crews: must be a list of texts, such as [\"a\", \"b\"], found `\"support\"`",
    ),
    ("[systems.shop]\ncrews = [\"a\", \"b\", \"a\"]", "2:20: systems.shop.crews[2]: names `a` twice"),
    ("[systems.default]\ncrews = [\"a\"]", "1:10: systems.default: the system `default` holds all crews"),
    ("[systems.\"a b\"]\ncrews = [\"a\"]", "1:10: systems.a b: a system's name has letters, digits, - and _"),
    ("[systems.\"a/b\"]\ncrews = [\"a\"]", "1:10: systems.a/b: a system's name has letters"),
    ("[systems.\"\"]\ncrews = [\"a\"]", "1:10: systems.: a system's name has letters"),
];

#[test]
fn files_with_one_mistake_get_one_precise_message() {
    let mut wrong = Vec::new();
    for (file, expected) in ROWS {
        let text = message(file);
        let is_at_default = expected.starts_with(|c: char| c.is_alphabetic());
        let place = if is_at_default { "" } else { "quarterdeck.toml:" };
        if !text.contains(&format!("{place}{expected}")) {
            wrong.push(format!("{file}\n  expected {place}{expected}\n  said     {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ROWS.len() >= 140, "{} rows", ROWS.len());
}

/// Values of every type, as TOML.
const VALUES: [&str; 8] =
    ["true", "-1", "1.5", "\"many\"", "\"\\u0000\"", "[]", "[{ a = 1 }]", "{ a = 1, b = 2 }"];

fn fits(kind: &Kind, value: &str) -> bool {
    match kind {
        Kind::Text | Kind::Secret => value.starts_with('"'),
        Kind::Flag => value == "true",
        Kind::Number(..) | Kind::Positive(_) => value == "1.5" || value == "-1",
        Kind::Texts | Kind::Numbers(..) | Kind::List(_) => value.starts_with('['),
        Kind::Whole(..) | Kind::Choice(_) => false,
        Kind::Table(_) | Kind::Named(_) | Kind::Secrets | Kind::Free => true,
    }
}

/// Every key of the settings and of a provider, by table.
fn leaves() -> Vec<(String, &'static Key)> {
    let mut found = Vec::new();
    for key in keys::ROOT {
        match key.kind {
            Kind::Table(keys) if key.name == "routing" => {
                for leaf in keys {
                    let others = ["small", "standard"].into_iter().filter(|name| *name != leaf.name);
                    let others: String = others.map(|name| format!("{name} = \"local/m\"\n")).collect();
                    found.push((format!("{LOCAL}[routing]\n{others}"), leaf));
                }
            }
            Kind::Table(keys) => found.extend(keys.iter().map(|leaf| (format!("[{}]\n", key.name), leaf))),
            Kind::Named(keys) if key.name == "providers" => {
                found.extend(keys.iter().map(|leaf| ("[providers.groq]\n".to_owned(), leaf)));
            }
            Kind::Named(keys) if key.name == "models" => {
                let optional = keys.iter().filter(|leaf| leaf.name != "provider" && leaf.name != "model");
                let table = format!("{LOCAL}[models.x]\nprovider = \"local\"\nmodel = \"m\"\n");
                found.extend(optional.map(|leaf| (table.clone(), leaf)));
            }
            Kind::Named(_) => {}
            _ => found.push((String::new(), key)),
        }
    }
    found
}

#[test]
fn values_of_the_wrong_type_are_told_what_they_must_be() {
    let mut tried = 0;
    for (table, key) in leaves() {
        for value in VALUES.iter().filter(|value| !fits(&key.kind, value)) {
            let file = format!("{table}{} = {value}\n", key.name);
            let text = message(&file);
            let place = format!("quarterdeck.toml:{}:1: ", table.lines().count() + 1);
            assert!(text.starts_with(&place), "{file}\n{text}");
            let said = text.contains(&format!("{}: must be {}", key.name, key.kind.wanted()));
            assert!(said, "{file}\n{text}");
            tried += 1;
        }
    }
    assert!(tried >= 200, "{tried} values of the wrong type");
}

#[test]
fn variables_with_mistakes_are_named() {
    for (name, value, expected) in [
        (
            "QUARTERDECK_WORKER__SLOTS",
            "many",
            "worker.slots: must be a whole number of at most 10000, found `\"many\"`",
        ),
        (
            "QUARTERDECK_WORKER__SLOTS",
            "-1",
            "worker.slots: must be a whole number of at most 10000, found `-1`",
        ),
        ("QUARTERDECK_WORKER__SLOTS", "10001", "worker.slots: must be at most 10000"),
        (
            "QUARTERDECK_WORKER__SLOT",
            "1",
            "worker.slot: there is no setting `slot` in [worker]; did you mean `slots`?",
        ),
        (
            "QUARTERDECK_WORKER_SLOTS",
            "1",
            "there is no such variable; did you mean QUARTERDECK_WORKER__SLOTS?",
        ),
        (
            "QUARTERDECK_SERVER_ADMIN_LISTEN",
            "x",
            "there is no such variable; did you mean QUARTERDECK_SERVER__ADMIN_LISTEN?",
        ),
        ("QUARTERDECK_ENVV", "x", "there is no such variable; did you mean QUARTERDECK_ENV?"),
        (
            "QUARTERDECK_PROFILE",
            "x",
            "there is no such variable; settings are called QUARTERDECK_SECTION__KEY",
        ),
        ("QUARTERDECK_", "x", "there is no such variable"),
        (
            "QUARTERDECK_DEFAULT_MODLE",
            "x",
            "there is no such variable; did you mean QUARTERDECK_DEFAULT_MODEL?",
        ),
        (
            "QUARTERDECK_CREWS",
            "crews/*",
            "crews: must be a list of texts, such as [\"a\", \"b\"], found `\"crews/*\"`",
        ),
        ("QUARTERDECK_SERVER", "x", "there is no such variable"),
        ("QUARTERDECK_SERVER__LISTEN", "8000", "server.listen: is an address and a port"),
        ("QUARTERDECK_STORE__DURABILITY", "fsync", "store.durability: must be one of strict, relaxed"),
        (
            "QUARTERDECK_SERVER__INSECURE_PUBLIC",
            "yes",
            "server.insecure_public: must be true or false, found `\"yes\"`",
        ),
        (
            "QUARTERDECK_ENV",
            "prod",
            "there is no profile `prod`; use development, staging, production or give the file a table [env.prod]",
        ),
        ("QUARTERDECK_ENV", "producton", "; did you mean `production`?"),
    ] {
        let problems = from(&sources("", &[(name, value)])).unwrap_err();
        let text = problems.to_string();
        assert_eq!(problems.0.len(), 1, "{name}={value}: {text}");
        assert!(
            text.starts_with(&format!("variable {name}: ")) && text.contains(expected),
            "{name}={value}: {text}"
        );
    }
}

#[test]
fn lines_of_dotenv_with_mistakes_are_named() {
    for (text, expected) in [
        ("A=1\nnonsense\n", ".env:2: is no NAME=VALUE; a comment begins with #"),
        (
            "QUARTERDECK_WORKER__SLOTS=many\n",
            ".env:1: worker.slots: must be a whole number of at most 10000, found",
        ),
        ("\nQUARTERDECK_SLOTS=1\n", ".env:2: there is no such variable; settings are called"),
        ("QUARTERDECK_ENV=production\n", ".env:1: QUARTERDECK_ENV is not read from here"),
        ("QUARTERDECK_URL=http://x\n", ".env:1: QUARTERDECK_URL is not read from here"),
        ("A='x\n", ".env:1: A: the quote ' is not closed on this line"),
        ("A=1\nA=2\n", ".env:2: A is given twice; remove one"),
    ] {
        let mut all = sources("", &[]);
        all.dotenv = Some((".env".to_owned(), text.to_owned()));
        let problems = from(&all).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{text}: {problems}");
        assert!(problems.to_string().starts_with(expected), "{text}: {problems}");
        all.profile = Some("staging".to_owned());
        assert!(from(&all).is_ok(), "another profile does not read it: {text}");
    }
}

#[test]
fn production_refuses_what_is_for_development() {
    for (file, expected) in [
        (
            "[server]\nlisten = \"0.0.0.0:8000\"\n[auth]\nmode = \"open\"",
            "2:1: server.listen: refusing to listen",
        ),
        ("[env.production.auth]\nmode = \"open\"", "2:1: auth.mode: is open, and production lets nobody in"),
        (
            "[auth]\npepper = \"0123456789abcdef0123456789abcdef\"",
            "2:1: auth.pepper: production takes no secret",
        ),
        (
            "[providers.groq]\napi_key = \"gsk-x\"",
            "2:1: providers.groq.api_key: production takes no secret from the file itself",
        ),
        (
            "[env.production.providers.groq]\napi_key = \"gsk-x\"",
            "2:1: providers.groq.api_key: production takes no secret",
        ),
        ("default_model = \"sim/standard\"", "1:1: providers.sim: production does not run on the simulator"),
        ("[providers.sim]", "1:12: providers.sim: production does not run on the simulator"),
        (
            "[providers.fake]\nkind = \"sim\"",
            "1:12: providers.fake: production does not run on the simulator",
        ),
    ] {
        let mut all = sources(file, &[]);
        all.profile = Some("production".to_owned());
        let problems = from(&all).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{file}: {problems}");
        let text = problems.to_string();
        assert!(
            text.starts_with(&format!("quarterdeck.toml:{expected}")) && !text.contains("gsk-x"),
            "{file}: {text}"
        );
    }
}

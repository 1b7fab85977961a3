//! The table of keys, the defaults, the schema and serde know the same keys with the same bounds.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::decode::OF_MODELS;
use super::super::keys::{self, Key, Kind};
use super::super::layers::Tree;
use super::super::{Settings, defaults, schema};
use super::{from, sources};

/// The keys that serde expects in a table, as its error about a key that cannot be tells.
fn expected(tree: &Tree, path: &str) -> BTreeSet<String> {
    let mut tree = tree.clone();
    let probe = if path.is_empty() { "\u{0}".to_owned() } else { format!("{path}.\u{0}") };
    tree.set(&probe, Value::Null, &super::Origin::Default);
    let mut rest = tree.values.clone();
    let mut models = Map::new();
    for key in OF_MODELS {
        models.extend(rest.remove(key).map(|value| (key.to_owned(), value)));
    }
    let settings = serde_json::from_value::<Settings>(Value::Object(rest)).map(|_| ());
    let models = serde_json::from_value::<qd_llm::Options>(Value::Object(models)).map(|_| ());
    let errors: Vec<String> =
        [settings, models].into_iter().filter_map(|read| Some(read.err()?.to_string())).collect();
    let error = errors
        .iter()
        .find(|error| error.contains("unknown field"))
        .unwrap_or_else(|| panic!("{path}: {errors:?}"));
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Defaults with one table of each name.
fn full() -> Tree {
    let mut tree = Tree { values: defaults::all(), ..Tree::default() };
    for (path, value) in [
        ("webhooks.x", json!({"url": "https://example.com", "secret": "-"})),
        ("tools.x", json!({"description": "-", "url": "https://example.com"})),
        ("systems.x", json!({"crews": ["a"]})),
        ("tenants.x", json!({"burst": 1})),
        (
            "providers.x",
            json!({"kind": "sim", "sim": {"latency": {"warm_up": {}}, "load": {}, "faults": []}}),
        ),
        ("models.x", json!({"provider": "x", "model": "m"})),
        ("prices.x", json!({"input": 1, "output": 1})),
        ("routing", json!({"small": "x/m", "standard": "x/m"})),
    ] {
        tree.set(path, value, &super::Origin::Default);
    }
    tree
}

/// Every table with its keys.
fn tables(path: &str, keys: &'static [Key], hear: &mut dyn FnMut(&str, &'static [Key])) {
    hear(path, keys);
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match key.kind {
            Kind::Table(keys) => tables(&path, keys, hear),
            Kind::Named(keys) => tables(&format!("{path}.x"), keys, hear),
            _ => {}
        }
    }
}

#[test]
fn serde_and_the_table_know_the_same_keys() {
    let tree = full();
    let mut seen = 0;
    tables("", keys::ROOT, &mut |path, keys| {
        // Which keys a distribution has depends on its kind.
        if path.ends_with("first_token") || path.ends_with("per_token") {
            return;
        }
        let known: BTreeSet<String> = keys.iter().map(|key| key.name.to_owned()).collect();
        let mut by_serde = expected(&tree, path);
        // A file that is read before.
        if path == "providers.x.sim" {
            by_serde.insert("scenario".to_owned());
        }
        if path.is_empty() {
            by_serde.extend(OF_MODELS.map(str::to_owned));
        }
        assert_eq!(known, by_serde, "[{path}]");
        seen += 1;
    });
    assert!(seen >= 16, "{seen} tables");
}

#[test]
fn every_key_has_a_description_and_stands_in_the_schema() {
    let schema = schema();
    tables("", keys::ROOT, &mut |path, keys| {
        let mut at = &schema;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            at = if part == "x" { &at["additionalProperties"] } else { &at["properties"][part] };
        }
        for key in keys {
            let about = at["properties"][key.name]["description"].as_str().unwrap_or_default();
            assert!(about.len() > 8, "{path}.{}: `{about}`", key.name);
        }
    });
}

#[test]
fn defaults_are_all_known_and_within_bounds() {
    let mut count = 0;
    tables("", keys::ROOT, &mut |path, keys| {
        for key in keys.iter().filter(|key| key.about.is_empty()) {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let tree = Tree { values: defaults::all(), ..Tree::default() };
            assert!(tree.get(&path).is_some(), "{path} has no default, so its key must say what it is for");
            count += 1;
        }
    });
    assert!(count >= 20, "{count}");
}

/// A whole file that sets one number, and the one number.
fn with(path: &str, number: &str) -> String {
    let (table, key) = path.rsplit_once('.').unwrap();
    let line = format!("{key} = {number}\n");
    match table.split('.').next().unwrap() {
        "models" => {
            format!("[providers.x]\nkind = \"sim\"\n[models.x]\nprovider = \"x\"\nmodel = \"m\"\n{line}")
        }
        "prices" => {
            let other = if key == "input" { "output" } else { "input" };
            let both = if key.starts_with("cache") {
                "input = 1\noutput = 1\n".to_owned()
            } else {
                format!("{other} = 1\n")
            };
            format!("[prices.x]\n{both}{line}")
        }
        "providers" if table == "providers.x" => format!("[providers.x]\nkind = \"sim\"\n{line}"),
        // One factor means nothing without the other.
        "providers" if path.ends_with("load.factor") => {
            format!("[providers.x]\nkind = \"sim\"\n[{table}]\nmax_concurrency = 2\n{line}")
        }
        "providers" => format!("[providers.x]\nkind = \"sim\"\n[{table}]\n{line}"),
        "budgets" if line.contains("degrade\"") => {
            format!("[budgets]\n{line}degrade_to = \"sim/standard\"\n[providers.sim]\n")
        }
        // Two settings that bound each other.
        "retry" if key == "base_ms" => format!("[retry]\ncap_ms = 86400000\n{line}"),
        "retry" if key == "cap_ms" => format!("[retry]\nbase_ms = 1\n{line}"),
        "tools" => format!("[{table}]\ndescription = \"d\"\nurl = \"https://a.example\"\n{line}"),
        "conversations" if key == "token_budget" => format!("[conversations]\nreserve_tokens = 0\n{line}"),
        "conversations" if key == "reserve_tokens" => {
            format!("[conversations]\ntoken_budget = 100000000\n{line}")
        }
        _ => format!("[{table}]\n{line}"),
    }
}

#[test]
fn bounds_are_kept_by_the_decoder() {
    let mut tried = 0;
    tables("", keys::ROOT, &mut |path, keys| {
        for key in keys {
            if path.ends_with("_token") {
                continue;
            }
            let path = format!("{path}.{}", key.name);
            let (inside, outside) = match key.kind {
                Kind::Whole(least, most) => {
                    let above = most.checked_add(1).filter(|above| *above <= i64::MAX as u64);
                    let below = least.checked_sub(1);
                    let top = (most <= u64::from(u32::MAX)).then_some(most);
                    // A budget of one token leaves no room for a reserve of none below it.
                    let inside = [Some(least), top].into_iter().flatten();
                    let inside = inside.filter(|_| path != "conversations.reserve_tokens");
                    (
                        inside.map(|n| n.to_string()).collect(),
                        [above, below].into_iter().flatten().map(|n| n.to_string()).collect(),
                    )
                }
                Kind::Number(least, most) => (
                    vec![format!("{least:?}"), format!("{most:?}")],
                    vec![format!("{:?}", most + 1.0), "-1.0".to_owned()],
                ),
                Kind::Positive(most) => (
                    vec![format!("{most:?}")],
                    vec![format!("{:?}", most + 1.0), "0.0".to_owned(), "-1.0".to_owned()],
                ),
                _ => continue,
            };
            for number in inside as Vec<String> {
                let read = from(&sources(&with(&path, &number), &[]));
                assert!(read.is_ok(), "{path} = {number}: {}", read.unwrap_err());
            }
            for number in outside as Vec<String> {
                let text = from(&sources(&with(&path, &number), &[])).unwrap_err().to_string();
                assert!(
                    text.contains(&path) && text.starts_with("quarterdeck.toml:"),
                    "{path} = {number}: {text}"
                );
                assert_eq!(text.lines().count(), 1, "{path} = {number}: {text}");
                tried += 1;
            }
        }
    });
    assert!(tried >= 60, "{tried} numbers out of bounds");
}

#[test]
fn words_of_choices_are_those_that_serde_takes() {
    tables("", keys::ROOT, &mut |path, keys| {
        for key in keys {
            if let (Kind::Choice(words), false) = (&key.kind, path.ends_with("_token")) {
                for word in *words {
                    let line = with(&format!("{path}.{}", key.name), &format!("{word:?}"));
                    let line = line.replacen("kind = \"sim\"\nkind", "kind", 1);
                    assert!(from(&sources(&line, &[])).is_ok(), "{line}");
                }
            }
        }
    });
}

//! Who may depend on whom: the table of ARCHITECTURE.md, over every Cargo.toml.

use toml::Table;

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

/// What each crate may import of ours. A new crate gets a line here and one in ARCHITECTURE.md.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("qd-types", &[]),
    ("qd-env", &["qd-types"]),
    ("qd-telemetry", &["qd-types"]),
    ("qd-crew", &["qd-types"]),
    ("qd-cron", &["qd-types"]),
    ("qd-store", &["qd-types", "qd-env", "qd-telemetry"]),
    ("qd-llm", &["qd-types", "qd-env", "qd-telemetry"]),
    ("qd-load", &["qd-env"]),
    ("qd-egress", &[]),
    (
        "qd-engine",
        &["qd-types", "qd-env", "qd-telemetry", "qd-crew", "qd-cron", "qd-store", "qd-llm", "qd-egress"],
    ),
    ("qd-gateway", &["qd-types", "qd-env", "qd-telemetry", "qd-crew", "qd-cron", "qd-store", "qd-egress"]),
    ("quarterdeck", PRODUCT),
    ("qd-testkit", PRODUCT),
    ("qd-faultfs", &[]),
    ("qd-bench", PRODUCT),
    ("xtask", &[]),
];

const PRODUCT: &[&str] = &[
    "qd-types",
    "qd-env",
    "qd-telemetry",
    "qd-crew",
    "qd-cron",
    "qd-store",
    "qd-llm",
    "qd-load",
    "qd-egress",
    "qd-engine",
    "qd-gateway",
];

/// Decides or names things and touches nothing: no clock, no chance, no network, no tasks, no logs.
const PURE: &[&str] = &["qd-types", "qd-crew"];
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "fastrand",
    "futures",
    "hyper",
    "hyper-util",
    "jiff",
    "rand",
    "reqwest",
    "rusqlite",
    "tokio",
    "tokio-util",
    "tracing",
];

/// Where errors need no type.
const ANYHOW: &[&str] = &["quarterdeck", "qd-bench", "xtask"];

/// For tests only.
const TESTKITS: &[&str] = &["qd-testkit", "qd-faultfs"];

/// Has lints of its own: it stands between SQLite and the disk as a table of C functions, which takes `unsafe`.
const OWN_LINTS: &str = "qd-faultfs";

/// Every dependency of every crate.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.texts().filter(|(path, _)| path.ends_with("/Cargo.toml"));
    manifests.flat_map(|(path, text)| manifest(path, text)).collect()
}

fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let at = |word: &str, message: String| Finding::new(path, line_with(text, word), "imports", message);
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![at("", format!("the manifest is no TOML: {error}"))],
    };
    let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let Some(name) = name else { return vec![at("", "the manifest names no package".into())] };
    let mut findings = Vec::new();
    let of_workspace = table.get("lints").and_then(|lints| lints.get("workspace"));
    if name != OWN_LINTS && of_workspace != Some(&toml::Value::Boolean(true)) {
        findings.push(at("[lints]", "the crate must take the lints of the workspace".into()));
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(of, _)| *of == name) else {
        let message = format!("crate `{name}` is not in the table of imports; say there what it may import");
        findings.push(at("name", message));
        return findings;
    };
    for (dependency, is_dev) in dependencies(&table) {
        let why = refusal(name, allowed, &dependency, is_dev);
        findings.extend(why.map(|why| at(&dependency, why)));
    }
    findings
}

fn refusal(name: &str, allowed: &[&str], dependency: &str, is_dev: bool) -> Option<String> {
    if TESTKITS.contains(&dependency) {
        return (!is_dev).then(|| format!("`{dependency}` is for tests: only a dev-dependency"));
    }
    let is_ours = MAY_IMPORT.iter().any(|(of, _)| *of == dependency);
    if is_ours && !allowed.contains(&dependency) {
        return Some(format!("`{name}` must not import `{dependency}`; it may import {}", listed(allowed)));
    }
    if !is_dev && PURE.contains(&name) && IMPURE.contains(&dependency) {
        return Some(format!("`{name}` is pure and must not import `{dependency}`"));
    }
    if !is_dev && dependency == "anyhow" && !ANYHOW.contains(&name) {
        return Some(format!("`{name}` is a library: its errors have types, so no `anyhow`"));
    }
    None
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") }
}

/// Names of packages, and whether only tests need them.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let per_target = manifest.get("target").and_then(toml::Value::as_table);
    let tables = per_target.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table);
    let tables = std::iter::once(manifest).chain(tables);
    let kinds = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
    let mut found = Vec::new();
    for table in tables {
        for (kind, is_dev) in kinds {
            let dependencies = table.get(kind).and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                found.push((renamed.unwrap_or(name).to_owned(), is_dev));
            }
        }
    }
    found
}

fn line_with(text: &str, word: &str) -> usize {
    (1..).zip(text.lines()).find(|(_, line)| line.starts_with(word)).map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    fn found(name: &str, dependencies: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{dependencies}");
        let path = format!("crates/{name}/Cargo.toml");
        check(&Tree::of(&[(&path, &text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn allowed_imports_pass() {
        for (name, dependencies) in [
            ("qd-crew", "[dependencies]\nqd-types.workspace = true\nserde = \"1\"\n"),
            (
                "qd-engine",
                "[dependencies]\nqd-llm.workspace = true\n[dev-dependencies]\nqd-testkit.workspace = true\n",
            ),
            ("qd-crew", "[dev-dependencies]\ntokio = \"1\"\nanyhow = \"1\"\n"),
            ("quarterdeck", "[dependencies]\nanyhow = \"1\"\nqd-gateway.workspace = true\n"),
        ] {
            assert_eq!(found(name, dependencies), Vec::<String>::new(), "{name} {dependencies}");
        }
    }

    #[test]
    fn forbidden_imports_are_found_wherever_they_stand() {
        for (name, dependencies, message) in [
            (
                "qd-crew",
                "[dependencies]\nqd-env.workspace = true\n",
                ":6: `qd-crew` must not import `qd-env`",
            ),
            ("qd-gateway", "[dependencies]\nqd-engine = { path = \"x\" }\n", "must not import `qd-engine`"),
            ("qd-gateway", "[dependencies]\nqd-llm.workspace = true\n", "must not import `qd-llm`"),
            (
                "qd-engine",
                "[dev-dependencies]\nqd-gateway.workspace = true\n",
                "must not import `qd-gateway`",
            ),
            (
                "qd-store",
                "[target.'cfg(unix)'.dependencies]\nqd-llm.workspace = true\n",
                "must not import `qd-llm`",
            ),
            (
                "qd-llm",
                "[build-dependencies]\nx = { package = \"qd-store\" }\n",
                "must not import `qd-store`",
            ),
            ("qd-types", "[dependencies]\nqd-env.workspace = true\n", "it may import nothing of ours"),
            ("qd-store", "[dependencies]\nqd-testkit.workspace = true\n", "only a dev-dependency"),
            ("qd-store", "[dependencies]\nqd-faultfs.workspace = true\n", "only a dev-dependency"),
            ("qd-faultfs", "[dependencies]\nqd-types.workspace = true\n", "it may import nothing of ours"),
            ("qd-crew", "[dependencies]\ntokio.workspace = true\n", "`qd-crew` is pure"),
            ("qd-store", "[dependencies]\nanyhow.workspace = true\n", "so no `anyhow`"),
            ("qd-extra", "", "is not in the table of imports"),
        ] {
            let findings = found(name, dependencies);
            assert_eq!(findings.len(), 1, "{name}: {findings:?}");
            assert!(findings[0].contains(message), "{findings:?}");
        }
    }

    #[test]
    fn manifests_without_name_or_lints_are_found() {
        let broken = Tree::of(&[
            ("crates/a/Cargo.toml", "x"),
            ("crates/b/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/qd-env/Cargo.toml", "[package]\nname = \"qd-env\"\n"),
        ]);
        let messages: Vec<_> = check(&broken).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages.len(), 3);
        assert!(messages[0].contains("no TOML") && messages[1].contains("names no package"), "{messages:?}");
        assert!(messages[2].contains("lints of the workspace"), "{messages:?}");
    }
}

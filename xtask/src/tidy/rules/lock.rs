//! Lock files: one TLS provider, and packages from the public registries by their own names.
//!
//! A lock that names a mirror works for whoever made it and for nobody else.

use crate::tidy::finding::{Finding, line_of};
use crate::tidy::tree::Tree;

/// `ring` is the provider; each of these would be a second one.
const OTHER_TLS: &[&str] =
    &["aws-lc-fips-sys", "aws-lc-rs", "aws-lc-sys", "boring-sys", "native-tls", "openssl-sys"];
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every lock file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let cargo_locks = tree.texts().filter(|(path, _)| path.rsplit('/').next() == Some("Cargo.lock"));
    let cargo = cargo_locks.flat_map(|(path, text)| cargo_lock(path, text));
    let addresses = tree.texts().flat_map(|(path, text)| download_addresses(path, text));
    cargo.chain(addresses).collect()
}

fn cargo_lock<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = Finding> + 'a {
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let value = |key: &str| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"');
        let message = if let Some(name) = value("name").filter(|name| OTHER_TLS.contains(name)) {
            format!("`{name}` is a second TLS provider; find who asks for it and switch its feature off")
        } else {
            let source = value("source").filter(|source| *source != CRATES)?;
            format!("package from `{source}`; only crates.io is a source")
        };
        Some(Finding::new(path, number, "lock", message))
    })
}

/// Any tracked text can be a lock file of npm under another name.
fn download_addresses<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = Finding> + 'a {
    // In parts, so that this file does not find itself.
    let marks = [concat!("\"resolved\"", ": \"http"), concat!("\"resolved\"", ":\"http")];
    marks.into_iter().flat_map(move |mark| {
        text.match_indices(mark).map(move |(place, _)| {
            let message =
                "a lock file must not name download addresses (npm: `omit-lockfile-registry-resolved`)";
            Finding::new(path, line_of(text, place), "lock", message)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{OTHER_TLS, check};
    use crate::tidy::tree::Tree;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn second_tls_providers_are_found() {
        assert!(found("Cargo.lock", "name = \"ring\"\nname = \"native-tls-shim\"\n").is_empty());
        for name in OTHER_TLS {
            let findings = found("Cargo.lock", &format!("[[package]]\nname = \"{name}\"\n"));
            assert!(findings[0].starts_with(&format!("Cargo.lock:2: `{name}` is a second")), "{findings:?}");
        }
    }

    #[test]
    fn other_sources_than_the_public_registry_are_found() {
        let own = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert!(found("Cargo.lock", own).is_empty());
        for source in ["sparse+https://mirror.example/", "git+https://example.com/x?rev=1"] {
            assert_eq!(found("fuzz/Cargo.lock", &format!("source = \"{source}\"\n")).len(), 1, "{source}");
        }
    }

    #[test]
    fn download_addresses_are_found() {
        let key = "resolved";
        for text in [format!("{{\n\"{key}\": \"http://x\" }}"), format!("{{\n\"{key}\":\"https://x\" }}")] {
            let findings = found("web/package-lock.json", &text);
            assert!(findings[0].starts_with("web/package-lock.json:2: "), "{findings:?}");
        }
        assert!(found("web/package-lock.json", "{\"integrity\": \"sha512-x\"}").is_empty());
    }
}

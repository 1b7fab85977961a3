//! What the tests need beyond the Rust toolchain: a C compiler and its headers, for the bundled SQLite. The Python of the
//! official clients stands in `setup/clients.rs`.

mod clients;

use std::path::Path;

pub(crate) use self::clients::ensure_clients;
use crate::process::Program;

/// Makes sure that C can be compiled; installs a compiler with apt where that is possible.
pub(crate) fn ensure_c_compiler(root: &Path) -> anyhow::Result<()> {
    if compiles_c(root) {
        return Ok(());
    }
    let machine = Machine {
        has_apt: Program::new("apt-get", ["--version"]).succeeds(root),
        is_root: Program::new("id", ["-u"]).output(root).is_ok_and(|id| id.trim() == "0"),
        has_sudo: Program::new("sudo", ["--version"]).succeeds(root),
    };
    for program in installation(&machine).map_err(|why| anyhow::anyhow!("{MISSING}: {why}; {REMEDY}"))? {
        println!("no working C compiler; running `{program}`");
        if !program.run(root)? {
            anyhow::bail!("{MISSING}: `{program}` failed; {REMEDY}");
        }
    }
    anyhow::ensure!(
        compiles_c(root),
        "{MISSING}: `cc` cannot compile a program although gcc was installed; {REMEDY}"
    );
    Ok(())
}

const MISSING: &str = "the tests need a C compiler for the bundled SQLite";
const REMEDY: &str =
    "install one so that `cc` works (Debian: gcc and libc6-dev, macOS: xcode-select --install)";

/// Headers count as well: a compiler without them compiles nothing that matters.
fn compiles_c(root: &Path) -> bool {
    let flags = ["-fsyntax-only", "-include", "stdio.h", "-include", "pthread.h", "-x", "c", "/dev/null"];
    Program::new("cc", flags).succeeds(root)
}

struct Machine {
    has_apt: bool,
    is_root: bool,
    has_sudo: bool,
}

/// What to run, or why nothing can be run.
fn installation(machine: &Machine) -> Result<Vec<Program>, &'static str> {
    if !machine.has_apt {
        return Err("there is none and no apt-get to install one with");
    }
    if !machine.is_root && !machine.has_sudo {
        return Err("there is none, and installing one takes root or sudo");
    }
    let steps = [vec!["apt-get", "update"], vec!["apt-get", "install", "-y", "gcc", "libc6-dev"]];
    Ok(steps
        .into_iter()
        .map(|words| {
            if machine.is_root {
                let (name, arguments) = words.split_first().expect("every step names a program");
                Program::new(name, arguments.iter().copied()).with("DEBIAN_FRONTEND", "noninteractive")
            } else {
                let lead = ["env", "DEBIAN_FRONTEND=noninteractive"];
                Program::new("sudo", lead.into_iter().chain(words))
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Machine, installation};

    fn commands(has_apt: bool, is_root: bool, has_sudo: bool) -> Result<Vec<String>, &'static str> {
        let programs = installation(&Machine { has_apt, is_root, has_sudo })?;
        Ok(programs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn compiler_is_installed_with_what_the_machine_has() {
        let as_root = commands(true, true, false).unwrap();
        assert_eq!(as_root[0], "DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(as_root[1], "DEBIAN_FRONTEND=noninteractive apt-get install -y gcc libc6-dev");
        let with_sudo = commands(true, false, true).unwrap();
        assert_eq!(with_sudo[0], "sudo env DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(with_sudo.len(), 2);
    }

    #[test]
    fn machines_that_cannot_install_are_told_why() {
        assert!(commands(true, false, false).unwrap_err().contains("root or sudo"));
        assert!(commands(false, true, true).unwrap_err().contains("no apt-get"));
    }
}

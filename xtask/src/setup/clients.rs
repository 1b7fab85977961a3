//! A Python environment of its own with the official clients of model providers, for the acceptance of the simulator.
//!
//! It is made once and again when its requirements change. Where it cannot be made, its tests say that they were skipped.

use std::path::Path;

use crate::process::Program;

const REQUIREMENTS: &str = "crates/quarterdeck/tests/it/sdk/requirements.txt";
/// Beside the build, which git ignores too.
const ENVIRONMENT: &str = "target/sdk";

/// Makes the environment if it is not there as it should be.
pub(crate) fn ensure_clients(root: &Path) -> anyhow::Result<()> {
    let wanted = std::fs::read_to_string(root.join(REQUIREMENTS))?;
    let mark = root.join(ENVIRONMENT).join("requirements.txt");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    for program in installation() {
        println!("no environment of the official clients; running `{program}`");
        if !program.run(root).unwrap_or(false) {
            println!("`{program}` failed: the tests of the official clients will be skipped");
            return Ok(());
        }
    }
    // Last, so that an environment that was made halfway is made again.
    std::fs::write(mark, wanted)?;
    Ok(())
}

fn installation() -> [Program; 2] {
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r", REQUIREMENTS];
    [
        Program::new("python3", ["-m", "venv", "--clear", ENVIRONMENT]),
        Program::new(&format!("{ENVIRONMENT}/bin/python"), pip),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{REQUIREMENTS, installation};

    #[test]
    fn environment_is_made_by_python_alone() {
        let programs = installation().map(|program| program.to_string());
        assert_eq!(programs[0], "python3 -m venv --clear target/sdk");
        assert!(programs[1].starts_with("target/sdk/bin/python -m pip install "), "{}", programs[1]);
    }

    #[test]
    fn requirements_pin_every_package_and_name_no_place_to_get_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = std::fs::read_to_string(root.join(REQUIREMENTS)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pinned = lines.filter(|line| {
            let (name, version) = line.split_once("==").unwrap_or_else(|| panic!("`{line}` is not pinned"));
            let fits = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            assert!(fits(name) && fits(version), "`{line}` is more than a name and a version");
            true
        });
        assert!(pinned.count() > 2);
    }
}

//! The pepper of a store: what digests of API keys are made under. It is kept beside the store and not in it, so that who
//! gets hold of the store alone can make nothing of the keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qd_env::Env;
use qd_gateway::Pepper;

use crate::config::Config;
use crate::exit::{Exit, ended};
use crate::wire;

/// Larger ones are no pepper.
const BYTES_MAX: u64 = 1_024;
/// In hexadecimal digits.
const CHARS: usize = 64;

/// The one that is configured, or that of the file beside the store, which is made if it is not there. The store is open,
/// so that no other process makes one at the same time. A store in memory has one that nobody else ever sees.
pub(crate) fn of(config: &Config, env: &Env) -> anyhow::Result<Pepper> {
    if let Some(pepper) = &config.settings.auth.pepper {
        return Ok(pepper.clone());
    }
    let Some(database) = wire::database(config) else { return Ok(Pepper::new(&env.secret::<32>())) };
    let file = beside(&database);
    let text = match read(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(&file, env).with_context(|| format!("cannot make the pepper file {}", file.display()))?
        }
        read => read.with_context(|| format!("cannot read the pepper file {}", file.display()))?,
    };
    let text = text.trim();
    if text.len() != CHARS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!(
            "{} is not as this program wrote it; put the file of the last backup in its place, or take it away, and create \
             new keys: those that there are let nobody in then",
            file.display()
        );
        return Err(ended(Exit::Configuration, message));
    }
    Ok(Pepper::new(text.as_bytes()))
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".pepper");
    PathBuf::from(name)
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Written whole or not at all: a key that was given out must not lose its pepper to a power failure.
fn make(file: &Path, env: &Env) -> std::io::Result<String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let text: String = env.secret::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut open = File::options();
    let mut written = open.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, file)?;
    if let Some(folder) = file.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(text)
}

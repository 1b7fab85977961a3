//! The release binary as a server under test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running binary.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) started_in: Duration,
}

/// The release binary beside this one.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("quarterdeck");
    anyhow::ensure!(path.is_file(), "{} is not there; `cargo xtask bench` builds it", path.display());
    Ok(path)
}

impl Server {
    /// Starts `serve` in a folder that holds a configuration; ready when it says where its API is.
    pub(crate) async fn serve(folder: &Path) -> anyhow::Result<Self> {
        Self::start(folder, &["serve", "--listen", "127.0.0.1:0", "--admin-listen", ""], "API").await
    }

    /// Starts the simulator over HTTP.
    pub(crate) async fn sim(args: &[&str]) -> anyhow::Result<Self> {
        let mut all = vec!["sim", "serve", "--listen", "127.0.0.1:0"];
        all.extend(args);
        Self::start(Path::new("."), &all, "Simulated models at").await
    }

    async fn start(folder: &Path, args: &[&str], marker: &str) -> anyhow::Result<Self> {
        let begin = Instant::now();
        let mut child = Command::new(binary()?)
            .args(args)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        let mut seen = String::new();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, rest)) = line.split_once(marker).and_then(|(_, rest)| rest.split_once("http://"))
            {
                let address = rest.split([' ', '/']).next().unwrap_or_default().to_owned();
                let started_in = begin.elapsed();
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { child, address, started_in });
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        anyhow::bail!("the server ended:\n{seen}")
    }

    /// Resident memory in MiB: now, and at most so far.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<(f64, f64)> {
        let id = self.child.id().context("the server runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        Ok((field("VmRSS:").context("VmRSS")? / 1024.0, field("VmHWM:").context("VmHWM")? / 1024.0))
    }
}

/// A folder with a configuration and one crew with one call and no tools.
pub(crate) fn project(configuration: &str) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir_in(".")?;
    std::fs::write(folder.path().join("quarterdeck.toml"), configuration)?;
    std::fs::create_dir(folder.path().join("crews"))?;
    std::fs::write(folder.path().join("crews/echo.yaml"), CREW)?;
    Ok(folder)
}

/// One agent, one call.
pub(crate) const CREW: &str = "name: echo\n\
    agents:\n  echo: {role: Echo, goal: Answer, backstory: You are brief.}\n\
    tasks:\n  - {name: answer, description: \"{message}\", expected_output: An answer, agent: echo}\n";

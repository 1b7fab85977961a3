//! The demo's server: this very program as a child process, on a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};

use crate::exit::{Exit, ended};

const CREWS: [(&str, &str); 5] = [
    ("crews/research.yaml", include_str!("../../../../../examples/crews/research.yaml")),
    ("crews/support.yaml", include_str!("../../../../../examples/crews/support.yaml")),
    ("crews/newsletter/agents.yaml", include_str!("../../../../../examples/crews/newsletter/agents.yaml")),
    ("crews/newsletter/tasks.yaml", include_str!("../../../../../examples/crews/newsletter/tasks.yaml")),
    ("crews/newsletter/crew.yaml", include_str!("../../../../../examples/crews/newsletter/crew.yaml")),
];

/// The child and its folder. Both go when this goes.
pub(super) struct ServerProcess {
    folder: TempDir,
    url: String,
    listen: String,
    child: Child,
    /// The child stops when this goes, and it goes with this process, however that ends.
    lifeline: Option<ChildStdin>,
}

impl ServerProcess {
    pub(super) async fn start(listen: Option<&str>, provider: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("quarterdeck-demo-").tempdir()?;
        for (path, text) in CREWS {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            std::fs::write(path, text)?;
        }
        std::fs::write(folder.path().join("quarterdeck.toml"), configuration(provider))?;
        // The same address serves every life of the server, so that a free port is chosen once, here.
        let listen = match listen {
            Some(address) => free_address(&[address]).await?,
            None => free_address(&["127.0.0.1:8000", "127.0.0.1:0"]).await?,
        };
        let (child, lifeline) = spawn(folder.path(), &listen)?;
        Ok(Self { folder, url: format!("http://{listen}"), listen, child, lifeline })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// kill -9.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }

    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        (self.child, self.lifeline) = spawn(self.folder.path(), &self.listen)?;
        Ok(())
    }

    /// Waits for an end that nobody asked for; keeps the folder then, for its log.
    pub(super) async fn died(&mut self) -> String {
        let status: std::io::Result<ExitStatus> = self.child.wait().await;
        self.folder.disable_cleanup(true);
        status.map_or_else(|e| e.to_string(), |status| status.to_string())
    }

    /// Ends it at once: there is nothing in it that anybody needs.
    pub(super) async fn stop(&mut self) {
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
    }
}

fn spawn(folder: &Path, listen: &str) -> anyhow::Result<(Child, Option<ChildStdin>)> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let log = std::fs::File::options().create(true).append(true).open(folder.join("server.log"))?;
    let mut command = Command::new(program);
    command
        .args(["serve", "--stop-with-stdin", "--listen", listen, "--config"])
        .arg(folder.join("quarterdeck.toml"))
        // The demo is the same whatever the shell around it has set.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    // A Ctrl-C of the terminal is for the demo, which then ends its server.
    command.process_group(0);
    let mut child = command.spawn().context("cannot start the server")?;
    // Taken out, because waiting for a child closes the standard input that it still holds.
    let lifeline = child.stdin.take();
    Ok((child, lifeline))
}

fn configuration(provider: &str) -> String {
    format!(
        "# Made by `quarterdeck demo`.\n\
         default_model = \"sim/standard\"\n\
         [server]\nadmin_listen = \"\"\n\
         [worker]\ndrain_timeout_seconds = 2\n\
         [retry]\nbase_ms = 300\n\
         [log]\nlevel = \"info\"\nformat = \"text\"\n\
         [providers.sim]\nkind = \"sim\"\nbase_url = \"{provider}\"\n"
    )
}

/// The first of the addresses that is free.
async fn free_address(wished: &[&str]) -> anyhow::Result<String> {
    for address in wished {
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            return Ok(listener.local_addr()?.to_string());
        }
    }
    Err(ended(
        Exit::Conflict,
        format!("cannot listen on {}; choose another address with --listen", wished.join(" or ")),
    ))
}

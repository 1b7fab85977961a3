//! Processes of the binary: started on free ports in temporary folders, ended with the test.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with an environment of its own.
pub(crate) fn quarterdeck(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
    command.current_dir(folder).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(folder: &Path, args: &[&str]) -> Output {
    let output = quarterdeck(folder).args(args).stdin(Stdio::null()).output();
    tokio::time::timeout(PATIENCE, output).await.expect("ends in time").unwrap()
}

/// What a command wrote, and how it ended.
pub(crate) fn said(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

/// A process that says where it listens.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: String,
    lines: mpsc::UnboundedReceiver<String>,
    /// Lines that were waited for.
    seen: Vec<String>,
}

impl Process {
    /// Starts it and waits for a line that holds `marker` and then `http://ADDRESS`.
    pub(crate) async fn start(command: &mut Command, marker: &str) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut process = Self { child, address: String::new(), lines: receiver, seen: Vec::new() };
        process.address = process.address_after(marker).await;
        process
    }

    /// The address in the next line that holds `marker` and then `http://ADDRESS`.
    pub(crate) async fn address_after(&mut self, marker: &str) -> String {
        loop {
            match tokio::time::timeout(PATIENCE, self.lines.recv()).await {
                Ok(Some(line)) => {
                    self.seen.push(line.clone());
                    if let Some((_, rest)) =
                        line.split_once(marker).and_then(|(_, rest)| rest.split_once("http://"))
                    {
                        return rest.split([' ', '/']).next().unwrap().to_owned();
                    }
                }
                Ok(None) => panic!("it ended without `{marker}`: {:#?}", self.seen),
                Err(_) => panic!("it never said `{marker}`: {:#?}", self.seen),
            }
        }
    }

    /// Everything that it wrote to standard error, once it has ended.
    pub(crate) async fn all_lines(mut self) -> Vec<String> {
        while let Some(line) = tokio::time::timeout(PATIENCE, self.lines.recv()).await.expect("it ends") {
            self.seen.push(line);
        }
        self.seen
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for a line of its log that holds `marker`.
    pub(crate) async fn says(&mut self, marker: &str) -> String {
        loop {
            match tokio::time::timeout(PATIENCE, self.lines.recv()).await {
                Ok(Some(line)) => {
                    self.seen.push(line.clone());
                    if line.contains(marker) {
                        return line;
                    }
                }
                Ok(None) => panic!("it ended and never said `{marker}`"),
                Err(_) => panic!("it never said `{marker}`"),
            }
        }
    }

    /// Changes a limit of it while it runs, as `prlimit` names it.
    pub(crate) fn limit(&self, limit: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let status = std::process::Command::new("prlimit").args(["--pid", &id, limit]).status().unwrap();
        assert!(status.success(), "prlimit {limit}");
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// SIGTERM, as a supervisor sends it.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().expect("it runs");
        let status = std::process::Command::new("kill").args(["-TERM", &id.to_string()]).status().unwrap();
        assert!(status.success());
    }
}

/// A folder with a configuration and crews.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
}

impl Project {
    pub(crate) fn new(configuration: &str, crews: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("quarterdeck.toml"), configuration).unwrap();
        std::fs::create_dir(folder.path().join("crews")).unwrap();
        for (name, text) in crews {
            std::fs::write(folder.path().join("crews").join(name), text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Starts `serve` on an address.
    pub(crate) async fn serve(&self, listen: &str) -> Process {
        let mut command = quarterdeck(self.folder.path());
        command.args(["serve", "--listen", listen, "--admin-listen", "127.0.0.1:0"]);
        Process::start(&mut command, "API").await
    }
}

/// A connection that is kept.
pub(crate) struct Kept(BufReader<TcpStream>);

impl Kept {
    pub(crate) async fn open(address: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// POSTs JSON; answers status and JSON.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all((head + &body).as_bytes()).await.unwrap();
        let (mut first, mut body_bytes) = (String::new(), 0);
        self.0.read_line(&mut first).await.unwrap();
        let status = first.split(' ').nth(1).expect("a status").parse().unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((_, length)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                body_bytes = length.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; body_bytes];
        self.0.read_exact(&mut text).await.unwrap();
        (status, serde_json::from_slice(&text).unwrap())
    }
}

/// A listener that outlives the servers that are started on it, as a supervisor keeps one open over restarts.
pub(crate) struct Socket(std::net::TcpListener);

impl Socket {
    pub(crate) fn open() -> Self {
        Self(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Starts `serve` of a project on it.
    pub(crate) async fn serve(&self, project: &Project) -> Process {
        // It comes as standard input and becomes file 3. The shell gives way to the server, so its id is the server's.
        let script = "exec 3<&0 </dev/null; \
                      LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --admin-listen 127.0.0.1:0";
        let mut command = Command::new("sh");
        command.current_dir(project.folder.path()).env_clear().kill_on_drop(true);
        command.stdin(OwnedFd::from(self.0.try_clone().unwrap()));
        command.args(["-c", script, env!("CARGO_BIN_EXE_quarterdeck")]);
        Process::start(&mut command, "API").await
    }
}

/// The simulator as a process.
pub(crate) async fn sim(args: &[&str]) -> Process {
    let folder = std::env::temp_dir();
    let mut command = quarterdeck(&folder);
    command.args(["sim", "serve", "--listen", "127.0.0.1:0"]).args(args);
    Process::start(&mut command, "Simulated models at").await
}

/// A configuration that uses a simulator at an address.
pub(crate) fn with_sim(sim: &Process, more: &str) -> String {
    format!(
        "default_model = \"sim/standard\"\n{more}\n[providers.sim]\nkind = \"sim\"\nbase_url = \"{}\"\n",
        sim.url("/v1")
    )
}

/// A configuration with the simulator inside the server.
pub(crate) fn with_inner_sim(more: &str) -> String {
    format!("default_model = \"sim/standard\"\n{more}\n[providers.sim]\n")
}

/// The HTTP client: making one takes longer than most requests. A connection that idles between two requests may be
/// closed at any time, by HTTP's own rules, so each request takes a new one.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        qd_llm::install_crypto_provider();
        reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap()
    });
    client.clone()
}

/// GETs JSON; fails on any answer but a success.
pub(crate) async fn get(url: &str) -> Value {
    http().get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

/// POSTs JSON; answers status and JSON.
pub(crate) async fn post(url: &str, body: &Value) -> (u16, Value) {
    let response = http().post(url).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Polls until there is something; gives up after [`PATIENCE`].
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let poll = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Polls a job until it is over.
pub(crate) async fn finished(server: &str, id: &str) -> Value {
    until("the job ends", || async {
        let job = get(&format!("{server}/v1/jobs/{id}")).await;
        matches!(job["status"].as_str(), Some("succeeded" | "failed" | "cancelled")).then_some(job)
    })
    .await
}

/// Waits until a simulator is in the middle of a call.
pub(crate) async fn in_mid_call(sim: &Process) {
    until("a call is under way", || async {
        (get(&sim.url("/ledger")).await["in_flight"] != 0).then_some(())
    })
    .await;
}

/// A crew that calls two tools at once and has two tasks.
pub(crate) const SUMS: &str = r#"
name: sums
agents:
  clerk: {role: Clerk, goal: "Answer {question}", backstory: You are exact., tools: [calculator, current_time]}
tasks:
  - name: work
    description: "Use the calculator and current_time to answer {question}"
    expected_output: A number
    agent: clerk
  - name: report
    description: "Report on {question} in one sentence"
    expected_output: One sentence
    agent: clerk
"#;

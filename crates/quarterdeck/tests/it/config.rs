//! Configuration files and variables as a process finds them: what is there, what may be read, who wins.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::process::{PATIENCE, Project, quarterdeck, run, said};

#[tokio::test]
async fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder.toml")).unwrap();
    std::fs::write(at("empty.toml"), "").unwrap();
    std::fs::write(at("large.toml"), "# x\n".repeat(300_000)).unwrap();
    std::fs::write(at("latin1.toml"), b"# caf\xe9\n").unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe.toml")).status().unwrap();
    assert!(made.success());
    for (file, code, message) in [
        ("missing.toml", 3, "cannot read the configuration missing.toml: No such file"),
        ("folder.toml", 3, "cannot read the configuration folder.toml: it is not a file"),
        ("pipe.toml", 3, "cannot read the configuration pipe.toml: it is not a file"),
        ("large.toml", 3, "it is larger than 1048576 bytes"),
        ("latin1.toml", 3, "cannot read the configuration latin1.toml: stream did not contain valid UTF-8"),
        ("empty.toml", 0, ""),
    ] {
        let (_, err, ended) = said(&run(folder.path(), &["config", "show", "--config", file]).await);
        assert_eq!(ended, code, "{file}: {err}");
        assert!(err.contains(message), "{file}: {err}");
    }
}

#[tokio::test]
async fn secrets_in_files_are_read_and_bad_ones_are_named() {
    let project = Project::new("[providers.groq]\napi_key = { file = \"key\" }\n", &[]);
    let key = project.path().join("key");
    for (text, code, message) in [
        (
            None,
            3,
            "quarterdeck.toml:2:1: providers.groq.api_key: cannot read the secret file ./key: No such file",
        ),
        (Some(""), 3, "the secret file ./key is empty"),
        (Some("\n"), 3, "the secret file ./key is empty"),
        (Some("two\nlines"), 3, "was a line break copied along?"),
        (Some("gsk-x\r\n"), 0, ""),
    ] {
        if let Some(text) = text {
            std::fs::write(&key, text).unwrap();
        }
        let (out, err, ended) = said(&run(&project.path(), &["config", "show"]).await);
        assert_eq!(ended, code, "{text:?}: {err}");
        assert!(err.contains(message) && !out.contains("gsk-x"), "{text:?}: {err}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, err, code) = said(&run(&project.path(), &["config", "show"]).await);
    assert!(code == 0 && err.contains("warning: quarterdeck.toml:2:1: providers.groq.api_key: everybody on this machine can read ./key"), "{err}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (_, err, code) = said(&run(&project.path(), &["config", "show"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
}

#[tokio::test]
async fn dotenv_is_read_in_development_and_never_wins() {
    let project = Project::new("[worker]\nslots = 3\n[env.other]\n", &[]);
    std::fs::write(
        project.path().join(".env"),
        "# mine\nGROQ_API_KEY='gsk-x'\nQUARTERDECK_WORKER__SLOTS=4\nQUARTERDECK_QUEUE__MAX_DEPTH=5\nQUARTERDECK_RETRY__BASE_MS=7\n",
    )
    .unwrap();
    let show = |variables: &[(&str, &str)], profile: &str| {
        let mut command = quarterdeck(&project.path());
        command.args(["config", "show", "--origin", "--env", profile]).envs(variables.iter().copied());
        async move {
            let output = command.stdin(Stdio::null()).output();
            let output = tokio::time::timeout(PATIENCE, output).await.expect("ends in time").unwrap();
            let (out, err, code) = said(&output);
            assert_eq!(code, 0, "{err}");
            (out, err)
        }
    };
    let line = |out: &str, setting: &str| {
        let found = out.lines().find(|line| line.split_whitespace().next() == Some(setting));
        found.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let real = [("QUARTERDECK_QUEUE__MAX_DEPTH", "9"), ("QUARTERDECK_RETRY__BASE_MS", "")];
    let (out, err) = show(&real, "development").await;
    assert_eq!(err, "");
    for (setting, shown) in [
        ("worker.slots", "4 .env:3"),
        ("queue.max_depth", "9 variable QUARTERDECK_QUEUE__MAX_DEPTH"),
        ("retry.base_ms", "1000 default"),
        ("providers.groq.kind", "\"openai\" .env:2"),
    ] {
        assert_eq!(line(&out, setting), shown, "{out}");
    }
    assert!(!out.contains("gsk-x"), "{out}");
    let (out, err) = show(&[], "other").await;
    assert_eq!(
        (line(&out, "worker.slots").as_str(), line(&out, "providers.groq.kind").as_str()),
        ("3 quarterdeck.toml:2:1", "")
    );
    assert!(err.contains("warning: .env:1: is not read in the profile other, only in development"), "{err}");
}

#[tokio::test]
async fn configuration_elsewhere_brings_its_own_folder() {
    let project = Project::new("default_model = \"sim/standard\"\n", &[("sums.yaml", crate::process::SUMS)]);
    std::fs::write(project.path().join(".env"), "QUARTERDECK_WORKER__SLOTS=zero\n").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = project.path().join("quarterdeck.toml");
    let file = file.to_str().unwrap();
    let (_, err, code) = said(&run(elsewhere.path(), &["check", "--config", file]).await);
    assert_eq!(code, 3);
    assert!(err.contains("/.env:1:1: error: worker.slots: must be a whole number"), "{err}");
    std::fs::remove_file(project.path().join(".env")).unwrap();
    let (out, err, code) = said(&run(elsewhere.path(), &["check", "--config", file]).await);
    assert!(code == 0 && out.contains("ok: crew sums"), "{err}");
}

#[tokio::test]
async fn systems_are_shown_and_secrets_of_variables_are_not() {
    let project = Project::new("[providers.groq]\n[systems.shop]\ncrews = [\"assistant\"]\n", &[]);
    let mut command = quarterdeck(&project.path());
    let output =
        command.args(["config", "show"]).env("QUARTERDECK_PROVIDERS__GROQ__API_KEY", "12345").output();
    let (out, err, code) = said(&output.await.unwrap());
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("[systems.shop]\ncrews = [\"assistant\"]"), "{out}");
    assert!(out.contains("api_key = \"[redacted]\"") && !out.contains("12345"), "{out}");
}

#[tokio::test]
async fn dotenv_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "not ours at all\nQUARTERDECK_WORKER__SLOTS=x\n").unwrap();
    let (_, err, code) = said(&run(folder.path(), &["config", "show"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    std::fs::write(folder.path().join("quarterdeck.toml"), "").unwrap();
    let (_, err, code) = said(&run(folder.path(), &["config", "show"]).await);
    assert!(code == 3 && err.contains(".env:1: is no NAME=VALUE"), "{err}");
    std::fs::remove_file(folder.path().join(".env")).unwrap();
    std::fs::create_dir(folder.path().join(".env")).unwrap();
    let (_, err, code) = said(&run(folder.path(), &["config", "show"]).await);
    assert!(code == 3 && err.contains(".env:1:1: cannot read .env: it is not a file"), "{err}");
}

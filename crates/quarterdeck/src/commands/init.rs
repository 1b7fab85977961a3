//! `init NAME`: a folder that runs at once, on the simulator; one line makes it run on a real model.
//!
//! The crews are the example crews of the repository, which are tested there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use qd_crew::SchemaOf;
use serde_json::{Value, json};

use crate::cli::{Global, Init, Template};
use crate::exit::{Exit, ended};
use crate::{config, output};

const SETTINGS: &str = include_str!("../../templates/quarterdeck.toml");
const VARIABLES: &str = include_str!("../../templates/env.example");
const IGNORED: &str = include_str!("../../templates/gitignore");
const README: &str = include_str!("../../templates/README.md");

/// A crew to begin with.
struct Start {
    about: &'static str,
    /// Its files below `crews/`, and the schema of each.
    files: &'static [(&'static str, &'static str, &'static str)],
    crew: &'static str,
    input: &'static str,
    /// Lines for quarterdeck.toml.
    settings: &'static str,
}

const CREW: Start = Start {
    about: "an analyst and a writer, one after the other, in one file",
    files: &[("research.yaml", "crew", include_str!("../../../../examples/crews/research.yaml"))],
    crew: "research",
    input: "topic=\"heat pumps\"",
    settings: "",
};

const FOLDER: Start = Start {
    about: "three agents who make a newsletter, in agents.yaml and tasks.yaml",
    files: &[
        (
            "newsletter/agents.yaml",
            "agents",
            include_str!("../../../../examples/crews/newsletter/agents.yaml"),
        ),
        ("newsletter/tasks.yaml", "tasks", include_str!("../../../../examples/crews/newsletter/tasks.yaml")),
        (
            "newsletter/crew.yaml",
            "folder-crew",
            include_str!("../../../../examples/crews/newsletter/crew.yaml"),
        ),
    ],
    crew: "newsletter",
    input: "subject=\"night trains\"",
    settings: "",
};

const CHAT: Start = Start {
    about: "a support agent that remembers the conversation",
    files: &[("support.yaml", "crew", include_str!("../../../../examples/crews/support.yaml"))],
    crew: "support",
    input: "message=\"Where is my order?\"",
    settings: "\n# The crew behind /chat and /tasks.\ndefault_crew = \"support\"\n",
};

const SCHEMAS: [(&str, SchemaOf); 4] = [
    ("crew", SchemaOf::Crew),
    ("agents", SchemaOf::Agents),
    ("tasks", SchemaOf::Tasks),
    ("folder-crew", SchemaOf::FolderCrew),
];

pub(super) fn run(global: &Global, args: &Init) -> anyhow::Result<Exit> {
    let start = match args.template {
        Template::Crew => &CREW,
        Template::Folder => &FOLDER,
        Template::Chat => &CHAT,
    };
    let folder = &args.name;
    let refused = |exit, why: String| ended(exit, format!("cannot make {}: {why}", folder.display()));
    refuse_to_overwrite(folder).map_err(|why| refused(Exit::Conflict, why))?;
    let files = files(start, &title(folder))?;
    for (path, text) in &files {
        write(&folder.join(path), text).map_err(|e| refused(Exit::Failed, format!("{path}: {e}")))?;
    }
    let paths: Vec<Value> = files.iter().map(|(path, _)| json!(path)).collect();
    let made = json!({"folder": folder.display().to_string(), "crew": start.crew, "files": paths});
    output::show(global.output, &made, |_| {
        let paths: Vec<_> = files.iter().map(|(path, _)| format!("  {path}")).collect();
        format!("Made {}:\n{}", folder.display(), paths.join("\n"))
    })?;
    if !global.quiet {
        let go = format!("cd {} && quarterdeck run {} -i {}", folder.display(), start.crew, start.input);
        output::say(&format!("Now: {go}"));
    }
    Ok(Exit::Ok)
}

/// An empty folder will do; so will one with nothing but a repository.
fn refuse_to_overwrite(folder: &Path) -> Result<(), String> {
    if folder.as_os_str().is_empty() {
        return Err("a name has at least one character".to_owned());
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("it is there and no folder that can be read ({error})")),
    };
    match entries.filter_map(Result::ok).find(|entry| entry.file_name() != ".git") {
        None => Ok(()),
        Some(entry) => Err(format!(
            "it holds {} already, and nothing is overwritten; choose another name",
            entry.file_name().display()
        )),
    }
}

fn title(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "A Quarterdeck project".to_owned())
}

/// Every file of a project by its path.
fn files(start: &Start, name: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = vec![("quarterdeck.toml".to_owned(), format!("{SETTINGS}{}", start.settings))];
    for (path, schema, text) in start.files {
        let up = "../".repeat(path.matches('/').count() + 1);
        let hint = format!("# yaml-language-server: $schema={up}.quarterdeck/{schema}.schema.json\n");
        files.push((format!("crews/{path}"), hint + text));
    }
    files.push((".env.example".to_owned(), VARIABLES.to_owned()));
    files.push((".gitignore".to_owned(), IGNORED.to_owned()));
    files.push(("README.md".to_owned(), readme(start, name)));
    let schemas = SCHEMAS.into_iter().filter(|(name, _)| start.files.iter().any(|(_, of, _)| of == name));
    let schemas = schemas.map(|(name, of)| (name, qd_crew::schema(of)));
    for (name, schema) in schemas.chain([("quarterdeck", config::schema())]) {
        let text = serde_json::to_string_pretty(&schema)?;
        files.push((format!(".quarterdeck/{name}.schema.json"), text + "\n"));
    }
    Ok(files)
}

fn readme(start: &Start, name: &str) -> String {
    let rows: Vec<_> =
        start.files.iter().map(|(path, _, _)| format!("| `crews/{path}` | {} |", kind(path))).collect();
    README
        .replace("{name}", name)
        .replace("{about}", start.about)
        .replace("{run}", &format!("quarterdeck run {} -i {}", start.crew, start.input))
        .replace(
            "{submit}",
            &format!("quarterdeck submit {} -i {} --wait   # in another terminal", start.crew, start.input),
        )
        .replace("{files}", &rows.join("\n"))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('/').next() {
        Some("agents.yaml") => "who does the tasks",
        Some("tasks.yaml") => "what is done, in this order",
        Some("crew.yaml") => "the crew's name and default inputs",
        _ => "the crew: agents, tasks, default inputs",
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

//! Asks the person at this terminal about a task's answer, for a job that waits for one.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::{self, Exit, ended};
use crate::output::{harmless, say};

/// Whether there is somebody to ask.
pub(crate) fn is_somebody_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks whether something is meant that is done to many; without a terminal it must be said beforehand.
pub(crate) fn confirm(act: &str) -> anyhow::Result<()> {
    if !is_somebody_there() {
        let message = format!("this would {act}; say --yes");
        return Err(ended(Exit::Usage, message));
    }
    let typed = line(&format!("{act}? [y/N] "))?;
    if matches!(typed.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(ended(Exit::Failed, "nothing was done"))
}

/// Shows what a job asks, takes a line, and gives it to the server. `question` is the `waiting` of a job, or the event.
pub(crate) async fn answer(client: &Client, job: &str, question: &Value) -> anyhow::Result<Value> {
    let text = |key: &str| question[key].as_str().map(harmless).unwrap_or_default();
    say(&format!("\n{}\n", text("output")));
    let left = question["feedback_left"].as_u64().unwrap_or_default();
    let back = match left {
        0 => "it was sent back as often as it may be: anything else fails the job".to_owned(),
        1 => "anything else is sent back as what is to change, for the last time".to_owned(),
        _ => "anything else is sent back as what is to change".to_owned(),
    };
    let prompt = format!("Task `{}` asks whether this is good. Enter approves; {back}.\n> ", text("task"));
    // The thread stays in its read if the command ends before.
    let typed = tokio::task::spawn_blocking(move || line(&prompt)).await??;
    resume(client, job, &body(question["step"].as_str(), &typed)).await
}

/// Gives a job its answer.
pub(crate) async fn resume(client: &Client, job: &str, body: &Value) -> anyhow::Result<Value> {
    client.post(&format!("/v1/jobs/{job}/resume"), body).await
}

/// The same for whoever follows the job anyway: that somebody else was faster is no mistake.
pub(crate) async fn answer_unless_late(client: &Client, job: &str, question: &Value) -> anyhow::Result<()> {
    match answer(client, job, question).await {
        Err(error) if exit::of(&error) == Exit::Conflict => {
            say(&format!("{error:#}"));
            Ok(())
        }
        other => other.map(drop),
    }
}

fn line(prompt: &str) -> anyhow::Result<String> {
    let mut err = std::io::stderr();
    write!(err, "{prompt}")?;
    err.flush()?;
    let mut typed = String::new();
    if std::io::stdin().read_line(&mut typed)? == 0 {
        return Err(ended(Exit::Interrupted, "nothing was said; the job goes on waiting"));
    }
    Ok(typed)
}

/// What the server is told. Nothing typed approves.
fn body(step: Option<&str>, typed: &str) -> Value {
    match typed.trim() {
        "" => json!({"step": step, "approve": true}),
        feedback => json!({"step": step, "approve": false, "feedback": feedback}),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::body;

    #[test]
    fn enter_approves_and_everything_else_is_feedback() {
        let step = Some("t/turn-1/human");
        for typed in ["", "\n", "  \r\n"] {
            assert_eq!(body(step, typed), json!({"step": "t/turn-1/human", "approve": true}));
        }
        let said = json!({"step": "t/turn-1/human", "approve": false, "feedback": "no, shorter"});
        assert_eq!(body(step, " no, shorter\n"), said);
    }
}

//! What is done about a step that is given up: what was said is put into fewer words, or another agent does its task.
//!
//! Which of them is possible the machine says; whether it is worth a call is decided here, where windows are known.

use qd_llm::{Blame, Models};
use qd_types::{Call, Entry, Failure, Recourse, StepId, StepKind};

use super::Attempt;

/// Summaries of less than this save nothing.
const PART_BYTES_MIN: u64 = 512;
/// Of a window, this much is filled with what is to be summarised: the rest is for the frame around it and the answer.
const SHARE_OF_WINDOW: f64 = 0.5;

impl Attempt<'_> {
    /// How the task of a step goes on that is given up for this failure; none if the job fails.
    pub(super) fn recourse(&self, step: &StepId, failure: &Failure, call: &Call) -> Option<Entry> {
        if step.kind() != StepKind::Model {
            return None;
        }
        let blame = Blame::of(failure.code);
        let recourse = match (blame, self.machine.compactable(step)) {
            (Blame::Window, Some(bytes)) => {
                let part_bytes = part_bytes(&self.shared.models, failure, call, bytes);
                worth_it(bytes, part_bytes).then_some(Recourse::Compact { part_bytes })
            }
            _ => None,
        };
        let recourse = recourse.or_else(|| {
            let agent = self.machine.stand_in(step).filter(|_| blame.may_fall_back())?.clone();
            Some(Recourse::Agent { agent })
        })?;
        let job = self.claimed.job.id;
        tracing::info!(%job, %step, recourse = ?recourse, code = %failure.code, "a step is given up and its task goes on");
        self.shared.observer.resorted(&recourse);
        Some(Entry::Recourse { step: step.clone(), recourse })
    }
}

/// Bytes that the model takes in at once: by its window, as its provider or the configuration says, else a third of what
/// was too much.
fn part_bytes(models: &Models, failure: &Failure, call: &Call, bytes: u64) -> u64 {
    let window = failure.window_tokens.map(u64::from).or_else(|| models.window(&call.target));
    let part = match window {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(tokens) => (tokens as f64 * SHARE_OF_WINDOW * models.bytes_per_token(&call.target)) as u64,
        None => bytes / 3,
    };
    part.max(PART_BYTES_MIN)
}

/// All summaries take up to half of a part: what is shorter already would not become shorter.
fn worth_it(bytes: u64, part_bytes: u64) -> bool {
    bytes > part_bytes / 2
}

#[cfg(test)]
mod tests {
    use super::worth_it;

    #[test]
    fn only_what_would_become_shorter_is_put_into_fewer_words() {
        for (bytes, part, expected) in
            [(0, 512, false), (256, 512, false), (257, 512, true), (9_000, 512, true)]
        {
            assert_eq!(worth_it(bytes, part), expected, "{bytes} of {part}");
        }
    }
}

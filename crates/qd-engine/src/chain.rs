//! Who is asked at a step: the model that the crew names, its deployments, and the models that stand in for it. A pure
//! decision on the tries that failed.

use std::sync::Arc;

use qd_llm::{Blame, Link};
use qd_types::{Call, Code, Failure};

/// A try of a step that failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FailedTry {
    /// The model as the chain names it.
    model: String,
    deployment: Option<Arc<str>>,
    /// What came of it.
    pub(crate) failure: Failure,
}

impl FailedTry {
    pub(crate) fn new(call: &Call, failure: &Failure) -> Self {
        let deployment = call.deployment.as_deref().map(Arc::from);
        Self { model: call.target.clone(), deployment, failure: failure.clone() }
    }
}

/// Who is asked next.
#[derive(Debug, PartialEq)]
pub(crate) struct Next {
    /// Where in the chain to begin.
    pub(crate) first: usize,
    /// Deployments of that model that have failed just now.
    pub(crate) avoid: Vec<Arc<str>>,
    /// Whether somebody is asked who was not in this round: then there is no reason to wait.
    pub(crate) is_fresh: bool,
}

/// Decides after these tries. `has_other` says whether a model has a deployment besides these that would take a call.
pub(crate) fn next(
    chain: &[Link<'_>],
    failed: &[FailedTry],
    has_other: impl Fn(&str, &[Arc<str>]) -> bool,
) -> Next {
    let begin = Next { first: 0, avoid: Vec::new(), is_fresh: failed.is_empty() };
    let Some(last) = failed.last() else { return begin };
    let at = place(chain, last);
    let blame = Blame::of(last.failure.code);
    let same = failed.iter().rev().take_while(|one| one.model == last.model);
    let avoid: Vec<Arc<str>> = same.filter_map(|one| one.deployment.clone()).collect();
    // The same model elsewhere is what was asked for; a window and an odd answer are the same there.
    let is_of_place = matches!(blame, Blame::Provider | Blame::RateLimit | Blame::Quota | Blame::Access);
    if is_of_place && !avoid.is_empty() && has_other(chain[at].name, &avoid) {
        return Next { first: at, avoid, is_fresh: true };
    }
    match (at + 1..chain.len())
        .find(|index| chain[*index].helps_with(blame) && is_larger(chain, at, *index, blame))
    {
        Some(first) => Next { first, avoid: Vec::new(), is_fresh: true },
        // All have had their try: the next round begins after a wait.
        None => begin,
    }
}

/// What a refusal by one of our guards says about the model before which it stands.
pub(crate) fn refused_for(code: Code) -> Blame {
    if code == Code::ModelCircuitOpen { Blame::Provider } else { Blame::RateLimit }
}

/// Of the tries of the last round, the failure that is most worth waiting for: a stand-in with a wrong key must not fail
/// a job whose model is only busy.
pub(crate) fn most_hopeful<'a>(chain: &[Link<'_>], failed: &'a [FailedTry]) -> Option<&'a Failure> {
    let (last, earlier) = failed.split_last()?;
    let (mut at, mut round) = (place(chain, last), vec![&last.failure]);
    for one in earlier.iter().rev() {
        let before = place(chain, one);
        if before >= at {
            break;
        }
        at = before;
        round.push(&one.failure);
    }
    round.iter().find(|failure| failure.class.is_retryable()).or(round.first()).copied()
}

fn place(chain: &[Link<'_>], one: &FailedTry) -> usize {
    chain.iter().position(|link| link.name == one.model).unwrap_or(0)
}

/// Only a larger window helps with a request that was too long, as far as windows are known.
fn is_larger(chain: &[Link<'_>], at: usize, other: usize, blame: Blame) -> bool {
    match (blame, chain[at].window, chain[other].window) {
        (Blame::Window, Some(window), Some(other)) => other > window,
        _ => true,
    }
}

#[cfg(test)]
mod tests;

//! Paths of one machine in tracked text: they are right nowhere else.

use crate::tidy::finding::{Finding, line_of};
use crate::tidy::tree::Tree;

/// In parts, so that this file does not find itself.
const ROOTS: &[&str] = &[concat!("/", "root"), concat!("/", "home"), concat!("/", "Users")];

/// Every text.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts().flat_map(|(path, text)| ROOTS.iter().flat_map(|root| of_root(path, text, root))).collect()
}

fn of_root<'a>(path: &'a str, text: &'a str, root: &'a str) -> impl Iterator<Item = Finding> + 'a {
    let is_absolute = move |place: usize| {
        let before = text[..place].chars().next_back();
        let after = text[place + root.len()..].chars().next();
        // `example.com/home` and `./home` are no paths of a machine, `/homely` is another word.
        let in_address = |c: char| c.is_alphanumeric() || "/.-_}*~".contains(c);
        let in_word = |c: char| c.is_alphanumeric() || "-_".contains(c);
        !before.is_some_and(in_address) && !after.is_some_and(in_word)
    };
    let places = text.match_indices(root).map(|(place, _)| place).filter(move |place| is_absolute(*place));
    places.map(move |place| {
        let message = format!("`{root}` is a path of one machine");
        Finding::new(path, line_of(text, place), "paths", message)
    })
}

#[cfg(test)]
mod tests {
    use super::{ROOTS, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn paths_of_a_machine_are_found() {
        for root in ROOTS {
            for (text, count) in [
                (format!("see {root}/x"), 1),
                (format!("\n\"{root}\""), 1),
                (format!("({root}/a) and `{root}/b`"), 2),
                (format!("https://example.com{root}/x"), 0),
                (format!("{root}ly"), 0),
                (format!("a{root}/x"), 0),
            ] {
                assert_eq!(check(&Tree::of(&[("a.md", &text)])).len(), count, "{text}");
            }
        }
    }
}

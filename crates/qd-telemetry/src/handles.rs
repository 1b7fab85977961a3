//! Handles by name, so that counting for a crew, a model or a route builds no label and allocates nothing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::OTHER;

/// Names kept at once; further ones share [`OTHER`].
const NAMES_MAX: usize = 1_000;

/// What is kept for each name.
#[derive(Debug)]
pub struct Handles<V> {
    // Read for every event; written once for each name.
    by_name: RwLock<HashMap<Box<str>, Arc<V>>>,
}

impl<V> Default for Handles<V> {
    fn default() -> Self {
        Self { by_name: RwLock::default() }
    }
}

impl<V> Handles<V> {
    /// What is kept for a name; made at the first time, from the name that its labels are to carry.
    pub fn get(&self, name: &str, make: impl FnOnce(&str) -> V) -> Arc<V> {
        if let Some(kept) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(kept);
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let name = if by_name.len() >= NAMES_MAX && !by_name.contains_key(name) { OTHER } else { name };
        Arc::clone(by_name.entry(name.into()).or_insert_with(|| Arc::new(make(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Handles, NAMES_MAX};

    #[test]
    fn names_beyond_the_bound_share_one_value() {
        let handles = Handles::default();
        for n in 0..NAMES_MAX * 2 {
            let name = format!("name-{n}");
            let kept = handles.get(&name, str::to_owned);
            assert_eq!(*kept, if n < NAMES_MAX { name.as_str() } else { "other" });
        }
        assert_eq!(*handles.get("name-3", |_| unreachable!("it is kept")), "name-3");
    }
}

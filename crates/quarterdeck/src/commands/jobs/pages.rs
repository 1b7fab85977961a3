//! Lists of jobs, page by page.

use std::fmt::Write as _;

use serde_json::Value;

use super::encoded;
use crate::cli::Filter;
use crate::client::Client;

/// The most that the API gives at once.
const PAGE_MAX: usize = 500;

/// Jobs of a server that a filter names, newest first.
pub(super) struct Pages<'a> {
    client: &'a Client,
    query: String,
    cursor: Option<String>,
    left: usize,
    started: bool,
}

impl<'a> Pages<'a> {
    /// At most so many jobs.
    pub(super) fn new(client: &'a Client, filter: &Filter, most: usize) -> Self {
        Self { client, query: query(filter), cursor: None, left: most, started: false }
    }

    /// Goes on behind a cursor that an earlier list gave.
    pub(super) fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }

    /// The next jobs; `None` after the last.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<Value>>> {
        if self.left == 0 || (self.started && self.cursor.is_none()) {
            return Ok(None);
        }
        let mut path = format!("/v1/jobs?limit={}{}", self.left.min(PAGE_MAX), self.query);
        if let Some(cursor) = &self.cursor {
            let _ = write!(path, "&cursor={}", encoded(cursor));
        }
        let mut page = self.client.get(&path).await?;
        self.started = true;
        self.cursor = page["next_cursor"].as_str().map(str::to_owned);
        let jobs = match page["jobs"].take() {
            Value::Array(jobs) => jobs,
            _ => Vec::new(),
        };
        self.left = self.left.saturating_sub(jobs.len());
        Ok((!jobs.is_empty()).then_some(jobs))
    }

    /// Where a later list goes on.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Whether jobs were left out because of the bound.
    pub(super) fn are_more(&self) -> bool {
        self.left == 0 && self.cursor.is_some()
    }
}

fn query(filter: &Filter) -> String {
    let parts = [
        ("status", &filter.status),
        ("crew", &filter.crew),
        ("created_after", &filter.created_after),
        ("created_before", &filter.created_before),
    ];
    parts.into_iter().fold(String::new(), |mut query, (name, value)| {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", encoded(value));
        }
        query
    })
}

#[cfg(test)]
mod tests {
    use super::{Filter, query};

    #[test]
    fn filters_become_parameters_that_no_value_can_break_out_of() {
        let filter = Filter {
            status: Some("failed".into()),
            crew: Some("a&b=c".into()),
            created_before: Some("2026-01-31T12:00:00+01:00".into()),
            ..Filter::default()
        };
        assert_eq!(
            query(&filter),
            "&status=failed&crew=a%26b%3Dc&created_before=2026-01-31T12%3A00%3A00%2B01%3A00"
        );
        assert_eq!(query(&Filter::default()), "");
    }
}

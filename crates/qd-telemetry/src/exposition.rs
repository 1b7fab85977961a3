//! The two formats that scrapers read. The encoder writes OpenMetrics; the older one differs in the names of counters'
//! families and in the end mark.

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text 0.0.4, which everything reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// What an `Accept` header asks for.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Rewrites what the encoder wrote, where that is needed.
    pub(crate) fn of_open_metrics(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => prometheus(&text),
        }
    }
}

fn prometheus(text: &str) -> String {
    let mut rewritten = String::with_capacity(text.len() + 1_024);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let kind = lines.peek().and_then(|next| next.rsplit_once(' ')).map(|(_, kind)| kind);
        match (help, line.strip_prefix("# TYPE ")) {
            _ if line == "# EOF" => continue,
            (Some((family, help)), _) if kind == Some("counter") => {
                push(&mut rewritten, &["# HELP ", family, "_total ", help]);
            }
            (_, Some(rest)) if rest.ends_with(" counter") => {
                push(&mut rewritten, &["# TYPE ", rest.trim_end_matches(" counter"), "_total counter"]);
            }
            _ => push(&mut rewritten, &[line]),
        }
    }
    rewritten
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    #[test]
    fn prometheus_text_names_counters_as_their_samples_and_has_no_end_mark() {
        let open = "# HELP a Things a counter.\n# TYPE a counter\na_total{b=\"# EOF\"} 1\n\
                    # HELP g Of no counter.\n# TYPE g gauge\ng 2.0\n# EOF\n";
        let classic = "# HELP a_total Things a counter.\n# TYPE a_total counter\na_total{b=\"# EOF\"} 1\n\
                       # HELP g Of no counter.\n# TYPE g gauge\ng 2.0\n";
        assert_eq!(Exposition::Prometheus.of_open_metrics(open.to_owned()), classic);
        assert_eq!(Exposition::OpenMetrics.of_open_metrics(open.to_owned()), open);
    }

    #[test]
    fn scrapers_get_what_they_ask_for() {
        for (accept, wanted) in [
            ("", Exposition::Prometheus),
            ("*/*", Exposition::Prometheus),
            ("text/plain;version=0.0.4", Exposition::Prometheus),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.3", Exposition::OpenMetrics),
        ] {
            assert_eq!(Exposition::wanted(accept), wanted, "{accept}");
        }
    }
}

//! `explain CODE`: the page of an error code, which the binary carries along.

use qd_types::Code;
use serde_json::{Value, json};

use crate::cli::{Explain, Format, Global};
use crate::exit::{Exit, ended};
use crate::output;

pub(crate) fn run(global: &Global, args: &Explain) -> anyhow::Result<Exit> {
    let Some(wished) = &args.code else { return list(global) };
    let code = find(wished)?;
    if global.output == Format::Table {
        output::print(code.page().trim_end())?;
    } else {
        let page = json!({"code": code.as_str(), "summary": summary(code), "text": code.page()});
        output::show(global.output, &page, |_| String::new())?;
    }
    Ok(Exit::Ok)
}

/// Takes the code as people copy it: the address of its page, other case, dashes.
fn find(wished: &str) -> anyhow::Result<Code> {
    let last = wished.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let word = last.trim_end_matches(".md").to_lowercase().replace('-', "_");
    word.parse().map_err(|_| {
        let hint = match qd_crew::nearest(&word, Code::ALL.iter().map(|code| code.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`quarterdeck explain` lists them".to_owned(),
        };
        ended(Exit::NotFound, format!("there is no error code `{}`; {hint}", output::excerpt(wished, 60)))
    })
}

fn list(global: &Global) -> anyhow::Result<Exit> {
    let codes: Vec<Value> =
        Code::ALL.iter().map(|code| json!({"code": code.as_str(), "summary": summary(*code)})).collect();
    output::show(global.output, &codes.into(), |codes| {
        let text = |code: &Value, key: &str| code[key].as_str().unwrap_or_default().to_owned();
        let rows: Vec<_> = codes
            .as_array()
            .into_iter()
            .flatten()
            .map(|code| vec![text(code, "code"), text(code, "summary")])
            .collect();
        output::table(&["code", "what one sees"], &rows)
    })?;
    Ok(Exit::Ok)
}

/// The first sentence about its symptom.
fn summary(code: Code) -> String {
    let about = code.page().split_once("## Symptom").map_or("", |(_, rest)| rest);
    let paragraph = about.trim_start().split("\n\n").next().unwrap_or_default();
    let flat = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.split_once(". ").map_or(flat.clone(), |(first, _)| format!("{first}."))
}

#[cfg(test)]
mod tests {
    use qd_types::Code;

    use super::{find, summary};
    use crate::exit::{self, Exit};

    #[test]
    fn every_code_has_a_page_with_a_summary() {
        for code in Code::ALL {
            assert!(code.page().starts_with(&format!("# {code}\n")), "{code}");
            assert!(summary(*code).len() > 10, "{code}: {}", summary(*code));
        }
    }

    #[test]
    fn codes_are_found_as_people_copy_them() {
        for word in [
            "model_timeout",
            "Model-Timeout",
            "docs/errors/model_timeout.md",
            "https://x/errors/model_timeout",
        ] {
            assert_eq!(find(word).unwrap(), Code::ModelTimeout, "{word}");
        }
        let error = find("model_timout").unwrap_err();
        assert_eq!(error.to_string(), "there is no error code `model_timout`; did you mean `model_timeout`?");
        assert_eq!(exit::of(&error), Exit::NotFound);
        assert!(find("colour").unwrap_err().to_string().contains("lists them"));
    }
}

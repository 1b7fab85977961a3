//! The file of prices that `prices_file` names: a table for each model, like those under `[prices]`, which go first.

use std::collections::BTreeMap;
use std::path::Path;

use qd_llm::PriceOptions;

use super::Config;
use super::decode::{Problem, Problems};
use super::read::read_text;

/// Adds the prices of the file, if one is named.
pub(super) fn add(config: &mut Config) -> Result<(), Problems> {
    let Some(name) = &config.settings.prices_file else { return Ok(()) };
    let wrong = |message: String| {
        let path = "prices_file".to_owned();
        Problems(vec![Problem { at: config.tree.origin(&path), path, message }])
    };
    let found = of_file(&config.base.join(name)).map_err(wrong)?;
    for (model, price) in found {
        config.models.prices.entry(model).or_insert(price);
    }
    Ok(())
}

fn of_file(path: &Path) -> Result<BTreeMap<String, PriceOptions>, String> {
    let shown = path.display();
    let text = read_text(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let prices: BTreeMap<String, PriceOptions> =
        toml::from_str(&text).map_err(|error| format!("{shown}: {}", error.to_string().trim_end()))?;
    let options = qd_llm::Options { prices, ..qd_llm::Options::default() };
    match options.validate().err().and_then(|problems| problems.into_iter().next()) {
        Some(problem) => Err(format!("{shown}: {}: {}", problem.path, problem.message)),
        None => Ok(options.prices),
    }
}

#[cfg(test)]
mod tests {
    use super::of_file;

    #[test]
    fn a_broken_file_of_prices_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices.toml");
        for (text, hint) in [
            ("[\"openai/m\"]\ninput = -1.0\noutput = 1.0", "from 0 to 1000000"),
            ("[m]\ninput = nan\noutput = 1.0", "prices.m: prices are dollars"),
            ("[m]\ninput = inf\noutput = 1.0", "from 0 to 1000000"),
            ("[m]\ninput = 1e7\noutput = 1.0", "from 0 to 1000000"),
            ("[m]\ninput = 1.0", "missing field `output`"),
            ("[m]\ninput = 1.0\noutput = 1.0\ncache = 1.0", "unknown field `cache`"),
            ("[m]\ninput = \"1\"\noutput = 1.0", "line 2"),
            ("m = 1.0", "line 1"),
            ("[m", "line 1"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = of_file(&file).unwrap_err();
            assert!(error.contains(hint) && error.contains("prices.toml"), "{text}: {error}");
        }
        assert!(of_file(&folder.path().join("none.toml")).unwrap_err().contains("cannot read"));
        std::fs::write(&file, "[\"openai/m\"]\ninput = 1\noutput = 2.5\ncache_read = 0.1").unwrap();
        let prices = of_file(&file).unwrap();
        assert_eq!((prices["openai/m"].output, prices["openai/m"].cache_read), (2.5, Some(0.1)));
    }
}

//! What each key may be: a JSON Schema, made from the types, their comments and their defaults.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Config, Error};

/// The schema of a configuration file, nothing of it by reference.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<Config>().into()
}

/// A member of an object, by its name.
fn members<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object[name].as_object().into_iter().flatten()
}

/// Whether each number is in the range of its key.
///
/// # Errors
/// Names the first that is not.
pub fn within_ranges(config: &Config) -> Result<(), Error> {
    let schema = schema();
    // What is no number in JSON, such as NaN, is in no range.
    let values = serde_json::to_value(config).unwrap_or_default();
    for (section, keys) in members(&schema, "properties") {
        for (key, may) in members(keys, "properties") {
            let value = &values[section][key];
            let (low, high) = (&may["minimum"], &may["maximum"]);
            let number = value.as_f64().unwrap_or(f64::NAN);
            let above = low.as_f64().is_none_or(|low| number >= low);
            let below = high.as_f64().is_none_or(|high| number <= high);
            if !(above && below) {
                let range =
                    if high.is_null() { format!("{low} and more") } else { format!("{low} to {high}") };
                return Err(Error::Range {
                    key: format!("{section}.{key}"),
                    value: value.to_string(),
                    range,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::config::{Layer, load};

    /// One line of a comment, as a cell of a table.
    fn cell(text: &Value) -> String {
        text.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
    }

    /// The page of all keys.
    fn page() -> String {
        let mut page = String::from(
            "# Configuration\n\n\
             A key comes from a flag, else from a variable (`SEGUE__SECTION__KEY`), else from the file that `--config` names\n\
             (TOML, a table for each section), else it has the default. `segue config show` lists them as they are and where\n\
             they are from, `segue config check` says whether they can be used, `segue config schema` prints all this as a JSON\n\
             Schema, for editors. This page is made from it.\n",
        );
        let schema = schema();
        for (section, keys) in members(&schema, "properties") {
            let _ = write!(
                page,
                "\n## {section}\n\n{}\n\n| key | default | range | |\n|---|---|---|---|\n",
                cell(&keys["description"])
            );
            for (key, may) in members(keys, "properties") {
                let range = match (&may["minimum"], &may["maximum"]) {
                    (Value::Null, _) => String::new(),
                    (low, Value::Null) => format!("from {low}"),
                    (low, high) => format!("{low} to {high}"),
                };
                let _ = writeln!(
                    page,
                    "| `{section}.{key}` | `{}` | {range} | {} |",
                    may["default"],
                    cell(&may["description"])
                );
            }
        }
        page
    }

    #[test]
    fn the_page_has_every_key_as_it_is() {
        const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        if std::env::var_os("SEGUE_WRITE_DOCS").is_some() {
            std::fs::write(PATH, page()).expect("the page can be written");
        }
        let there = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            there == page(),
            "docs/configuration.md is old: SEGUE_WRITE_DOCS=1 cargo test -p segue-server the_page"
        );
        let (_, keys) = load(&[]).expect("the defaults can be used");
        for (key, ..) in keys {
            assert!(there.contains(&format!("| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn a_configuration_fits_its_schema_and_others_do_not() {
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        let with = |section: &str, key: &str, value: Value| {
            let mut config = serde_json::to_value(Config::default()).expect("JSON");
            config[section][key] = value;
            validator.is_valid(&config)
        };
        assert!(with("dataflow", "workers", 4.into()) && with("recommend", "power", "1:1 5:2".into()));
        for (section, key, value) in [
            ("dataflow", "workers", Value::from(0)),
            ("dataflow", "worker", Value::from(1)),
            ("prequential", "share", Value::from(1.5)),
            ("server", "fsync", Value::from("yes")),
        ] {
            assert!(!with(section, key, value), "{section}.{key}");
        }
        let wrong =
            load(&[Layer::flag("x", "prequential.share", f64::NAN)]).expect_err("no share").to_string();
        assert_eq!(wrong, "key `prequential.share` is null, not in 0.0 to 1.0");
    }
}

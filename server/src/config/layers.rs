//! Layers of configuration, put together: each is a table of keys with a name for where it came from.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;

/// What is wrong with the configuration: the user mends it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not TOML: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that nobody knows.
    #[error("{origin}: unknown key `{key}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The file or variable.
        origin: String,
        /// The key, dotted.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A value of the wrong type.
    #[error("{origin}: key `{key}`: {detail}")]
    Wrong {
        /// The file or variable.
        origin: String,
        /// The key, dotted.
        key: String,
        /// What serde says.
        detail: String,
    },
    /// A value outside its range.
    #[error("key `{key}` is {value}, not in {range}")]
    Range {
        /// The key, dotted.
        key: String,
        /// What it is.
        value: String,
        /// What it may be.
        range: String,
    },
}

/// A configuration, and every key with its value and where that is from.
pub type Loaded = (Config, Vec<(String, Value, String)>);

/// Below this, any key is taken: it is for a library to know.
const ANY: (&str, &str) = ("kafka", "properties");

/// Some keys, and where they came from.
#[derive(Clone, Debug)]
pub struct Layer {
    origin: String,
    /// Whether all values are text, which reads as what the key wants.
    text: bool,
    values: Vec<(String, Value)>,
}

impl Layer {
    /// The keys of a TOML file.
    ///
    /// # Errors
    /// If it cannot be read or is not TOML.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.into(), source })?;
        let table: Table = toml::from_str(&text)
            .map_err(|source| Error::Syntax { path: path.into(), source: Box::new(source) })?;
        let mut values = Vec::new();
        flatten("", table, &mut values);
        Ok(Layer { origin: path.display().to_string(), text: false, values })
    }

    /// `SEGUE__SECTION__KEY` variables, one layer each so that an error names it.
    pub fn variables(vars: impl Iterator<Item = (String, String)>) -> Vec<Self> {
        let mut layers: Vec<Self> = vars
            .filter_map(|(name, value)| {
                let key = name.strip_prefix("SEGUE__")?.to_lowercase().replace("__", ".");
                let values = vec![(key, Value::String(value))];
                Some(Layer { origin: format!("variable {name}"), text: true, values })
            })
            .collect();
        layers.sort_by(|a, b| a.origin.cmp(&b.origin));
        layers
    }

    /// One key set by a flag.
    pub fn flag(name: &str, key: &str, value: impl Into<Value>) -> Self {
        let values = vec![(key.to_owned(), value.into())];
        Layer { origin: format!("flag --{name}"), text: false, values }
    }
}

/// Text as a value of the type that the key has; text if it does not read as one, which is then refused.
fn parse(text: &str, like: &Value) -> Value {
    let parsed = match like {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn flatten(prefix: &str, table: Table, values: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, values),
            value => values.push((key, value)),
        }
    }
}

/// A key's value as people may see it.
pub fn shown(key: &str, value: &Value) -> Value {
    if let ("redis.url", Value::String(url)) = (key, value) {
        return Value::String(segue_connectors::redis::shown(url));
    }
    let secret = is_any(key) && segue_connectors::kafka::is_secret(key);
    if secret { Value::String("***".to_owned()) } else { value.clone() }
}

/// The configuration that layers make, later ones first; and for every key where its value is from.
///
/// # Errors
/// Names the origin and the key of what is wrong.
pub fn load(layers: &[Layer]) -> Result<Loaded, Error> {
    let built_in = Table::try_from(Config::default()).map_err(|e| Error::Wrong {
        origin: "built in".into(),
        key: String::new(),
        detail: e.to_string(),
    })?;
    let mut known = Vec::new();
    flatten("", built_in, &mut known);
    let mut all: Vec<(String, Value, String)> =
        known.into_iter().map(|(key, value)| (key, value, "built in".to_owned())).collect();
    let mut config = Config::default();
    for Layer { origin, text, values } in layers {
        for (key, value) in values {
            if is_any(key) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                all.retain(|(there, ..)| there != key);
                all.push((key.clone(), Value::String(text), origin.clone()));
                continue;
            }
            let Some(place) = all.iter().position(|(there, ..)| there == key) else {
                let nearest = all
                    .iter()
                    .map(|(there, ..)| (strsim::normalized_damerau_levenshtein(there, key), there))
                    .filter(|(likeness, _)| *likeness > 0.5)
                    .max_by(|a, b| a.0.total_cmp(&b.0))
                    .map(|(_, there)| there.clone());
                return Err(Error::Unknown { origin: origin.clone(), key: key.clone(), nearest });
            };
            let value = match value {
                Value::String(written) if *text => parse(written, &all[place].1),
                value => value.clone(),
            };
            all[place] = (key.clone(), value, origin.clone());
            config = build(&all).map_err(|e| Error::Wrong {
                origin: origin.clone(),
                key: key.clone(),
                detail: e.message().trim().to_owned(),
            })?;
        }
    }
    if all.iter().any(|(key, ..)| is_any(key)) {
        config = build(&all).map_err(|e| Error::Wrong {
            origin: "configuration".into(),
            key: format!("{}.{}", ANY.0, ANY.1),
            detail: e.message().trim().to_owned(),
        })?;
    }
    config.check()?;
    Ok((config, all))
}

fn is_any(key: &str) -> bool {
    let rest = key.strip_prefix(ANY.0).and_then(|rest| rest.strip_prefix('.')?.strip_prefix(ANY.1));
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
}

fn build(all: &[(String, Value, String)]) -> Result<Config, toml::de::Error> {
    let mut sections = Table::new();
    for (key, value, _) in all {
        let Some((section, name)) = key.split_once('.') else { continue };
        let section = sections.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(section) = section else { continue };
        let property = name.split_once('.').filter(|_| is_any(key));
        let (table, name) = match property {
            None => (section, name),
            Some((table, name)) => {
                let table = section.entry(table.to_owned()).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(table) = table else { continue };
                (table, name)
            }
        };
        table.insert(name.to_owned(), value.clone());
    }
    Value::Table(sections).try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(vars: &[(&str, &str)]) -> Vec<Layer> {
        Layer::variables(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn later_layers_win_and_say_where_they_came_from() {
        let mut layers = variables(&[
            ("SEGUE__DATAFLOW__WORKERS", "4"),
            ("SEGUE__SERVER__BIND", "127.0.0.1:0"),
            ("SEGUE__SERVER__DATA_DIR", "2024"),
            ("SEGUE__RECOMMEND__POWER", "1:1.5 5:2"),
            ("SEGUE__RECOMMEND__SAMPLE", "300"),
            ("HOME", "x"),
        ]);
        layers.push(Layer::flag("workers", "dataflow.workers", 8));
        let (config, all) = load(&layers).expect("all known");
        assert_eq!((config.dataflow.workers, config.server.bind.port()), (8, 0));
        assert_eq!(config.server.data_dir.as_os_str(), "2024");
        assert_eq!(config.recommend.constants(5, 0, false).power, 2.0);
        assert_eq!([1, 50].map(|seeds| config.recommend.sample_of(seeds)), [300, 300]);
        let origin =
            |key: &str| all.iter().find(|(there, ..)| there == key).map(|(.., origin)| origin.clone());
        assert_eq!(origin("dataflow.workers").as_deref(), Some("flag --workers"));
        assert_eq!(origin("server.bind").as_deref(), Some("variable SEGUE__SERVER__BIND"));
        assert_eq!(origin("neighbours.keep").as_deref(), Some("built in"));
    }

    #[test]
    fn properties_of_kafka_are_taken_as_they_are() {
        let mut layers = vec![Layer {
            origin: "file".into(),
            text: false,
            values: vec![
                ("kafka.properties.linger.ms".into(), Value::Integer(5)),
                ("kafka.properties.sasl.username".into(), Value::String("file".into())),
            ],
        }];
        layers.extend(variables(&[
            ("SEGUE__KAFKA__BROKERS", "a:1,b:2"),
            ("SEGUE__KAFKA__PROPERTIES__SASL__USERNAME", "segue"),
        ]));
        let (config, all) = load(&layers).expect("all known");
        assert_eq!(config.kafka.brokers, "a:1,b:2");
        let properties = [("linger.ms", "5"), ("sasl.username", "segue")];
        assert_eq!(config.kafka.properties, properties.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(all.iter().any(|(key, _, origin)| key == "kafka.properties.linger.ms" && origin == "file"));
        let refused = load(&variables(&[("SEGUE__KAFKA__PROPERTIES", "x")])).expect_err("no such key");
        assert!(refused.to_string().contains("unknown key `kafka.properties`"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |vars: &[(&str, &str)]| load(&variables(vars)).expect_err("refused").to_string();
        assert_eq!(
            refused(&[("SEGUE__DATAFLOW__WORKER", "4")]),
            "variable SEGUE__DATAFLOW__WORKER: unknown key `dataflow.worker`; did you mean `dataflow.workers`?"
        );
        assert!(
            refused(&[("SEGUE__SERVER__BIND", "here")])
                .starts_with("variable SEGUE__SERVER__BIND: key `server.bind`: ")
        );
        assert_eq!(
            refused(&[("SEGUE__DATAFLOW__WORKERS", "0")]),
            "key `dataflow.workers` is 0, not in 1 to 256"
        );
        assert_eq!(
            refused(&[("SEGUE__REDIS__EXPIRE", "1500ms")]),
            "key `redis.expire` is 1s 500ms, not in 2s to 87600h"
        );
        let share = refused(&[("SEGUE__LIMITS__BAD_SHARE", "5")]);
        assert_eq!(share, "key `limits.bad_share` is 5.0, not in 0.0 to 1.0");
        assert!(load(&variables(&[("SEGUE__LIMITS__BAD_SHARE", "1")])).is_ok());
        let curve = refused(&[("SEGUE__RECOMMEND__POWER", "1:1.1 5:20")]);
        assert!(curve.contains("key `recommend.power`: 20 is not in 0.1 to 10"), "{curve}");
        for (sample, wrong) in [("0", "0 is not in 1 to 100000"), ("1:2.5", "2.5 is not a whole number")] {
            let curve = refused(&[("SEGUE__RECOMMEND__SAMPLE", sample)]);
            assert!(curve.contains(&format!("key `recommend.sample`: {wrong}")), "{curve}");
        }
        let curve = refused(&[("SEGUE__RECOMMEND__ARTIST", "some")]);
        assert!(curve.contains("\"some\" is neither a number nor points such as 1:0.3 5:0.5"), "{curve}");
        let url = refused(&[("SEGUE__REDIS__URL", "http://me:secret@host")]);
        assert!(url.contains("key `redis.url`: not an address") && !url.contains("secret"), "{url}");
        assert_eq!(
            shown("redis.url", &Value::String("redis://me:secret@host".into())).as_str(),
            Some("redis://me:***@host")
        );
        assert!(refused(&[("SEGUE__QQQ", "0")]).ends_with("unknown key `qqq`"));
    }
}

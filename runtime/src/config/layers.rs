//! The three places that settings come from, and what is said of a wrong one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{SETTINGS, Setting, Settings};
use crate::limits;

/// What was given on the command line, by key, in order.
#[derive(Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// The other flags.
    pub values: BTreeMap<String, Vec<String>>,
}

/// Why the configuration is refused: which place, which key, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that is not allowed.
    #[error("{origin}: {given:?} is not allowed, expected {expected}")]
    Value {
        /// The flag, the variable, or the file and key.
        origin: String,
        /// What was given.
        given: String,
        /// What is allowed.
        expected: String,
    },
    /// A key of the file that there is not.
    #[error("{file}: there is no setting {key:?}{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The setting that is meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// The file cannot be read, or is not TOML.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two settings do not go together.
    #[error("{0}")]
    Combination(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(", did you mean {key:?}?"))
}

/// The file that is read when `--config` names none.
const DEFAULT_FILE: &str = "parlor.toml";

/// Puts the settings together: `flags`, then `env`, then the file, then `defaults`.
///
/// The result holds the settings and sentences to warn of.
pub fn load(
    flags: &Flags,
    env: &BTreeMap<String, String>,
    defaults: Settings,
) -> Result<(Settings, Vec<String>), ConfigError> {
    let named = flags.config.clone().or_else(|| {
        let path = env.get("PARLOR_CONFIG").filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    });
    let file = match named {
        Some(path) => Some(File::read(&path)?),
        None if Path::new(DEFAULT_FILE).exists() => Some(File::read(Path::new(DEFAULT_FILE))?),
        None => None,
    };
    let mut settings = defaults;
    let mut origins = BTreeMap::new();
    for setting in SETTINGS {
        let Some(given) = Given::of(setting, flags, env, file.as_ref()) else {
            continue;
        };
        given.apply(setting, &mut settings)?;
        origins.insert(setting.key, given.origin);
    }
    check(&settings, &origins)?;
    Ok((settings, misspelt(env)))
}

/// The texts of one setting, from the first place that gives them.
struct Given {
    origin: String,
    texts: Vec<String>,
}

impl Given {
    fn of(
        setting: &Setting,
        flags: &Flags,
        env: &BTreeMap<String, String>,
        file: Option<&File>,
    ) -> Option<Self> {
        if let Some(texts) = flags.values.get(setting.key) {
            let (origin, texts) = (format!("--{}", setting.key), texts.clone());
            return Some(Self { origin, texts });
        }
        // An empty variable is the shell's way of not setting it.
        let variable = setting.variable();
        if let Some(text) = env.get(&variable).filter(|text| !text.is_empty()) {
            let texts = vec![text.clone()];
            return Some(Self {
                origin: variable,
                texts,
            });
        }
        let file = file?;
        let texts = file.values.get(setting.key)?.clone();
        let origin = format!("{}: {}", file.name, setting.key);
        Some(Self { origin, texts })
    }

    fn apply(&self, setting: &Setting, settings: &mut Settings) -> Result<(), ConfigError> {
        let texts: Vec<&str> = if setting.many {
            self.texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(str::trim)
                .collect()
        } else {
            self.texts.iter().map(|text| text.trim()).collect()
        };
        (setting.apply)(settings, &texts).map_err(|expected| ConfigError::Value {
            origin: self.origin.clone(),
            given: self.texts.join(","),
            expected,
        })
    }
}

fn check(settings: &Settings, origins: &BTreeMap<&'static str, String>) -> Result<(), ConfigError> {
    let origin = |key| origins.get(key).map_or(key, String::as_str);
    let alone = match (&settings.tls_cert, &settings.tls_key) {
        (Some(_), None) => Some(("tls-cert", "tls-key")),
        (None, Some(_)) => Some(("tls-key", "tls-cert")),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some((given, missing)) = alone {
        let text = format!("{}: it needs {missing} beside it", origin(given));
        return Err(ConfigError::Combination(text));
    }
    let last = usize::from(settings.media_port) + settings.workers - 1;
    if settings.media_port != 0 && last > 65_535 {
        return Err(ConfigError::Combination(format!(
            "{}: {} workers from port {} on would need ports above 65535",
            origin("media-port"),
            settings.workers,
            settings.media_port,
        )));
    }
    Ok(())
}

/// Variables that look like a setting's, but are none. Others that begin like ours are let be:
/// container hosts set some by themselves.
fn misspelt(env: &BTreeMap<String, String>) -> Vec<String> {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let unknown = env.keys().filter(|name| {
        name.starts_with("PARLOR_") && name.as_str() != "PARLOR_CONFIG" && !known.contains(name)
    });
    unknown
        .filter_map(|name| {
            let near = known.iter().find(|known| distance(name, known) <= 2)?;
            Some(format!("{name} is not a setting, did you mean {near}?"))
        })
        .collect()
}

/// The configuration file, flat: one key, one value or an array of values.
struct File {
    name: String,
    values: BTreeMap<String, Vec<String>>,
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let broken = |problem| ConfigError::File {
            file: name.clone(),
            problem,
        };
        let length = std::fs::metadata(path)
            .map_err(|error| broken(error.to_string()))?
            .len();
        if length > limits::CONFIG_BYTES {
            return Err(broken(format!(
                "it is larger than {} bytes",
                limits::CONFIG_BYTES
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| broken(error.to_string().trim_end().to_owned()))?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            if !SETTINGS.iter().any(|setting| setting.key == key) {
                let nearest = nearest(&key);
                return Err(ConfigError::UnknownKey {
                    file: name,
                    key,
                    nearest,
                });
            }
            let Some(texts) = texts(&value) else {
                return Err(ConfigError::Value {
                    origin: format!("{name}: {key}"),
                    given: value.to_string(),
                    expected: "a text, a number, or an array of them".into(),
                });
            };
            values.insert(key, texts);
        }
        Ok(Self { name, values })
    }
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Array(values) => {
            let texts = values.iter().map(|value| match value {
                toml::Value::String(text) => Some(text.clone()),
                toml::Value::Integer(number) => Some(number.to_string()),
                toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_) => None,
            });
            texts.collect()
        }
        toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}

fn nearest(key: &str) -> Option<&'static str> {
    let key = key.replace('_', "-").to_ascii_lowercase();
    let near = SETTINGS
        .iter()
        .map(|setting| (distance(&key, setting.key), setting.key))
        .min()?;
    (near.0 <= 4).then_some(near.1)
}

/// How many letters have to be put in, left out or exchanged (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

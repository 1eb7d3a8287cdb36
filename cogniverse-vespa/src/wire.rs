//! The shapes of Vespa's answers. Only what is read is named; the rest is skipped without being kept.

use serde::{Deserialize, Deserializer, de};
use std::{borrow::Cow, fmt};

/// Errors of the config server, and of convergence.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorAnswer {
    #[serde(rename = "error-code", default)]
    pub(crate) error_code: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) problem: Option<String>,
}

/// `/document/v1` without documents.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct DocumentAnswer<'a> {
    #[serde(rename = "pathId", borrow, default)]
    pub(crate) path_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) continuation: Option<Cow<'a, str>>,
    #[serde(rename = "documentCount", default)]
    pub(crate) document_count: Option<u64>,
}

/// A session of the config server.
#[derive(Debug, Deserialize)]
pub(crate) struct SessionAnswer {
    #[serde(rename = "session-id")]
    pub(crate) session: String,
}

/// What `prepared` says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PreparedAnswer {
    #[serde(default)]
    pub(crate) log: Vec<LogEntry>,
    #[serde(rename = "configChangeActions", default)]
    pub(crate) actions: ConfigChangeActions,
}

/// One line of a deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct LogEntry {
    #[serde(default)]
    pub(crate) level: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// What must follow a deployment for it to take effect.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ConfigChangeActions {
    #[serde(default)]
    pub(crate) restart: Vec<ConfigChange>,
    #[serde(default)]
    pub(crate) reindex: Vec<ConfigChange>,
    #[serde(default)]
    pub(crate) refeed: Vec<ConfigChange>,
}

/// One of them.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ConfigChange {
    #[serde(rename = "documentType", default)]
    pub(crate) document_type: Option<String>,
    #[serde(rename = "clusterName", default)]
    pub(crate) cluster: Option<String>,
    #[serde(default)]
    pub(crate) messages: Vec<String>,
}

/// The active application.
#[derive(Debug, Deserialize)]
pub(crate) struct ApplicationAnswer {
    pub(crate) generation: u64,
}

/// Whether every service runs the wanted generation.
#[derive(Debug, Deserialize)]
pub(crate) struct ConvergenceAnswer {
    #[serde(default)]
    pub(crate) services: Vec<ConvergingService>,
    #[serde(rename = "currentGeneration")]
    pub(crate) current: i64,
    pub(crate) converged: bool,
    #[serde(default)]
    pub(crate) config: Option<ConvergenceFailure>,
}

/// One service.
#[derive(Debug, Deserialize)]
pub(crate) struct ConvergingService {
    pub(crate) host: String,
    pub(crate) port: u16,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(rename = "currentGeneration")]
    pub(crate) current: i64,
}

/// A node that could not take the configuration.
#[derive(Debug, Deserialize)]
pub(crate) struct ConvergenceFailure {
    #[serde(default)]
    pub(crate) message: String,
}

/// `root` of a search's answer but its hits, which need the schema.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SearchFields {
    #[serde(rename = "totalCount", default)]
    pub(crate) total: u64,
}

/// How much a search saw.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SearchCoverage {
    #[serde(default)]
    pub(crate) coverage: u32,
    #[serde(default)]
    pub(crate) documents: u64,
    #[serde(default)]
    pub(crate) full: bool,
    #[serde(default)]
    pub(crate) degraded: Option<Degraded>,
}

/// Why it saw less.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Degraded {
    #[serde(rename = "match-phase", default)]
    pub(crate) match_phase: bool,
    #[serde(default)]
    pub(crate) timeout: bool,
    #[serde(rename = "adaptive-timeout", default)]
    pub(crate) adaptive_timeout: bool,
    #[serde(rename = "non-ideal-state", default)]
    pub(crate) non_ideal_state: bool,
    #[serde(default)]
    pub(crate) anntimeout: bool,
}

/// One error of a search.
#[derive(Debug, Deserialize)]
pub(crate) struct SearchError<'a> {
    #[serde(default)]
    pub(crate) code: i64,
    #[serde(borrow, default)]
    pub(crate) summary: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) message: Cow<'a, str>,
}

/// A score: a number, or one of the words that stand for what JSON has no number for.
pub(crate) fn relevance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Relevance;
    impl de::Visitor<'_> for Relevance {
        type Value = f64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
        #[expect(clippy::cast_precision_loss, reason = "a score")]
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }
        #[expect(clippy::cast_precision_loss, reason = "a score")]
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<f64, E> {
            match value {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                other => Err(E::custom(format!("\"{other}\" is not a score"))),
            }
        }
    }
    deserializer.deserialize_any(Relevance)
}

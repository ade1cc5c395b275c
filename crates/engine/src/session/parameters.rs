//! Session parameters: one table of the known ones, with type, default and meaning.

use std::collections::BTreeMap;

use frazil_common::{Code, UserError};
use serde_json::Value;

/// How a parameter's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    Boolean,
    Number {
        min: i64,
        max: i64,
    },
    Text,
    /// An IANA time zone name.
    TimeZone,
}

/// One known session parameter.
#[derive(Debug)]
pub struct ParameterDefinition {
    pub name: &'static str,
    pub kind: ParameterKind,
    /// The default as `ALTER SESSION` would take it.
    pub default: &'static str,
    pub description: &'static str,
}

const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    default: &'static str,
    description: &'static str,
) -> ParameterDefinition {
    ParameterDefinition { name, kind, default, description }
}

use ParameterKind::{Boolean, Number, Text, TimeZone};

const SECONDS: ParameterKind = Number { min: 0, max: 604_800 };

/// Every parameter a session has, sorted by name.
pub const PARAMETERS: &[ParameterDefinition] = &[
    parameter("ABORT_DETACHED_QUERY", Boolean, "false", "Abort queries when the session is gone."),
    parameter("AUTOCOMMIT", Boolean, "true", "Commit each statement on its own outside BEGIN."),
    parameter("BINARY_INPUT_FORMAT", Text, "HEX", "How text becomes BINARY."),
    parameter("BINARY_OUTPUT_FORMAT", Text, "HEX", "How BINARY is shown as text."),
    parameter(
        "CLIENT_PREFETCH_THREADS",
        Number { min: 1, max: 10 },
        "4",
        "Client download threads.",
    ),
    parameter(
        "CLIENT_RESULT_CHUNK_SIZE",
        Number { min: 48, max: 160 },
        "160",
        "Largest result chunk in MB.",
    ),
    parameter("CLIENT_SESSION_KEEP_ALIVE", Boolean, "false", "Clients send heartbeats."),
    parameter(
        "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY",
        Number { min: 900, max: 3600 },
        "3600",
        "Seconds between heartbeats.",
    ),
    parameter(
        "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD",
        Number { min: 0, max: i64::MAX },
        "65280",
        "Bound values above which clients use a stage; 0 never.",
    ),
    parameter("CLIENT_TELEMETRY_ENABLED", Boolean, "false", "Clients send telemetry."),
    parameter(
        "CLIENT_TIMESTAMP_TYPE_MAPPING",
        Text,
        "TIMESTAMP_LTZ",
        "Type clients bind timestamps as.",
    ),
    parameter("DATE_INPUT_FORMAT", Text, "AUTO", "How text becomes DATE."),
    parameter("DATE_OUTPUT_FORMAT", Text, "YYYY-MM-DD", "How DATE is shown as text."),
    parameter(
        "ERROR_ON_NONDETERMINISTIC_MERGE",
        Boolean,
        "true",
        "MERGE with several source rows for one target row is an error.",
    ),
    parameter(
        "ERROR_ON_NONDETERMINISTIC_UPDATE",
        Boolean,
        "false",
        "UPDATE with several source rows for one target row is an error.",
    ),
    parameter("GEOGRAPHY_OUTPUT_FORMAT", Text, "GeoJSON", "Accepted for clients; unused."),
    parameter(
        "JDBC_QUERY_RESULT_FORMAT",
        Text,
        "JSON",
        "Result format for the JDBC driver: JSON or ARROW.",
    ),
    parameter("JSON_INDENT", Number { min: 0, max: 16 }, "2", "Indentation of VARIANT results."),
    parameter("LOCK_TIMEOUT", SECONDS, "43200", "Seconds to wait for a lock."),
    parameter(
        "MULTI_STATEMENT_COUNT",
        Number { min: 0, max: 1_000_000 },
        "1",
        "Statements allowed in one request; 0 any.",
    ),
    parameter(
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT",
        Text,
        "ARROW",
        "Result format for Python: ARROW or JSON.",
    ),
    parameter(
        "QUERY_CONTEXT_CACHE_SIZE",
        Number { min: 0, max: 100 },
        "5",
        "Client cache entries.",
    ),
    parameter("QUERY_RESULT_FORMAT", Text, "ARROW", "Result format where no other is set."),
    parameter("QUERY_TAG", Text, "", "Tag kept with each statement in the history."),
    parameter(
        "QUOTED_IDENTIFIERS_IGNORE_CASE",
        Boolean,
        "false",
        "Fold quoted identifiers too (only false is supported).",
    ),
    parameter("ROWS_PER_RESULTSET", Number { min: 0, max: i64::MAX }, "0", "Most rows; 0 all."),
    parameter(
        "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
        SECONDS,
        "0",
        "Seconds a statement may wait; 0 no limit.",
    ),
    parameter(
        "STATEMENT_TIMEOUT_IN_SECONDS",
        SECONDS,
        "172800",
        "Seconds a statement may run; 0 is the maximum.",
    ),
    parameter("STRICT_JSON_OUTPUT", Boolean, "false", "Accepted for clients; output is strict."),
    parameter("TIMESTAMP_DAY_IS_ALWAYS_24H", Boolean, "false", "Accepted for clients."),
    parameter("TIMESTAMP_INPUT_FORMAT", Text, "AUTO", "How text becomes a timestamp."),
    parameter("TIMESTAMP_LTZ_OUTPUT_FORMAT", Text, "", "How TIMESTAMP_LTZ is shown."),
    parameter(
        "TIMESTAMP_NTZ_OUTPUT_FORMAT",
        Text,
        "YYYY-MM-DD HH24:MI:SS.FF3",
        "How TIMESTAMP_NTZ is shown.",
    ),
    parameter(
        "TIMESTAMP_OUTPUT_FORMAT",
        Text,
        "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM",
        "How timestamps are shown where no other format is set.",
    ),
    parameter("TIMESTAMP_TYPE_MAPPING", Text, "TIMESTAMP_NTZ", "What TIMESTAMP means."),
    parameter("TIMESTAMP_TZ_OUTPUT_FORMAT", Text, "", "How TIMESTAMP_TZ is shown."),
    parameter("TIMEZONE", TimeZone, "America/Los_Angeles", "The session's time zone."),
    parameter("TIME_INPUT_FORMAT", Text, "AUTO", "How text becomes TIME."),
    parameter("TIME_OUTPUT_FORMAT", Text, "HH24:MI:SS", "How TIME is shown as text."),
    parameter(
        "TRANSACTION_ABORT_ON_ERROR",
        Boolean,
        "false",
        "A failed statement aborts the transaction.",
    ),
    parameter(
        "TWO_DIGIT_CENTURY_START",
        Number { min: 1900, max: 2100 },
        "1970",
        "First year a two-digit year can mean.",
    ),
    parameter(
        "USE_CACHED_RESULT",
        Boolean,
        "true",
        "Accepted for clients; results are not reused.",
    ),
    parameter("WEEK_OF_YEAR_POLICY", Number { min: 0, max: 1 }, "0", "How WEEK counts."),
    parameter("WEEK_START", Number { min: 0, max: 7 }, "0", "First day of the week; 0 legacy ISO."),
];

/// Parameters of warehouses, databases and tables, which sessions don't have: sorted by name.
pub const OBJECT_PARAMETERS: &[ParameterDefinition] = &[
    parameter(
        "DATA_RETENTION_TIME_IN_DAYS",
        Number { min: 0, max: 90 },
        "1",
        "Days that former rows and dropped objects stay within reach.",
    ),
    parameter(
        MAX_CONCURRENCY_LEVEL,
        Number { min: 1, max: 1000 },
        "8",
        "Statements that a warehouse runs at a time.",
    ),
];

pub const MAX_CONCURRENCY_LEVEL: &str = "MAX_CONCURRENCY_LEVEL";
pub const QUEUED_TIMEOUT: &str = "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS";
pub const STATEMENT_TIMEOUT: &str = "STATEMENT_TIMEOUT_IN_SECONDS";

/// The parameters that a warehouse has.
pub const WAREHOUSE_PARAMETERS: &[&str] =
    &[MAX_CONCURRENCY_LEVEL, QUEUED_TIMEOUT, STATEMENT_TIMEOUT];

/// Parameters that would change results and whose other values are not offered yet: setting one
/// is refused rather than ignored.
const ONLY_DEFAULT: &[&str] = &[
    "BINARY_INPUT_FORMAT",
    "DATE_INPUT_FORMAT",
    "QUOTED_IDENTIFIERS_IGNORE_CASE",
    "ROWS_PER_RESULTSET",
    "TIMESTAMP_INPUT_FORMAT",
    "TIMESTAMP_TYPE_MAPPING",
    "TIME_INPUT_FORMAT",
    "TWO_DIGIT_CENTURY_START",
];

/// The definition of a parameter, by upper-case name.
pub fn definition(name: &str) -> Option<&'static ParameterDefinition> {
    let place = PARAMETERS.binary_search_by(|definition| definition.name.cmp(name)).ok()?;
    PARAMETERS.get(place)
}

/// A session's settings above the defaults.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    set: BTreeMap<&'static str, String>,
    /// What the session's user had set when it began.
    of_user: BTreeMap<&'static str, String>,
    /// What the account had set then.
    of_account: BTreeMap<&'static str, String>,
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterSource {
    Default,
    Account,
    User,
    Session,
}

/// Most characters of a query tag.
const QUERY_TAG_MAX: usize = 2000;

impl Parameters {
    /// Sets a parameter from SQL or from the wire. Unknown names are an error here; callers that
    /// must ignore them (login, statement parameters) ask [`definition`] first.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), UserError> {
        let name = name.to_uppercase();
        let definition = definition(&name).ok_or_else(|| {
            UserError::new(Code::InvalidArgument, format!("invalid parameter '{name}'"))
        })?;
        let bad = || {
            UserError::new(
                Code::InvalidArgument,
                format!("invalid value [{value}] for parameter '{name}'"),
            )
        };
        let value = match definition.kind {
            Boolean => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => "true".to_string(),
                "false" | "0" | "off" | "no" => "false".to_string(),
                _ => return Err(bad()),
            },
            Number { min, max } => {
                let number: i64 = value.parse().map_err(|_| bad())?;
                if !(min..=max).contains(&number) {
                    return Err(bad());
                }
                number.to_string()
            }
            Text if name == "QUERY_TAG" && value.chars().count() > QUERY_TAG_MAX => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("a QUERY_TAG has at most {QUERY_TAG_MAX} characters"),
                ));
            }
            Text => value.to_string(),
            TimeZone => value.parse::<chrono_tz::Tz>().map_err(|_| bad())?.to_string(),
        };
        if ONLY_DEFAULT.contains(&definition.name)
            && !value.eq_ignore_ascii_case(definition.default)
        {
            return Err(UserError::unsupported(format!("{name} = {value}")));
        }
        self.set.insert(definition.name, value);
        Ok(())
    }

    /// Takes a JSON value as the wire carries it; unknown names are ignored.
    pub fn set_json(&mut self, name: &str, value: &Value) -> Result<(), UserError> {
        if definition(&name.to_uppercase()).is_none() {
            return Ok(());
        }
        match value {
            Value::Null => {
                self.unset(name);
                Ok(())
            }
            Value::String(text) => self.set(name, text),
            other => self.set(name, &other.to_string()),
        }
    }

    /// Back to what the user or the account has set, or else the default.
    pub fn unset(&mut self, name: &str) {
        self.set.remove(name.to_uppercase().as_str());
    }

    /// All that is set so far becomes what the user has set.
    pub fn are_of_user(mut self) -> Parameters {
        self.of_user.append(&mut self.set);
        self
    }

    /// All that is set so far becomes what the account has set.
    pub fn are_of_account(mut self) -> Parameters {
        self.of_account.append(&mut self.set);
        self
    }

    /// Where the value in force was set, and the value.
    fn found(&self, name: &str) -> (ParameterSource, &str) {
        let levels = [
            (ParameterSource::Session, &self.set),
            (ParameterSource::User, &self.of_user),
            (ParameterSource::Account, &self.of_account),
        ];
        let mut set = levels.iter().filter_map(|(source, set)| Some((*source, set.get(name)?)));
        set.next().map_or_else(
            || {
                let default = definition(name).map_or("", |definition| definition.default);
                (ParameterSource::Default, default)
            },
            |(source, value)| (source, value.as_str()),
        )
    }

    pub fn source(&self, name: &str) -> ParameterSource {
        self.found(name).0
    }

    /// The value in force, as text.
    pub fn get(&self, name: &str) -> &str {
        self.found(name).1
    }

    pub fn get_bool(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    pub fn get_number(&self, name: &str) -> i64 {
        self.get(name).parse().unwrap_or_default()
    }

    pub fn timezone(&self) -> chrono_tz::Tz {
        self.get("TIMEZONE").parse().unwrap_or(chrono_tz::UTC)
    }

    /// All parameters with typed JSON values, as clients get them.
    pub fn to_json(&self) -> Vec<(String, Value)> {
        PARAMETERS
            .iter()
            .map(|definition| {
                let text = self.get(definition.name);
                let value = match definition.kind {
                    Boolean => Value::Bool(text == "true"),
                    Number { .. } => text.parse::<i64>().map_or(Value::Null, Value::from),
                    Text | TimeZone => Value::String(text.to_string()),
                };
                (definition.name.to_string(), value)
            })
            .collect()
    }

    /// Only what was set in the session, for its stored row.
    pub fn overrides(&self) -> BTreeMap<String, Value> {
        stored(&self.set)
    }

    /// What the user had set, for the stored row.
    pub fn inherited(&self) -> BTreeMap<String, Value> {
        stored(&self.of_user)
    }

    /// What the account had set, for the stored row.
    pub fn inherited_from_account(&self) -> BTreeMap<String, Value> {
        stored(&self.of_account)
    }
}

impl Parameters {
    /// Whatever differs from the defaults.
    pub fn all_set(&self) -> BTreeMap<String, Value> {
        let mut all = self.inherited_from_account();
        all.append(&mut self.inherited());
        all.append(&mut self.overrides());
        all
    }
}

fn stored(values: &BTreeMap<&'static str, String>) -> BTreeMap<String, Value> {
    values.iter().map(|(name, value)| (name.to_string(), Value::from(value.as_str()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_session_unsets_is_the_users_again() {
        let mut parameters = Parameters::default();
        parameters.set("QUERY_TAG", "own").unwrap();
        let mut parameters = parameters.are_of_user();
        assert_eq!(parameters.source("QUERY_TAG"), ParameterSource::User);
        // The same value, but the session's.
        parameters.set("QUERY_TAG", "own").unwrap();
        assert_eq!(parameters.source("QUERY_TAG"), ParameterSource::Session);
        parameters.set("QUERY_TAG", "other").unwrap();
        assert_eq!(parameters.get("QUERY_TAG"), "other");
        parameters.unset("query_tag");
        assert_eq!(parameters.get("QUERY_TAG"), "own");
        assert_eq!(parameters.source("TIMEZONE"), ParameterSource::Default);
        assert_eq!((parameters.overrides().len(), parameters.inherited().len()), (0, 1));
    }

    #[test]
    fn the_user_goes_before_the_account() {
        let mut parameters = Parameters::default();
        parameters.set("QUERY_TAG", "account").unwrap();
        parameters.set("TIMEZONE", "UTC").unwrap();
        let mut parameters = parameters.are_of_account();
        parameters.set("QUERY_TAG", "user").unwrap();
        let parameters = parameters.are_of_user();
        assert_eq!(parameters.get("QUERY_TAG"), "user");
        assert_eq!(parameters.source("TIMEZONE"), ParameterSource::Account);
        assert_eq!(parameters.get("TIMEZONE"), "UTC");
        assert_eq!(parameters.all_set().len(), 2);
        assert_eq!(parameters.inherited_from_account().len(), 2);
    }

    #[test]
    fn names_are_sorted_and_defaults_valid() {
        assert!(PARAMETERS.windows(2).all(|pair| pair[0].name < pair[1].name));
        let mut parameters = Parameters::default();
        for definition in PARAMETERS {
            parameters.set(definition.name, definition.default).unwrap();
        }
    }

    #[test]
    fn values_are_checked() {
        let mut parameters = Parameters::default();
        assert!(parameters.set("TIMEZONE", "Mars/Olympus").is_err());
        assert!(parameters.set("WEEK_START", "8").is_err());
        assert!(parameters.set("NO_SUCH", "1").is_err());
        assert!(parameters.set("QUERY_TAG", &"x".repeat(2001)).is_err());
        parameters.set("QUERY_TAG", &"é".repeat(2000)).unwrap();
        assert!(parameters.set("TIMESTAMP_TYPE_MAPPING", "TIMESTAMP_TZ").is_err());
        parameters.set("timezone", "Europe/Zurich").unwrap();
        assert_eq!(parameters.timezone(), chrono_tz::Europe::Zurich);
        parameters.unset("TIMEZONE");
        assert_eq!(parameters.get("TIMEZONE"), "America/Los_Angeles");
    }
}

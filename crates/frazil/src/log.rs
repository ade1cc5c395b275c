//! The log on standard error: text for people, or one JSON object a line for machines.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{Command, LogFormat};

/// Starts the log. A server tells of logins and of what goes wrong, without any statement's text.
///
/// # Errors
/// FRAZIL_LOG says nothing that can be understood.
pub fn start(command: &Command) -> Result<(), String> {
    let (usual, format) = match command {
        Command::Serve(serve) => ("warn,frazil_engine=info", serve.log_format),
        _ => ("warn", LogFormat::Text),
    };
    let filter = match std::env::var("FRAZIL_LOG") {
        Ok(text) if !text.trim().is_empty() => filter(&text)?,
        _ => EnvFilter::new(usual),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.event_format(JsonLines).init(),
    }
    Ok(())
}

/// What FRAZIL_LOG sets. The library takes a word that is no level for the name of a part, and logs
/// nothing then: names are told apart from misspelt levels here.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let bad = |why: String| {
        format!(
            "FRAZIL_LOG='{text}' cannot be understood: {why}. Set it to off, error, warn, info, debug \
             or trace, or to parts with levels, such as warn,frazil_engine=debug"
        )
    };
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let is_level = LEVELS.contains(&word.to_ascii_lowercase().as_str());
        let is_number = word.parse::<u8>().is_ok_and(|level| level <= 5);
        if !(is_level || is_number || word.contains(['=', '[', ':', '_'])) {
            return Err(bad(format!("'{word}' is no level")));
        }
    }
    EnvFilter::try_new(text).map_err(|error| bad(error.to_string()))
}

/// Time, level, origin and the fields of an event as one JSON object.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Map::new());
        let meta = event.metadata();
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        fields.put("timestamp", time);
        fields.put("level", meta.level().as_str());
        fields.put("target", meta.target());
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_string(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_levels_and_broken_filters_are_refused() {
        for good in ["debug", "WARN", "off", "warn,frazil_engine=info", "frazil_server", "3"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["debgu", "[[[bad=,,", "warn,frazil_engine=loud", "warn,inof"] {
            let error = filter(bad).err().unwrap_or_default();
            assert!(error.contains("such as warn,frazil_engine=debug"), "{bad}: {error}");
        }
    }
}

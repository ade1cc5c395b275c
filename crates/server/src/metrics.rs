//! Numbers for Prometheus: counts since the start, and the state at the moment of asking.
//!
//! They tell how much and how long, never what: no statement, name or value is in them.

use std::fmt::Write;
use std::time::Instant;

use frazil_common::{Code, UserError};
use frazil_engine::{Engine, Gauges};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Counters that the doors keep.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    statements: Family<Outcome, Counter>,
    statement_seconds: Histogram,
    logins: Family<Outcome, Counter>,
    invocations: Family<Outcome, Counter>,
    invocation_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        // A millisecond to about an hour.
        let statement_seconds = Histogram::new(exponential_buckets(0.001, 4.0, 12));
        // A tenth of a millisecond to about half a minute.
        let invocation_seconds = Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let statements = Family::<Outcome, Counter>::default();
        let logins = Family::<Outcome, Counter>::default();
        let invocations = Family::<Outcome, Counter>::default();
        registry.register(
            "frazil_statements",
            "Statements that ended, by outcome",
            statements.clone(),
        );
        registry.register(
            "frazil_statement_seconds",
            "Time from a statement's arrival to its end",
            statement_seconds.clone(),
        );
        registry.register("frazil_logins", "Attempts to log in, by outcome", logins.clone());
        registry.register(
            "frazil_endpoint_invocations",
            "Calls of model endpoints, by outcome",
            invocations.clone(),
        );
        registry.register(
            "frazil_endpoint_invocation_seconds",
            "Time to answer a call of a model endpoint",
            invocation_seconds.clone(),
        );
        Metrics {
            registry,
            started: Instant::now(),
            statements,
            statement_seconds,
            logins,
            invocations,
            invocation_seconds,
        }
    }
}

impl Metrics {
    /// A statement ended.
    pub fn statement(&self, error: Option<&UserError>, started: Instant) {
        let outcome = match error {
            None => "success",
            Some(error) if matches!(error.code, Code::Cancelled | Code::StatementTimeout) => {
                "canceled"
            }
            Some(_) => "failed",
        };
        self.statements.get_or_create(&Outcome { outcome }).inc();
        self.statement_seconds.observe(started.elapsed().as_secs_f64());
    }

    /// Somebody tried to log in.
    pub fn login(&self, success: bool) {
        let outcome = if success { "success" } else { "refused" };
        self.logins.get_or_create(&Outcome { outcome }).inc();
    }

    /// A model endpoint was called.
    pub fn invocation(&self, success: bool, started: Instant) {
        let outcome = if success { "success" } else { "failed" };
        self.invocations.get_or_create(&Outcome { outcome }).inc();
        self.invocation_seconds.observe(started.elapsed().as_secs_f64());
    }

    /// All numbers in the OpenMetrics text form.
    ///
    /// # Errors
    /// Never in practice: writing to memory does not fail.
    pub fn text(&self, engine: &Engine) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let Gauges {
            sessions,
            running,
            computing,
            queued,
            memory_used_bytes,
            memory_limit_bytes,
            spill_used_bytes,
            monitor_notifications,
        } = engine.gauges();
        let mut gauge = |name: &str, help: &str, value: f64| {
            writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge\n{name} {value}")
        };
        gauge("frazil_up_seconds", "Time since the start", self.started.elapsed().as_secs_f64())?;
        gauge("frazil_sessions", "Sessions in memory", sessions as f64)?;
        gauge("frazil_statements_running", "Statements that run or wait", running as f64)?;
        gauge(
            "frazil_statements_computing",
            "Statements that have a place to compute",
            computing as f64,
        )?;
        gauge("frazil_statements_queued", "Statements that wait for one", queued as f64)?;
        gauge(
            "frazil_memory_used_bytes",
            "Memory that statements have reserved",
            memory_used_bytes as f64,
        )?;
        gauge(
            "frazil_memory_limit_bytes",
            "Memory that statements may reserve together",
            memory_limit_bytes as f64,
        )?;
        gauge(
            "frazil_spill_used_bytes",
            "Bytes that statements have spilled to disk",
            spill_used_bytes as f64,
        )?;
        if let Some(bytes) = resident_bytes() {
            gauge("process_resident_memory_bytes", "Resident memory of the process", bytes)?;
        }
        writeln!(
            text,
            "# HELP frazil_monitor_notifications Triggers of resource monitors that were reached.\n\
             # TYPE frazil_monitor_notifications counter\n\
             frazil_monitor_notifications_total {monitor_notifications}"
        )?;
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Resident memory, where the system tells it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

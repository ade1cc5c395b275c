//! One warehouse at work: its places, its threads and memory, its meter.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::account::{MeteredTime, Object, Warehouse, now_micros};
use frazil_common::{Code, ObjectKind, ObjectRef, UserError, quote_identifier};
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::gate::Gate;
use super::meter::{Meter, Stretch};
use super::size::Size;
use crate::run::runtime::QueryRuntime;

/// MAX_CONCURRENCY_LEVEL where it is not set, as in Snowflake.
pub(crate) const CONCURRENCY_DEFAULT: i64 = 8;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A warehouse of the account, as long as it is there.
#[derive(Debug)]
pub(crate) struct Class {
    pub id: i64,
    pub gate: Arc<Gate>,
    state: Mutex<State>,
    /// What runs and waits, to cancel it.
    statements: Mutex<HashMap<Uuid, Cancelling>>,
}

/// Cancels a statement.
#[derive(Debug)]
struct Cancelling {
    token: CancellationToken,
    why: Arc<Mutex<Option<String>>>,
}

#[derive(Debug)]
struct State {
    name: String,
    body: Warehouse,
    size: Size,
    /// Made at the first statement after a resume, given up at a suspend.
    runtime: Option<Arc<QueryRuntime>>,
    meter: Meter,
    last_used: i64,
    resumed_on: i64,
}

/// What a warehouse is like now.
#[derive(Debug, Clone)]
pub(crate) struct ClassFacts {
    pub id: i64,
    pub name: String,
    pub size: Size,
    pub warehouse_type: String,
    pub suspended: bool,
    pub auto_resume: bool,
    /// Seconds; 0 for no limit.
    pub statement_timeout: i64,
    pub queued_timeout: i64,
    pub running: usize,
    pub queued: usize,
    pub resumed_on: i64,
    pub resource_monitor: Option<i64>,
}

/// An option of a warehouse that is a whole number.
pub(crate) fn number_option(body: &Warehouse, key: &str, default: i64) -> i64 {
    body.options.get(key).and_then(Value::as_i64).unwrap_or(default)
}

impl Class {
    pub fn new(object: &Object<Warehouse>) -> Class {
        let level = number_option(&object.body, "MAX_CONCURRENCY_LEVEL", CONCURRENCY_DEFAULT);
        let suspended = Warehouse { suspended: true, ..object.body.clone() };
        Class {
            id: object.id,
            gate: Gate::new(usize::try_from(level).unwrap_or(1)),
            state: Mutex::new(State {
                name: object.name.clone(),
                body: suspended,
                size: size_of(&object.body),
                runtime: None,
                meter: Meter::default(),
                last_used: object.created_on,
                resumed_on: object.created_on,
            }),
            statements: Mutex::default(),
        }
    }

    /// Takes over what the catalog says. `opening`: the server starts, and the warehouse ran when
    /// it stopped.
    pub fn apply(&self, object: &Object<Warehouse>, opening: bool, now: i64) {
        let level = number_option(&object.body, "MAX_CONCURRENCY_LEVEL", CONCURRENCY_DEFAULT);
        self.gate.set_places(usize::try_from(level).unwrap_or(1));
        let mut state = self.state.lock();
        let size = size_of(&object.body);
        if state.size != size {
            // Statements that run keep the threads they began with.
            state.runtime = None;
        }
        state.meter.set_price(now, size.credits_per_second());
        if state.body.suspended && !object.body.suspended {
            state.meter.start(now, !opening);
            state.resumed_on = now;
            state.last_used = now;
        }
        if object.body.suspended {
            state.runtime = None;
        }
        state.name.clone_from(&object.name);
        state.body = object.body.clone();
        state.size = size;
        self.settle(&mut state, now);
    }

    /// Counts up to now; a suspended warehouse runs until its last statement has ended.
    fn settle(&self, state: &mut State, now: i64) {
        if state.body.suspended && self.gate.inside() == 0 {
            state.meter.stop(now);
        } else {
            state.meter.advance(now);
        }
    }

    pub fn object(&self) -> ObjectRef {
        let name = quote_identifier(&self.state.lock().name);
        ObjectRef { kind: ObjectKind::Warehouse, id: self.id, name }
    }

    pub fn is_named(&self, name: &str) -> bool {
        self.state.lock().name == name
    }

    pub fn facts(&self) -> ClassFacts {
        let state = self.state.lock();
        let body = &state.body;
        let kind = body.options.get("WAREHOUSE_TYPE").and_then(Value::as_str);
        ClassFacts {
            id: self.id,
            name: state.name.clone(),
            size: state.size,
            warehouse_type: kind.unwrap_or("STANDARD").to_uppercase(),
            suspended: body.suspended,
            auto_resume: body.auto_resume,
            statement_timeout: body.statement_timeout,
            queued_timeout: number_option(body, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", 0),
            running: self.gate.inside(),
            queued: self.gate.waiting(),
            resumed_on: state.resumed_on,
            resource_monitor: body.resource_monitor,
        }
    }

    /// The warehouse's part of the server's threads and memory.
    pub fn runtime(&self, server: &QueryRuntime) -> Result<Arc<QueryRuntime>, UserError> {
        let mut state = self.state.lock();
        if let Some(runtime) = &state.runtime {
            return Ok(runtime.clone());
        }
        let threads = state.size.threads(server.thread_count);
        let memory = state.size.memory(server.thread_count, server.memory_limit);
        let label = format!("warehouse {} of size {}", state.name, state.size.shown());
        let runtime = Arc::new(server.part(&label, threads, memory)?);
        state.runtime = Some(runtime.clone());
        Ok(runtime)
    }

    /// Counts up to now, and tells whether the warehouse has been idle for as long as it may.
    pub fn tick(&self, now: i64) -> bool {
        let mut state = self.state.lock();
        self.settle(&mut state, now);
        let busy = self.gate.inside() + self.gate.waiting() > 0;
        if busy {
            state.last_used = now;
        }
        let due = state.body.auto_suspend.is_some_and(|seconds| {
            state.last_used.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)) <= now
        });
        due && !busy && !state.body.suspended
    }

    pub fn stop_meter(&self, now: i64) {
        self.state.lock().meter.stop(now);
    }

    /// The times it ran that are new, or have grown.
    pub fn take_metered(&self, now: i64) -> Vec<MeteredTime> {
        let mut state = self.state.lock();
        self.settle(&mut state, now);
        let name = state.name.clone();
        let metered = |stretch: Stretch| MeteredTime {
            warehouse_id: self.id,
            warehouse_name: name.clone(),
            start_time: stretch.start,
            end_time: stretch.end,
            credits: stretch.credits,
        };
        state.meter.take().into_iter().map(metered).collect()
    }

    /// Notes a statement, so that it can be cancelled with the others.
    pub fn note(self: &Arc<Self>, query_id: Uuid, cancel: CancellationToken) -> Noted {
        let why = Arc::default();
        let cancelling = Cancelling { token: cancel, why: Arc::clone(&why) };
        self.statements.lock().insert(query_id, cancelling);
        Noted { class: self.clone(), query_id, why }
    }

    /// Whether a statement runs or waits here.
    pub fn has(&self, query_id: &Uuid) -> bool {
        self.statements.lock().contains_key(query_id)
    }

    /// Cancels what runs and waits; tells how much there was.
    pub fn abort(&self) -> usize {
        let statements = self.statements.lock();
        statements.values().for_each(|statement| statement.token.cancel());
        statements.len()
    }

    /// The same, and the statements' errors say why.
    pub fn abort_because(&self, why: &str) {
        for statement in self.statements.lock().values() {
            if !statement.token.is_cancelled() {
                *statement.why.lock() = Some(why.to_string());
                statement.token.cancel();
            }
        }
    }
}

fn size_of(body: &Warehouse) -> Size {
    Size::named(&body.size).unwrap_or_default()
}

/// A statement of a warehouse, until it is dropped.
#[derive(Debug)]
pub(crate) struct Noted {
    class: Arc<Class>,
    query_id: Uuid,
    why: Arc<Mutex<Option<String>>>,
}

impl Noted {
    /// The statement's error; of a cancelled one, why it was.
    pub fn explain(&self, error: UserError) -> UserError {
        match &*self.why.lock() {
            Some(why) if error.code == Code::Cancelled => {
                UserError::new(Code::Cancelled, format!("{} {why}", error.message))
            }
            _ => error,
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.class.statements.lock().remove(&self.query_id);
        self.class.state.lock().last_used = now_micros();
    }
}

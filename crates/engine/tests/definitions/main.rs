//! No clause of a statement is dropped in silence.
//!
//! The dialect's own source tells the fields of every statement. Each field that a statement can do
//! without has a case: a statement, and the same statement with that one field set. With it the
//! answer, or what is there afterwards, differs, or an error names the clause. A new field without
//! a case fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod more_cases;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cases::{CASES, Case, Effect, WITH_FILES};
use frazil_common::UserError;
use frazil_dialect::parse_statement;
use frazil_engine::{
    Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest, cell_text,
};
use frazil_syntax_tree::{Differences, Node, Part, PartOf, Types};
use more_cases::MORE;

/// Nodes that are read as a whole, or that a statement shares with queries.
const WHOLE: &[&str] = &[
    "AttachedToken",
    "CreateMode",
    "DataType",
    "Ident",
    "IdentWithAlias",
    "ObjectName",
    "Options",
    "Persistence",
    "Span",
    "Value",
    "ValueWithSpan",
];

struct Account {
    session: Arc<Session>,
    _engine: Arc<Engine>,
    _directory: tempfile::TempDir,
}

impl Account {
    async fn open() -> Account {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(directory.path());
        settings.bootstrap_password = Some("a long password".to_string());
        let (engine, _) = Engine::open(settings).await.unwrap();
        let request = LoginRequest::new("admin", Credential::Embedded);
        let session = engine.login(request).await.unwrap().session;
        let account = Account { session, _engine: engine, _directory: directory };
        account.run("CREATE DATABASE d").await.unwrap();
        account
    }

    /// Rows as one text, without times and ids.
    async fn run(&self, text: &str) -> Result<String, UserError> {
        let result = self.session.execute(StatementRequest::new(text)).await?;
        let mut shown = format!("{:?}", result.transfer);
        for batch in result.rows.read_all()? {
            for row in 0..batch.num_rows() {
                for (column, array) in result.columns.iter().zip(batch.columns()) {
                    let name = column.name.as_str();
                    let told = !name.ends_with("_on")
                        && !name.ends_with("_time")
                        && name != "uuid"
                        && name != "seconds"
                        && name != "last_modified";
                    if told {
                        let value = cell_text(column, array, row);
                        shown.push_str(&format!("{name}={value:?} "));
                    }
                }
                shown.push('\n');
            }
        }
        Ok(shown)
    }

    /// What a statement answers and what is there after it, or its error.
    async fn outcome(&self, case: &Case, sql: &str, number: usize) -> Result<String, String> {
        let filled = |text: &str| text.replace("{n}", &format!("n{number}"));
        self.run(&format!("CREATE OR REPLACE SCHEMA d.s{number}")).await.unwrap();
        for text in case.prepare {
            let text = filled(text);
            self.run(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let mut shown = self.run(&filled(sql)).await.map_err(|error| error.message)?;
        for probe in case.probes {
            match self.run(&filled(probe)).await {
                Ok(rows) => shown.push_str(&rows),
                Err(error) => shown.push_str(&error.message),
            }
        }
        Ok(shown)
    }
}

/// Whether a node can do without a field: those it can't are looked at by whatever reads it.
fn is_optional(of: &str) -> bool {
    match of.strip_prefix("Box<").and_then(|inner| inner.strip_suffix('>')) {
        Some(inner) => is_optional(inner),
        None => {
            of.starts_with("Option<")
                || of.starts_with("Vec<")
                || ["bool", "u32", "u64", "i64", "f64", "CreateMode", "Persistence", "Options"]
                    .contains(&of)
        }
    }
}

fn tree(sql: &str) -> Result<Node, UserError> {
    let parsed = parse_statement(&sql.replace("{n}", "n"))?;
    Ok(frazil_syntax_tree::parse(&format!("{:?}", parsed.statement)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_a_statement_is_used_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dialect/src/statement");
    let types = Types::of(&folder, "Statement", WHOLE);
    // The same on two accounts: names are alike, and neither sees the other's.
    let (with, without) = (Account::open().await, Account::open().await);
    let mut faults = String::new();
    let mut known: BTreeMap<Part, bool> = BTreeMap::new();
    for (number, case) in CASES.iter().chain(MORE).enumerate() {
        let mut differences = Differences::default();
        match (tree(case.base), tree(case.sql)) {
            (Ok(base), Ok(changed)) => {
                types.differences("Statement", &base, &changed, "Statement", &mut differences);
            }
            (Ok(_), Err(_)) if matches!(case.effect, Effect::Refused(_)) => {}
            (base, changed) => {
                faults += &format!("{}\n  {:?} {:?}\n", case.sql, base.err(), changed.err());
                continue;
            }
        }
        let mut parts = differences.parts;
        parts.retain(|part| !part.ends_with("osition"));
        if let Some(part) = case.part {
            parts.insert(part.to_string());
        }
        if parts.len() != 1 && case.part.is_none() {
            faults += &format!("{}\n  changes {parts:?}, not one field\n", case.sql);
        }
        let before = without.outcome(case, case.base, number).await;
        let after = with.outcome(case, case.sql, number).await;
        match (case.effect, &before, &after) {
            (Effect::Used, Ok(before), Ok(after)) if before != after => {}
            (Effect::Used, Err(_), Ok(_)) => {}
            (Effect::Nothing(_), Ok(before), Ok(after)) if before == after => {}
            (Effect::Refused(word), _, Err(error))
                if error.to_uppercase().contains(&word.to_uppercase()) => {}
            (Effect::Used, Ok(_), Ok(_)) => {
                faults += &format!("{}\n  {parts:?} is dropped\n", case.sql);
            }
            (effect, before, after) => {
                faults += &format!(
                    "{}\n  {parts:?} expected {effect:?}, but: {after:?}, without it {before:?}\n",
                    case.sql
                );
            }
        }
        for part in parts {
            *known.entry(part).or_default() = true;
        }
    }
    let wanted = types.parts_below("Statement", &known, |part| match part {
        PartOf::Variant => false,
        PartOf::Field(of) => is_optional(of),
    });
    let missing: Vec<&Part> = wanted
        .iter()
        .filter(|part| !known.contains_key(*part) && !part.ends_with("osition"))
        .filter(|part| !WITH_FILES.iter().any(|statement| part.starts_with(statement)))
        .collect();
    if !missing.is_empty() {
        faults += &format!("without a case ({}):\n  {missing:#?}\n", missing.len());
    }
    assert!(faults.is_empty(), "\n{faults}");
}

//! Bind variables: the wire's texts as typed constants, and array binds as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use chrono::{DateTime, NaiveDate, NaiveTime};
use frazil_common::{Code, Column, SqlType, TimeZoneKind, UserError, excerpt};
use frazil_dialect::sqlparser::ast::{
    Expr, Ident, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};
use frazil_dialect::{IdentifierResolver, Insert, InsertSource, Statement, parse_query};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr};
use parking_lot::Mutex;

use crate::api::{BindValue, StatementRequest};
use crate::session::SessionState;

/// Name of the internal table function that gives an array bind's rows.
pub(crate) const ARRAY_BINDS: &str = "FRAZIL$ARRAY_BINDS";

/// Names given by binds and session variables, for IDENTIFIER(…).
pub(crate) struct Names<'a> {
    pub binds: &'a [BindValue],
    pub state: &'a Mutex<SessionState>,
}

impl IdentifierResolver for Names<'_> {
    fn bind(&self, ordinal: usize) -> Option<String> {
        self.binds.get(ordinal)?.values.first()?.clone()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.state.lock().variables.get(name)?.as_text_literal()
    }
}

fn invalid(bind: &BindValue, value: &str) -> UserError {
    UserError::new(
        Code::InvalidArgument,
        format!("Bind value '{}' is not a valid {}.", excerpt(value), bind.type_name),
    )
}

/// The value as text that a cast from VARCHAR reads.
fn canonical(bind: &BindValue, value: &str) -> Result<String, UserError> {
    let bad = || invalid(bind, value);
    let nanos = |text: &str| -> Result<DateTime<chrono::Utc>, UserError> {
        let nanos: i128 = text.parse().map_err(|_| bad())?;
        let seconds = nanos.div_euclid(1_000_000_000);
        let rest = nanos.rem_euclid(1_000_000_000);
        DateTime::from_timestamp(i64::try_from(seconds).map_err(|_| bad())?, rest as u32)
            .ok_or_else(bad)
    };
    Ok(match bind.type_name.to_ascii_uppercase().as_str() {
        "DATE" => {
            let millis: i64 = value.parse().map_err(|_| bad())?;
            let days = millis.div_euclid(86_400_000);
            let date = NaiveDate::from_ymd_opt(1970, 1, 1)
                .and_then(|epoch| epoch.checked_add_signed(chrono::TimeDelta::try_days(days)?))
                .ok_or_else(bad)?;
            date.format("%Y-%m-%d").to_string()
        }
        "TIME" => {
            let nanos: i64 = value.parse().map_err(|_| bad())?;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(
                (nanos / 1_000_000_000) as u32,
                (nanos % 1_000_000_000) as u32,
            )
            .ok_or_else(bad)?;
            time.format("%H:%M:%S%.9f").to_string()
        }
        "TIMESTAMP_NTZ" => nanos(value)?.format("%Y-%m-%d %H:%M:%S%.9f").to_string(),
        "TIMESTAMP_LTZ" => nanos(value)?.format("%Y-%m-%d %H:%M:%S%.9f +0000").to_string(),
        "TIMESTAMP_TZ" => {
            // Nanoseconds, then minutes east of UTC plus 1440; version 5 clients send no offset.
            let (instant, offset) = match value.split_once(' ') {
                Some((instant, offset)) => (instant, offset.parse::<i32>().map_err(|_| bad())?),
                None => (value, 1440),
            };
            let zone = chrono::FixedOffset::east_opt((offset - 1440) * 60).ok_or_else(bad)?;
            nanos(instant)?.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S%.9f %z").to_string()
        }
        _ => value.to_string(),
    })
}

fn sql_type(bind: &BindValue, value: &str) -> Option<SqlType> {
    let nanos = |zone| SqlType::Timestamp { zone, scale: 9, nanos: false };
    Some(match bind.type_name.to_ascii_uppercase().as_str() {
        "FIXED" => {
            let digits = value.trim_start_matches('-');
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let scale = fraction.len().min(37) as u8;
            let precision = (whole.trim_start_matches('0').len() as u8 + scale).clamp(1, 38);
            SqlType::Number { precision: precision.max(scale), scale }
        }
        "REAL" => SqlType::Float,
        "BOOLEAN" => SqlType::Boolean,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::TIME,
        "TIMESTAMP_NTZ" => nanos(TimeZoneKind::Ntz),
        "TIMESTAMP_LTZ" => nanos(TimeZoneKind::Ltz),
        "TIMESTAMP_TZ" => nanos(TimeZoneKind::Tz),
        "BINARY" => SqlType::BYTES,
        _ => return None,
    })
}

/// Binds of one value each as typed constants.
pub(crate) fn scalar_binds(
    binds: &[BindValue],
    facts: &Facts,
) -> Result<Vec<TypedExpr>, UserError> {
    binds
        .iter()
        .map(|bind| {
            let Some(Some(value)) = bind.values.first() else { return Ok(TypedExpr::null()) };
            let text = canonical(bind, value)?;
            match sql_type(bind, &text) {
                Some(target) => cast(TypedExpr::text(&text), &target, CastMode::Explicit, facts)
                    .map_err(|_| invalid(bind, value)),
                None => Ok(TypedExpr::text(&text)),
            }
        })
        .collect()
}

/// The rows of an INSERT with array binds: one VARCHAR column per bind.
#[derive(Debug, Clone)]
pub(crate) struct ArrayBinds {
    pub columns: Vec<Column>,
    pub batch: RecordBatch,
}

impl ArrayBinds {
    /// Rewrites `INSERT … VALUES (?, …)` with array binds to read its rows from a relation.
    ///
    /// # Errors
    /// Arrays of different lengths; array binds on another statement.
    pub fn take(
        request: &StatementRequest,
        statement: &Statement,
    ) -> Result<Option<(Statement, ArrayBinds)>, UserError> {
        if !request.binds.iter().any(|bind| bind.is_array) || request.describe_only {
            return Ok(None);
        }
        let rows = request.binds.iter().filter(|b| b.is_array).map(|b| b.values.len()).max();
        let rows = rows.unwrap_or_default();
        let unsupported = || UserError::unsupported("array binds outside INSERT … VALUES (…)");
        let Statement::Insert(insert) = statement else { return Err(unsupported()) };
        let InsertSource::Values(values) = &insert.source else { return Err(unsupported()) };
        let [row] = values.as_slice() else { return Err(unsupported()) };
        let mut columns = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (index, bind) in request.binds.iter().enumerate() {
            let texts = (0..rows)
                .map(|row| {
                    let value =
                        if bind.is_array { bind.values.get(row) } else { bind.values.first() };
                    match value {
                        Some(Some(value)) => canonical(bind, value).map(Some),
                        Some(None) => Ok(None),
                        None => Err(UserError::new(
                            Code::InvalidArgument,
                            "Array binds have different lengths.",
                        )),
                    }
                })
                .collect::<Result<Vec<Option<String>>, _>>()?;
            columns.push(Column::new(format!("B{}", index + 1), SqlType::TEXT, true));
            arrays.push(Arc::new(StringViewArray::from_iter(texts)));
        }
        let schema = crate::statements::outcome::schema_of(&columns);
        let batch = RecordBatch::try_new(schema, arrays).map_err(UserError::internal)?;
        let mut query = parse_query(&format!("SELECT 1 FROM TABLE({ARRAY_BINDS}())"))?;
        let mut row = row.clone();
        for expression in &mut row {
            // The visitor never breaks off.
            let _ = VisitMut::visit(expression, &mut BindColumns);
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = row.into_iter().map(SelectItem::UnnamedExpr).collect();
        }
        let insert = Insert {
            target: insert.target.clone(),
            overwrite: insert.overwrite,
            source: InsertSource::Query(query),
        };
        Ok(Some((Statement::Insert(insert), ArrayBinds { columns, batch })))
    }
}

/// Rewrites `INSERT … VALUES (?, …)` to read its rows from CSV files that the driver has put on a
/// stage, one file column per bind.
///
/// # Errors
/// Another statement; a stage that is none.
pub(crate) fn staged(statement: &Statement, stage: &str) -> Result<Statement, UserError> {
    let unsupported = || UserError::unsupported("binds from a stage outside INSERT … VALUES (…)");
    let Statement::Insert(insert) = statement else { return Err(unsupported()) };
    let InsertSource::Values(values) = &insert.source else { return Err(unsupported()) };
    let [row] = values.as_slice() else { return Err(unsupported()) };
    let mut query = parse_query(&format!("SELECT 1 FROM {stage}"))?;
    let mut row = row.clone();
    for expression in &mut row {
        // The visitor never breaks off.
        let _ = VisitMut::visit(expression, &mut FileColumns);
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = row.into_iter().map(SelectItem::UnnamedExpr).collect();
    }
    Ok(Statement::Insert(Insert {
        target: insert.target.clone(),
        overwrite: insert.overwrite,
        source: InsertSource::Query(query),
    }))
}

/// Turns `?N` into the file column `$N`.
struct FileColumns;

impl VisitorMut for FileColumns {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> std::ops::ControlFlow<()> {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &mut value.value
            && let Some(ordinal) = name.strip_prefix('?')
        {
            *name = format!("${ordinal}");
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// Turns `?N` into the column `BN`.
struct BindColumns;

impl VisitorMut for BindColumns {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> std::ops::ControlFlow<()> {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
            && let Some(ordinal) = name.strip_prefix('?')
        {
            *expression = Expr::Identifier(Ident::new(format!("B{ordinal}")));
        }
        std::ops::ControlFlow::Continue(())
    }
}

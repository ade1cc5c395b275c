//! AT, BEFORE and CHANGES: which state of a table, or the way between two.

use datafusion::common::ScalarValue;
use frazil_common::{Code, ObjectName, SqlType, TimeZoneKind, UserError};
use frazil_dialect::{TimeTravelPoint, TravelKind};
use sqlparser::ast::{
    self, Expr as Syntax, FunctionArg, FunctionArgExpr, FunctionArgOperator, Spanned,
};

use crate::binder::Binder;
use crate::error::{Result, position, unsupported};
use crate::from::table_function_parts;
use crate::names::keyword;
use crate::relation::{PlanContext, Reference, TimeTravel};

/// The point of a CLONE, computed.
///
/// # Errors
/// An argument that is no constant of the right type.
pub fn time_travel(
    point: &TimeTravelPoint,
    ctx: &PlanContext<'_>,
) -> std::result::Result<TimeTravel, UserError> {
    let before = point.kind == TravelKind::Before;
    Ok(Binder::new(ctx).travel_point(before, &point.by, &point.value)?)
}

/// The word before the parenthesis, the argument's name and the argument.
fn point_parts(call: &Syntax) -> Result<(String, String, &Syntax)> {
    let Syntax::Function(call) = call else { return unsupported(format!("{call}")) };
    let (name, args) = table_function_parts(call)?;
    let [
        FunctionArg::Named {
            name: by,
            arg: FunctionArgExpr::Expr(expr),
            operator: FunctionArgOperator::RightArrow,
        },
    ] = args
    else {
        return Err(UserError::syntax(
            "AT, BEFORE and END take one of TIMESTAMP, OFFSET, STATEMENT and VERSION",
        )
        .at(position(name.span()))
        .into());
    };
    Ok((name.to_string().to_uppercase(), by.value.to_uppercase(), expr))
}

impl Binder<'_> {
    /// AT and BEFORE, computed.
    pub(crate) fn travel(&mut self, version: &ast::TableVersion) -> Result<TimeTravel> {
        let call = match version {
            ast::TableVersion::Function(call) => call,
            ast::TableVersion::ForSystemTimeAsOf(_) => return unsupported("FOR SYSTEM_TIME AS OF"),
            ast::TableVersion::TimestampAsOf(_) => return unsupported("TIMESTAMP AS OF"),
            ast::TableVersion::VersionAsOf(_) => return unsupported("VERSION AS OF"),
            ast::TableVersion::Changes { changes: _, at: _, end: _ } => {
                return unsupported("CHANGES here");
            }
        };
        self.start_point(call)
    }

    fn start_point(&mut self, call: &Syntax) -> Result<TimeTravel> {
        let (word, by, expr) = point_parts(call)?;
        let before = match word.as_str() {
            "AT" => false,
            "BEFORE" => true,
            other => return unsupported(format!("{other} after a table")),
        };
        self.travel_point(before, &by, expr)
    }

    /// `CHANGES (INFORMATION => …) {AT | BEFORE} (…) [END (…)]`.
    pub(crate) fn changes_reference(
        &mut self,
        name: ObjectName,
        changes: &Syntax,
        at: &Syntax,
        end: Option<&Syntax>,
    ) -> Result<Reference> {
        let (_, by, information) = point_parts(changes)?;
        let word = match information {
            Syntax::Identifier(ident) => keyword(ident),
            _ => None,
        };
        let append_only = match (by.as_str(), word.as_deref()) {
            ("INFORMATION", Some("DEFAULT")) => false,
            ("INFORMATION", Some("APPEND_ONLY")) => true,
            _ => {
                return Err(UserError::syntax(
                    "CHANGES takes INFORMATION => DEFAULT or INFORMATION => APPEND_ONLY",
                )
                .at(position(changes.span()))
                .into());
            }
        };
        let from = self.start_point(at)?;
        let to = match end {
            None => None,
            Some(call) => {
                let (_, by, expr) = point_parts(call)?;
                Some(self.travel_point(false, &by, expr)?)
            }
        };
        Ok(Reference::Changes { name, append_only, from, to })
    }

    fn travel_point(&mut self, before: bool, by: &str, expr: &Syntax) -> Result<TimeTravel> {
        let place = position(expr.span());
        let clause = if before { "BEFORE" } else { "AT" };
        let value = self.constant(expr, clause)?;
        let wrong = |what: &str| UserError::new(Code::InvalidArgument, what.to_string()).at(place);
        let integer = |value: &frazil_functions::TypedExpr| value.as_integer_literal();
        match by {
            "TIMESTAMP" => {
                let micros = self.instant_micros(value)?.ok_or_else(|| {
                    wrong("TIMESTAMP of AT and BEFORE must be a constant timestamp")
                })?;
                Ok(if before {
                    TimeTravel::BeforeTimestamp(micros)
                } else {
                    TimeTravel::AtTimestamp(micros)
                })
            }
            "OFFSET" => {
                let seconds = integer(&value).filter(|seconds| *seconds <= 0).ok_or_else(|| {
                    wrong("OFFSET must be a constant number of seconds, not positive")
                })?;
                Ok(if before {
                    TimeTravel::BeforeOffset(seconds)
                } else {
                    TimeTravel::AtOffset(seconds)
                })
            }
            "STATEMENT" => {
                let id = value
                    .as_text_literal()
                    .ok_or_else(|| wrong("STATEMENT must be the id of a query"))?;
                Ok(if before {
                    TimeTravel::BeforeStatement(id)
                } else {
                    TimeTravel::AtStatement(id)
                })
            }
            "VERSION" if !before => {
                let snapshot = integer(&value)
                    .ok_or_else(|| wrong("VERSION must be the number of a snapshot"))?;
                Ok(TimeTravel::AtVersion(snapshot))
            }
            other => unsupported(format!("{other} in AT and BEFORE")),
        }
    }

    /// Microseconds since 1970-01-01 UTC. A timestamp without a zone is one in UTC, a text too, as in
    /// Snowflake.
    fn instant_micros(&mut self, value: frazil_functions::TypedExpr) -> Result<Option<i64>> {
        let is_zoned = matches!(
            value.sql_type,
            SqlType::Timestamp { zone: TimeZoneKind::Ltz | TimeZoneKind::Tz, .. }
        );
        let target = if is_zoned { SqlType::TIMESTAMP_LTZ } else { SqlType::TIMESTAMP_NTZ };
        let instant = self.cast_explicit(value, &target)?;
        Ok(match frazil_functions::evaluate_constant(&instant)? {
            ScalarValue::TimestampMicrosecond(micros, _) => micros,
            _ => None,
        })
    }
}

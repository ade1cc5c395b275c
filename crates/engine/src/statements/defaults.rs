//! Column defaults as expressions: constants, functions, sequences, AUTOINCREMENT.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Int64Array, new_empty_array};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use frazil_catalog::account::AccountStore;
use frazil_catalog::{Autoincrement, Catalog, ColumnInfo, DucklakeDefault};
use frazil_common::{QualifiedName, SqlType, TimeZoneKind, UserError, quote_identifier};
use frazil_dialect::object_name_of_identifiers;
use frazil_dialect::sqlparser::ast::{Expr as Expression, UnaryOperator};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr, evaluate_constant};
use frazil_lake::default_text;
use frazil_planner::{PlanContext, Reference, Resolved, plan_expression, references_of_expression};

use crate::statements::context::StatementContext;
use crate::statements::query::plan_context;

/// A column's default, cast to the column's type; None where the default is NULL.
pub(crate) async fn bound(
    context: &StatementContext,
    column: &ColumnInfo,
) -> Result<Option<TypedExpr>, UserError> {
    let value = if let Some(autoincrement) = column.autoincrement {
        next_value(Counter::Column {
            catalog: context.shared.catalog.clone(),
            counter: autoincrement,
        })
    } else if column.foreign_default {
        foreign_value(column)
    } else if let Some(text) = &column.default {
        let expression = frazil_dialect::parse_expression(text)?;
        let resolved = sequences(context, &expression).await?;
        fixed(context, &expression, &resolved, text)?
    } else {
        return Ok(None);
    };
    cast(value, &column.sql_type, CastMode::Implicit, &context.facts).map(Some)
}

/// A default as the catalog keeps it, checked against its column's type: a sequence by its full
/// name, so that it means the same wherever the row is written from.
pub(crate) async fn checked(
    context: &StatementContext,
    expression: &Expression,
    text: &str,
    target: &SqlType,
) -> Result<String, UserError> {
    let resolved = sequences(context, expression).await?;
    let value = fixed(context, expression, &resolved, &context.text).map_err(|error| {
        let given = plan_context(context, &resolved, &context.text);
        match plan_expression(expression, None, &given) {
            Ok(_) => UserError::unsupported("a bind or session variable in a column's default"),
            Err(_) => error,
        }
    })?;
    cast(value, target, CastMode::Implicit, &context.facts)?;
    match (resolved.sequences.values().next(), expression) {
        (None, _) => Ok(text.to_string()),
        (Some(sequence), Expression::CompoundIdentifier(_)) => {
            Ok(format!("{}.NEXTVAL", sequence.object.name))
        }
        (Some(_), _) => {
            Err(UserError::unsupported("NEXTVAL inside an expression as a column's default"))
        }
    }
}

/// What other clients get of a column's default: the value, the same expression of theirs, or what
/// makes an INSERT that needs it fail.
pub(crate) fn for_other_clients(
    context: &StatementContext,
    column: &ColumnInfo,
) -> Result<Option<DucklakeDefault>, UserError> {
    let nested = !column.children.is_empty() || column.sql_type.to_arrow().is_nested();
    let refusing = || (!nested).then(|| DucklakeDefault::refusing(&column.name));
    if column.autoincrement.is_some() {
        return Ok(refusing());
    }
    let Some(text) = &column.default else { return Ok(None) };
    let expression = frazil_dialect::parse_expression(text)?;
    if let Some(same) = same_elsewhere(&expression, &column.sql_type) {
        return Ok(Some(DucklakeDefault::Expression(same.to_string())));
    }
    if !is_constant(&expression) {
        return Ok(refusing());
    }
    // A value that differs by the session's zone is not known before the row is inserted.
    let facts = [chrono_tz::Tz::UTC, chrono_tz::Tz::Asia__Kathmandu]
        .map(|timezone| Facts { timezone, ..context.facts.clone() });
    let none = HashMap::new();
    let resolved = Resolved::default();
    let value = |facts: &Facts| {
        let given = PlanContext::new(facts, &resolved, &[], &none).with_source(text);
        let value = plan_expression(&expression, None, &given)?;
        let value = cast(value, &column.sql_type, CastMode::Implicit, facts)?;
        evaluate_constant(&value)
    };
    let (Ok(value), Ok(elsewhere)) = (value(&facts[0]), value(&facts[1])) else {
        // Such a default fails here too, where a row needs it.
        return Ok(refusing());
    };
    if value.is_null() && elsewhere.is_null() {
        return Ok(None);
    }
    let value = value.cast_to(&column.sql_type.to_arrow()).ok().filter(|_| value == elsewhere);
    match value.and_then(|value| default_text(column, &value)).filter(|_| !nested) {
        Some(text) => Ok(Some(DucklakeDefault::literal(text))),
        None => Ok(refusing()),
    }
}

/// Literals, their casts and signs.
fn is_constant(expression: &Expression) -> bool {
    match expression {
        Expression::Value(_) | Expression::TypedString(_) => true,
        Expression::Nested(inner)
        | Expression::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_constant(inner)
        }
        Expression::Cast { expr, .. } => is_constant(expr),
        _ => false,
    }
}

/// An expression of DuckDB's dialect that gives the same.
fn same_elsewhere(expression: &Expression, sql_type: &SqlType) -> Option<&'static str> {
    let text = expression.to_string().to_ascii_uppercase();
    let name = text.strip_suffix("()").unwrap_or(&text);
    match (name, sql_type) {
        ("CURRENT_DATE", SqlType::Date) => Some("current_date"),
        (
            "CURRENT_TIMESTAMP" | "GETDATE" | "LOCALTIMESTAMP",
            SqlType::Timestamp {
                zone: TimeZoneKind::Ltz | TimeZoneKind::Ntz, nanos: false, ..
            },
        ) => Some("now()"),
        _ => None,
    }
}

/// Stands for a default that another client set and that is not understood here: a row that needs it is
/// an error, one that does not is none.
fn foreign_value(column: &ColumnInfo) -> TypedExpr {
    let udf = ScalarUDF::from(ForeignValue {
        column: column.name.clone(),
        text: column.default.clone().unwrap_or_default(),
        data_type: column.sql_type.to_arrow(),
        signature: Signature::nullary(Volatility::Volatile),
    });
    let call = datafusion::logical_expr::expr::ScalarFunction::new_udf(Arc::new(udf), Vec::new());
    TypedExpr::new(Expr::ScalarFunction(call), column.sql_type.clone(), true)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ForeignValue {
    column: String,
    text: String,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for ForeignValue {
    fn name(&self) -> &str {
        "frazil_foreign_default"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        if arguments.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(&self.data_type)));
        }
        Err(DataFusionError::External(Box::new(UserError::unsupported(format!(
            "the default {} of column {}, which another client set: give a value",
            self.text,
            quote_identifier(&self.column)
        )))))
    }
}

/// Binds a default: what a statement that writes rows is given is not its.
fn fixed(
    context: &StatementContext,
    expression: &Expression,
    resolved: &Resolved,
    source: &str,
) -> Result<TypedExpr, UserError> {
    let none = HashMap::new();
    let given = PlanContext::new(&context.facts, resolved, &[], &none).with_source(source);
    plan_expression(expression, None, &given)
}

/// Whether a default draws from a sequence.
pub(crate) fn draws(text: &str) -> Result<bool, UserError> {
    let expression = frazil_dialect::parse_expression(text)?;
    Ok(matches!(&expression, Expression::CompoundIdentifier(parts)
        if parts.last().is_some_and(|last| last.quote_style.is_none()
            && last.value.eq_ignore_ascii_case("NEXTVAL"))))
}

/// The sequence that a default which draws draws from, where the default has its full name.
pub(crate) fn sequence_of(text: &str) -> Result<Option<QualifiedName>, UserError> {
    let Expression::CompoundIdentifier(parts) = frazil_dialect::parse_expression(text)? else {
        return Ok(None);
    };
    let Some((_, name)) = parts.split_last() else { return Ok(None) };
    let name = object_name_of_identifiers(name)?;
    Ok(match (name.database, name.schema) {
        (Some(database), Some(schema)) => Some(QualifiedName::new(&database, &schema, &name.name)),
        _ => None,
    })
}

/// A default that draws from a sequence.
pub(crate) fn draw_from(sequence: &QualifiedName) -> String {
    format!("{sequence}.NEXTVAL")
}

/// The sequences that an expression draws from.
async fn sequences(
    context: &StatementContext,
    expression: &Expression,
) -> Result<Resolved, UserError> {
    let wanted = {
        let empty = Resolved::default();
        references_of_expression(expression, &plan_context(context, &empty, ""))?
    };
    let mut resolved = Resolved::default();
    for reference in wanted {
        if let Reference::Sequence { name } = &reference {
            let sequence = crate::resolve::objects::sequence(context, name).await?;
            resolved.sequences.insert(reference, sequence);
        }
    }
    Ok(resolved)
}

/// Where next values come from.
#[derive(Debug, Clone)]
pub(crate) enum Counter {
    /// An AUTOINCREMENT column.
    Column { catalog: Catalog, counter: Autoincrement },
    /// A sequence.
    Sequence { accounts: AccountStore, id: i64, step: i64 },
}

impl Counter {
    fn key(&self) -> (bool, i64) {
        match self {
            Counter::Column { counter, .. } => (true, counter.sequence_id),
            Counter::Sequence { id, .. } => (false, *id),
        }
    }

    fn step(&self) -> i64 {
        match self {
            Counter::Column { counter, .. } => counter.step,
            Counter::Sequence { step, .. } => *step,
        }
    }

    /// Takes `count` values durably and gives the first.
    async fn take(&self, count: u64) -> Result<i64, UserError> {
        match self {
            Counter::Column { catalog, counter } => {
                Ok(catalog.next_values(counter.sequence_id, count).await?)
            }
            Counter::Sequence { accounts, id, .. } => {
                Ok(accounts.next_sequence_values(*id, count).await?)
            }
        }
    }
}

/// An expression that gives each row the counter's next value.
pub(crate) fn next_value(counter: Counter) -> TypedExpr {
    let udf =
        ScalarUDF::from(NextValue { counter, signature: Signature::nullary(Volatility::Volatile) });
    TypedExpr::new(
        Expr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction::new_udf(
            Arc::new(udf),
            Vec::new(),
        )),
        SqlType::Number { precision: 18, scale: 0 },
        false,
    )
}

/// Draws as many values as there are rows, in one step, durably.
#[derive(Debug)]
struct NextValue {
    counter: Counter,
    signature: Signature,
}

impl PartialEq for NextValue {
    fn eq(&self, other: &Self) -> bool {
        self.counter.key() == other.counter.key()
    }
}

impl Eq for NextValue {}

impl std::hash::Hash for NextValue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.counter.key().hash(state);
    }
}

impl ScalarUDFImpl for NextValue {
    fn name(&self) -> &str {
        "frazil_next_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = arguments.number_rows;
        // Expressions are evaluated on a worker of the multi-threaded query runtime.
        let first = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.counter.take(rows as u64))
        })
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let step = self.counter.step();
        let values = (0..rows as i64).map(|index| first + index * step);
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from_iter_values(values))))
    }
}

//! From the files' columns to the table's: the plan that a COPY runs.

use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlanBuilder};
use frazil_catalog::TableInfo;
use frazil_common::{Code, Column, ObjectName, SqlType, TimeZoneKind, UserError};
use frazil_dialect::sqlparser::ast::{
    AccessExpr, Expr, Ident, JsonPathElem, Query, SelectItem, SetExpr, Subscript, Value, VisitMut,
    VisitorMut,
};
use frazil_dialect::{TransformQuery, parse_query};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr};
use frazil_planner::{PlanContext, Planned, Reference, Relation, Resolved, plan_query, references};

use super::options::{CopyOptions, MatchBy};
use crate::stages::file_format::{BinaryFormat, FileFormat, FormatType};
use crate::stages::scan::{ROW_NUMBER, ROW_OFFSET, WHOLE_ROW, name_in_file};
use crate::statements::context::StatementContext;
use crate::statements::defaults;
use crate::statements::outcome::COUNT;

/// Internal name of the files in the query that COPY becomes.
const FILES: &str = "FRAZIL$COPY_FILES";

/// What the plan is made of.
pub(super) struct Source<'a> {
    pub table: &'a TableInfo,
    /// The columns that are loaded, in the order of the select list.
    pub targets: &'a [String],
    pub transform: Option<&'a TransformQuery>,
    pub format: &'a FileFormat,
    pub options: &'a CopyOptions,
}

/// A plan whose output is the table's columns in order, then the row's number and offset in its
/// file.
///
/// # Errors
/// The user's: a select list of the wrong length, a type that does not become the column's.
pub(super) async fn build(
    context: &StatementContext,
    source: &Source<'_>,
    relation: Relation,
) -> Result<Planned, UserError> {
    let selected = match source.transform {
        Some(transform) => transformed(context, transform, relation, source.format)?,
        None => plain(context, source, relation)?,
    };
    let width = selected.columns.len() - 2;
    if width != source.targets.len() {
        return Err(UserError::new(
            Code::ColumnCountMismatch,
            format!(
                "Insert value list does not match column list expecting {} but got {width}",
                source.targets.len(),
            ),
        ));
    }
    let read = converted(selected, source, &context.facts)?;
    arranged(context, source, read).await
}

fn plan_over(
    context: &StatementContext,
    query: &Query,
    relation: Relation,
) -> Result<Planned, UserError> {
    let empty = Resolved::default();
    let plan_context =
        PlanContext::new(&context.facts, &empty, &context.binds, context.variables());
    let wanted = references(query, &plan_context)?;
    let mut resolved = Resolved::default();
    let files = Reference::Table { name: ObjectName::bare(FILES), travel: None };
    for reference in wanted {
        if reference != files {
            return Err(UserError::unsupported(
                "a table beside the stage in a COPY transformation",
            ));
        }
        resolved.relations.insert(reference, relation.clone());
    }
    plan_query(
        query,
        &PlanContext::new(&context.facts, &resolved, &context.binds, context.variables()),
    )
}

/// A query over the files with a select list, and the row's place behind it.
fn files_query(mut items: Vec<SelectItem>, alias: Option<&str>) -> Result<Box<Query>, UserError> {
    let alias = match alias {
        Some(alias) => format!(" AS {}", frazil_common::quote_identifier(alias)),
        None => String::new(),
    };
    let mut query = parse_query(&format!("SELECT 1 FROM \"{FILES}\"{alias}"))?;
    items.extend([item(ROW_NUMBER), item(ROW_OFFSET)]);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = items;
    }
    Ok(query)
}

fn item(name: &str) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name)))
}

fn null() -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Value(Value::Null.into()))
}

/// Columns by position, or by name where asked for.
fn plain(
    context: &StatementContext,
    source: &Source<'_>,
    relation: Relation,
) -> Result<Planned, UserError> {
    let Source { table, targets, format, options, .. } = source;
    let by_position = options.match_by == MatchBy::Position;
    let items: Vec<SelectItem> = match format.format {
        FormatType::Csv if by_position => {
            relation.columns.iter().map(|column| item(&column.name)).collect()
        }
        FormatType::Json | FormatType::Parquet if by_position => {
            let one = match targets {
                [target] => table.column(target),
                _ => None,
            };
            if !one.is_some_and(|column| column.sql_type.is_semi_structured()) {
                let name = if format.format == FormatType::Json { "JSON" } else { "PARQUET" };
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!(
                        "{name} file format can produce one and only one column of variant, \
                         object, or array type. Use CSV file format, MATCH_BY_COLUMN_NAME or a \
                         transformation (SELECT $1:column, …) to load more than one column."
                    ),
                ));
            }
            vec![item(WHOLE_ROW)]
        }
        _ => targets
            .iter()
            .map(|target| by_name(options, format.format, &relation, target))
            .collect::<Result<_, _>>()?,
    };
    plan_over(context, &*files_query(items, None)?, relation)
}

/// The file's value for a column of that name; NULL where it has none.
fn by_name(
    options: &CopyOptions,
    format: FormatType,
    relation: &Relation,
    target: &str,
) -> Result<SelectItem, UserError> {
    let included = options.include_metadata.iter().find(|(column, _)| column == target);
    if let Some((_, metadata)) = included {
        return Ok(item(metadata));
    }
    if format == FormatType::Json {
        let function = match options.match_by {
            MatchBy::CaseSensitive => "GET",
            _ => "GET_IGNORE_CASE",
        };
        let key = target.replace('\\', "\\\\").replace('\'', "''");
        let text = format!("{function}(\"{WHOLE_ROW}\", '{key}')");
        return Ok(SelectItem::UnnamedExpr(frazil_dialect::parse_expression(&text)?));
    }
    let fields = relation.plan.schema().fields();
    let found = fields
        .iter()
        .map(|field| field.name().as_str())
        .find(|name| name_in_file(name).is_some_and(|own| options.match_by.matches(own, target)));
    Ok(found.map_or_else(null, item))
}

/// The transformation's select list over the files.
fn transformed(
    context: &StatementContext,
    transform: &TransformQuery,
    relation: Relation,
    format: &FileFormat,
) -> Result<Planned, UserError> {
    if transform.distinct {
        return Err(UserError::unsupported("SELECT DISTINCT in a COPY transformation"));
    }
    let names: Vec<String> =
        relation.plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut columns = FileColumns { alias: transform.alias.clone(), names: &names };
    let mut items = Vec::new();
    let typed = format.format == FormatType::Parquet;
    for entry in &transform.items {
        let mut expression = entry.expr.clone();
        if typed {
            // The visitor never breaks off.
            let _ = VisitMut::visit(&mut expression, &mut columns);
        }
        items.push(SelectItem::UnnamedExpr(expression));
    }
    let selection = transform.selection.clone().map(|mut selection| {
        if typed {
            let _ = VisitMut::visit(&mut selection, &mut columns);
        }
        selection
    });
    let mut query = files_query(items, transform.alias.as_deref())?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = selection;
    }
    plan_over(context, &query, relation)
}

/// Turns `$1:"A"` of a Parquet file into the file's own column, which has a type and is read
/// alone. Deeper paths stay paths into the whole row.
struct FileColumns<'a> {
    alias: Option<String>,
    names: &'a [String],
}

impl FileColumns<'_> {
    /// Whether the expression is `$1` or `alias.$1`.
    fn is_row(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Value(value) => {
                matches!(&value.value, Value::Placeholder(text) if text == WHOLE_ROW)
            }
            Expr::Identifier(ident) => ident.value == WHOLE_ROW,
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] => {
                    column.value == WHOLE_ROW
                        && self
                            .alias
                            .as_deref()
                            .is_some_and(|own| own.eq_ignore_ascii_case(&alias.value))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn named(&self, name: &str) -> Expr {
        match self.names.iter().find(|known| name_in_file(known) == Some(name)) {
            Some(known) => Expr::Identifier(Ident::with_quote('"', known)),
            // A path that is not there is NULL, as in any VARIANT.
            None => Expr::Value(Value::Null.into()),
        }
    }

    fn replacement(&self, expression: &Expr) -> Option<Expr> {
        match expression {
            Expr::JsonAccess { value, path } if self.is_row(value) => match path.path.as_slice() {
                [JsonPathElem::Dot { key, quoted: _ }] => Some(self.named(key)),
                [JsonPathElem::Bracket { key: Expr::Value(value) }] => {
                    value.value.clone().into_string().map(|key| self.named(&key))
                }
                _ => None,
            },
            Expr::CompoundFieldAccess { root, access_chain } if self.is_row(root) => {
                match access_chain.as_slice() {
                    [AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) })] => {
                        value.value.clone().into_string().map(|key| self.named(&key))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl VisitorMut for FileColumns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> std::ops::ControlFlow<()> {
        if let Some(replacement) = self.replacement(expression) {
            *expression = replacement;
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// Applies what the format and the options say about reading values: date and binary formats,
/// JSON text for VARIANT columns, cutting of text that is too long.
fn converted(selected: Planned, source: &Source<'_>, facts: &Facts) -> Result<Planned, UserError> {
    let fields = selected.plan.schema().columns();
    let mut expressions: Vec<PlanExpr> = Vec::with_capacity(fields.len());
    let mut columns: Vec<Column> = Vec::with_capacity(fields.len());
    for (index, (field, column)) in fields.into_iter().zip(&selected.columns).enumerate() {
        let value =
            TypedExpr::new(PlanExpr::Column(field), column.sql_type.clone(), column.nullable);
        let target = source.targets.get(index).and_then(|name| source.table.column(name));
        let value = match target {
            Some(target) => read_as(value, &target.sql_type, source, facts)?,
            None => value,
        };
        columns.push(Column::new(&column.name, value.sql_type.clone(), value.nullable));
        expressions.push(value.expr.alias(format!("v{index}")));
    }
    let plan = LogicalPlanBuilder::from(selected.plan)
        .project(expressions)
        .and_then(LogicalPlanBuilder::build)
        .map_err(UserError::internal)?;
    Ok(Planned { plan, columns, accesses: selected.accesses })
}

fn read_as(
    value: TypedExpr,
    target: &SqlType,
    source: &Source<'_>,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let format = source.format;
    let text = value.sql_type.is_text() || value.sql_type == SqlType::Variant;
    let with = |function: &str, value: TypedExpr, pattern: &str| -> Result<TypedExpr, UserError> {
        let text = cast(value, &SqlType::TEXT, CastMode::Implicit, facts)?;
        bind(function, vec![text, TypedExpr::text(pattern)], facts)
    };
    if format.format != FormatType::Parquet && text {
        match (target, &format.date_format, &format.time_format, &format.timestamp_format) {
            (SqlType::Date, Some(pattern), _, _) => return with("TO_DATE", value, pattern),
            (SqlType::Time { .. }, _, Some(pattern), _) => return with("TO_TIME", value, pattern),
            (SqlType::Timestamp { zone, .. }, _, _, Some(pattern)) => {
                let function = match zone {
                    TimeZoneKind::Ntz => "TO_TIMESTAMP_NTZ",
                    TimeZoneKind::Ltz => "TO_TIMESTAMP_LTZ",
                    TimeZoneKind::Tz => "TO_TIMESTAMP_TZ",
                };
                return with(function, value, pattern);
            }
            (SqlType::Binary { .. }, ..) if format.binary_format != BinaryFormat::Hex => {
                return with("TO_BINARY", value, format.binary_format.as_str());
            }
            _ => {}
        }
    }
    let json_text = format.format == FormatType::Csv
        && source.transform.is_none()
        && value.sql_type.is_text()
        && target.is_semi_structured();
    if json_text {
        return bind("PARSE_JSON", vec![value], facts);
    }
    if source.options.truncate && target.is_text() {
        return cast(value, target, CastMode::Explicit, facts);
    }
    Ok(value)
}

fn bind(name: &str, arguments: Vec<TypedExpr>, facts: &Facts) -> Result<TypedExpr, UserError> {
    frazil_functions::scalar(name)
        .ok_or_else(|| UserError::internal(format!("there is no function {name}")))?
        .bind(arguments, facts)
}

/// All columns of the table in order: loaded ones cast, the others their default. Behind them the
/// row's number and offset.
async fn arranged(
    context: &StatementContext,
    source: &Source<'_>,
    selected: Planned,
) -> Result<Planned, UserError> {
    let mut columns = Vec::with_capacity(source.table.columns.len() + 2);
    for column in &source.table.columns {
        let from = source.targets.iter().position(|target| *target == column.name);
        let default = match from {
            Some(_) => None,
            None => defaults::bound(context, column).await?,
        };
        columns.push((column.to_column(), from, default));
    }
    let places = [ROW_NUMBER, ROW_OFFSET].into_iter().enumerate();
    columns.extend(places.map(|(index, name)| {
        (Column::new(name, COUNT, true), Some(source.targets.len() + index), None)
    }));
    frazil_planner::arrange_columns(selected, columns, &context.facts)
}

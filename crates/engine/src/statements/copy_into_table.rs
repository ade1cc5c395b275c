//! COPY INTO table: staged files as rows, through the same road as INSERT.

use std::collections::HashMap;

use frazil_common::{Access, Code, Column, ObjectName, Privilege, SqlType, UserError};
use frazil_dialect::sqlparser::ast::{
    AccessExpr, Expr, Ident, JsonPathElem, Query, SelectItem, SetExpr, Subscript, VisitMut,
    VisitorMut,
};
use frazil_dialect::{CopyIntoTable, CopySource, Options, TransformQuery, parse_query};
use frazil_governance::Requirement;
use frazil_planner::{PlanContext, Planned, Reference, Relation, Resolved, plan_query, references};

use crate::api::StageFile;
use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::relation::target_table;
use crate::resolve::stages::files_relation;
use crate::run::execute::run_to_stream;
use crate::stages::file_format::{self, FileFormat, FormatType};
use crate::stages::location::{StageLocation, resolve_stage, select_files};
use crate::statements::context::{StatementContext, Work};
use crate::statements::defaults;
use crate::statements::outcome::{COUNT, Cell, Changes, Outcome};
use crate::statements::query::operators;

/// Internal name of the files in the query that COPY becomes.
const FILES: &str = "FRAZIL$COPY_FILES";

fn answer_columns() -> [(&'static str, SqlType); 10] {
    [
        ("file", SqlType::TEXT),
        ("status", SqlType::TEXT),
        ("rows_parsed", COUNT),
        ("rows_loaded", COUNT),
        ("error_limit", COUNT),
        ("errors_seen", COUNT),
        ("first_error", SqlType::TEXT),
        ("first_error_line", COUNT),
        ("first_error_character", COUNT),
        ("first_error_column_name", SqlType::TEXT),
    ]
}

/// The statement's COPY options, those with an effect here; the others are refused by name.
struct CopyOptions {
    purge: bool,
    match_by_name: bool,
}

fn copy_options(options: &Options) -> Result<CopyOptions, UserError> {
    let mut result = CopyOptions { purge: false, match_by_name: false };
    for (name, value) in options.iter() {
        let text = value.as_text().unwrap_or_default().to_uppercase();
        match name.to_uppercase().as_str() {
            "ON_ERROR" if text == "ABORT_STATEMENT" => {}
            "ON_ERROR" => {
                return Err(UserError::unsupported(format!("COPY INTO … ON_ERROR = {text}")));
            }
            "PURGE" => result.purge = value.as_boolean().unwrap_or_default(),
            "MATCH_BY_COLUMN_NAME" => result.match_by_name = text != "NONE",
            // Loads are not deduplicated here, so every load is forced.
            "FORCE" | "LOAD_UNCERTAIN_FILES" | "ENFORCE_LENGTH" | "RETURN_FAILED_ONLY" => {}
            "TRUNCATECOLUMNS" if value.as_boolean() == Some(false) => {}
            other => return Err(UserError::unsupported(format!("COPY INTO … {other}"))),
        }
    }
    Ok(result)
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    copy: &CopyIntoTable,
) -> Result<Outcome, UserError> {
    if let Some(mode) = &copy.validation_mode {
        return Err(UserError::unsupported(format!("COPY INTO … VALIDATION_MODE = {mode}")));
    }
    let options = copy_options(&copy.options)?;
    let table = target_table(context, work, &copy.table)?;
    if table.kind != frazil_catalog::TableKind::Temporary {
        let view = work.lake()?.view().clone();
        context.authorize(&[Requirement::new(
            table_object(&table),
            parents_of(&view, &table.name),
            Privilege::Insert,
        )])?;
        context.record.lock().accesses.push(Access {
            object: table_object(&table),
            privilege: Privilege::Insert,
            columns: copy.columns.clone(),
            on_behalf_of: None,
        });
    }
    let (source, own) = match &copy.source {
        CopySource::Location(location) => {
            (location.as_str(), file_format::to_json(&copy.file_format))
        }
        CopySource::Transform(transform) => {
            let mut own = file_format::to_json(&copy.file_format);
            if let Some(name) =
                transform.location_options.get("FILE_FORMAT").and_then(|v| v.as_text())
            {
                own.insert("FORMAT_NAME".to_string(), serde_json::Value::from(name));
            }
            (transform.location.as_str(), own)
        }
    };
    let location = resolve_stage(context, source, Privilege::Read).await?;
    let format = file_format::effective(context, &location.file_format, &own).await?;
    let files =
        select_files(context, &location, copy.files.as_deref(), copy.pattern.as_deref()).await?;
    if context.describe_only {
        return Outcome::table(&answer_columns(), Vec::new());
    }
    if files.is_empty() {
        let row = vec![Cell::from("Copy executed with 0 files processed.")];
        return Outcome::table(&[("status", SqlType::TEXT)], vec![row]);
    }
    let targets: Vec<String> = if copy.columns.is_empty() {
        table.columns.iter().map(|column| column.name.clone()).collect()
    } else {
        copy.columns.clone()
    };
    for name in &targets {
        if table.column(name).is_none() {
            return Err(UserError::invalid_identifier(name));
        }
    }
    let mut rows = Vec::new();
    let mut total = 0;
    // File by file, so that each file's count is its own; all in one transaction.
    for file in &files {
        let loaded =
            load_file(context, work, copy, &options, &table, &targets, &location, file, &format)
                .await?;
        total += loaded;
        rows.push(vec![
            Cell::from(format!("{}/{}", location.label, file.path)),
            Cell::from("LOADED"),
            Cell::from(loaded as i64),
            Cell::from(loaded as i64),
            Cell::from(1),
            Cell::from(0),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
        ]);
    }
    if options.purge {
        use crate::api::StageBytes;
        for file in &files {
            context.shared.stages.delete(location.stage_id, &file.path).await?;
        }
    }
    let mut outcome = Outcome::table(&answer_columns(), rows)?;
    outcome.rows_affected = Some(total);
    outcome.changes = Changes { inserted: total, ..Changes::default() };
    Ok(outcome)
}

#[allow(clippy::too_many_arguments)]
async fn load_file(
    context: &StatementContext,
    work: &mut Work,
    copy: &CopyIntoTable,
    options: &CopyOptions,
    table: &std::sync::Arc<frazil_catalog::TableInfo>,
    targets: &[String],
    location: &StageLocation,
    file: &StageFile,
    format: &FileFormat,
) -> Result<u64, UserError> {
    let transform = match &copy.source {
        CopySource::Transform(transform) => Some(transform.as_ref()),
        CopySource::Location(_) => None,
    };
    let width = (transform.is_none() && format.format == FormatType::Csv).then_some(targets.len());
    let one = std::slice::from_ref(file);
    let relation = files_relation(context, location, one, format, width).await?;
    let selected = match transform {
        Some(transform) => transformed(context, transform, relation, format)?,
        None => plain(context, options, table, targets, relation, format)?,
    };
    if selected.columns.len() != targets.len() {
        return Err(UserError::new(
            Code::ColumnCountMismatch,
            format!(
                "Insert value list does not match column list expecting {} but got {}",
                targets.len(),
                selected.columns.len()
            ),
        ));
    }
    let planned = arranged(context, table, targets, selected).await?;
    let plan = operators(context, work, &planned).await?;
    let stream = run_to_stream(&context.shared.runtime, plan, &context.cancel)?;
    Ok(work.lake()?.append(table, stream).await?)
}

fn plan_over(
    context: &StatementContext,
    query: &Query,
    relation: Relation,
) -> Result<Planned, UserError> {
    let empty = Resolved::default();
    let none = HashMap::new();
    let plan_context = PlanContext::new(&context.facts, &empty, &[], &none);
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
    plan_query(query, &PlanContext::new(&context.facts, &resolved, &[], &none))
}

/// A query over the files, to be filled with its select list.
fn files_query(items: Vec<SelectItem>) -> Result<Box<Query>, UserError> {
    let mut query = parse_query(&format!("SELECT 1 FROM \"{FILES}\""))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = items;
    }
    Ok(query)
}

/// Columns by position, or by name where asked for; a Parquet file is always read by name.
fn plain(
    context: &StatementContext,
    options: &CopyOptions,
    table: &frazil_catalog::TableInfo,
    targets: &[String],
    relation: Relation,
    format: &FileFormat,
) -> Result<Planned, UserError> {
    if format.format == FormatType::Csv && !options.match_by_name {
        let items = relation.columns.iter().map(|column| item(&column.name)).collect();
        return plan_over(context, &*files_query(items)?, relation);
    }
    if !options.match_by_name {
        return Err(UserError::new(
            Code::InvalidArgument,
            "PARQUET files can be loaded into several columns only with MATCH_BY_COLUMN_NAME or a \
             transformation (SELECT $1:column, …).",
        ));
    }
    if format.format == FormatType::Csv {
        return Err(UserError::unsupported("MATCH_BY_COLUMN_NAME for CSV files"));
    }
    let items = targets
        .iter()
        .map(|target| {
            let found =
                relation.columns.iter().find(|column| column.name.eq_ignore_ascii_case(target));
            match found {
                Some(column) => item(&column.name),
                None => SelectItem::UnnamedExpr(Expr::Value(
                    frazil_dialect::sqlparser::ast::Value::Null.into(),
                )),
            }
        })
        .collect();
    let _ = table;
    plan_over(context, &*files_query(items)?, relation)
}

fn item(name: &str) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name)))
}

/// The transformation's select list over the files.
fn transformed(
    context: &StatementContext,
    transform: &TransformQuery,
    relation: Relation,
    format: &FileFormat,
) -> Result<Planned, UserError> {
    let mut items = Vec::new();
    let mut columns = FileColumns {
        parquet: format.format == FormatType::Parquet,
        alias: transform.alias.clone(),
        columns: &relation.columns,
        error: None,
    };
    for entry in &transform.items {
        let mut expression = entry.expr.clone();
        // The visitor keeps its first error and never breaks off.
        let _ = VisitMut::visit(&mut expression, &mut columns);
        items.push(SelectItem::UnnamedExpr(expression));
    }
    let selection = transform.selection.clone().map(|mut selection| {
        let _ = VisitMut::visit(&mut selection, &mut columns);
        selection
    });
    if let Some(error) = columns.error.take() {
        return Err(error);
    }
    let mut query = files_query(items)?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = selection;
        if transform.distinct {
            select.distinct = Some(frazil_dialect::sqlparser::ast::Distinct::Distinct);
        }
    }
    plan_over(context, &query, relation)
}

/// Turns `$1:"A"` of a Parquet file and `$n` of a CSV file into the file's column.
struct FileColumns<'a> {
    parquet: bool,
    alias: Option<String>,
    columns: &'a [Column],
    error: Option<UserError>,
}

impl FileColumns<'_> {
    /// N of `$N` or `alias.$N`.
    fn position(&self, expression: &Expr) -> Option<usize> {
        use frazil_dialect::sqlparser::ast::Value;
        let text = match expression {
            Expr::Value(value) => match &value.value {
                Value::Placeholder(text) => text.clone(),
                _ => return None,
            },
            Expr::Identifier(ident) => ident.value.clone(),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column]
                    if self
                        .alias
                        .as_deref()
                        .is_some_and(|own| own.eq_ignore_ascii_case(&alias.value)) =>
                {
                    column.value.clone()
                }
                _ => return None,
            },
            _ => return None,
        };
        text.strip_prefix('$')?.parse().ok()
    }

    fn named(&self, name: &str) -> Expr {
        let found = self.columns.iter().find(|column| column.name == name);
        match found {
            Some(column) => Expr::Identifier(Ident::with_quote('"', &column.name)),
            // A path that is not there is NULL, as in any VARIANT.
            None => Expr::Value(frazil_dialect::sqlparser::ast::Value::Null.into()),
        }
    }
}

impl VisitorMut for FileColumns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> std::ops::ControlFlow<()> {
        if self.parquet {
            let replacement = match expression {
                Expr::JsonAccess { value, path } if self.position(value) == Some(1) => {
                    match path.path.as_slice() {
                        [JsonPathElem::Dot { key, quoted: _ }] => Some(self.named(key)),
                        [JsonPathElem::Bracket { key: Expr::Value(value) }] => {
                            value.value.clone().into_string().map(|key| self.named(&key))
                        }
                        _ => None,
                    }
                }
                Expr::CompoundFieldAccess { root, access_chain }
                    if self.position(root) == Some(1) =>
                {
                    match access_chain.as_slice() {
                        [AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) })] => {
                            value.value.clone().into_string().map(|key| self.named(&key))
                        }
                        _ => None,
                    }
                }
                _ => None,
            };
            if let Some(replacement) = replacement {
                *expression = replacement;
            } else if self.position(expression).is_some() {
                self.error.get_or_insert_with(|| {
                    UserError::unsupported("a whole Parquet row ($1) in a COPY transformation")
                });
            }
        } else if let Some(position) = self.position(expression) {
            match self.columns.get(position.wrapping_sub(1)) {
                Some(column) => {
                    *expression = Expr::Identifier(Ident::with_quote('"', &column.name));
                }
                None => {
                    *expression = Expr::Value(frazil_dialect::sqlparser::ast::Value::Null.into());
                }
            }
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// All columns of the table in order: loaded ones cast, the others their default.
async fn arranged(
    context: &StatementContext,
    table: &frazil_catalog::TableInfo,
    targets: &[String],
    selected: Planned,
) -> Result<Planned, UserError> {
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let source = targets.iter().position(|target| *target == column.name);
        let default = match source {
            Some(_) => None,
            None => defaults::bound(context, column).await?,
        };
        columns.push((column.to_column(), source, default));
    }
    frazil_planner::arrange_columns(selected, columns, &context.facts)
}

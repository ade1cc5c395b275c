//! COPY INTO @stage: a governed query's rows as files.

use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlanBuilder};
use frazil_common::{Code, Column, Privilege, SqlType, UserError};
use frazil_dialect::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, TableFactor};
use frazil_dialect::{CopyIntoLocation, Options, UnloadSource, parse_query};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr};
use frazil_planner::Planned;

use crate::history::access::note_stage;
use crate::run::execute::run_to_stream;
use crate::stages::file_format::{self, FileFormat, FormatType};
use crate::stages::location::resolve_stage;
use crate::stages::unload::{Target, Unloader, Written};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Outcome};
use crate::statements::query::{governed, operators, plan};

/// Bytes of a file when MAX_FILE_SIZE is not given.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest MAX_FILE_SIZE, in bytes.
const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Name of the PARTITION BY value behind the query's columns.
const PARTITION: &str = "FRAZIL$PARTITION";

/// The statement's options.
struct UnloadOptions {
    overwrite: bool,
    single: bool,
    header: bool,
    max_bytes: u64,
    include_query_id: bool,
    detailed: bool,
}

fn invalid(text: impl Into<String>) -> UserError {
    UserError::new(Code::InvalidArgument, text)
}

fn options(copy: &CopyIntoLocation) -> Result<UnloadOptions, UserError> {
    let partitioned = copy.partition_by.is_some();
    let mut result = UnloadOptions {
        overwrite: false,
        single: false,
        header: false,
        max_bytes: FILE_BYTES,
        include_query_id: partitioned,
        detailed: false,
    };
    let given: &Options = &copy.options;
    for (name, value) in given.iter() {
        let wrong = || invalid(format!("invalid value [{value}] for parameter '{name}'"));
        let flag = || value.as_boolean().ok_or_else(wrong);
        match name {
            "OVERWRITE" => result.overwrite = flag()?,
            "SINGLE" => result.single = flag()?,
            "HEADER" => result.header = flag()?,
            "INCLUDE_QUERY_ID" => result.include_query_id = flag()?,
            "DETAILED_OUTPUT" => result.detailed = flag()?,
            "MAX_FILE_SIZE" => {
                let bytes = value.as_integer().and_then(|bytes| u64::try_from(bytes).ok());
                result.max_bytes =
                    bytes.filter(|bytes| (1..=FILE_BYTES_MAX).contains(bytes)).ok_or_else(wrong)?;
            }
            other => return Err(UserError::unsupported(format!("COPY INTO @stage … {other}"))),
        }
    }
    let clash = if partitioned && (result.single || result.overwrite || !result.include_query_id) {
        Some("PARTITION BY cannot be used with SINGLE, OVERWRITE or INCLUDE_QUERY_ID = FALSE.")
    } else if result.include_query_id && !partitioned && (result.single || result.overwrite) {
        Some("INCLUDE_QUERY_ID = TRUE cannot be used with SINGLE or OVERWRITE.")
    } else {
        None
    };
    match clash {
        Some(text) => Err(invalid(text)),
        None => Ok(result),
    }
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    copy: &CopyIntoLocation,
) -> Result<Outcome, UserError> {
    let options = options(copy)?;
    let location = resolve_stage(context, &copy.location, Privilege::Write).await?;
    let own = file_format::to_json(&copy.file_format);
    let format = file_format::effective(context, &location.file_format, &own).await?;
    let query = source(copy)?;
    let planned = plan(context, work, &query, &context.text).await?;
    if let Some(mode) = &copy.validation_mode {
        if mode != "RETURN_ROWS" {
            return Err(invalid(format!("invalid value [{mode}] for parameter 'VALIDATION_MODE'")));
        }
        return crate::statements::query::run(context, work, &query).await;
    }
    let partitioned = copy.partition_by.is_some();
    let width = planned.columns.len() - usize::from(partitioned);
    let columns: Vec<Column> = planned.columns[..width].to_vec();
    if format.format == FormatType::Json
        && !matches!(columns.as_slice(), [column] if column.sql_type.is_semi_structured())
    {
        return Err(invalid(
            "JSON file format can be used only to unload one column of type VARIANT, OBJECT or \
             ARRAY.",
        ));
    }
    let planned = shaped(planned, width, &format, &context.facts)?;
    if context.describe_only {
        governed(context, work, &planned)?;
        return answer(&options, Vec::new());
    }
    let plan = operators(context, work, &planned).await?;
    let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
    let id = options.include_query_id.then(|| context.query_id().to_string());
    let unloader = Unloader {
        stages: context.shared.stages.clone(),
        target: Target {
            stage_id: location.stage_id,
            stage: location.shown(),
            path: location.path.clone(),
            single: options.single,
            overwrite: options.overwrite,
            header: options.header,
            max_bytes: options.max_bytes,
            query_id: id,
        },
        format,
        columns,
        partitioned,
    };
    note_stage(context, &location, Privilege::Write);
    let written = unloader.run(rows).await?;
    answer(&options, written)
}

/// The query whose rows are unloaded; PARTITION BY is its last column, and orders it.
fn source(copy: &CopyIntoLocation) -> Result<Box<Query>, UserError> {
    let Some(partition) = &copy.partition_by else {
        return match &copy.source {
            UnloadSource::Table(name) => parse_query(&format!("SELECT * FROM {name}")),
            UnloadSource::Query(query) => Ok(query.clone()),
        };
    };
    let from = match &copy.source {
        UnloadSource::Table(name) => name.to_string(),
        UnloadSource::Query(_) => "(SELECT 1)".to_string(),
    };
    let mut outer = parse_query(&format!(
        "SELECT *, (NULL)::VARCHAR AS \"{PARTITION}\" FROM {from} ORDER BY \"{PARTITION}\""
    ))?;
    let missing = || UserError::internal("the unloaded query has lost its shape");
    let SetExpr::Select(select) = outer.body.as_mut() else { return Err(missing()) };
    match select.projection.last_mut() {
        Some(SelectItem::ExprWithAlias { expr: Expr::Cast { expr, .. }, .. }) => {
            **expr = Expr::Nested(Box::new(partition.clone()));
        }
        _ => return Err(missing()),
    }
    if let UnloadSource::Query(query) = &copy.source {
        match select.from.first_mut().map(|from| &mut from.relation) {
            Some(TableFactor::Derived { subquery, .. }) => *subquery = query.clone(),
            _ => return Err(missing()),
        }
    }
    Ok(outer)
}

/// The columns as the files hold them: text for CSV, else as they are.
fn shaped(
    planned: Planned,
    width: usize,
    format: &FileFormat,
    facts: &Facts,
) -> Result<Planned, UserError> {
    if format.format != FormatType::Csv {
        return Ok(planned);
    }
    let mut facts = facts.clone();
    facts.formats.binary = format.binary_format.as_str().to_string();
    if let Some(text) = &format.date_format {
        facts.formats.date = text.clone();
    }
    if let Some(text) = &format.time_format {
        facts.formats.time = text.clone();
    }
    if let Some(text) = &format.timestamp_format {
        facts.formats.timestamp_ntz = text.clone();
        facts.formats.timestamp_ltz = text.clone();
        facts.formats.timestamp_tz = text.clone();
    }
    let fields = planned.plan.schema().columns();
    let mut expressions = Vec::with_capacity(fields.len());
    let mut columns = Vec::with_capacity(fields.len());
    for (index, (field, column)) in fields.into_iter().zip(&planned.columns).enumerate() {
        let value =
            TypedExpr::new(PlanExpr::Column(field), column.sql_type.clone(), column.nullable);
        let text = if index < width && column.sql_type.is_semi_structured() {
            frazil_functions::scalar("TO_JSON")
                .ok_or_else(|| UserError::internal("there is no function TO_JSON"))?
                .bind(vec![value], &facts)?
        } else {
            cast(value, &SqlType::TEXT, CastMode::Explicit, &facts)?
        };
        columns.push(Column::new(&column.name, SqlType::TEXT, true));
        expressions.push(text.expr.alias(format!("u{index}")));
    }
    let plan = LogicalPlanBuilder::from(planned.plan)
        .project(expressions)
        .and_then(LogicalPlanBuilder::build)
        .map_err(UserError::internal)?;
    Ok(Planned { plan, columns, accesses: planned.accesses })
}

fn answer(options: &UnloadOptions, written: Vec<Written>) -> Result<Outcome, UserError> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    if options.detailed {
        let columns = [("FILE_NAME", SqlType::TEXT), ("FILE_SIZE", COUNT), ("ROW_COUNT", COUNT)];
        let rows = written
            .into_iter()
            .map(|file| {
                vec![
                    Cell::from(file.path),
                    Cell::from(signed(file.bytes)),
                    Cell::from(signed(file.rows)),
                ]
            })
            .collect();
        return Outcome::table(&columns, rows);
    }
    let columns = [("rows_unloaded", COUNT), ("input_bytes", COUNT), ("output_bytes", COUNT)];
    let sum = |of: fn(&Written) -> u64| signed(written.iter().map(of).sum());
    let row = vec![
        Cell::from(sum(|file| file.rows)),
        Cell::from(sum(|file| file.input_bytes)),
        Cell::from(sum(|file| file.bytes)),
    ];
    Outcome::table(&columns, vec![row])
}

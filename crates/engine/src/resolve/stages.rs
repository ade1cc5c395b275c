//! `FROM @stage/path (FILE_FORMAT => …, PATTERN => …)`: files as rows with columns `$1`, `$2`, ….

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil_common::{Code, Column, Privilege, SqlType, UserError};
use frazil_planner::Relation;

use crate::api::StageFile;
use crate::history::access::note_stage;
use crate::stages::csv_files::{CsvColumns, inspect, positional_columns};
use crate::stages::file_format::{self, FileFormat, FormatType};
use crate::stages::load_log::LoadLog;
use crate::stages::location::{StageLocation, resolve_stage, select_files};
use crate::stages::parquet_files;
use crate::stages::scan::{Rows, StageScan, WHOLE_ROW};
use crate::statements::context::StatementContext;

/// Rows looked at to tell how many columns a CSV file has.
const WIDTH_ROWS: usize = 100;

/// Which columns the files are to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// What a query sees: positions, or the whole row as `$1`.
    Query,
    /// As for a query; Parquet's own columns stand behind it by their names.
    Transform,
    /// This number of positions, which every record must have.
    Columns(usize),
    /// By the files' own names.
    Names,
}

pub(super) async fn stage_relation(
    context: &StatementContext,
    path: &str,
    options: &[(String, String)],
) -> Result<Relation, UserError> {
    let location = resolve_stage(context, path, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    let mut own = BTreeMap::new();
    let mut pattern = None;
    for (name, value) in options {
        match name.as_str() {
            "FILE_FORMAT" => {
                own.insert("FORMAT_NAME".to_string(), serde_json::Value::from(value.as_str()));
            }
            "PATTERN" => pattern = Some(value.as_str()),
            other => return Err(UserError::unsupported(format!("@stage ({other} => …)"))),
        }
    }
    let format = file_format::effective(context, &location.file_format, &own).await?;
    let (files, _) = select_files(context, &location, None, pattern).await?;
    if files.is_empty() {
        return Err(UserError::new(
            Code::StageFileNotFound,
            format!("No file was found in stage '{}{}'.", location.shown(), location.path),
        ));
    }
    files_relation(context, &location, &files, &format, Layout::Query, None).await
}

/// Files as one relation, with their metadata columns hidden behind.
///
/// # Errors
/// A file that cannot be read in its format.
pub(crate) async fn files_relation(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
    layout: Layout,
    log: Option<Arc<LoadLog>>,
) -> Result<Relation, UserError> {
    let (rows, values, visible) = match format.format {
        FormatType::Parquet => {
            let schema = parquet_files::schema(context, location.stage_id, files).await?;
            let mut values = parquet_files::value_columns(&schema)?;
            if layout == Layout::Query {
                values.truncate(1);
            }
            (Rows::Parquet(schema), values, 1)
        }
        FormatType::Json => (Rows::Json, vec![Column::new(WHOLE_ROW, SqlType::Variant, true)], 1),
        FormatType::Csv if layout == Layout::Names => {
            let names = headers(context, location, files, format).await?;
            let values: Vec<Column> =
                names.iter().map(|name| Column::new(name, SqlType::TEXT, true)).collect();
            let visible = values.len();
            (Rows::Csv(CsvColumns::Header { names }), values, visible)
        }
        FormatType::Csv => {
            let checked = match layout {
                Layout::Columns(width) => Some(width),
                _ => None,
            };
            let width = match checked {
                Some(width) => width,
                None => first_width(context, location, files, format).await?,
            };
            (Rows::Csv(CsvColumns::Positions { checked }), positional_columns(width), width)
        }
    };
    StageScan::new(
        Arc::clone(&context.shared.stages),
        location.stage_id,
        files.to_vec(),
        format.clone(),
        rows,
        &values,
        log,
        context.facts.now_micros,
    )
    .into_relation(visible)
}

/// Number of columns of the first file's first rows.
async fn first_width(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
) -> Result<usize, UserError> {
    let Some(first) = files.first() else { return Ok(1) };
    let stages = &context.shared.stages;
    let (_, rows) = inspect(stages, location.stage_id, &first.path, format, WIDTH_ROWS).await?;
    Ok(rows.iter().map(Vec::len).max().unwrap_or(1))
}

/// All names in the files' headers, in order of first appearance.
async fn headers(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
) -> Result<Vec<String>, UserError> {
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let stages = &context.shared.stages;
        let (header, _) = inspect(stages, location.stage_id, &file.path, format, 1).await?;
        for name in header.unwrap_or_default() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

//! `FROM @stage/path (FILE_FORMAT => …, PATTERN => …)`: files as rows with columns `$1`, `$2`, ….

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use frazil_common::{Code, Privilege, UserError};
use frazil_governance::INTERNAL_SCHEMA;
use frazil_planner::Relation;

use crate::api::StageFile;
use crate::stages::csv_files::{CsvFile, inspect, text_columns, text_schema};
use crate::stages::file_format::{self, FileFormat, FormatType};
use crate::stages::location::{StageLocation, resolve_stage, select_files};
use crate::stages::parquet_files;
use crate::statements::context::StatementContext;

pub(super) async fn stage_relation(
    context: &StatementContext,
    path: &str,
    options: &[(String, String)],
) -> Result<Relation, UserError> {
    let location = resolve_stage(context, path, Privilege::Read).await?;
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
    let files = select_files(context, &location, None, pattern).await?;
    files_relation(context, &location, &files, &format, None).await
}

/// Files as one relation. CSV has text columns C1 … Cn (n is `width`, or the first row's), Parquet
/// the files' own columns.
///
/// # Errors
/// No file at all, a file that cannot be read, a format without row form here.
pub(crate) async fn files_relation(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
    width: Option<usize>,
) -> Result<Relation, UserError> {
    if files.is_empty() {
        return Err(UserError::new(
            Code::StageFileNotFound,
            format!("No file was found in stage '@{}/{}'.", location.label, location.path),
        ));
    }
    match format.format {
        FormatType::Parquet => parquet_files::relation(context, location.stage_id, files).await,
        FormatType::Json => Err(UserError::unsupported("reading JSON files from a stage")),
        FormatType::Csv => {
            let width = match width {
                Some(width) => width,
                None => {
                    let (_, rows) = inspect(
                        &context.shared.stages,
                        location.stage_id,
                        &files[0].path,
                        format,
                        1,
                    )
                    .await?;
                    rows.first().map_or(1, Vec::len)
                }
            };
            let schema = text_schema(width);
            let streams: Vec<Arc<dyn PartitionStream>> = files
                .iter()
                .map(|file| {
                    Arc::new(CsvFile {
                        stages: context.shared.stages.clone(),
                        stage_id: location.stage_id,
                        path: file.path.clone(),
                        format: format.clone(),
                        schema: schema.clone(),
                        width,
                    }) as Arc<dyn PartitionStream>
                })
                .collect();
            let table = StreamingTable::try_new(schema, streams).map_err(UserError::internal)?;
            let plan = LogicalPlanBuilder::scan(
                TableReference::partial(INTERNAL_SCHEMA, format!("stage {}", location.stage_id)),
                provider_as_source(Arc::new(table)),
                None,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(UserError::internal)?;
            Ok(Relation {
                object: None,
                name: None,
                columns: text_columns(width),
                plan,
                accesses: Vec::new(),
                hidden: 0,
            })
        }
    }
}

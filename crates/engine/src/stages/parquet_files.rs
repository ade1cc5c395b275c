//! Parquet files of a stage as typed rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Column as PlanColumn;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast as cast_to};
use frazil_common::{Column, SqlType, UserError};
use frazil_governance::INTERNAL_SCHEMA;
use frazil_planner::Relation;
use object_store::ObjectStoreExt;

use crate::api::StageFile;
use crate::run::execute::user_error;
use crate::stage_files::LocalStages;
use crate::statements::context::StatementContext;

/// URL under which the stage files' store is known to the operators.
pub(crate) const STAGE_URL: &str = "frazil-stage://internal/";

/// The union of the files' schemas, columns in order of first appearance.
///
/// # Errors
/// A file that is no Parquet, or a column with two types.
pub(crate) async fn schema(
    context: &StatementContext,
    stage_id: i64,
    files: &[StageFile],
) -> Result<SchemaRef, UserError> {
    let store = context.shared.stages.object_store();
    let mut metas = Vec::with_capacity(files.len());
    for file in files {
        let location = LocalStages::location(stage_id, &file.path)?;
        metas.push(store.head(&location).await.map_err(UserError::internal)?);
    }
    ParquetFormat::default()
        .infer_schema(context.shared.runtime.state(), &store, &metas)
        .await
        .map_err(|error| {
            UserError::new(
                frazil_common::Code::FileParse,
                format!("A file cannot be read as Parquet: {}", error.find_root()),
            )
        })
}

/// The columns a schema gives in SQL.
///
/// # Errors
/// A nested or otherwise unsupported column, by name.
pub(crate) fn columns(schema: &Schema) -> Result<Vec<Column>, UserError> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let sql_type = sql_type(field).ok_or_else(|| {
                UserError::unsupported(format!(
                    "Parquet type {} of column {}",
                    field.data_type(),
                    field.name()
                ))
            })?;
            Ok(Column::new(field.name(), sql_type, true))
        })
        .collect()
}

fn sql_type(field: &Field) -> Option<SqlType> {
    match field.data_type() {
        // pandas writes times in any unit; all fit the session's microseconds but nanoseconds.
        DataType::Timestamp(unit, zone) => {
            let nanos = matches!(unit, arrow::datatypes::TimeUnit::Nanosecond);
            let kind = if zone.is_some() {
                frazil_common::TimeZoneKind::Ltz
            } else {
                frazil_common::TimeZoneKind::Ntz
            };
            Some(SqlType::Timestamp { zone: kind, scale: 9, nanos })
        }
        other => SqlType::from_arrow(other),
    }
}

/// Files as one relation whose columns have the files' names and SQL types.
pub(crate) async fn relation(
    context: &StatementContext,
    stage_id: i64,
    files: &[StageFile],
) -> Result<Relation, UserError> {
    let file_schema = schema(context, stage_id, files).await?;
    let columns = columns(&file_schema)?;
    let urls = files
        .iter()
        .map(|file| {
            let location = LocalStages::location(stage_id, &file.path)?;
            ListingTableUrl::parse(format!("{STAGE_URL}{location}")).map_err(user_error)
        })
        .collect::<Result<Vec<_>, _>>()?;
    // Stage files are Parquet by their format, whatever they are called.
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(file_schema.clone());
    let table = ListingTable::try_new(config).map_err(user_error)?;
    let name = TableReference::partial(INTERNAL_SCHEMA, format!("stage {stage_id}"));
    let casts: Vec<Expr> = file_schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| {
            let value = Expr::Column(PlanColumn::new(Some(name.clone()), field.name().clone()));
            let target = column.sql_type.to_arrow();
            if *field.data_type() == target { value } else { cast_to(value, target) }
                .alias(field.name())
        })
        .collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None)
        .and_then(|builder| builder.project(casts))
        .and_then(LogicalPlanBuilder::build)
        .map_err(user_error)?;
    Ok(Relation { object: None, name: None, columns, plan, accesses: Vec::new(), hidden: 0 })
}

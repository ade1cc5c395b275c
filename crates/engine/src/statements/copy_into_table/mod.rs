//! COPY INTO table: staged files as rows, remembered with the rows they brought.

mod errors;
mod load;
mod options;
mod plan;
mod rows;

use std::collections::HashSet;
use std::sync::Arc;

use frazil_catalog::{FileLoad, LOAD_METADATA_DAYS, LoadError, LoadStatus, TableInfo, TableKind};
use frazil_common::{Access, Code, Privilege, SqlType, UserError, quote_identifier};
use frazil_dialect::{CopyIntoTable, CopySource};
use frazil_governance::Requirement;

use crate::api::{StageBytes, StageFile};
use crate::history::access::note_stage;
use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::relation::target_table;
use crate::resolve::stages::{Layout, files_relation};
use crate::run::spool::SpoolWriter;
use crate::stage_files::{LoadedFile, lasting_tag};
use crate::stages::file_format::{self, FileFormat, FormatType};
use crate::stages::load_log::LoadLog;
use crate::stages::location::{StageLocation, missing_file, resolve_stage, select_files};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Changes, Outcome, schema_of};
use crate::statements::query::operators;
use errors::Located;
pub(crate) use errors::{ERROR_COLUMNS, error_cells};
use load::Load;
use options::{CopyOptions, MatchBy, OnError, Validation};
use rows::Pipeline;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Errors of one file that are kept for VALIDATE.
const ERRORS_REMEMBERED: usize = 1000;
const NOTHING: &str = "Copy executed with 0 files processed.";

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

/// All that a COPY works on, looked up and checked.
struct Job<'a> {
    context: &'a StatementContext,
    copy: &'a CopyIntoTable,
    options: CopyOptions,
    table: Arc<TableInfo>,
    /// The columns that are loaded, in the order of the select list.
    targets: Vec<String>,
    location: StageLocation,
    format: FileFormat,
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    copy: &CopyIntoTable,
) -> Result<Outcome, UserError> {
    let validation = copy.validation_mode.as_deref().map(Validation::parse).transpose()?;
    let table = target_table(context, work, &copy.table)?;
    authorize(context, work, copy, &table)?;
    let job = job(context, copy, table).await?;
    let mut files = job.files().await?;
    if context.describe_only {
        return match validation {
            Some(Validation::Rows(_)) => {
                crate::statements::query::described(job.table.column_list())
            }
            Some(_) => Outcome::table(&ERROR_COLUMNS, Vec::new()),
            None => Outcome::table(&answer_columns(), Vec::new()),
        };
    }
    job.leave_out_loaded(work, &mut files, validation).await?;
    if files.is_empty() {
        let row = vec![Cell::from(NOTHING)];
        return Outcome::table(&[("status", SqlType::TEXT)], vec![row]);
    }
    match validation {
        Some(Validation::Rows(count)) => job.first_rows(work, files, count).await,
        Some(_) => job.all_errors(work, files).await,
        None => job.load(work, files).await,
    }
}

fn authorize(
    context: &StatementContext,
    work: &mut Work,
    copy: &CopyIntoTable,
    table: &Arc<TableInfo>,
) -> Result<(), UserError> {
    if table.kind == TableKind::Temporary {
        return Ok(());
    }
    let view = work.lake()?.view().clone();
    context.authorize(&[Requirement::new(
        table_object(table),
        parents_of(&view, &table.name),
        Privilege::Insert,
    )])?;
    let columns = match copy.columns.as_slice() {
        [] => table.columns.iter().map(|column| column.name.clone()).collect(),
        named => named.to_vec(),
    };
    context.record.lock().accesses.push(Access {
        object: table_object(table),
        privilege: Privilege::Insert,
        columns,
        on_behalf_of: None,
    });
    Ok(())
}

async fn job<'a>(
    context: &'a StatementContext,
    copy: &'a CopyIntoTable,
    table: Arc<TableInfo>,
) -> Result<Job<'a>, UserError> {
    let mut own = file_format::to_json(&copy.file_format);
    let source = match &copy.source {
        CopySource::Location(location) => location.clone(),
        CopySource::TableStage => {
            let name = &table.name;
            format!(
                "@{}.{}.%{}",
                quote_identifier(&name.database),
                quote_identifier(&name.schema),
                quote_identifier(&name.name)
            )
        }
        CopySource::Transform(transform) => {
            let named = transform.location_options.get("FILE_FORMAT").and_then(|v| v.as_text());
            if let Some(name) = named {
                own.insert("FORMAT_NAME".to_string(), serde_json::Value::from(name));
            }
            transform.location.clone()
        }
    };
    let location = resolve_stage(context, &source, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    let mut options = location.copy_options.clone();
    options.extend(file_format::to_json(&copy.options));
    let options = options::read(&options)?;
    if options.purge {
        // Loaded files are removed, as by REMOVE.
        resolve_stage(context, &source, Privilege::Write).await?;
    }
    let format = file_format::effective(context, &location.file_format, &own).await?;
    let transforms = matches!(copy.source, CopySource::Transform(_));
    let by_name = options.match_by != MatchBy::Position;
    if transforms && by_name {
        return Err(UserError::new(
            Code::InvalidArgument,
            "MATCH_BY_COLUMN_NAME cannot be used with a transformation.",
        ));
    }
    if by_name && format.format == FormatType::Csv && !format.parse_header {
        return Err(UserError::new(
            Code::InvalidArgument,
            "MATCH_BY_COLUMN_NAME of CSV files needs PARSE_HEADER = TRUE.",
        ));
    }
    let targets: Vec<String> = if copy.columns.is_empty() {
        table.columns.iter().map(|column| column.name.clone()).collect()
    } else {
        copy.columns.clone()
    };
    let unknown = targets.iter().find(|name| table.column(name).is_none());
    if let Some(name) = unknown {
        return Err(UserError::invalid_identifier(name));
    }
    Ok(Job { context, copy, options, table, targets, location, format })
}

impl Job<'_> {
    /// The files the statement names, in path order.
    async fn files(&self) -> Result<Vec<StageFile>, UserError> {
        let pattern = match &self.copy.source {
            CopySource::Transform(transform) => {
                transform.location_options.get("PATTERN").and_then(|value| value.as_text())
            }
            _ => None,
        };
        let pattern = self.copy.pattern.as_deref().or(pattern);
        let names = self.copy.files.as_deref();
        let (files, missing) = select_files(self.context, &self.location, names, pattern).await?;
        match missing.first() {
            Some(path) if self.options.on_error == OnError::Abort => {
                Err(missing_file(&self.location, path))
            }
            _ => Ok(files),
        }
    }

    fn key(&self, file: &StageFile) -> String {
        format!("{}/{}", self.location.stage_id, file.path)
    }

    fn shown(&self, file: &StageFile) -> String {
        match self.location.label.as_str() {
            "" => file.path.clone(),
            label => format!("{label}/{}", file.path),
        }
    }

    /// Leaves out what is loaded already, then what SIZE_LIMIT leaves no room for.
    async fn leave_out_loaded(
        &self,
        work: &mut Work,
        files: &mut Vec<StageFile>,
        validation: Option<Validation>,
    ) -> Result<(), UserError> {
        let options = &self.options;
        if !options.force {
            let now = self.context.facts.now_micros;
            let expired = now - LOAD_METADATA_DAYS * MICROS_PER_DAY;
            let known = work.lake()?.loads(&self.table).await?;
            let first = known.iter().map(|load| load.loaded_on).min();
            let partly = validation == Some(Validation::AllErrors);
            let loaded: HashSet<(&str, &str)> = known
                .iter()
                .filter(|load| load.loaded_on > expired && load.status != LoadStatus::LoadFailed)
                .filter(|load| !(partly && load.status == LoadStatus::PartiallyLoaded))
                .map(|load| (load.location.as_str(), lasting_tag(&load.etag)))
                .collect();
            // Whether an old file was loaded cannot be told once its record may be gone.
            let uncertain = |file: &StageFile| {
                !options.load_uncertain
                    && file.modified_micros < expired
                    && first.is_some_and(|first| first < expired)
            };
            files.retain(|file| {
                !loaded.contains(&(self.key(file).as_str(), lasting_tag(&file.digest)))
                    && !uncertain(file)
            });
        }
        if let Some(limit) = options.size_limit {
            let mut sum = 0;
            files.retain(|file| {
                let begins = sum < limit;
                sum += file.size;
                begins
            });
        }
        Ok(())
    }

    /// The plan over the files, ready to run.
    async fn pipeline(
        &self,
        work: &mut Work,
        files: &[StageFile],
        log: &Arc<LoadLog>,
    ) -> Result<Pipeline, UserError> {
        let transform = match &self.copy.source {
            CopySource::Transform(transform) => Some(transform.as_ref()),
            _ => None,
        };
        let layout = match (transform, self.options.match_by) {
            (Some(_), _) => Layout::Transform,
            (None, MatchBy::Position) => Layout::Columns(self.targets.len()),
            (None, _) => Layout::Names,
        };
        let relation = files_relation(
            self.context,
            &self.location,
            files,
            &self.format,
            layout,
            Some(Arc::clone(log)),
        )
        .await?;
        let source = plan::Source {
            table: &self.table,
            targets: &self.targets,
            transform,
            format: &self.format,
            options: &self.options,
        };
        let planned = plan::build(self.context, &source, relation).await?;
        let plan = operators(self.context, work, &planned).await?;
        let text_files = self.format.format == FormatType::Csv;
        Pipeline::new(&plan.plan, Arc::clone(&self.table), text_files)
    }

    async fn load(&self, work: &mut Work, files: Vec<StageFile>) -> Result<Outcome, UserError> {
        let strict = self.options.on_error == OnError::Abort;
        let log = Arc::new(LoadLog::new(files.len(), strict));
        let pipeline = self.pipeline(work, &files, &log).await?;
        let load = Arc::new(Load::new(pipeline, Arc::clone(&log), self.options.on_error));
        let stream = load.start(&self.context.runtime, &self.context.cancel, &self.table);
        let appended = work.lake()?.append(&self.table, stream).await;
        if let Err(error) = appended {
            return Err(self.explained(&files, &log, error.into()).await?);
        }
        self.refuse_replaced(&files).await?;
        let mut loads = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            loads.push(self.record(file, index, &load, &log).await?);
        }
        let outcome = self.answer(&files, &loads)?;
        if self.options.purge {
            note_stage(self.context, &self.location, Privilege::Write);
            let purged =
                files.iter().zip(&loads).filter(|(_, load)| load.status != LoadStatus::LoadFailed);
            work.purge_after_commit(
                self.context,
                purged.map(|(file, _)| LoadedFile::of(self.location.stage_id, file)).collect(),
            );
        }
        work.lake()?.record_loads(&self.table, loads);
        Ok(outcome)
    }

    /// A file that was replaced after it was listed may have been read as it is now: it would be noted as
    /// loaded by the tag of what it was, and be loaded again.
    async fn refuse_replaced(&self, files: &[StageFile]) -> Result<(), UserError> {
        for file in files {
            let now = self.context.shared.stages.head(self.location.stage_id, &file.path).await?;
            if now.is_some_and(|now| now.digest != file.digest) {
                self.context.record.lock().lost_race = true;
                return Err(UserError::new(
                    Code::InvalidStatement,
                    format!(
                        "File '{}' was replaced while it was loaded; nothing is loaded. Run the \
                         statement again.",
                        file.path
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The error that ended a strict load, with its place.
    async fn explained(
        &self,
        files: &[StageFile],
        log: &LoadLog,
        error: UserError,
    ) -> Result<UserError, UserError> {
        for (index, file) in files.iter().enumerate() {
            let first = log.file(index).first().cloned();
            let Some(first) = first.filter(|first| first.error == error) else { continue };
            let found = self.located(file, vec![first]).await?;
            if let Some(found) = found.first() {
                return Ok(errors::aborted(found, &file.path, &self.table));
            }
        }
        Ok(error)
    }

    async fn located(
        &self,
        file: &StageFile,
        found: Vec<crate::stages::load_log::RowError>,
    ) -> Result<Vec<Located>, UserError> {
        errors::locate(self.context, &self.location, file, &self.format, found).await
    }

    /// A file's first errors, in the order of its rows.
    async fn kept_errors(
        &self,
        file: &StageFile,
        index: usize,
        log: &LoadLog,
        limit: usize,
    ) -> Result<Vec<LoadError>, UserError> {
        let mut kept = log.file(index).kept.clone();
        kept.sort_by_key(|error| error.row);
        kept.truncate(limit);
        let name = self.shown(file);
        let found = self.located(file, kept).await?;
        Ok(found.into_iter().map(|found| found.into_load_error(&name, &self.table)).collect())
    }

    /// What is remembered of one file.
    async fn record(
        &self,
        file: &StageFile,
        index: usize,
        load: &Load,
        log: &LoadLog,
    ) -> Result<FileLoad, UserError> {
        let (parsed, count) = {
            let log = log.file(index);
            (log.parsed, log.errors)
        };
        let loaded = load.rows_loaded(index);
        let errors = self.kept_errors(file, index, log, ERRORS_REMEMBERED).await?;
        let first = errors.first();
        let status = match (count, loaded) {
            (0, _) => LoadStatus::Loaded,
            (_, 0) => LoadStatus::LoadFailed,
            _ => LoadStatus::PartiallyLoaded,
        };
        Ok(FileLoad {
            location: self.key(file),
            stage: self.location.shown(),
            path: file.path.clone(),
            etag: file.digest.clone(),
            bytes: i64::try_from(file.size).unwrap_or(i64::MAX),
            loaded_on: self.context.facts.now_micros,
            status,
            rows_parsed: parsed,
            rows_loaded: i64::try_from(loaded).unwrap_or(i64::MAX),
            error_limit: self.options.on_error.limit(parsed),
            error_count: count,
            first_error: first.map(|error| error.message.clone()),
            first_error_line: first.map(|error| error.line),
            first_error_character: first.and_then(|error| error.character),
            first_error_column: first.and_then(|error| error.column.clone()),
            forced: self.options.force,
            user: self.context.session.user.clone(),
            query_id: self.context.query_id().to_string(),
            errors,
        })
    }

    fn answer(&self, files: &[StageFile], loads: &[FileLoad]) -> Result<Outcome, UserError> {
        let total: i64 = loads.iter().map(|load| load.rows_loaded).sum();
        let rows = files
            .iter()
            .zip(loads)
            .filter(|(_, load)| {
                !self.options.return_failed_only || load.status != LoadStatus::Loaded
            })
            .map(|(file, load)| {
                vec![
                    Cell::from(self.shown(file)),
                    Cell::from(load.status.as_str()),
                    Cell::from(load.rows_parsed),
                    Cell::from(load.rows_loaded),
                    Cell::from(load.error_limit),
                    Cell::from(load.error_count),
                    Cell::from(load.first_error.clone()),
                    Cell::from(load.first_error_line),
                    Cell::from(load.first_error_character),
                    Cell::from(load.first_error_column.clone()),
                ]
            })
            .collect();
        let mut outcome = Outcome::table(&answer_columns(), rows)?;
        let total = u64::try_from(total).unwrap_or(0);
        outcome.rows_affected = Some(total);
        outcome.changes = Changes { inserted: total, ..Changes::default() };
        Ok(outcome)
    }

    /// VALIDATION_MODE = RETURN_n_ROWS: the first rows, or the error among them.
    async fn first_rows(
        &self,
        work: &mut Work,
        files: Vec<StageFile>,
        count: usize,
    ) -> Result<Outcome, UserError> {
        let log = Arc::new(LoadLog::new(files.len(), true));
        let pipeline = Arc::new(self.pipeline(work, &files, &log).await?);
        let found = load::first_rows(
            &self.context.runtime,
            &self.context.cancel,
            pipeline,
            Arc::clone(&log),
            count,
        )
        .await;
        let batches = match found {
            Ok(batches) => batches,
            Err(error) => return Err(self.explained(&files, &log, error).await?),
        };
        let columns = self.table.column_list();
        let schema = schema_of(&columns);
        let mut writer = SpoolWriter::new(
            schema.clone(),
            self.context.shared.results.directory(),
            self.context.query_id(),
            self.context.shared.result_bytes_max,
        );
        for batch in batches {
            let batch =
                arrow::array::RecordBatch::try_new(schema.clone(), batch.columns().to_vec())
                    .map_err(UserError::internal)?;
            writer.write(&batch)?;
        }
        Ok(Outcome::new(columns, writer.finish()?))
    }

    /// VALIDATION_MODE = RETURN_ERRORS: every bad row of every file.
    async fn all_errors(
        &self,
        work: &mut Work,
        files: Vec<StageFile>,
    ) -> Result<Outcome, UserError> {
        let log = Arc::new(LoadLog::new(files.len(), false));
        let pipeline = self.pipeline(work, &files, &log).await?;
        load::read_all(
            &self.context.runtime,
            &self.context.cancel,
            Arc::new(pipeline),
            Arc::clone(&log),
        )
        .await?;
        let mut rows = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let found = self.kept_errors(file, index, &log, usize::MAX).await?;
            rows.extend(found.into_iter().map(error_cells));
        }
        Outcome::table(&ERROR_COLUMNS, rows)
    }
}

//! PUT and GET without a client library: the embedded command line moves the bytes itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use frazil_common::{Code, UserError};
use futures::{StreamExt, TryStreamExt};

use crate::api::{FileTransfer, StageBytes, StoredResult, TransferDirection};
use crate::engine::Engine;
use crate::statements::outcome::{Cell, Outcome};

impl Engine {
    /// Carries out a transfer on this machine's files; the answer lists each file.
    ///
    /// # Errors
    /// A local file that cannot be read or written.
    pub async fn transfer_local(
        &self,
        result: &StoredResult,
        transfer: &FileTransfer,
    ) -> Result<Arc<StoredResult>, UserError> {
        let rows = match transfer.direction {
            TransferDirection::Upload => self.upload(transfer).await?,
            TransferDirection::Download => self.download(transfer).await?,
        };
        let columns: Vec<(&str, frazil_common::SqlType)> = result
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.sql_type.clone()))
            .collect();
        let outcome = Outcome::table(&columns, rows)?;
        Ok(Arc::new(StoredResult {
            query_id: result.query_id,
            statement_type_id: result.statement_type_id,
            columns: outcome.columns,
            rows: outcome.rows,
            context: result.context.clone(),
            transfer: None,
            children: Vec::new(),
            owner: result.owner.clone(),
            number_of_binds: result.number_of_binds,
            array_bind_supported: false,
            prefers_json: true,
            rows_affected: None,
            changes: None,
            secret_of: None,
            finished_micros: result.finished_micros,
        }))
    }

    async fn upload(&self, transfer: &FileTransfer) -> Result<Vec<Vec<Cell>>, UserError> {
        let mut rows = Vec::new();
        for source in &transfer.sources {
            for path in matching(source)? {
                rows.push(self.upload_one(transfer, &path).await?);
            }
        }
        Ok(rows)
    }

    async fn upload_one(
        &self,
        transfer: &FileTransfer,
        path: &Path,
    ) -> Result<Vec<Cell>, UserError> {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .ok_or_else(|| local(path, "it has no file name"))?;
        let bytes = std::fs::read(path).map_err(|error| local(path, error))?;
        let source_size = bytes.len();
        let compressed = name.ends_with(".gz")
            || name.ends_with(".parquet")
            || name.ends_with(".zst")
            || name.ends_with(".snappy")
            || bytes.starts_with(&[0x1f, 0x8b]);
        let compress = transfer.auto_compress && !compressed;
        let (target, bytes) = if compress {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&bytes).map_err(UserError::internal)?;
            (format!("{name}.gz"), encoder.finish().map_err(UserError::internal)?)
        } else {
            (name.clone(), bytes)
        };
        let stage_path = format!("{}{target}", transfer.stage_path);
        let stages = &self.shared.stages;
        let taken =
            !transfer.overwrite && stages.head(transfer.stage_id, &stage_path).await?.is_some();
        let target_size = bytes.len();
        if !taken {
            let body = futures::stream::iter([Ok(bytes::Bytes::from(bytes))]).boxed();
            stages.put(transfer.stage_id, &stage_path, body).await?;
        }
        let kind = |gzip: bool| if gzip { "GZIP" } else { "NONE" };
        Ok(vec![
            Cell::from(name.as_str()),
            Cell::from(target),
            Cell::from(source_size as i64),
            Cell::from(if taken { 0 } else { target_size as i64 }),
            Cell::from(kind(name.ends_with(".gz"))),
            Cell::from(kind(compress || name.ends_with(".gz"))),
            Cell::from(if taken { "SKIPPED" } else { "UPLOADED" }),
            Cell::from(""),
            Cell::from(""),
        ])
    }

    async fn download(&self, transfer: &FileTransfer) -> Result<Vec<Vec<Cell>>, UserError> {
        let directory = PathBuf::from(transfer.local_directory.clone().unwrap_or_default());
        std::fs::create_dir_all(&directory).map_err(|error| local(&directory, error))?;
        let mut rows = Vec::new();
        for source in &transfer.sources {
            let name = source.rsplit('/').next().unwrap_or(source);
            let path = directory.join(name);
            let mut stream = self.shared.stages.get(transfer.stage_id, source).await?;
            let mut file = std::fs::File::create(&path).map_err(|error| local(&path, error))?;
            let mut size = 0;
            while let Some(part) = stream.try_next().await.map_err(|error| local(&path, error))? {
                file.write_all(&part).map_err(|error| local(&path, error))?;
                size += part.len();
            }
            rows.push(vec![
                Cell::from(name),
                Cell::from(size as i64),
                Cell::from("DOWNLOADED"),
                Cell::from(""),
            ]);
        }
        Ok(rows)
    }
}

fn local(path: &Path, error: impl std::fmt::Display) -> UserError {
    UserError::new(Code::StageFileNotFound, format!("Local file '{}': {error}", path.display()))
}

/// The files a path stands for; `*` and `?` in its last part match names.
fn matching(source: &str) -> Result<Vec<PathBuf>, UserError> {
    let path = PathBuf::from(source);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return Ok(vec![path]);
    }
    let pattern = format!("^{}$", regex::escape(&name).replace("\\*", ".*").replace("\\?", "."));
    let pattern = regex::Regex::new(&pattern).map_err(UserError::internal)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| local(folder, error))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_file()
                && path.file_name().is_some_and(|name| pattern.is_match(&name.to_string_lossy()))
        })
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(local(&path, "no file matches"));
    }
    Ok(found)
}

//! Rows as files of a stage: names, sizes, and the upload.

mod csv;
mod json;
mod pack;
mod parquet;

use std::sync::Arc;

use ::parquet::basic::Compression as ParquetCompression;
use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::execution::SendableRecordBatchStream;
use frazil_common::{Code, Column, UserError};
use futures::StreamExt;

use crate::api::StageBytes;
use crate::run::execute::user_error;
use crate::stage_files::StageFiles;
use crate::stages::file_format::{Compression, FileFormat, FormatType};
use pack::Drain;

/// Rows written between two looks at a file's size.
const ROWS_PER_LOOK: usize = 1024;
/// Bytes collected before they are sent to the stage.
const SEND_BYTES: usize = 1024 * 1024;
/// Folder of rows whose PARTITION BY is NULL.
const NULL_PARTITION: &str = "__NULL__";

/// Where files go and how they are cut.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub stage_id: i64,
    /// The stage as messages show it.
    pub stage: String,
    /// Path below the stage as the statement has it.
    pub path: String,
    pub single: bool,
    pub overwrite: bool,
    pub header: bool,
    /// Bytes after which a file is closed.
    pub max_bytes: u64,
    /// Part of the files' names.
    pub query_id: Option<String>,
}

/// A written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub path: String,
    pub bytes: u64,
    /// Bytes before packing.
    pub input_bytes: u64,
    pub rows: u64,
}

/// Turns batches into bytes.
enum Encoder {
    Csv(Box<csv::CsvEncoder>),
    Json(Box<json::JsonEncoder>),
    Parquet(Box<parquet::ParquetEncoder>),
}

impl Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), UserError> {
        match self {
            Encoder::Csv(encoder) => encoder.write(batch),
            Encoder::Json(encoder) => encoder.write(batch),
            Encoder::Parquet(encoder) => encoder.write(batch),
        }
    }

    /// Bytes not yet handed to the file.
    fn pending(&self) -> usize {
        match self {
            Encoder::Csv(_) | Encoder::Json(_) => 0,
            Encoder::Parquet(encoder) => encoder.pending(),
        }
    }

    /// Ends the file; gives the bytes before packing.
    fn finish(self) -> Result<u64, UserError> {
        match self {
            Encoder::Csv(encoder) => encoder.finish(),
            Encoder::Json(encoder) => encoder.finish(),
            Encoder::Parquet(encoder) => encoder.finish(),
        }
    }
}

/// What goes to an upload. Only an upload that is told of its end makes a file: one whose sender
/// vanishes is broken off.
enum Part {
    Bytes(bytes::Bytes),
    End,
}

/// A file under way.
struct OpenFile {
    path: String,
    encoder: Encoder,
    drain: Drain,
    sender: tokio::sync::mpsc::Sender<Part>,
    upload: tokio::task::JoinHandle<Result<u64, UserError>>,
    sent: u64,
    rows: u64,
}

/// Writes a stream of rows into files.
pub(crate) struct Unloader {
    pub stages: Arc<StageFiles>,
    pub target: Target,
    pub format: FileFormat,
    /// The rows' columns, the partition's left out.
    pub columns: Vec<Column>,
    /// Whether the batches' last column names the partition, rows of one partition together.
    pub partitioned: bool,
}

impl Unloader {
    /// Writes all rows. On an error the files written so far are removed.
    ///
    /// # Errors
    /// The rows cannot be computed or written; a file is there already.
    pub async fn run(&self, rows: SendableRecordBatchStream) -> Result<Vec<Written>, UserError> {
        let mut written = Vec::new();
        let result = self.write_all(rows, &mut written).await;
        match result {
            Ok(()) => Ok(written),
            Err(error) => {
                for file in &written {
                    // The first error is the one to tell.
                    let _ = self.stages.delete(self.target.stage_id, &file.path).await;
                }
                Err(error)
            }
        }
    }

    async fn write_all(
        &self,
        mut rows: SendableRecordBatchStream,
        written: &mut Vec<Written>,
    ) -> Result<(), UserError> {
        let mut open: Option<OpenFile> = None;
        let mut partition: Option<Option<String>> = None;
        let mut number = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(user_error)?;
            for part in self.parts(&batch)? {
                let (name, part) = part;
                if partition.as_ref() != Some(&name) {
                    if let Some(file) = open.take() {
                        written.push(close(file).await?);
                    }
                    partition = Some(name.clone());
                    number = 0;
                }
                let mut offset = 0;
                while offset < part.num_rows() {
                    let mut file = match open.take() {
                        Some(file) => file,
                        None => {
                            number += 1;
                            self.open(name.as_deref(), number - 1).await?
                        }
                    };
                    let count = ROWS_PER_LOOK.min(part.num_rows() - offset);
                    file.encoder.write(&part.slice(offset, count))?;
                    file.rows += count as u64;
                    offset += count;
                    send(&mut file, SEND_BYTES).await?;
                    let size = file.sent + (file.drain.len() + file.encoder.pending()) as u64;
                    if size >= self.target.max_bytes {
                        if self.target.single {
                            return Err(too_large(&self.target));
                        }
                        written.push(close(file).await?);
                    } else {
                        open = Some(file);
                    }
                }
            }
        }
        if let Some(file) = open.take() {
            written.push(close(file).await?);
        }
        Ok(())
    }

    /// A batch cut into runs of one partition, the partition's column taken off.
    fn parts(&self, batch: &RecordBatch) -> Result<Vec<(Option<String>, RecordBatch)>, UserError> {
        let width = self.columns.len();
        let values: Vec<usize> = (0..width).collect();
        let rows = batch.project(&values).map_err(UserError::internal)?;
        if !self.partitioned {
            return Ok(vec![(None, rows)]);
        }
        let names = batch.column(width).as_string_view();
        let name = |row: usize| match names.is_null(row) {
            true => NULL_PARTITION.to_string(),
            false => names.value(row).to_string(),
        };
        let mut parts = Vec::new();
        let mut start = 0;
        for row in 1..=batch.num_rows() {
            if row == batch.num_rows() || name(row) != name(start) {
                parts.push((Some(name(start)), rows.slice(start, row - start)));
                start = row;
            }
        }
        Ok(parts)
    }

    async fn open(&self, partition: Option<&str>, number: usize) -> Result<OpenFile, UserError> {
        let path = self.path(partition, number);
        let stage_id = self.target.stage_id;
        StageFiles::check(stage_id, &path)?;
        if !self.target.overwrite && self.stages.head(stage_id, &path).await?.is_some() {
            return Err(UserError::new(
                Code::FilesExist,
                format!(
                    "Files already existing at the unload destination: {}{path}. Use overwrite \
                     option to force unloading.",
                    self.target.stage
                ),
            ));
        }
        let drain = Drain::default();
        let encoder = self.encoder(&drain)?;
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let body = futures::stream::unfold(Some(receiver), |state| async move {
            let mut receiver: tokio::sync::mpsc::Receiver<Part> = state?;
            match receiver.recv().await {
                Some(Part::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
                Some(Part::End) => None,
                None => Some((Err(std::io::Error::other("the unload was broken off")), None)),
            }
        })
        .boxed();
        let stages = Arc::clone(&self.stages);
        let name = path.clone();
        let upload = tokio::spawn(async move { stages.put(stage_id, &name, body).await });
        Ok(OpenFile { path, encoder, drain, sender, upload, sent: 0, rows: 0 })
    }

    fn encoder(&self, drain: &Drain) -> Result<Encoder, UserError> {
        let format = &self.format;
        Ok(match format.format {
            FormatType::Csv => Encoder::Csv(Box::new(csv::CsvEncoder::new(
                pack::Packer::new(packing(format), drain)?,
                format.clone(),
                &self.columns,
                self.target.header,
            )?)),
            FormatType::Json => {
                let packer = pack::Packer::new(packing(format), drain)?;
                Encoder::Json(Box::new(json::JsonEncoder::new(packer)))
            }
            FormatType::Parquet => {
                let compression = match format.compression {
                    Compression::Auto | Compression::Snappy => ParquetCompression::SNAPPY,
                    Compression::None => ParquetCompression::UNCOMPRESSED,
                    Compression::Zstd => ParquetCompression::ZSTD(Default::default()),
                    Compression::Gzip => ParquetCompression::GZIP(Default::default()),
                    Compression::Lz4 => ParquetCompression::LZ4_RAW,
                    other => {
                        return Err(UserError::unsupported(format!(
                            "COMPRESSION = {other:?} of Parquet files"
                        )));
                    }
                };
                let encoder = parquet::ParquetEncoder::new(
                    drain.clone(),
                    &self.columns,
                    self.target.header,
                    compression,
                )?;
                Encoder::Parquet(Box::new(encoder))
            }
        })
    }

    /// `path`, `path_0_0_0.csv.gz`, `folder/data_0_0_0.csv.gz`, `folder/part/data_<id>_0_0_0.csv`.
    fn path(&self, partition: Option<&str>, number: usize) -> String {
        let target = &self.target;
        let given = target.path.as_str();
        if target.single && !given.is_empty() && !given.ends_with('/') {
            return given.to_string();
        }
        let prefix = match partition {
            Some(partition) => {
                let folder = given.trim_end_matches('/');
                let partition = partition.trim_matches('/');
                let joined = [folder, partition].into_iter().filter(|part| !part.is_empty());
                format!("{}/data", joined.collect::<Vec<_>>().join("/"))
            }
            None if given.is_empty() || given.ends_with('/') => format!("{given}data"),
            None => given.trim_end_matches('_').to_string(),
        };
        if target.single {
            return match &self.format.file_extension {
                Some(extension) => format!("{prefix}.{}", extension.trim_start_matches('.')),
                None => prefix,
            };
        }
        let id = target.query_id.as_ref().map_or_else(String::new, |id| format!("_{id}"));
        format!("{prefix}{id}_0_{number}_0{}", self.extension())
    }

    fn extension(&self) -> String {
        let format = &self.format;
        if format.format == FormatType::Parquet {
            let packed = match format.compression {
                Compression::Auto | Compression::Snappy => ".snappy",
                Compression::Lz4 => ".lz4",
                Compression::Zstd => ".zstd",
                Compression::Gzip => ".gz",
                _ => "",
            };
            return match &format.file_extension {
                Some(extension) => format!(".{}", extension.trim_start_matches('.')),
                None => format!("{packed}.parquet"),
            };
        }
        let kind = match (&format.file_extension, format.format) {
            (Some(extension), _) => format!(".{}", extension.trim_start_matches('.')),
            (None, FormatType::Json) => ".json".to_string(),
            (None, _) => ".csv".to_string(),
        };
        let packed = match packing(format) {
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
            Compression::Deflate => ".deflate",
            Compression::RawDeflate => ".raw_deflate",
            _ => "",
        };
        format!("{kind}{packed}")
    }
}

/// Text files are packed with gzip unless the format says otherwise.
fn packing(format: &FileFormat) -> Compression {
    match format.compression {
        Compression::Auto => Compression::Gzip,
        other => other,
    }
}

fn too_large(target: &Target) -> UserError {
    UserError::new(
        Code::ResourceLimit,
        format!(
            "Max file size ({}) exceeded for unload single file mode. Please increase MAX_FILE_SIZE \
             or disable single mode.",
            target.max_bytes
        ),
    )
}

/// Sends what has been made, once there are `least` bytes of it.
async fn send(file: &mut OpenFile, least: usize) -> Result<(), UserError> {
    if file.drain.len() < least {
        return Ok(());
    }
    let bytes = file.drain.take();
    file.sent += bytes.len() as u64;
    // A reader that is gone has an error to tell, which closing finds.
    let _ = file.sender.send(Part::Bytes(bytes::Bytes::from(bytes))).await;
    Ok(())
}

async fn close(mut file: OpenFile) -> Result<Written, UserError> {
    let nothing = Encoder::Json(Box::new(json::JsonEncoder::none()));
    let encoder = std::mem::replace(&mut file.encoder, nothing);
    let input_bytes = encoder.finish()?;
    send(&mut file, 1).await?;
    let OpenFile { path, sender, upload, rows, .. } = file;
    // As above: closing finds the error of a reader that is gone.
    let _ = sender.send(Part::End).await;
    let bytes = upload.await.map_err(UserError::internal)??;
    Ok(Written { path, bytes, input_bytes, rows })
}

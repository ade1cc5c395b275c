//! CSV files of a stage as rows of text: columns C1, C2, … , read as a stream.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use frazil_common::{Code, Column, SqlType, UserError};
use futures::StreamExt;

use crate::api::StageBytes;
use crate::stage_files::LocalStages;
use crate::stages::file_format::{Compression, FileFormat};
use crate::statements::outcome::schema_of;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// One file's rows.
pub(crate) struct CsvFile {
    pub stages: Arc<LocalStages>,
    pub stage_id: i64,
    pub path: String,
    pub format: FileFormat,
    pub schema: SchemaRef,
    pub width: usize,
}

impl std::fmt::Debug for CsvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CsvFile({})", self.path)
    }
}

/// Columns C1 … Cn of type VARCHAR.
pub(crate) fn text_columns(width: usize) -> Vec<Column> {
    (1..=width).map(|index| Column::new(format!("C{index}"), SqlType::TEXT, true)).collect()
}

/// A stream of bytes as a blocking reader, a few parts ahead.
struct BlockingBytes {
    parts: tokio::sync::mpsc::Receiver<std::io::Result<bytes::Bytes>>,
    current: bytes::Bytes,
}

impl BlockingBytes {
    fn start(
        mut stream: futures::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>,
    ) -> Self {
        let (sender, parts) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(part) = stream.next().await {
                if sender.send(part).await.is_err() {
                    break;
                }
            }
        });
        BlockingBytes { parts, current: bytes::Bytes::new() }
    }
}

impl Read for BlockingBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.current = part?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// A stage file's bytes, not yet decompressed.
struct StageInput {
    bytes: BlockingBytes,
    gzip: bool,
}

impl StageInput {
    /// The decompressing reader. Reads at once, so call it where blocking is allowed.
    fn reader(self) -> Box<dyn Read + Send> {
        if self.gzip {
            Box::new(flate2::read::MultiGzDecoder::new(self.bytes))
        } else {
            Box::new(self.bytes)
        }
    }
}

async fn open(
    stages: &LocalStages,
    stage_id: i64,
    path: &str,
    compression: Compression,
) -> Result<StageInput, UserError> {
    let gzip = match compression {
        Compression::Auto if path.ends_with(".zst") => {
            return Err(UserError::unsupported("zstd-compressed CSV files"));
        }
        Compression::Auto => path.ends_with(".gz"),
        Compression::Gzip => true,
        Compression::None => false,
        Compression::Zstd => return Err(UserError::unsupported("zstd-compressed CSV files")),
    };
    Ok(StageInput { bytes: BlockingBytes::start(stages.get(stage_id, path).await?), gzip })
}

fn reader_of(
    input: Box<dyn Read + Send>,
    format: &FileFormat,
) -> csv::Reader<Box<dyn Read + Send>> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).buffer_capacity(1 << 18);
    // A byte that no text file has stands for "no delimiter": one column.
    builder.delimiter(format.field_delimiter.unwrap_or(0x01));
    match format.record_delimiter {
        Some(byte) => builder.terminator(csv::Terminator::Any(byte)),
        None => builder.terminator(csv::Terminator::CRLF),
    };
    match format.enclosed_by {
        Some(byte) => builder.quoting(true).quote(byte).double_quote(true),
        None => builder.quoting(false),
    };
    if let Some(escape) = format.escape {
        builder.escape(Some(escape));
    }
    if format.trim_space {
        builder.trim(csv::Trim::All);
    }
    builder.from_reader(input)
}

/// The header's names (when asked for) and the first row's width.
pub(crate) async fn inspect(
    stages: &Arc<LocalStages>,
    stage_id: i64,
    path: &str,
    format: &FileFormat,
    rows: usize,
) -> Result<(Option<Vec<String>>, Vec<Vec<Option<String>>>), UserError> {
    let input = open(stages, stage_id, path, format.compression).await?;
    let format = format.clone();
    let path = path.to_string();
    tokio::task::spawn_blocking(move || {
        let mut reader = reader_of(input.reader(), &format);
        let mut header = None;
        let mut found = Vec::new();
        let mut record = csv::StringRecord::new();
        let mut skip = format.skip_header;
        while found.len() < rows {
            if !reader.read_record(&mut record).map_err(|e| parse_error(&path, &e))? {
                break;
            }
            if format.parse_header && header.is_none() {
                header = Some(record.iter().map(str::to_string).collect());
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            found.push(
                record.iter().map(|field| value_of(&format, field).map(str::to_string)).collect(),
            );
        }
        Ok((header, found))
    })
    .await
    .map_err(UserError::internal)?
}

fn parse_error(path: &str, error: &csv::Error) -> UserError {
    let line = error.position().map_or(0, csv::Position::line);
    UserError::new(
        Code::FileParse,
        format!("File '{path}', line {line}: cannot be read as CSV: {error}"),
    )
}

/// A field's value, or NULL as the format says.
fn value_of<'a>(format: &FileFormat, field: &'a str) -> Option<&'a str> {
    let null = (format.empty_field_as_null && field.is_empty())
        || format.null_if.iter().any(|text| text == field);
    (!null).then_some(field)
}

impl PartitionStream for CsvFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let failed = sender.clone();
        let stages = self.stages.clone();
        let (stage_id, path) = (self.stage_id, self.path.clone());
        let (format, schema, width) = (self.format.clone(), self.schema.clone(), self.width);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let input = match open(&stages, stage_id, &path, format.compression).await {
                Ok(input) => input,
                Err(error) => {
                    // A reader that is gone needs no error.
                    let _ = sender.send(Err(external(error))).await;
                    return;
                }
            };
            let work = tokio::task::spawn_blocking(move || {
                let result = read(input.reader(), &path, &format, &schema, width, |batch| {
                    sender.blocking_send(Ok(batch)).is_ok()
                });
                if let Err(error) = result {
                    let _ = sender.blocking_send(Err(external(error)));
                }
            });
            if let Err(error) = work.await {
                // A reader that is gone needs no error.
                let _ = failed.send(Err(external(UserError::internal(error)))).await;
            }
        });
        let stream = crate::run::execute::task_stream(receiver, tasks);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

fn external(error: UserError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Reads a file's records into batches until `give` declines one.
fn read(
    input: Box<dyn Read + Send>,
    path: &str,
    format: &FileFormat,
    schema: &SchemaRef,
    width: usize,
    mut give: impl FnMut(RecordBatch) -> bool,
) -> Result<(), UserError> {
    let mut reader = reader_of(input, format);
    let mut record = csv::StringRecord::new();
    let mut builders: Vec<StringViewBuilder> =
        (0..width).map(|_| StringViewBuilder::new()).collect();
    let mut rows = 0;
    let mut skip = format.skip_header.max(u64::from(format.parse_header));
    while reader.read_record(&mut record).map_err(|e| parse_error(path, &e))? {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        if format.error_on_column_count_mismatch && record.len() != width {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(UserError::new(
                Code::FileParse,
                format!(
                    "Number of columns in file ({}) does not match that of the corresponding table \
                     ({width}), use file format option error_on_column_count_mismatch=false to \
                     ignore this error. File '{path}', line {line}",
                    record.len()
                ),
            ));
        }
        for (index, builder) in builders.iter_mut().enumerate() {
            builder.append_option(record.get(index).and_then(|field| value_of(format, field)));
        }
        rows += 1;
        if rows == BATCH_ROWS {
            if !give(batch(&mut builders, schema)?) {
                return Ok(());
            }
            rows = 0;
        }
    }
    if rows > 0 {
        give(batch(&mut builders, schema)?);
    }
    Ok(())
}

fn batch(builders: &mut [StringViewBuilder], schema: &SchemaRef) -> Result<RecordBatch, UserError> {
    let arrays: Vec<ArrayRef> =
        builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
    RecordBatch::try_new(schema.clone(), arrays).map_err(UserError::internal)
}

/// The schema of rows of text.
pub(crate) fn text_schema(width: usize) -> SchemaRef {
    schema_of(&text_columns(width))
}

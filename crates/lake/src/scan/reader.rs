//! Reads Parquet files, and says whose file it is where one is missing.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::LakeError;
use crate::files::FileStore;
use crate::version::TableVersion;

/// Makes readers of a table version's files.
#[derive(Debug)]
pub struct TableFiles<F> {
    readers: F,
    store: Arc<dyn ObjectStore>,
    table: String,
    /// Ids and names by place.
    files: Arc<HashMap<Path, String>>,
}

impl<F> TableFiles<F> {
    /// Over other readers of the same files.
    pub fn new(readers: F, store: &FileStore, version: &TableVersion) -> TableFiles<F> {
        let files = version.files.iter().map(|file| (file.path.clone(), file.described()));
        TableFiles {
            readers,
            store: Arc::clone(store.object_store()),
            table: version.table.name.to_string(),
            files: Arc::new(files.collect()),
        }
    }
}

impl<F: ParquetFileReaderFactory> ParquetFileReaderFactory for TableFiles<F> {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let path = file.object_meta.location.clone();
        let inner =
            self.readers.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(TableFile {
            inner,
            store: Arc::clone(&self.store),
            table: self.table.clone(),
            file: self.files.get(&path).cloned().unwrap_or_default(),
            path,
        }))
    }
}

struct TableFile {
    inner: Box<dyn AsyncFileReader + Send>,
    store: Arc<dyn ObjectStore>,
    table: String,
    file: String,
    path: Path,
}

/// What failed, or that the file is not there, whichever words the reader found for it.
async fn explained(
    error: ParquetError,
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    missing: impl FnOnce() -> LakeError,
) -> ParquetError {
    match store.head(path).await {
        Err(object_store::Error::NotFound { .. }) => {
            ParquetError::External(Box::new(DataFusionError::from(missing())))
        }
        _ => error,
    }
}

impl TableFile {
    fn missing(table: &str, file: &str) -> LakeError {
        LakeError::MissingFile { table: table.to_string(), file: file.to_string() }
    }
}

impl AsyncFileReader for TableFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            match self.inner.get_bytes(range).await {
                Ok(bytes) => Ok(bytes),
                Err(error) => {
                    let missing = || TableFile::missing(&self.table, &self.file);
                    Err(explained(error, &self.store, &self.path, missing).await)
                }
            }
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            match self.inner.get_byte_ranges(ranges).await {
                Ok(bytes) => Ok(bytes),
                Err(error) => {
                    let missing = || TableFile::missing(&self.table, &self.file);
                    Err(explained(error, &self.store, &self.path, missing).await)
                }
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            match self.inner.get_metadata(options).await {
                Ok(metadata) => Ok(metadata),
                Err(error) => {
                    let missing = || TableFile::missing(&self.table, &self.file);
                    Err(explained(error, &self.store, &self.path, missing).await)
                }
            }
        }
        .boxed()
    }
}

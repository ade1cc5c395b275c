//! Reads Parquet files, and says whose file it is where one is missing or not whole.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::Type;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use frazil_catalog::TableInfo;
use frazil_catalog::files::NameMapping;
use frazil_common::SqlType;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::checksum;
use crate::error::LakeError;
use crate::files::FileStore;
use crate::scan::guard::FileNames;
use crate::scan::named::{has_arrow_schema, with_field_ids, without_arrow_schema};
use crate::version::{DataFile, TableVersion};

/// Makes readers of a table version's files.
#[derive(Debug)]
pub struct TableFiles<F> {
    readers: F,
    store: FileStore,
    names: Arc<FileNames>,
    /// By place.
    files: Arc<HashMap<Path, FileFacts>>,
}

/// What is known of a file.
#[derive(Debug, Clone, Default)]
struct FileFacts {
    /// It may hold NaN.
    nan: bool,
    /// What its columns' names stand for, where it has no field ids.
    names: Option<Arc<NameMapping>>,
}

/// Whether some float column of a file may hold NaN.
fn may_hold_nan(file: &DataFile, table: &TableInfo) -> bool {
    let floats = table.columns.iter().filter(|column| column.sql_type == SqlType::Float);
    floats.into_iter().any(|column| {
        let known = file.statistics.iter().find(|known| known.field_id == column.field_id);
        // Of our own files those without it are older than the column.
        known.map_or(!file.is_own(), |known| known.contains_nan != Some(false))
    })
}

/// The same without what is told of the values of float columns. Bounds in Parquet leave NaN out, which
/// is above every number in SQL: rows would be left out by them.
fn without_float_bounds(metadata: &ParquetMetaData) -> ParquetMetaData {
    let is_float =
        |column: &ColumnChunkMetaData| matches!(column.column_type(), Type::FLOAT | Type::DOUBLE);
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let columns = group.columns().iter().map(|column| {
            if !is_float(column) {
                return column.clone();
            }
            let builder = column.clone().into_builder().clear_statistics();
            let builder = builder.set_column_index_offset(None).set_column_index_length(None);
            // Nothing that a build asks for was taken away.
            builder.build().unwrap_or_else(|_| column.clone())
        });
        let columns: Vec<ColumnChunkMetaData> = columns.collect();
        let group_without = group.clone().into_builder().set_column_metadata(columns).build();
        groups.push(group_without.unwrap_or_else(|_| group.clone()));
    }
    let index = metadata.column_index().map(|index| {
        let mut index = index.clone();
        for (group, columns) in metadata.row_groups().iter().zip(&mut index) {
            for (column, pages) in group.columns().iter().zip(columns) {
                if is_float(column) {
                    *pages = ColumnIndexMetaData::NONE;
                }
            }
        }
        index
    });
    let builder = metadata.clone().into_builder();
    builder.set_row_groups(groups).set_column_index(index).build()
}

impl<F> TableFiles<F> {
    /// Over other readers of the same files.
    pub fn new(
        readers: F,
        store: &FileStore,
        version: &TableVersion,
        names: Arc<FileNames>,
    ) -> TableFiles<F> {
        let files = version.files.iter().map(|file| {
            let nan = may_hold_nan(file, &version.table);
            (file.path.clone(), FileFacts { nan, names: file.names.clone() })
        });
        TableFiles { readers, store: store.clone(), names, files: Arc::new(files.collect()) }
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
        let bytes = file.object_meta.size;
        let inner =
            self.readers.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let FileFacts { nan, names } = self.files.get(&path).cloned().unwrap_or_default();
        let place =
            Place { store: self.store.clone(), called: Arc::clone(&self.names), path, bytes };
        Ok(Box::new(TableFile { inner, place, nan, names }))
    }
}

struct TableFile {
    inner: Box<dyn AsyncFileReader + Send>,
    place: Place,
    nan: bool,
    names: Option<Arc<NameMapping>>,
}

/// Where a file lies, and what it is called.
struct Place {
    store: FileStore,
    called: Arc<FileNames>,
    path: Path,
    /// As the catalog tells.
    bytes: u64,
}

impl Place {
    /// What failed, or that the file is not there or not whole, whichever words the reader found for it.
    async fn explained(&self, error: ParquetError) -> ParquetError {
        match self.store.object_store().head(&self.path).await {
            Err(object_store::Error::NotFound { .. }) => external(self.called.missing(&self.path)),
            Ok(meta) if meta.size != self.bytes => {
                let what = format!("it has {} bytes instead of {}", meta.size, self.bytes);
                external(self.called.damaged(&self.path, &what))
            }
            _ => error,
        }
    }

    /// Refuses a file whose part behind its pages is not what was written. Each is looked at once.
    async fn check_tail(&self, metadata: &ParquetMetaData) -> ParquetResult<()> {
        if !checksum::is_sealed(metadata) || self.store.is_checked(&self.path) {
            return Ok(());
        }
        let start = checksum::pages_end(metadata).min(self.bytes);
        let tail = match self.store.read(&self.path, start..self.bytes).await {
            Ok(tail) => tail,
            Err(error) => return Err(external(error)),
        };
        if checksum::tail_holds(&tail, start) != Some(true) {
            let what = "the checksum of its footer is another";
            return Err(external(self.called.damaged(&self.path, what)));
        }
        self.store.set_checked(&self.path);
        Ok(())
    }
}

fn external(error: LakeError) -> ParquetError {
    ParquetError::External(Box::new(DataFusionError::from(error)))
}

impl AsyncFileReader for TableFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            match self.inner.get_bytes(range).await {
                Ok(bytes) => Ok(bytes),
                Err(error) => Err(self.place.explained(error).await),
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
                Err(error) => Err(self.place.explained(error).await),
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
                Ok(mut metadata) => {
                    self.place.check_tail(&metadata).await?;
                    if let Some(names) = &self.names {
                        metadata = Arc::new(with_field_ids(&metadata, names)?);
                    } else if has_arrow_schema(&metadata) {
                        metadata = Arc::new(without_arrow_schema(&metadata));
                    }
                    if self.nan {
                        metadata = Arc::new(without_float_bounds(&metadata));
                    }
                    Ok(metadata)
                }
                Err(error) => Err(self.place.explained(error).await),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use frazil_catalog::changes::ColumnStatistics;
    use frazil_catalog::{ColumnInfo, TableKind};
    use frazil_common::QualifiedName;

    use super::*;
    use crate::version::FileKey;

    fn table() -> TableInfo {
        let mut columns = vec![
            ColumnInfo::new("K", SqlType::TEXT, true),
            ColumnInfo::new("F", SqlType::Float, true),
        ];
        for (column, id) in columns.iter_mut().zip(1..) {
            column.field_id = id;
        }
        TableInfo {
            table_id: 1,
            schema_id: 1,
            name: QualifiedName::new("D", "S", "T"),
            uuid: String::new(),
            path: String::new(),
            columns,
            kind: TableKind::Permanent,
            comment: None,
            cluster_by: None,
            sort_keys: Vec::new(),
            partitioning: None,
            recluster_suspended: false,
            constraints: Vec::new(),
            retention_days: None,
            change_tracking: None,
            created_micros: 0,
            last_field_id: 2,
            defined_at: 0,
        }
    }

    fn file(name: &str, statistics: Vec<ColumnStatistics>) -> DataFile {
        DataFile {
            key: FileKey::Committed(1),
            path: Path::from(name),
            name: name.to_string(),
            rows: 10,
            bytes: 100,
            footer_bytes: 10,
            row_id_start: 0,
            keeps_row_ids: false,
            partition: None,
            statistics,
            names: None,
            deleted: Arc::default(),
            delete_file: None,
            begun: 1,
        }
    }

    #[test]
    fn nan_is_ruled_out_where_the_statistics_do_so() {
        let told = |field_id, contains_nan| ColumnStatistics {
            field_id,
            value_count: 10,
            contains_nan,
            ..ColumnStatistics::default()
        };
        let (ours, theirs) = ("frazil-1.parquet", "ducklake-1.parquet");
        let may = |name: &str, statistics| may_hold_nan(&file(name, statistics), &table());
        for name in [ours, theirs] {
            assert!(!may(name, vec![told(1, None), told(2, Some(false))]), "{name}");
            assert!(may(name, vec![told(2, Some(true))]), "{name}");
            assert!(may(name, vec![told(2, None)]), "{name}");
        }
        // What is not told of at all is younger than our file, and may be in another's.
        assert!(!may(ours, vec![told(1, None)]));
        assert!(may(theirs, vec![told(1, None)]));
        // A file that another client added under a name like ours.
        let mut named = file(ours, vec![told(1, None)]);
        named.names = Some(Arc::default());
        assert!(may_hold_nan(&named, &table()));
    }
}

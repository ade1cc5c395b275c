//! Staged clones and undrops.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use frazil_catalog::{
    CatalogChange, ClonedFile, ConstraintKind, DatabaseInfo, Dropped, SchemaInfo, TableClone,
    TableInfo, TableKind, ViewInfo,
};
use frazil_common::{QualifiedName, UserError};

use super::LakeTransaction;
use super::definitions::now_micros;
use crate::error::{LakeError, Result};
use crate::scan::LakeTable;
use crate::version::{FileKey, TableVersion};
use crate::write::TableWriter;
use crate::write::schema::SystemColumns;

/// What differs between a clone and its source.
#[derive(Debug, Clone)]
pub struct NewClone {
    pub name: QualifiedName,
    /// Permanent or transient.
    pub kind: TableKind,
    /// None keeps the source's.
    pub comment: Option<String>,
    /// Own DATA_RETENTION_TIME_IN_DAYS.
    pub retention_days: Option<u16>,
    /// None keeps the source's.
    pub change_tracking: Option<bool>,
    /// Defaults that differ from the source's, by the column's name.
    pub defaults: HashMap<String, String>,
}

impl LakeTransaction {
    /// Creates a table with the rows of a committed version of another: files are shared, rows
    /// keep their ids, and each table goes its own way from there. Numbers of AUTOINCREMENT
    /// columns go on where the source's are now.
    pub async fn clone_table(
        &mut self,
        source: &TableVersion,
        clone: NewClone,
    ) -> Result<Arc<TableInfo>> {
        let from = Arc::clone(&source.table);
        if clone.kind == TableKind::Temporary || from.kind == TableKind::Temporary {
            return Err(LakeError::Damaged("a temporary table shares no files".into()));
        }
        let schema = self.schema(&clone.name.database, &clone.name.schema)?;
        let uuid = uuid::Uuid::now_v7().to_string();
        let mut info = TableInfo {
            table_id: self.local_id(),
            schema_id: schema.schema_id,
            name: clone.name,
            path: format!("{}{uuid}/", schema.path),
            uuid,
            kind: clone.kind,
            comment: clone.comment.or_else(|| from.comment.clone()),
            retention_days: clone.retention_days,
            change_tracking: clone
                .change_tracking
                .unwrap_or(from.change_tracking.is_some())
                .then_some(0),
            created_micros: now_micros(),
            defined_at: 0,
            // As in Snowflake: the keys come along, the background work does not.
            recluster_suspended: !from.sort_keys.is_empty(),
            ..TableInfo::clone(&from)
        };
        let own = info.table_id;
        for constraint in &mut info.constraints {
            // A table that refers to itself has a clone that refers to itself.
            if let ConstraintKind::ForeignKey { table_id, .. } = &mut constraint.kind
                && *table_id == from.table_id
            {
                *table_id = own;
            }
        }
        for column in &mut info.columns {
            if let Some(default) = clone.defaults.get(&column.name) {
                column.default = Some(default.clone());
            }
            if let Some(counter) = &mut column.autoincrement {
                let catalog = self.lake.catalog();
                // Taking no value tells which comes next.
                let next = catalog.next_values(counter.sequence_id, 0).await?;
                counter.sequence_id = catalog.create_counter(next, counter.step).await?;
            }
        }
        let table = Arc::new(info);
        let files = self.shared_files(source).await?;
        self.stage(CatalogChange::CloneTable(Arc::new(TableClone {
            table: Arc::clone(&table),
            source_id: from.table_id,
            source_path: from.path.clone(),
            files,
        })))?;
        self.copy_inlined_rows(source, &table).await?;
        Ok(table)
    }

    async fn shared_files(&self, source: &TableVersion) -> Result<Vec<ClonedFile>> {
        let snapshot = source.snapshot;
        let set = self.lake.catalog().files(source.table.table_id, snapshot).await?;
        let mut files = Vec::with_capacity(source.files.len());
        for file in &source.files {
            let visible = set.files.iter().find(|v| file.key == FileKey::Committed(v.file.file_id));
            let Some(visible) = visible else {
                return Err(LakeError::Damaged("a clone's source has uncommitted rows".into()));
            };
            let whole = |max: Option<i64>| max.is_none_or(|max| max <= snapshot);
            let exact = whole(visible.file.partial_max)
                && visible.delete_file.as_ref().is_none_or(|deletes| whole(deletes.partial_max));
            files.push(match exact {
                true => ClonedFile {
                    file_id: visible.file.file_id,
                    delete_file: visible.delete_file.as_ref().map(|d| d.delete_file_id),
                    deleted: Arc::clone(&visible.inlined_deletes),
                },
                // Rows or deletes younger than the snapshot lie in the same files: what is gone
                // is spelled out.
                false => ClonedFile {
                    file_id: visible.file.file_id,
                    delete_file: None,
                    deleted: Arc::clone(&file.deleted),
                },
            });
        }
        Ok(files)
    }

    /// Rows that lie in the catalog come along in a small file of the clone's own.
    async fn copy_inlined_rows(
        &mut self,
        source: &TableVersion,
        table: &Arc<TableInfo>,
    ) -> Result<()> {
        if source.chunks.iter().all(|chunk| chunk.live_rows() == 0) {
            return Ok(());
        }
        let provider = LakeTable::new(self.lake.store().clone(), Arc::new(source.clone()));
        let mut writer = TableWriter::new(
            self.lake.store().clone(),
            self.lake.settings().clone(),
            Arc::clone(table),
            table.path.clone(),
            SystemColumns::RowIds,
        )?;
        let visible: Vec<usize> = (0..table.columns.len()).collect();
        for batch in provider.inlined_batches()? {
            let ids = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>().clone();
            writer.write(&batch.project(&visible)?, &[&ids]).await?;
        }
        let files = writer.finish().await?;
        self.written.extend(files.iter().map(|file| file.path.clone()));
        self.staged(table).added.extend(files);
        Ok(())
    }

    /// Brings back a dropped table under the name it had, in its schema, whatever that is called now.
    pub fn undrop_table(&mut self, dropped: &Dropped<TableInfo>) -> Result<()> {
        let table = &dropped.object;
        let schema = self.view.schemas().find(|schema| schema.schema_id == table.schema_id);
        let table = match schema {
            Some(schema) => Arc::new(TableInfo {
                name: QualifiedName::new(&schema.database, &schema.name, &table.name.name),
                ..TableInfo::clone(table)
            }),
            None => Arc::clone(table),
        };
        self.stage(CatalogChange::UndropTable { table, dropped_at: dropped.dropped_at })
    }

    /// Brings back a dropped schema with the tables and views that went with it.
    pub fn undrop_schema(&mut self, dropped: &Dropped<SchemaInfo>) -> Result<()> {
        let schema = &dropped.object;
        // DuckLake's name has the database's name of now, whatever it was when the schema went.
        let database =
            schema.ducklake_name.split_once('.').map_or(schema.database.as_str(), |(name, _)| name);
        if self.view.database(database).is_none() {
            return Err(LakeError::User(UserError::not_found("Database", database)));
        }
        let view = &dropped.view;
        let tables = view.tables_in(&schema.database, &schema.name).map(|table| {
            let name = in_database(database, &table.name);
            Arc::new(TableInfo { name, ..TableInfo::clone(table) })
        });
        let views = view.views_in(&schema.database, &schema.name).map(|view| {
            let name = in_database(database, &view.name);
            Arc::new(ViewInfo { name, ..ViewInfo::clone(view) })
        });
        let (tables, views) = (tables.collect(), views.collect());
        self.stage(CatalogChange::UndropSchema {
            schema: Arc::new(SchemaInfo {
                database: database.to_string(),
                ..SchemaInfo::clone(schema)
            }),
            tables,
            views,
            dropped_at: dropped.dropped_at,
        })
    }

    /// Brings back a dropped database with all that went with it.
    pub fn undrop_database(&mut self, dropped: &Dropped<DatabaseInfo>) -> Result<()> {
        let database = Arc::clone(&dropped.object);
        let dropped_at = dropped.dropped_at;
        let view = Arc::clone(&dropped.view);
        self.stage(CatalogChange::UndropDatabase { database: Arc::clone(&database), dropped_at })?;
        for schema in view.schemas_in(&database.name) {
            self.undrop_schema(&Dropped {
                object: Arc::clone(schema),
                view: Arc::clone(&view),
                dropped_at,
                dropped_micros: dropped.dropped_micros,
            })?;
        }
        Ok(())
    }
}

/// The same name in a database.
fn in_database(database: &str, name: &QualifiedName) -> QualifiedName {
    QualifiedName::new(database, &name.schema, &name.name)
}

//! Zero-copy clones: catalog rows of one table under another table's id. Files are named by their
//! absolute paths, as the format wants it for files outside the table's folder.

use frazil_common::SnapshotId;

use super::commit::{NewSnapshot, add_inlined_deletes, conflict};
use super::partitions;
use super::tables::{
    check_name_free, check_schema_live, insert_column, insert_table_row, quoted, record_version,
    set_column_tags, set_table_tags,
};
use crate::error::Result;
use crate::objects::{ColumnInfo, TableClone};

/// Writes a table with the rows of its source.
pub async fn create(new: &mut NewSnapshot<'_>, clone: &TableClone) -> Result<()> {
    let table = &clone.table;
    let schema_id = new.id(table.schema_id);
    let schema_name = check_schema_live(new, schema_id).await?;
    check_name_free(new, schema_id, &table.name.name).await?;
    let id = new.new_id(table.table_id);
    insert_table_row(new, id, table, schema_id, &table.name.name).await?;
    for column in &table.columns {
        insert_column(new, id, column).await?;
        set_column_tags(new, id, None, column).await?;
    }
    reserve_field_ids(new, id, clone).await?;
    set_table_tags(new, id, None, table).await?;
    record_version(new, id).await?;
    share_files(new, id, clone).await?;
    partitions::share(new, id, clone).await?;
    copy_statistics(new, id, clone).await?;
    new.changes_made.push(format!(
        "created_table:{}.{}",
        quoted(&schema_name),
        quoted(&table.name.name)
    ));
    if !clone.files.is_empty() {
        new.changes_made.push(format!("inserted_into_table:{id}"));
    }
    Ok(())
}

/// The shared files may hold columns that the source dropped: their field ids stay taken, by a row
/// that no snapshot shows.
async fn reserve_field_ids(new: &mut NewSnapshot<'_>, id: i64, clone: &TableClone) -> Result<()> {
    let table = &clone.table;
    let highest = table.columns.iter().flat_map(ColumnInfo::field_ids).max().unwrap_or(0);
    if table.last_field_id > highest {
        sqlx::query(
            "INSERT INTO ducklake_column SELECT column_id, ?1, ?1, ?2, column_order, column_name, \
             column_type, initial_default, default_value, nulls_allowed, parent_column, \
             default_value_type, default_value_dialect FROM ducklake_column \
             WHERE table_id = ?3 AND column_id = ?4 LIMIT 1",
        )
        .bind(new.snapshot)
        .bind(id)
        .bind(clone.source_id)
        .bind(table.last_field_id)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

async fn share_files(new: &mut NewSnapshot<'_>, id: i64, clone: &TableClone) -> Result<()> {
    let folder = match clone.source_path.starts_with('/') {
        true => clone.source_path.clone(),
        false => format!("{}{}", new.data_path, clone.source_path),
    };
    // What was made of a column's former type cannot be told from the rest in the clone.
    let keys = clone.table.partitioning.iter().flat_map(|parts| &parts.keys);
    let settled = keys.map(|key| key.since).max().unwrap_or(0);
    let mut deleted: Vec<(i64, i64, SnapshotId)> = Vec::new();
    for file in &clone.files {
        let file_id = new.next_file_id;
        new.next_file_id += 1;
        let shared = sqlx::query(
            "INSERT INTO ducklake_data_file SELECT ?1, ?2, ?3, NULL, file_order, \
             CASE WHEN path_is_relative = 0 THEN path ELSE ?4 || path END, 0, file_format, \
             record_count, file_size_bytes, footer_size, row_id_start, \
             CASE WHEN begin_snapshot >= ?7 THEN partition_id END, encryption_key, \
             mapping_id, NULL FROM ducklake_data_file WHERE data_file_id = ?5 AND table_id = ?6",
        )
        .bind(file_id)
        .bind(id)
        .bind(new.snapshot)
        .bind(&folder)
        .bind(file.file_id)
        .bind(clone.source_id)
        .bind(settled)
        .execute(&mut **new.transaction().await?)
        .await?;
        if shared.rows_affected() != 1 {
            return Err(conflict(clone.table.name.to_string(), "files of the source are gone"));
        }
        for sql in [
            "INSERT INTO ducklake_file_column_stats SELECT ?1, ?2, column_id, column_size_bytes, \
             value_count, null_count, min_value, max_value, contains_nan, extra_stats \
             FROM ducklake_file_column_stats WHERE data_file_id = ?3",
            "INSERT INTO ducklake_file_variant_stats SELECT ?1, ?2, column_id, variant_path, \
             shredded_type, column_size_bytes, value_count, null_count, min_value, max_value, \
             contains_nan, extra_stats FROM ducklake_file_variant_stats WHERE data_file_id = ?3",
            "INSERT INTO ducklake_file_partition_value SELECT ?1, ?2, partition_key_index, \
             partition_value FROM ducklake_file_partition_value WHERE data_file_id = ?3 \
             AND EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.data_file_id = ?1 \
             AND f.partition_id IS NOT NULL)",
        ] {
            sqlx::query(sql)
                .bind(file_id)
                .bind(id)
                .bind(file.file_id)
                .execute(&mut **new.transaction().await?)
                .await?;
        }
        if let Some(delete_file) = file.delete_file {
            let delete_id = new.next_file_id;
            new.next_file_id += 1;
            let shared = sqlx::query(
                "INSERT INTO ducklake_delete_file SELECT ?1, ?2, ?3, NULL, ?4, \
                 CASE WHEN path_is_relative = 0 THEN path ELSE ?5 || path END, 0, format, \
                 delete_count, file_size_bytes, footer_size, encryption_key, NULL \
                 FROM ducklake_delete_file WHERE delete_file_id = ?6 AND table_id = ?7",
            )
            .bind(delete_id)
            .bind(id)
            .bind(new.snapshot)
            .bind(file_id)
            .bind(&folder)
            .bind(delete_file)
            .bind(clone.source_id)
            .execute(&mut **new.transaction().await?)
            .await?;
            if shared.rows_affected() != 1 {
                return Err(conflict(clone.table.name.to_string(), "files of the source are gone"));
            }
        }
        let begun = new.snapshot;
        deleted.extend(file.deleted.iter().map(|position| (file_id, *position, begun)));
    }
    share_names(new, id, clone.source_id).await?;
    add_inlined_deletes(new, id, &deleted).await
}

/// Name mappings belong to one table: the clone's files have their own.
async fn share_names(new: &mut NewSnapshot<'_>, id: i64, source: i64) -> Result<()> {
    let mappings: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT mapping_id FROM ducklake_data_file \
         WHERE table_id = ? AND mapping_id IS NOT NULL",
    )
    .bind(id)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    for mapping in mappings {
        let own = new.next_file_id;
        new.next_file_id += 1;
        for sql in [
            "INSERT INTO ducklake_column_mapping SELECT ?1, ?2, type FROM ducklake_column_mapping \
             WHERE mapping_id = ?3 AND table_id = ?4",
            "INSERT INTO ducklake_name_mapping SELECT ?1, column_id, source_name, \
             target_field_id, parent_column, is_partition FROM ducklake_name_mapping \
             WHERE mapping_id = ?3",
            "UPDATE ducklake_data_file SET mapping_id = ?1 WHERE table_id = ?2 AND mapping_id = ?3",
        ] {
            sqlx::query(sql)
                .bind(own)
                .bind(id)
                .bind(mapping)
                .bind(source)
                .execute(&mut **new.transaction().await?)
                .await?;
        }
    }
    Ok(())
}

/// Bounds and the next row id are the source's: rows keep their ids, new ones get higher.
async fn copy_statistics(new: &mut NewSnapshot<'_>, id: i64, clone: &TableClone) -> Result<()> {
    new.statistics_changed = true;
    for sql in [
        "INSERT INTO ducklake_table_stats SELECT ?1, (SELECT COALESCE(SUM(record_count), 0) \
         FROM ducklake_data_file WHERE table_id = ?1), next_row_id, (SELECT \
         COALESCE(SUM(file_size_bytes), 0) FROM ducklake_data_file WHERE table_id = ?1) \
         FROM ducklake_table_stats WHERE table_id = ?2",
        "INSERT INTO ducklake_table_column_stats SELECT ?1, column_id, contains_null, \
         contains_nan, min_value, max_value, extra_stats FROM ducklake_table_column_stats \
         WHERE table_id = ?2",
    ] {
        sqlx::query(sql)
            .bind(id)
            .bind(clone.source_id)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

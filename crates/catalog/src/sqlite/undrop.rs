//! Dropped tables, schemas and databases: which there are, and bringing them back.
//!
//! A drop ends an object's rows at its snapshot. Coming back, the object begins anew at the new
//! snapshot; what lay below it (columns, files, tags) goes on as if it had never ended, which no
//! snapshot in between can see, as the object itself is not there. Sort and partition keys begin anew
//! too: other clients refuse those of a table that is not there.

use frazil_common::SnapshotId;
use sqlx::SqliteConnection;

use super::commit::{NewSnapshot, conflict};
use super::rename::check_database_live;
use super::snapshots::parse_time;
use super::tables::{check_name_free, check_schema_live, insert_database, quoted, record_version};
use super::{expire_rows, inlined};
use crate::error::Result;
use crate::objects::{DatabaseInfo, SchemaInfo, TableInfo, ViewInfo};
use crate::store::{DropKind, DropRow};

/// What is gone, the last dropped first.
pub async fn dropped(connection: &mut SqliteConnection, kind: DropKind) -> Result<Vec<DropRow>> {
    type Row = (i64, String, Option<i64>, i64, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(match kind {
        DropKind::Table => {
            "SELECT t.table_id, t.table_name, t.schema_id, t.end_snapshot, (SELECT snapshot_time \
             FROM ducklake_snapshot x WHERE x.snapshot_id = t.end_snapshot) \
             FROM ducklake_table t WHERE t.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 \
             FROM ducklake_table y WHERE y.table_id = t.table_id \
             AND (y.end_snapshot IS NULL OR y.end_snapshot > t.end_snapshot)) \
             ORDER BY t.end_snapshot DESC, t.table_id DESC"
        }
        DropKind::View => {
            "SELECT v.view_id, v.view_name, v.schema_id, v.end_snapshot, (SELECT snapshot_time \
             FROM ducklake_snapshot x WHERE x.snapshot_id = v.end_snapshot) \
             FROM ducklake_view v WHERE v.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 \
             FROM ducklake_view y WHERE y.view_id = v.view_id \
             AND (y.end_snapshot IS NULL OR y.end_snapshot > v.end_snapshot)) \
             ORDER BY v.end_snapshot DESC, v.view_id DESC"
        }
        DropKind::Schema => {
            "SELECT s.schema_id, s.schema_name, NULL, s.end_snapshot, (SELECT snapshot_time \
             FROM ducklake_snapshot x WHERE x.snapshot_id = s.end_snapshot) \
             FROM ducklake_schema s WHERE s.end_snapshot IS NOT NULL \
             ORDER BY s.end_snapshot DESC, s.schema_id DESC"
        }
        DropKind::Database => {
            "SELECT d.database_id, d.database_name, NULL, d.end_snapshot, (SELECT snapshot_time \
             FROM ducklake_snapshot x WHERE x.snapshot_id = d.end_snapshot) \
             FROM frazil_database d WHERE d.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 \
             FROM frazil_database y WHERE y.database_id = d.database_id \
             AND (y.end_snapshot IS NULL OR y.end_snapshot > d.end_snapshot)) \
             ORDER BY d.end_snapshot DESC, d.database_id DESC"
        }
    })
    .fetch_all(&mut *connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, schema_id, dropped_at, time)| DropRow {
            id,
            name,
            schema_id,
            dropped_at,
            dropped_micros: parse_time(time.as_deref().unwrap_or_default()),
        })
        .collect())
}

/// The longest retention on record, of the account too.
pub async fn longest_retention_days(connection: &mut SqliteConnection) -> Result<u16> {
    let tags: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(CAST(value AS INTEGER)) FROM frazil_tag WHERE key = 'frazil.retention'",
    )
    .fetch_one(&mut *connection)
    .await?;
    // A lake without an account has no parameters.
    let has_account: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' \
         AND name = 'frazil_parameter')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !has_account {
        return Ok(tags.and_then(|days| u16::try_from(days).ok()).unwrap_or(0));
    }
    let account: Vec<String> = sqlx::query_scalar(
        "SELECT value FROM frazil_parameter WHERE level = 'ACCOUNT' \
         AND name = 'DATA_RETENTION_TIME_IN_DAYS'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let account = account.iter().filter_map(|value| value.trim_matches('"').parse().ok()).max();
    Ok(tags.max(account).and_then(|days| u16::try_from(days).ok()).unwrap_or(0))
}

/// Brings back a table into its schema, which must be there.
pub async fn table(
    new: &mut NewSnapshot<'_>,
    table: &TableInfo,
    dropped_at: SnapshotId,
) -> Result<()> {
    let schema_name = check_schema_live(new, table.schema_id).await?;
    check_name_free(new, table.schema_id, &table.name.name).await?;
    restore_table(new, table.table_id, dropped_at).await?;
    inlined::follow_definition(new, table.table_id, table).await?;
    new.changes_made.push(format!(
        "created_table:{}.{}",
        quoted(&schema_name),
        quoted(&table.name.name)
    ));
    Ok(())
}

async fn restore_table(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    dropped_at: SnapshotId,
) -> Result<()> {
    let past = expire_rows::past(new.transaction().await?, table_id).await?.unwrap_or_default();
    if past.since >= dropped_at {
        return Err(conflict("the dropped table", "its rows are gone for good"));
    }
    let restored = sqlx::query(
        "INSERT INTO ducklake_table SELECT table_id, table_uuid, ?1, NULL, schema_id, table_name, \
         path, path_is_relative FROM ducklake_table WHERE table_id = ?2 AND end_snapshot = ?3 \
         AND NOT EXISTS (SELECT 1 FROM ducklake_table y WHERE y.table_id = ?2 \
         AND (y.end_snapshot IS NULL OR y.end_snapshot > ?3))",
    )
    .bind(new.snapshot)
    .bind(table_id)
    .bind(dropped_at)
    .execute(&mut **new.transaction().await?)
    .await?;
    if restored.rows_affected() != 1 {
        return Err(conflict("the dropped table", "it is back or gone for good"));
    }
    for sql in [
        "UPDATE ducklake_column SET end_snapshot = NULL WHERE table_id = ? AND end_snapshot = ?",
        "UPDATE ducklake_column_tag SET end_snapshot = NULL WHERE table_id = ? AND end_snapshot = ?",
        "UPDATE frazil_column_tag SET end_snapshot = NULL WHERE table_id = ? AND end_snapshot = ?",
        "UPDATE ducklake_data_file SET end_snapshot = NULL WHERE table_id = ? AND end_snapshot = ?",
        "UPDATE ducklake_delete_file SET end_snapshot = NULL WHERE table_id = ? AND end_snapshot = ?",
    ] {
        sqlx::query(sql)
            .bind(table_id)
            .bind(dropped_at)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    restore_tags(new, table_id, dropped_at).await?;
    for sql in [
        "INSERT INTO ducklake_sort_info SELECT sort_id, table_id, ?1, NULL FROM ducklake_sort_info \
         WHERE table_id = ?2 AND end_snapshot = ?3 AND begin_snapshot < end_snapshot",
        "INSERT INTO ducklake_partition_info SELECT partition_id, table_id, ?1, NULL \
         FROM ducklake_partition_info \
         WHERE table_id = ?2 AND end_snapshot = ?3 AND begin_snapshot < end_snapshot",
        // Their text holds while it has their begin.
        "INSERT INTO frazil_tag SELECT object_id, ?1, NULL, \"key\", \"value\" FROM frazil_tag t \
         WHERE object_id = ?2 AND end_snapshot = ?3 AND \"key\" = 'frazil.cluster_by' AND EXISTS \
         (SELECT 1 FROM ducklake_sort_info s WHERE s.table_id = ?2 AND s.end_snapshot = ?3 \
         AND s.begin_snapshot = t.begin_snapshot AND s.begin_snapshot < s.end_snapshot)",
    ] {
        sqlx::query(sql)
            .bind(new.snapshot)
            .bind(table_id)
            .bind(dropped_at)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    record_version(new, table_id).await
}

async fn restore_tags(
    new: &mut NewSnapshot<'_>,
    object: i64,
    dropped_at: SnapshotId,
) -> Result<()> {
    for sql in [
        "UPDATE ducklake_tag SET end_snapshot = NULL WHERE object_id = ? AND end_snapshot = ?",
        "UPDATE frazil_tag SET end_snapshot = NULL WHERE object_id = ? AND end_snapshot = ? \
         AND \"key\" NOT IN ('frazil.cluster_by', 'frazil.schema')",
    ] {
        sqlx::query(sql)
            .bind(object)
            .bind(dropped_at)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

/// Brings back a schema with what was dropped with it.
pub async fn schema(
    new: &mut NewSnapshot<'_>,
    schema: &SchemaInfo,
    tables: &[std::sync::Arc<TableInfo>],
    views: &[std::sync::Arc<ViewInfo>],
    dropped_at: SnapshotId,
) -> Result<()> {
    check_database_live(new, schema).await?;
    let taken: Option<i64> = sqlx::query_scalar(
        "SELECT schema_id FROM ducklake_schema WHERE lower(schema_name) = lower(?) \
         AND end_snapshot IS NULL",
    )
    .bind(&schema.ducklake_name)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if taken.is_some() {
        return Err(frazil_common::UserError::exists(&schema.name).into());
    }
    // A schema has one row for life, so it can only go on.
    let restored = sqlx::query(
        "UPDATE ducklake_schema SET end_snapshot = NULL WHERE schema_id = ? AND end_snapshot = ? \
         AND schema_name = ?",
    )
    .bind(schema.schema_id)
    .bind(dropped_at)
    .bind(&schema.ducklake_name)
    .execute(&mut **new.transaction().await?)
    .await?;
    if restored.rows_affected() != 1 {
        return Err(conflict("the dropped schema", "it is back or gone for good"));
    }
    restore_tags(new, schema.schema_id, dropped_at).await?;
    new.changes_made.push(format!("created_schema:{}", quoted(&schema.ducklake_name)));
    for table in tables {
        restore_table(new, table.table_id, dropped_at).await?;
        inlined::follow_definition(new, table.table_id, table).await?;
        new.changes_made.push(format!(
            "created_table:{}.{}",
            quoted(&schema.ducklake_name),
            quoted(&table.name.name)
        ));
    }
    for view in views {
        let restored = sqlx::query(
            "INSERT INTO ducklake_view SELECT view_id, view_uuid, ?1, NULL, schema_id, view_name, \
             dialect, \"sql\", column_aliases FROM ducklake_view \
             WHERE view_id = ?2 AND end_snapshot = ?3",
        )
        .bind(new.snapshot)
        .bind(view.view_id)
        .bind(dropped_at)
        .execute(&mut **new.transaction().await?)
        .await?;
        if restored.rows_affected() != 1 {
            return Err(conflict(view.name.to_string(), "the dropped view is gone for good"));
        }
        restore_tags(new, view.view_id, dropped_at).await?;
        new.changes_made.push(format!(
            "created_view:{}.{}",
            quoted(&schema.ducklake_name),
            quoted(&view.name.name)
        ));
    }
    Ok(())
}

/// Brings back a database without its schemas.
pub async fn database(
    new: &mut NewSnapshot<'_>,
    database: &DatabaseInfo,
    dropped_at: SnapshotId,
) -> Result<()> {
    let taken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM frazil_database WHERE end_snapshot IS NULL \
         AND (lower(database_name) = lower(?) OR database_id = ?)",
    )
    .bind(&database.name)
    .bind(database.database_id)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    if taken > 0 {
        return Err(frazil_common::UserError::exists(&database.name).into());
    }
    insert_database(new, database.database_id, database).await?;
    restore_tags(new, database.database_id, dropped_at).await
}

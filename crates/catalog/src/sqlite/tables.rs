//! Writes changes of definitions.

use std::collections::{HashMap, HashSet};

use frazil_common::SnapshotId;

use super::commit::{NewSnapshot, conflict};
use super::{clones, constraints, inlined, layout, rename, undrop, views};
use crate::changes::CatalogChange;
use crate::defaults::DucklakeDefault;
use crate::error::{CatalogError, Result};
use crate::objects::{ChildColumn, ColumnInfo, DatabaseInfo, SchemaInfo, TableInfo, TableKind};

/// Writes one change.
pub async fn apply(new: &mut NewSnapshot<'_>, change: &CatalogChange) -> Result<()> {
    new.definitions_changed = true;
    match change {
        CatalogChange::CreateDatabase(database) => create_database(new, database).await,
        CatalogChange::DropDatabase(database) => drop_database(new, database).await,
        CatalogChange::AlterDatabase { before, after } => {
            rename::database(new, before, after).await?;
            let id = new.id(before.database_id);
            set_retention(new, id, before.retention_days, after.retention_days).await
        }
        CatalogChange::SwapDatabases { first, second } => rename::swap(new, first, second).await,
        CatalogChange::CreateSchema(schema) => create_schema(new, schema).await,
        CatalogChange::DropSchema(schema) => drop_schema(new, new.id(schema.schema_id)).await,
        CatalogChange::SwapSchemas { first, second } => {
            rename::swap_schemas(new, first, second).await
        }
        CatalogChange::AlterSchema { before, after } => {
            let id = new.id(before.schema_id);
            rename::schema(new, before, after).await?;
            set_tag(new, id, "comment", before.comment.as_deref(), after.comment.as_deref())
                .await?;
            set_retention(new, id, before.retention_days, after.retention_days).await
        }
        CatalogChange::CloneTable(clone) => clones::create(new, clone).await,
        CatalogChange::UndropTable { table, dropped_at } => {
            undrop::table(new, table, *dropped_at).await
        }
        CatalogChange::UndropSchema { schema, tables, views, dropped_at } => {
            undrop::schema(new, schema, tables, views, *dropped_at).await
        }
        CatalogChange::UndropDatabase { database, dropped_at } => {
            undrop::database(new, database, *dropped_at).await
        }
        CatalogChange::CreateTable(table) => create_table(new, table).await,
        CatalogChange::DropTable(table) => {
            let id = new.id(table.table_id);
            end_table(new, id, &table.name.to_string()).await?;
            new.changes_made.push(format!("dropped_table:{id}"));
            Ok(())
        }
        CatalogChange::AlterTable { before, after } => alter_table(new, before, after).await,
        CatalogChange::SwapTables { first, second } => {
            let (one, two) = (new.id(first.table_id), new.id(second.table_id));
            for (id, table) in [(one, first), (two, second)] {
                check_unchanged(new, id, table.defined_at, &table.name.to_string()).await?;
                end_table_row(new, id, &table.name.to_string()).await?;
            }
            let (to_first, to_second) = (new.id(first.schema_id), new.id(second.schema_id));
            insert_table_row(new, one, first, to_second, &second.name.name).await?;
            insert_table_row(new, two, second, to_first, &first.name.name).await?;
            for (id, table) in [(one, first), (two, second)] {
                record_version(new, id).await?;
                inlined::follow_definition(new, id, table).await?;
                new.changes_made.push(format!("altered_table:{id}"));
            }
            Ok(())
        }
        CatalogChange::CreateView(view) => views::create(new, view).await,
        CatalogChange::DropView(view) => views::end(new, view).await,
        CatalogChange::AlterView { before, after } => views::alter(new, before, after).await,
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

// ---- databases ----

async fn create_database(new: &mut NewSnapshot<'_>, database: &DatabaseInfo) -> Result<()> {
    let taken: Option<String> = sqlx::query_scalar(
        "SELECT database_name FROM frazil_database WHERE lower(database_name) = lower(?) AND end_snapshot IS NULL",
    )
    .bind(&database.name)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if taken.is_some() {
        return Err(frazil_common::UserError::exists(&database.name).into());
    }
    let id = new.new_id(database.database_id);
    insert_database(new, id, database).await?;
    set_retention(new, id, None, database.retention_days).await
}

pub(super) async fn insert_database(
    new: &mut NewSnapshot<'_>,
    id: i64,
    database: &DatabaseInfo,
) -> Result<()> {
    let created = if database.created_micros == 0 { new.micros } else { database.created_micros };
    sqlx::query("INSERT INTO frazil_database VALUES (?, ?, ?, ?, ?, ?, NULL)")
        .bind(id)
        .bind(&database.name)
        .bind(&database.comment)
        .bind(i64::from(database.transient))
        .bind(created)
        .bind(new.snapshot)
        .execute(&mut **new.transaction().await?)
        .await?;
    Ok(())
}

pub(super) async fn end_database(new: &mut NewSnapshot<'_>, database: &DatabaseInfo) -> Result<()> {
    let id = new.id(database.database_id);
    let ended = sqlx::query(
        "UPDATE frazil_database SET end_snapshot = ? WHERE database_id = ? AND database_name = ? \
         AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(id)
    .bind(&database.name)
    .execute(&mut **new.transaction().await?)
    .await?;
    if ended.rows_affected() != 1 {
        return Err(conflict(quoted(&database.name), "the database was renamed or dropped"));
    }
    Ok(())
}

async fn drop_database(new: &mut NewSnapshot<'_>, database: &DatabaseInfo) -> Result<()> {
    end_database(new, database).await?;
    end_tags(new, database.database_id).await?;
    let prefix = format!("{}.", database.name);
    let schemas: Vec<i64> = sqlx::query_scalar(
        "SELECT schema_id FROM ducklake_schema WHERE end_snapshot IS NULL \
         AND substr(schema_name, 1, length(?1)) = ?1",
    )
    .bind(prefix)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    for schema in schemas {
        drop_schema(new, schema).await?;
    }
    Ok(())
}

// ---- schemas ----

async fn create_schema(new: &mut NewSnapshot<'_>, schema: &SchemaInfo) -> Result<()> {
    rename::check_database_live(new, schema).await?;
    let taken: Option<i64> = sqlx::query_scalar(
        "SELECT schema_id FROM ducklake_schema WHERE lower(schema_name) = lower(?) AND end_snapshot IS NULL",
    )
    .bind(&schema.ducklake_name)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if taken.is_some() {
        return Err(frazil_common::UserError::exists(&schema.name).into());
    }
    let id = new.new_id(schema.schema_id);
    sqlx::query("INSERT INTO ducklake_schema VALUES (?, ?, ?, NULL, ?, ?, 1)")
        .bind(id)
        .bind(&schema.uuid)
        .bind(new.snapshot)
        .bind(&schema.ducklake_name)
        .bind(&schema.path)
        .execute(&mut **new.transaction().await?)
        .await?;
    set_tag(new, id, "comment", None, schema.comment.as_deref()).await?;
    if schema.transient {
        set_tag(new, id, "frazil.kind", None, Some("TRANSIENT")).await?;
    }
    set_retention(new, id, None, schema.retention_days).await?;
    new.changes_made.push(format!("created_schema:{}", quoted(&schema.ducklake_name)));
    Ok(())
}

async fn drop_schema(new: &mut NewSnapshot<'_>, id: i64) -> Result<()> {
    let tables: Vec<i64> = sqlx::query_scalar(
        "SELECT table_id FROM ducklake_table WHERE schema_id = ? AND end_snapshot IS NULL",
    )
    .bind(id)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    for table in tables {
        end_table(new, table, "").await?;
        new.changes_made.push(format!("dropped_table:{table}"));
    }
    let views: Vec<i64> = sqlx::query_scalar(
        "SELECT view_id FROM ducklake_view WHERE schema_id = ? AND end_snapshot IS NULL",
    )
    .bind(id)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    for view in views {
        sqlx::query(
            "UPDATE ducklake_view SET end_snapshot = ? WHERE view_id = ? AND end_snapshot IS NULL",
        )
        .bind(new.snapshot)
        .bind(view)
        .execute(&mut **new.transaction().await?)
        .await?;
        end_tags(new, view).await?;
        new.changes_made.push(format!("dropped_view:{view}"));
    }
    let ended = sqlx::query(
        "UPDATE ducklake_schema SET end_snapshot = ? WHERE schema_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(id)
    .execute(&mut **new.transaction().await?)
    .await?;
    if ended.rows_affected() != 1 {
        return Err(conflict("the schema", "it was dropped"));
    }
    end_tags(new, id).await?;
    new.changes_made.push(format!("dropped_schema:{id}"));
    Ok(())
}

pub(super) async fn check_schema_live(new: &mut NewSnapshot<'_>, id: i64) -> Result<String> {
    let name: Option<String> = sqlx::query_scalar(
        "SELECT schema_name FROM ducklake_schema WHERE schema_id = ? AND end_snapshot IS NULL",
    )
    .bind(id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    name.ok_or_else(|| conflict("the schema", "it was dropped"))
}

/// Tables and views of a schema share one name space, in which case does not count.
pub(super) async fn check_name_free(
    new: &mut NewSnapshot<'_>,
    schema_id: i64,
    name: &str,
) -> Result<()> {
    let taken: Option<String> = sqlx::query_scalar(
        "SELECT table_name FROM ducklake_table WHERE schema_id = ?1 AND end_snapshot IS NULL \
         AND lower(table_name) = lower(?2) UNION ALL SELECT view_name FROM ducklake_view \
         WHERE schema_id = ?1 AND end_snapshot IS NULL AND lower(view_name) = lower(?2)",
    )
    .bind(schema_id)
    .bind(name)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    match taken {
        Some(_) => Err(frazil_common::UserError::exists(name).into()),
        None => Ok(()),
    }
}

// ---- tables ----

/// The table must be live and defined as when it was read.
pub async fn check_unchanged(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    defined_at: SnapshotId,
    name: &str,
) -> Result<()> {
    let begin: Option<i64> = sqlx::query_scalar(
        "SELECT begin_snapshot FROM ducklake_table WHERE table_id = ? AND end_snapshot IS NULL",
    )
    .bind(table_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    let mut columns = 0;
    if new.base + 1 < new.snapshot {
        columns = sqlx::query_scalar::<_, Option<i64>>(
            "SELECT MAX(MAX(begin_snapshot, COALESCE(end_snapshot, 0))) FROM ducklake_column \
             WHERE table_id = ?",
        )
        .bind(table_id)
        .fetch_one(&mut **new.transaction().await?)
        .await?
        .unwrap_or(0);
    }
    check_same(new, begin, columns, defined_at, name)
}

/// As [`check_unchanged`], of what is known already: where the table's live definition begins, and
/// the last snapshot that changed a column.
pub fn check_same(
    new: &NewSnapshot<'_>,
    begin: Option<SnapshotId>,
    columns: SnapshotId,
    defined_at: SnapshotId,
    name: &str,
) -> Result<()> {
    let begin = begin.ok_or_else(|| conflict(name, "the table was dropped"))?;
    if new.base + 1 == new.snapshot {
        return Ok(());
    }
    // Changes this very commit made carry the new snapshot.
    let changed = |at: i64| at > defined_at && at < new.snapshot;
    if defined_at > 0 && (changed(begin) || changed(columns)) {
        return Err(conflict(name, "the table was altered"));
    }
    Ok(())
}

async fn create_table(new: &mut NewSnapshot<'_>, table: &TableInfo) -> Result<()> {
    let schema_id = new.id(table.schema_id);
    let schema_name = check_schema_live(new, schema_id).await?;
    check_name_free(new, schema_id, &table.name.name).await?;
    let id = new.new_id(table.table_id);
    insert_table_row(new, id, table, schema_id, &table.name.name).await?;
    for column in &table.columns {
        insert_column(new, id, column).await?;
        set_column_tags(new, id, None, column).await?;
    }
    set_table_tags(new, id, None, table).await?;
    record_version(new, id).await?;
    new.changes_made.push(format!(
        "created_table:{}.{}",
        quoted(&schema_name),
        quoted(&table.name.name)
    ));
    Ok(())
}

pub(super) async fn insert_table_row(
    new: &mut NewSnapshot<'_>,
    id: i64,
    table: &TableInfo,
    schema_id: i64,
    name: &str,
) -> Result<()> {
    let schema_path: Option<String> = sqlx::query_scalar(
        "SELECT path FROM ducklake_schema WHERE schema_id = ? AND path_is_relative <> 0",
    )
    .bind(schema_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    // A table keeps its folder when it moves to another schema.
    let relative = schema_path.as_deref().and_then(|path| table.path.strip_prefix(path));
    let absolute = match relative {
        Some(_) => None,
        None if table.path.starts_with('/') => Some(table.path.clone()),
        None => Some(format!("{}{}", new.data_path, table.path)),
    };
    sqlx::query("INSERT INTO ducklake_table VALUES (?, ?, ?, NULL, ?, ?, ?, ?)")
        .bind(id)
        .bind(&table.uuid)
        .bind(new.snapshot)
        .bind(schema_id)
        .bind(name)
        .bind(absolute.as_deref().or(relative))
        .bind(i64::from(absolute.is_none()))
        .execute(&mut **new.transaction().await?)
        .await?;
    Ok(())
}

async fn end_table_row(new: &mut NewSnapshot<'_>, id: i64, name: &str) -> Result<()> {
    // A table that this commit made or renamed already has a row of the new snapshot.
    let remade =
        sqlx::query("DELETE FROM ducklake_table WHERE table_id = ? AND begin_snapshot = ?")
            .bind(id)
            .bind(new.snapshot)
            .execute(&mut **new.transaction().await?)
            .await?;
    let ended = sqlx::query(
        "UPDATE ducklake_table SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(id)
    .execute(&mut **new.transaction().await?)
    .await?;
    if ended.rows_affected() + remade.rows_affected() == 0 {
        return Err(conflict(name, "the table was dropped"));
    }
    Ok(())
}

/// Ends a table with its columns, tags and files.
async fn end_table(new: &mut NewSnapshot<'_>, id: i64, name: &str) -> Result<()> {
    end_table_row(new, id, name).await?;
    for sql in [
        "UPDATE ducklake_column SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_column_tag SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE frazil_column_tag SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_data_file SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_delete_file SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_sort_info SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_partition_info SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
    ] {
        sqlx::query(sql)
            .bind(new.snapshot)
            .bind(id)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    // What this very commit had made was never there.
    for sql in [
        "DELETE FROM ducklake_column WHERE begin_snapshot = ? AND table_id = ?",
        "DELETE FROM ducklake_column_tag WHERE begin_snapshot = ? AND table_id = ?",
        "DELETE FROM frazil_column_tag WHERE begin_snapshot = ? AND table_id = ?",
    ] {
        sqlx::query(sql)
            .bind(new.snapshot)
            .bind(id)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    end_tags(new, id).await
}

pub(super) async fn insert_column(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    column: &ColumnInfo,
) -> Result<()> {
    let (default, kind) = DucklakeDefault::columns(column.ducklake_default.as_ref());
    let nested = !column.children.is_empty() && column.ducklake_default.is_none();
    let kind = if nested { "" } else { kind };
    let sql =
        "INSERT INTO ducklake_column VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'duckdb')";
    sqlx::query(sql)
        .bind(column.field_id)
        .bind(new.snapshot)
        .bind(table_id)
        // Order follows the field id: columns are only ever added at the end.
        .bind(column.field_id)
        .bind(&column.name)
        .bind(&column.physical_type)
        .bind(&column.initial_default)
        .bind(default)
        .bind(i64::from(column.nullable))
        .bind(None::<i64>)
        .bind(kind)
        .execute(&mut **new.transaction().await?)
        .await?;
    let mut nested: Vec<(i64, &ChildColumn)> =
        column.children.iter().map(|child| (column.field_id, child)).collect();
    while let Some((parent, child)) = nested.pop() {
        nested.extend(child.children.iter().map(|inner| (child.field_id, inner)));
        sqlx::query(sql)
            .bind(child.field_id)
            .bind(new.snapshot)
            .bind(table_id)
            .bind(child.field_id)
            .bind(&child.name)
            .bind(&child.physical_type)
            .bind(&child.initial_default)
            .bind("NULL")
            .bind(1_i64)
            .bind(parent)
            .bind(if child.children.is_empty() { "literal" } else { "" })
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

async fn end_column(new: &mut NewSnapshot<'_>, table_id: i64, column: &ColumnInfo) -> Result<()> {
    for id in column.field_ids() {
        // A column that this commit made already has a row of the new snapshot.
        sqlx::query(
            "DELETE FROM ducklake_column WHERE table_id = ? AND column_id = ? AND begin_snapshot = ?",
        )
        .bind(table_id)
        .bind(id)
        .bind(new.snapshot)
        .execute(&mut **new.transaction().await?)
        .await?;
        sqlx::query(
            "UPDATE ducklake_column SET end_snapshot = ? WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL",
        )
        .bind(new.snapshot)
        .bind(table_id)
        .bind(id)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

async fn alter_table(
    new: &mut NewSnapshot<'_>,
    before: &TableInfo,
    after: &TableInfo,
) -> Result<()> {
    let id = new.id(before.table_id);
    let name = before.name.to_string();
    check_unchanged(new, id, before.defined_at, &name).await?;
    let mut versioned = false;
    if before.name != after.name {
        end_table_row(new, id, &name).await?;
        let schema_id = new.id(after.schema_id);
        check_schema_live(new, schema_id).await?;
        check_name_free(new, schema_id, &after.name.name).await?;
        insert_table_row(new, id, after, schema_id, &after.name.name).await?;
        versioned = true;
    }
    let kept: HashSet<i64> = after.columns.iter().map(|c| c.field_id).collect();
    for column in before.columns.iter().filter(|c| !kept.contains(&c.field_id)) {
        end_column(new, id, column).await?;
        for sql in [
            "UPDATE ducklake_column_tag SET end_snapshot = ? WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL",
            "UPDATE frazil_column_tag SET end_snapshot = ? WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL",
        ] {
            sqlx::query(sql)
                .bind(new.snapshot)
                .bind(id)
                .bind(column.field_id)
                .execute(&mut **new.transaction().await?)
                .await?;
        }
        versioned = true;
    }
    for column in &after.columns {
        let former = before.columns.iter().find(|c| c.field_id == column.field_id);
        let same = former.is_some_and(|f| {
            f.name == column.name
                && f.physical_type == column.physical_type
                && f.nullable == column.nullable
                && f.initial_default == column.initial_default
                && f.ducklake_default == column.ducklake_default
        });
        if !same {
            if let Some(former) = former {
                end_column(new, id, former).await?;
            }
            insert_column(new, id, column).await?;
            versioned = true;
        }
        set_column_tags(new, id, former, column).await?;
    }
    set_table_tags(new, id, Some(before), after).await?;
    if versioned {
        record_version(new, id).await?;
        inlined::follow_definition(new, id, after).await?;
    }
    new.changes_made.push(format!("altered_table:{id}"));
    Ok(())
}

/// Notes that the table has a new shape from this snapshot on.
pub(super) async fn record_version(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<()> {
    let version = new.schema_version + 1;
    sqlx::query(
        "INSERT INTO ducklake_schema_versions SELECT ?1, ?2, ?3 WHERE NOT EXISTS \
         (SELECT 1 FROM ducklake_schema_versions WHERE begin_snapshot = ?1 AND table_id = ?3)",
    )
    .bind(new.snapshot)
    .bind(version)
    .bind(table_id)
    .execute(&mut **new.transaction().await?)
    .await?;
    Ok(())
}

// ---- tags ----

/// The only key other clients accept in DuckLake's tag tables.
const COMMENT: &str = "comment";

pub(super) async fn set_tag(
    new: &mut NewSnapshot<'_>,
    object: i64,
    key: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let comment = key == COMMENT;
    if before.is_some() {
        sqlx::query(if comment {
            "UPDATE ducklake_tag SET end_snapshot = ? WHERE object_id = ? AND \"key\" = ? AND end_snapshot IS NULL"
        } else {
            "UPDATE frazil_tag SET end_snapshot = ? WHERE object_id = ? AND \"key\" = ? AND end_snapshot IS NULL"
        })
        .bind(new.snapshot)
        .bind(object)
        .bind(key)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    if let Some(value) = after {
        sqlx::query(if comment {
            "INSERT INTO ducklake_tag VALUES (?, ?, NULL, ?, ?)"
        } else {
            "INSERT INTO frazil_tag VALUES (?, ?, NULL, ?, ?)"
        })
        .bind(object)
        .bind(new.snapshot)
        .bind(key)
        .bind(value)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

pub(super) async fn end_tags(new: &mut NewSnapshot<'_>, object: i64) -> Result<()> {
    for sql in [
        "UPDATE ducklake_tag SET end_snapshot = ? WHERE object_id = ? AND end_snapshot IS NULL",
        "UPDATE frazil_tag SET end_snapshot = ? WHERE object_id = ? AND end_snapshot IS NULL",
    ] {
        sqlx::query(sql)
            .bind(new.snapshot)
            .bind(object)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

pub(super) async fn set_table_tags(
    new: &mut NewSnapshot<'_>,
    id: i64,
    before: Option<&TableInfo>,
    after: &TableInfo,
) -> Result<()> {
    fn kind(table: &TableInfo) -> Option<&'static str> {
        (table.kind == TableKind::Transient).then_some("TRANSIENT")
    }
    set_tag(
        new,
        id,
        "comment",
        before.and_then(|t| t.comment.as_deref()),
        after.comment.as_deref(),
    )
    .await?;
    set_tag(new, id, "frazil.kind", before.and_then(kind), kind(after)).await?;
    set_tag(
        new,
        id,
        "frazil.cluster_by",
        before.and_then(|t| t.cluster_by.as_deref()),
        after.cluster_by.as_deref(),
    )
    .await?;
    layout::set_sort_keys(new, id, before, after).await?;
    let former = before.map(|table| constraints::text(new, table)).transpose()?.flatten();
    let wanted = constraints::text(new, after)?;
    set_tag(new, id, "frazil.constraints", former.as_deref(), wanted.as_deref()).await?;
    let suspended = |table: &TableInfo| table.recluster_suspended.then_some("true");
    set_tag(new, id, "frazil.recluster_suspended", before.and_then(suspended), suspended(after))
        .await?;
    set_retention(new, id, before.and_then(|t| t.retention_days), after.retention_days).await?;
    // The tag's own snapshot says since when changes are tracked.
    let tracked = |table: &TableInfo| table.change_tracking.map(|_| "true");
    set_tag(new, id, "frazil.change_tracking", before.and_then(tracked), tracked(after)).await
}

async fn set_retention(
    new: &mut NewSnapshot<'_>,
    object: i64,
    before: Option<u16>,
    after: Option<u16>,
) -> Result<()> {
    let [before, after] = [before, after].map(|days| days.map(|days| days.to_string()));
    set_tag(new, object, "frazil.retention", before.as_deref(), after.as_deref()).await
}

fn column_tags(column: &ColumnInfo) -> Result<Vec<(&'static str, String)>> {
    let mut tags = vec![("frazil.type", column.sql_type.storage_text())];
    let own = column.default.as_ref().filter(|_| !column.foreign_default);
    if let Some(default) = own {
        tags.push(("frazil.default", default.clone()));
    }
    if let Some(ducklake) = column.ducklake_default.as_ref().filter(|_| !column.foreign_default) {
        tags.push(("frazil.default_value", ducklake.tag()));
    }
    if let Some(autoincrement) = &column.autoincrement {
        let text = serde_json::to_string(autoincrement)
            .map_err(|e| CatalogError::Damaged(e.to_string()))?;
        tags.push(("frazil.autoincrement", text));
    }
    if let Some(comment) = &column.comment {
        tags.push(("comment", comment.clone()));
    }
    Ok(tags)
}

pub(super) async fn set_column_tags(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    before: Option<&ColumnInfo>,
    after: &ColumnInfo,
) -> Result<()> {
    if before == Some(after) {
        return Ok(());
    }
    let former: HashMap<&str, String> = match before {
        Some(column) => column_tags(column)?.into_iter().collect(),
        None => HashMap::new(),
    };
    let wanted: HashMap<&str, String> = column_tags(after)?.into_iter().collect();
    // Those that another client's change made void are still there.
    let void = wanted.keys().filter(|key| before.is_some() && !former.contains_key(*key));
    for key in former.keys().filter(|key| former.get(*key) != wanted.get(*key)).chain(void) {
        sqlx::query(if *key == COMMENT {
            "UPDATE ducklake_column_tag SET end_snapshot = ? WHERE table_id = ? AND column_id = ? \
             AND \"key\" = ? AND end_snapshot IS NULL"
        } else {
            "UPDATE frazil_column_tag SET end_snapshot = ? WHERE table_id = ? AND column_id = ? \
             AND \"key\" = ? AND end_snapshot IS NULL"
        })
        .bind(new.snapshot)
        .bind(table_id)
        .bind(after.field_id)
        .bind(*key)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    for (key, value) in wanted.iter().filter(|(key, value)| former.get(*key) != Some(*value)) {
        sqlx::query(if *key == COMMENT {
            "INSERT INTO ducklake_column_tag VALUES (?, ?, ?, NULL, ?, ?)"
        } else {
            "INSERT INTO frazil_column_tag VALUES (?, ?, ?, NULL, ?, ?)"
        })
        .bind(table_id)
        .bind(after.field_id)
        .bind(new.snapshot)
        .bind(*key)
        .bind(value)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

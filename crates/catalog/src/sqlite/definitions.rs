//! Reads all definitions at a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_common::{Column, QualifiedName, SnapshotId, SqlType};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::constraints;
use super::layout::{self, StoredSort};
use super::partitions;
use super::rename::{DATABASE_TAG, SCHEMA_TAG};
use super::snapshots::{self, parse_time};
use crate::defaults::DucklakeDefault;
use crate::error::Result;
use crate::foreign_types::{StoredColumn, children_of, converted_type};
use crate::foreign_views::{ForeignView, translated};
use crate::objects::{
    ColumnInfo, DatabaseInfo, EXTERNAL_DATABASE, SchemaInfo, TableInfo, TableKind, ViewInfo,
};
use crate::physical::{from_physical, to_physical};
use crate::store::DropKind;
use crate::view::Definitions;

/// Tags of one object by key.
type Tags = HashMap<String, String>;

/// What to read beside the databases and schemas, as conditions that follow others.
struct Extent {
    /// On a column that names a table; none where no table is wanted.
    tables: Option<fn(&str, i64) -> String>,
    /// On `view_id` and `schema_id`; none where no view is wanted.
    views: Option<String>,
    /// On `object_id` of a tag.
    tags: String,
    id: i64,
}

impl Extent {
    fn everything() -> Extent {
        Extent {
            tables: Some(|_, _| String::new()),
            views: Some(String::new()),
            tags: String::new(),
            id: 0,
        }
    }

    /// One table, one view, or a schema with what is in it. Of a database that is everything: its
    /// schemas are found by names, which have a past of their own.
    fn of(kind: DropKind, id: i64) -> Extent {
        let tags = |own: String| {
            format!(
                " AND object_id IN (SELECT database_id FROM frazil_database \
                 UNION ALL SELECT schema_id FROM ducklake_schema UNION ALL {own})"
            )
        };
        match kind {
            DropKind::Table => Extent {
                tables: Some(|column, id| format!(" AND {column} = {id}")),
                views: None,
                tags: tags(format!("SELECT {id}")),
                id,
            },
            DropKind::View => Extent {
                tables: None,
                views: Some(format!(" AND v.view_id = {id}")),
                tags: tags(format!("SELECT {id}")),
                id,
            },
            DropKind::Schema => Extent {
                tables: Some(|column, id| {
                    format!(
                        " AND {column} IN (SELECT table_id FROM ducklake_table WHERE schema_id = {id})"
                    )
                }),
                views: Some(format!(" AND v.schema_id = {id}")),
                tags: tags(format!(
                    "SELECT table_id FROM ducklake_table WHERE schema_id = {id} \
                     UNION ALL SELECT view_id FROM ducklake_view WHERE schema_id = {id}"
                )),
                id,
            },
            DropKind::Database => Extent::everything(),
        }
    }

    /// The condition on a column of table ids.
    fn on(&self, column: &str) -> String {
        self.tables.map(|condition| condition(column, self.id)).unwrap_or_default()
    }
}

/// Loads databases, schemas, tables and views; none where the snapshot is unknown or expired.
pub async fn load(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
) -> Result<Option<Definitions>> {
    load_extent(connection, snapshot, &Extent::everything()).await
}

/// As [`load`], of tables and views only those that an object holds, or that it is.
pub async fn load_of(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    kind: DropKind,
    id: i64,
) -> Result<Option<Definitions>> {
    load_extent(connection, snapshot, &Extent::of(kind, id)).await
}

async fn load_extent(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    extent: &Extent,
) -> Result<Option<Definitions>> {
    if !snapshots::exists(connection, snapshot).await? {
        return Ok(None);
    }
    let tags = load_tags(connection, snapshot, extent).await?;
    let mut definitions = Definitions::default();
    for row in sqlx::query(
        "SELECT database_id, database_name, comment, transient, created_micros \
         FROM frazil_database WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1)",
    )
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?
    {
        let database_id: i64 = row.try_get(0)?;
        let database = DatabaseInfo {
            database_id,
            retention_days: retention(tags.get(&database_id)),
            name: row.try_get(1)?,
            comment: row.try_get(2)?,
            transient: row.try_get::<i64, _>(3)? != 0,
            created_micros: row.try_get(4)?,
        };
        definitions.databases.insert(database.name.clone(), Arc::new(database));
    }
    let schemas = load_schemas(connection, snapshot, &tags, &mut definitions).await?;
    load_tables(connection, snapshot, extent, &tags, &schemas, &mut definitions).await?;
    load_views(connection, snapshot, extent, &tags, &schemas, &mut definitions).await?;
    Ok(Some(definitions))
}

async fn load_tags(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    extent: &Extent,
) -> Result<HashMap<i64, Tags>> {
    let mut tags: HashMap<i64, Tags> = HashMap::new();
    let wanted = &extent.tags;
    let rows: Vec<(i64, String, Option<String>)> = sqlx::query_as(AssertSqlSafe(format!(
        // What counts of change tracking is since when it is on; the text of CLUSTER BY holds
        // while the sort keys of the same commit do.
        "SELECT object_id, \"key\", CASE \"key\" WHEN 'frazil.change_tracking' \
         THEN CAST(begin_snapshot AS TEXT) WHEN 'frazil.cluster_by' \
         THEN begin_snapshot || ':' || \"value\" ELSE \"value\" END FROM (SELECT * FROM ducklake_tag \
         UNION ALL SELECT * FROM frazil_tag) \
         WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1){wanted}"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for (object, key, value) in rows {
        if let Some(value) = value {
            tags.entry(object).or_default().insert(key, value);
        }
    }
    Ok(tags)
}

fn retention(tags: Option<&Tags>) -> Option<u16> {
    tags?.get("frazil.retention")?.parse().ok()
}

/// Splits `DB.S`; names of other clients fall under EXTERNAL. Database names have no dot. A schema's row has
/// the name of now; where its database had another one at this snapshot, a tag says which it is, and where it
/// had another one itself, a tag has that.
fn split_schema_name(
    name: &str,
    own: Option<&Tags>,
    definitions: &Definitions,
) -> (String, String) {
    let id = own.and_then(|tags| tags.get(DATABASE_TAG)).and_then(|id| id.parse().ok());
    let former = own.and_then(|tags| tags.get(SCHEMA_TAG)).cloned();
    if let Some(database) = id.and_then(|id| definitions.database_by_id(id))
        && let Some((_, schema)) = name.split_once('.')
    {
        return (database.name.clone(), former.unwrap_or_else(|| schema.to_string()));
    }
    match name.split_once('.') {
        Some((database, schema))
            if !schema.is_empty() && definitions.databases.contains_key(database) =>
        {
            (database.to_string(), former.unwrap_or_else(|| schema.to_string()))
        }
        _ => (EXTERNAL_DATABASE.to_string(), name.to_string()),
    }
}

async fn load_schemas(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    tags: &HashMap<i64, Tags>,
    definitions: &mut Definitions,
) -> Result<HashMap<i64, Arc<SchemaInfo>>> {
    let rows = sqlx::query(
        "SELECT s.schema_id, s.schema_uuid, s.schema_name, s.path, s.path_is_relative, \
         (SELECT snapshot_time FROM ducklake_snapshot x WHERE x.snapshot_id = s.begin_snapshot) \
         FROM ducklake_schema s WHERE s.begin_snapshot <= ?1 \
         AND (s.end_snapshot IS NULL OR s.end_snapshot > ?1)",
    )
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    let mut schemas = HashMap::new();
    for row in rows {
        let schema_id: i64 = row.try_get(0)?;
        let ducklake_name: String = row.try_get(2)?;
        let own = tags.get(&schema_id);
        let (database, name) = split_schema_name(&ducklake_name, own, definitions);
        let tag = |key: &str| own.and_then(|t| t.get(key)).cloned();
        let created: Option<String> = row.try_get(5)?;
        let schema = Arc::new(SchemaInfo {
            schema_id,
            database: database.clone(),
            name: name.clone(),
            ducklake_name,
            uuid: row.try_get::<Option<String>, _>(1)?.unwrap_or_default(),
            path: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
            comment: tag("comment"),
            transient: tag("frazil.kind").as_deref() == Some("TRANSIENT"),
            retention_days: retention(own),
            created_micros: parse_time(created.as_deref().unwrap_or_default()),
        });
        // DuckLake makes `main` in every catalog; it is shown once another client uses it.
        schemas.insert(schema_id, Arc::clone(&schema));
        if database != EXTERNAL_DATABASE {
            definitions.schemas.insert((database, name), schema);
        }
    }
    Ok(schemas)
}

/// Makes EXTERNAL and the schema visible when they hold something.
fn reveal(schema: &Arc<SchemaInfo>, definitions: &mut Definitions) {
    if schema.database != EXTERNAL_DATABASE {
        return;
    }
    definitions.databases.entry(EXTERNAL_DATABASE.to_string()).or_insert_with(|| {
        Arc::new(DatabaseInfo {
            database_id: 0,
            name: EXTERNAL_DATABASE.to_string(),
            comment: Some("Tables that other DuckLake clients made".to_string()),
            transient: false,
            retention_days: None,
            created_micros: schema.created_micros,
        })
    });
    let key = (schema.database.clone(), schema.name.clone());
    definitions.schemas.entry(key).or_insert_with(|| Arc::clone(schema));
}

struct ColumnRow {
    field_id: i64,
    name: String,
    physical_type: String,
    initial_default: Option<String>,
    default_value: Option<String>,
    default_value_type: Option<String>,
    nulls_allowed: bool,
    parent: Option<i64>,
}

async fn load_tables(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    extent: &Extent,
    tags: &HashMap<i64, Tags>,
    schemas: &HashMap<i64, Arc<SchemaInfo>>,
    definitions: &mut Definitions,
) -> Result<()> {
    if extent.tables.is_none() {
        return Ok(());
    }
    let wanted = extent.on("table_id");
    let mut columns: HashMap<i64, Vec<ColumnRow>> = HashMap::new();
    for row in sqlx::query(AssertSqlSafe(format!(
        "SELECT table_id, column_id, column_name, column_type, initial_default, default_value, \
         default_value_type, nulls_allowed, parent_column FROM ducklake_column \
         WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1){wanted} \
         ORDER BY table_id, column_order, column_id"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?
    {
        columns.entry(row.try_get(0)?).or_default().push(ColumnRow {
            field_id: row.try_get(1)?,
            name: row.try_get(2)?,
            physical_type: row.try_get(3)?,
            initial_default: row.try_get(4)?,
            default_value: row.try_get(5)?,
            default_value_type: row.try_get(6)?,
            nulls_allowed: row.try_get::<Option<i64>, _>(7)?.unwrap_or(1) != 0,
            parent: row.try_get(8)?,
        });
    }
    let mut last_field: HashMap<i64, (i64, i64)> = HashMap::new();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT table_id, MAX(column_id), MAX(MAX(CASE WHEN begin_snapshot <= ?1 THEN begin_snapshot ELSE 0 END), \
         MAX(CASE WHEN end_snapshot <= ?1 THEN end_snapshot ELSE 0 END)) \
         FROM ducklake_column WHERE table_id IN (SELECT table_id FROM ducklake_table \
         WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1)){wanted} \
         GROUP BY table_id"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for (table, field, changed) in rows {
        last_field.insert(table, (field, changed));
    }
    let mut column_tags: HashMap<(i64, i64), Tags> = HashMap::new();
    let rows: Vec<(i64, i64, String, Option<String>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT table_id, column_id, \"key\", \"value\" FROM (SELECT * FROM ducklake_column_tag \
         UNION ALL SELECT * FROM frazil_column_tag) \
         WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1){wanted}"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for (table, column, key, value) in rows {
        if let Some(value) = value {
            column_tags.entry((table, column)).or_default().insert(key, value);
        }
    }
    let mut sorted = layout::load(connection, snapshot, &extent.on("i.table_id")).await?;
    let mut parted = partitions::load(connection, snapshot, &extent.on("i.table_id")).await?;
    let wanted = extent.on("t.table_id");
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT t.table_id, t.table_uuid, t.begin_snapshot, t.schema_id, t.table_name, t.path, \
         t.path_is_relative, (SELECT snapshot_time FROM ducklake_snapshot x WHERE x.snapshot_id = \
         (SELECT MIN(begin_snapshot) FROM ducklake_table y WHERE y.table_id = t.table_id)) \
         FROM ducklake_table t WHERE t.begin_snapshot <= ?1 \
         AND (t.end_snapshot IS NULL OR t.end_snapshot > ?1){wanted}"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let table_id: i64 = row.try_get(0)?;
        let schema_id: i64 = row.try_get(3)?;
        let Some(schema) = schemas.get(&schema_id) else { continue };
        reveal(schema, definitions);
        let own = tags.get(&table_id);
        let tag = |key: &str| own.and_then(|t| t.get(key)).cloned();
        let own_path: String = row.try_get::<Option<String>, _>(5)?.unwrap_or_default();
        let relative = row.try_get::<Option<i64>, _>(6)?.unwrap_or(1) != 0;
        let created: Option<String> = row.try_get(7)?;
        let begin: i64 = row.try_get(2)?;
        let (last_field_id, columns_changed) = last_field.get(&table_id).copied().unwrap_or((0, 0));
        let columns =
            build_columns(columns.remove(&table_id).unwrap_or_default(), table_id, &column_tags);
        let sort = sorted.remove(&table_id);
        let text = tag("frazil.cluster_by").and_then(|text| {
            let (begin, text) = text.split_once(':')?;
            let begin: SnapshotId = begin.parse().ok()?;
            sort.as_ref().is_some_and(|sort| sort.begin == begin).then(|| text.to_string())
        });
        let table = TableInfo {
            table_id,
            schema_id,
            name: QualifiedName::new(&schema.database, &schema.name, row.try_get::<String, _>(4)?),
            uuid: row.try_get::<Option<String>, _>(1)?.unwrap_or_default(),
            path: if relative { format!("{}{own_path}", schema.path) } else { own_path },
            sort_keys: sort.as_ref().map(|sort| sort.keys(&columns)).unwrap_or_default(),
            cluster_by: text.or_else(|| sort.as_ref().map(StoredSort::text)),
            partitioning: parted.remove(&table_id).map(Arc::new),
            recluster_suspended: tag("frazil.recluster_suspended").is_some(),
            constraints: constraints::read(tag("frazil.constraints"))?,
            columns,
            kind: match tag("frazil.kind").as_deref() {
                Some("TRANSIENT") => TableKind::Transient,
                _ => TableKind::Permanent,
            },
            comment: tag("comment"),
            retention_days: retention(own),
            change_tracking: tag("frazil.change_tracking").and_then(|since| since.parse().ok()),
            created_micros: parse_time(created.as_deref().unwrap_or_default()),
            last_field_id,
            defined_at: begin.max(columns_changed),
        };
        definitions.tables.insert(table.name.clone(), Arc::new(table));
    }
    Ok(())
}

fn build_columns(
    rows: Vec<ColumnRow>,
    table_id: i64,
    tags: &HashMap<(i64, i64), Tags>,
) -> Vec<ColumnInfo> {
    let (inner, columns): (Vec<_>, Vec<_>) = rows.into_iter().partition(|c| c.parent.is_some());
    let nested: Vec<StoredColumn<'_>> = inner
        .iter()
        .map(|row| StoredColumn {
            field_id: row.field_id,
            name: &row.name,
            physical_type: &row.physical_type,
            initial_default: row.initial_default.as_deref(),
            parent: row.parent,
        })
        .collect();
    columns
        .into_iter()
        .map(|row| {
            let own = tags.get(&(table_id, row.field_id));
            let tag = |key: &str| own.and_then(|t| t.get(key)).cloned();
            // Another client may have changed the type since the tag was written.
            let logical = tag("frazil.type")
                .and_then(|text| text.parse::<SqlType>().ok())
                .filter(|ty| to_physical(ty).name == row.physical_type);
            let children = children_of(&nested, row.field_id);
            let sql_type = logical
                .or_else(|| from_physical(&row.physical_type))
                .or_else(|| converted_type(&row.physical_type, &children));
            let (ducklake, kind) = (row.default_value, row.default_value_type);
            let ducklake = DucklakeDefault::read(ducklake, kind.as_deref());
            let own_default = tag("frazil.default");
            let own_counter =
                tag("frazil.autoincrement").and_then(|text| serde_json::from_str(&text).ok());
            let untouched = match tag("frazil.default_value") {
                Some(written) => ducklake.as_ref().map(DucklakeDefault::tag) == Some(written),
                // Earlier versions told others of the first value alone.
                None => {
                    let first = row.initial_default.clone().map(DucklakeDefault::Literal);
                    let own = own_default.is_some() || own_counter.is_some();
                    ducklake.is_none() || own && ducklake == first
                }
            };
            let mut column = ColumnInfo {
                field_id: row.field_id,
                readable: sql_type.is_some(),
                sql_type: sql_type.unwrap_or(SqlType::TEXT),
                nullable: row.nulls_allowed,
                default: None,
                ducklake_default: ducklake,
                foreign_default: false,
                autoincrement: None,
                comment: tag("comment"),
                physical_type: row.physical_type,
                children,
                initial_default: row.initial_default,
                name: row.name,
            };
            if untouched {
                (column.default, column.autoincrement) = (own_default, own_counter);
            } else if let Some(foreign) = &column.ducklake_default {
                let sql = foreign.to_sql(&column);
                column.foreign_default = sql.is_none();
                column.default = sql.or_else(|| Some(foreign.text().to_string()));
            }
            column
        })
        .collect()
}

/// What views made here tell of their text.
const OWN_DIALECT: &str = "snowflake";

async fn load_views(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    extent: &Extent,
    tags: &HashMap<i64, Tags>,
    schemas: &HashMap<i64, Arc<SchemaInfo>>,
    definitions: &mut Definitions,
) -> Result<()> {
    let Some(wanted) = &extent.views else { return Ok(()) };
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT v.view_id, v.view_uuid, v.schema_id, v.view_name, v.dialect, v.\"sql\", \
         (SELECT snapshot_time FROM ducklake_snapshot x WHERE x.snapshot_id = v.begin_snapshot), \
         v.column_aliases FROM ducklake_view v WHERE v.begin_snapshot <= ?1 \
         AND (v.end_snapshot IS NULL OR v.end_snapshot > ?1){wanted}"
    )))
    .persistent(extent.id == 0)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let view_id: i64 = row.try_get(0)?;
        let schema_id: i64 = row.try_get(2)?;
        let Some(schema) = schemas.get(&schema_id) else { continue };
        reveal(schema, definitions);
        let own = tags.get(&view_id);
        let tag = |key: &str| own.and_then(|t| t.get(key)).cloned();
        let columns: Vec<(Column, Option<String>)> = tag("frazil.columns")
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let (columns, column_comments) = columns.into_iter().unzip();
        let created: Option<String> = row.try_get(6)?;
        let (text, dialect): (String, String) = (row.try_get(5)?, row.try_get(4)?);
        let (text, foreign) = match dialect.as_str() {
            OWN_DIALECT => (text, None),
            _ => {
                let place = |name: &str| {
                    let mut all = schemas.values();
                    let found = all.find(|s| s.ducklake_name.eq_ignore_ascii_case(name))?;
                    Some((found.database.clone(), found.name.clone()))
                };
                let read = translated(&text, place);
                let aliases: Option<String> = row.try_get(7)?;
                (read, Some(ForeignView { text, aliases: aliases.unwrap_or_default() }))
            }
        };
        let view = ViewInfo {
            view_id,
            schema_id,
            name: QualifiedName::new(&schema.database, &schema.name, row.try_get::<String, _>(3)?),
            uuid: row.try_get::<Option<String>, _>(1)?.unwrap_or_default(),
            text,
            foreign,
            dialect,
            columns,
            column_comments,
            secure: tag("frazil.secure").as_deref() == Some("true"),
            comment: tag("comment"),
            created_micros: parse_time(created.as_deref().unwrap_or_default()),
        };
        definitions.views.insert(view.name.clone(), Arc::new(view));
    }
    Ok(())
}

//! New names of databases and schemas. DuckLake has one row for a schema's whole life, with its database's name
//! in it, so that row gets the new name; a tag says from the schema's beginning on whose schema it is, so that
//! earlier snapshots show it where it was. A schema's own former names are tags too, each for its time.

use frazil_common::{SnapshotId, UserError};

use super::commit::{NewSnapshot, conflict};
use super::tables::{end_database, insert_database, quoted};
use crate::error::Result;
use crate::objects::{DatabaseInfo, EXTERNAL_DATABASE, SchemaInfo};

/// Tag of a schema whose database has had another name: the database's id.
pub const DATABASE_TAG: &str = "frazil.database";

/// Tag of a schema that had another name: that name, for as long as it had it.
pub const SCHEMA_TAG: &str = "frazil.schema";

/// Writes a database's changed properties; a new name reaches its schemas, dropped ones too.
pub async fn database(
    new: &mut NewSnapshot<'_>,
    before: &DatabaseInfo,
    after: &DatabaseInfo,
) -> Result<()> {
    let id = new.id(before.database_id);
    if before.name == after.name {
        end_database(new, before).await?;
        return insert_database(new, id, after).await;
    }
    let taken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM frazil_database WHERE lower(database_name) = lower(?) \
         AND database_id <> ? AND end_snapshot IS NULL",
    )
    .bind(&after.name)
    .bind(id)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    if taken > 0 {
        return Err(UserError::exists(&after.name).into());
    }
    let schemas = schemas_of(new, id, &before.name).await?;
    end_database(new, before).await?;
    insert_database(new, id, after).await?;
    move_schemas(new, id, &after.name, schemas).await
}

/// Exchanges the names of two databases.
pub async fn swap(
    new: &mut NewSnapshot<'_>,
    first: &DatabaseInfo,
    second: &DatabaseInfo,
) -> Result<()> {
    let (one, two) = (new.id(first.database_id), new.id(second.database_id));
    let of_one = schemas_of(new, one, &first.name).await?;
    let of_two = schemas_of(new, two, &second.name).await?;
    for (id, database, name) in [(one, first, &second.name), (two, second, &first.name)] {
        end_database(new, database).await?;
        let renamed = DatabaseInfo { name: name.clone(), ..database.clone() };
        insert_database(new, id, &renamed).await?;
    }
    move_schemas(new, one, &second.name, of_one).await?;
    move_schemas(new, two, &first.name, of_two).await
}

/// A schema is made in, or comes back into, a database that is there under that name.
pub async fn check_database_live(new: &mut NewSnapshot<'_>, schema: &SchemaInfo) -> Result<()> {
    if schema.database == EXTERNAL_DATABASE {
        return Ok(());
    }
    let live: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM frazil_database WHERE database_name = ? AND end_snapshot IS NULL",
    )
    .bind(&schema.database)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    match live {
        0 => Err(conflict(quoted(&schema.database), "the database was renamed or dropped")),
        _ => Ok(()),
    }
}

/// A schema's row.
struct Row {
    id: i64,
    name: String,
    begin: SnapshotId,
    end: Option<SnapshotId>,
}

/// The schemas that a database of this name has or had. One without the tag has been in a database of the
/// same name for all its life.
async fn schemas_of(new: &mut NewSnapshot<'_>, id: i64, name: &str) -> Result<Vec<Row>> {
    let rows: Vec<(i64, String, SnapshotId, Option<SnapshotId>)> = sqlx::query_as(
        "SELECT s.schema_id, s.schema_name, s.begin_snapshot, s.end_snapshot \
         FROM ducklake_schema s LEFT JOIN frazil_tag t ON t.object_id = s.schema_id \
         AND t.\"key\" = ?4 WHERE substr(s.schema_name, 1, length(?2) + 1) = ?2 || '.' \
         AND (t.\"value\" = CAST(?1 AS TEXT) OR t.\"value\" IS NULL AND EXISTS (SELECT 1 \
         FROM frazil_database d WHERE d.database_id = ?1 AND d.database_name = ?2 \
         AND (s.end_snapshot IS NULL OR d.begin_snapshot < s.end_snapshot) \
         AND COALESCE(d.end_snapshot, ?3) > s.begin_snapshot))",
    )
    .bind(id)
    .bind(name)
    .bind(new.snapshot + 1)
    .bind(DATABASE_TAG)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    Ok(rows.into_iter().map(|(id, name, begin, end)| Row { id, name, begin, end }).collect())
}

/// Gives a schema its changed name.
pub async fn schema(
    new: &mut NewSnapshot<'_>,
    before: &SchemaInfo,
    after: &SchemaInfo,
) -> Result<()> {
    if before.ducklake_name == after.ducklake_name {
        return Ok(());
    }
    let id = new.id(before.schema_id);
    check_database_live(new, after).await?;
    let taken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM ducklake_schema WHERE lower(schema_name) = lower(?) \
         AND schema_id <> ? AND end_snapshot IS NULL",
    )
    .bind(&after.ducklake_name)
    .bind(id)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    if taken > 0 {
        return Err(UserError::exists(&after.name).into());
    }
    move_schema(new, id, before, after).await
}

/// Exchanges the names of two schemas.
pub async fn swap_schemas(
    new: &mut NewSnapshot<'_>,
    first: &SchemaInfo,
    second: &SchemaInfo,
) -> Result<()> {
    for (schema, other) in [(first, second), (second, first)] {
        let id = new.id(schema.schema_id);
        move_schema(new, id, schema, &schema.named_as(other)).await?;
    }
    Ok(())
}

async fn move_schema(
    new: &mut NewSnapshot<'_>,
    id: i64,
    before: &SchemaInfo,
    after: &SchemaInfo,
) -> Result<()> {
    let begin: Option<SnapshotId> = sqlx::query_scalar(
        "SELECT begin_snapshot FROM ducklake_schema WHERE schema_id = ? AND schema_name = ? \
         AND end_snapshot IS NULL",
    )
    .bind(id)
    .bind(&before.ducklake_name)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    let begin =
        begin.ok_or_else(|| conflict(quoted(&before.ducklake_name), "the schema was renamed"))?;
    // Since when it has had its name: since the end of the last tag, or else since its own beginning.
    let last: Option<SnapshotId> = sqlx::query_scalar(
        "SELECT MAX(end_snapshot) FROM frazil_tag WHERE object_id = ? AND \"key\" = ?",
    )
    .bind(id)
    .bind(SCHEMA_TAG)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    let since = last.unwrap_or(begin).max(begin);
    if since < new.snapshot {
        sqlx::query("INSERT INTO frazil_tag VALUES (?, ?, ?, ?, ?)")
            .bind(id)
            .bind(since)
            .bind(new.snapshot)
            .bind(SCHEMA_TAG)
            .bind(&before.name)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    sqlx::query("UPDATE ducklake_schema SET schema_name = ? WHERE schema_id = ?")
        .bind(&after.ducklake_name)
        .bind(id)
        .execute(&mut **new.transaction().await?)
        .await?;
    Ok(())
}

async fn move_schemas(
    new: &mut NewSnapshot<'_>,
    database: i64,
    to: &str,
    schemas: Vec<Row>,
) -> Result<()> {
    for schema in schemas {
        let own = schema.name.split_once('.').map_or(schema.name.as_str(), |(_, own)| own);
        sqlx::query("UPDATE ducklake_schema SET schema_name = ? WHERE schema_id = ?")
            .bind(format!("{to}.{own}"))
            .bind(schema.id)
            .execute(&mut **new.transaction().await?)
            .await?;
        sqlx::query(
            "INSERT INTO frazil_tag SELECT ?1, ?2, ?3, ?4, CAST(?5 AS TEXT) WHERE NOT EXISTS \
             (SELECT 1 FROM frazil_tag WHERE object_id = ?1 AND \"key\" = ?4)",
        )
        .bind(schema.id)
        .bind(schema.begin)
        .bind(schema.end)
        .bind(DATABASE_TAG)
        .bind(database)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

//! Which tags are on which objects, with what values, and the tags that UNDROP may bring back.

use frazil_common::ObjectKind;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::error::{from_json, on_insert, parse_word};
use super::{AccountStore, GrantTarget, Object, Place, Tag, Writer, now_micros};
use crate::Result;

/// A tag on an object, or on a column of a table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagReference {
    pub tag: i64,
    pub on: GrantTarget,
    /// A table's column by its field id, a view's by its number from 1; 0 for the object itself.
    pub column: i64,
    pub value: String,
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<TagReference>> {
    let rows: Vec<(i64, String, i64, i64, String)> = sqlx::query_as(
        "SELECT tag_id, object_kind, object_id, column_id, value FROM frazil_tag_reference
         ORDER BY object_kind, object_id, column_id, tag_id",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(tag, kind, id, column, value)| {
            Ok(TagReference { tag, on: (parse_word(&kind)?, id), column, value })
        })
        .collect()
}

/// A tag that was dropped and can still come back.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedTag {
    pub tag: Object<Tag>,
    pub dropped_on: i64,
}

impl DroppedTag {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        let (database_id, schema_id) = (row.try_get("database_id")?, row.try_get("schema_id")?);
        Ok(DroppedTag {
            tag: Object {
                id: row.try_get("object_id")?,
                name: row.try_get("name")?,
                place: Place::in_schema(database_id, schema_id),
                owner: row.try_get("owner")?,
                comment: row.try_get("comment")?,
                created_on: row.try_get("created_on")?,
                altered_on: row.try_get("altered_on")?,
                body: from_json(row.try_get("body")?)?,
            },
            dropped_on: row.try_get("dropped_on")?,
        })
    }
}

impl AccountStore {
    /// The tags that were dropped and not forgotten yet, the last dropped first.
    pub async fn dropped_tags(&self) -> Result<Vec<DroppedTag>> {
        let rows = sqlx::query(
            "SELECT d.object_id, d.database_id, d.schema_id, d.name, d.comment, d.created_on,
                d.altered_on, d.body, d.dropped_on, r.name AS owner
             FROM frazil_dropped_tag d
             LEFT JOIN frazil_owner w ON w.object_kind = $1 AND w.object_id = d.object_id
             LEFT JOIN frazil_role r ON r.role_id = w.role_id
             ORDER BY d.dropped_on DESC, d.object_id DESC",
        )
        .bind(ObjectKind::Tag.as_str())
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter().map(DroppedTag::from_row).collect()
    }
}

impl Writer<'_> {
    /// Drops a tag so that it can come back: with its owner, its grants and what it is on. False if
    /// there was none.
    pub async fn drop_tag(&mut self, id: i64) -> Result<bool> {
        let kept = sqlx::query(
            "INSERT INTO frazil_dropped_tag (object_id, database_id, schema_id, name, comment,
                created_on, altered_on, body, dropped_on)
             SELECT object_id, database_id, schema_id, name, comment, created_on, altered_on, body,
                $2 FROM frazil_object WHERE object_id = $1 AND kind = $3",
        )
        .bind(id)
        .bind(now_micros())
        .bind(ObjectKind::Tag.as_str())
        .execute(&mut *self.connection)
        .await?;
        sqlx::query("DELETE FROM frazil_object WHERE object_id = $1 AND kind = $2")
            .bind(id)
            .bind(ObjectKind::Tag.as_str())
            .execute(&mut *self.connection)
            .await?;
        self.touch_security().await?;
        Ok(kept.rows_affected() > 0)
    }

    /// Brings a dropped tag back. False if it is not there any more.
    ///
    /// # Errors
    /// Its name is taken.
    pub async fn undrop_tag(&mut self, id: i64, name: &str) -> Result<bool> {
        let back = sqlx::query(
            "INSERT INTO frazil_object (object_id, kind, database_id, schema_id, session_id,
                name, comment, created_on, altered_on, body)
             SELECT object_id, $2, database_id, schema_id, 0, name, comment, created_on,
                altered_on, body FROM frazil_dropped_tag WHERE object_id = $1",
        )
        .bind(id)
        .bind(ObjectKind::Tag.as_str())
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, name))?;
        sqlx::query("DELETE FROM frazil_dropped_tag WHERE object_id = $1")
            .bind(id)
            .execute(&mut *self.connection)
            .await?;
        self.touch_security().await?;
        Ok(back.rows_affected() > 0)
    }

    /// Ends a dropped tag for good, with its values and grants.
    pub async fn purge_tag(&mut self, id: i64) -> Result<()> {
        for statement in [
            "DELETE FROM frazil_dropped_tag WHERE object_id = $1",
            "DELETE FROM frazil_tag_reference WHERE tag_id = $1",
        ] {
            sqlx::query(statement).bind(id).execute(&mut *self.connection).await?;
        }
        self.forget_object(ObjectKind::Tag, id).await
    }

    /// Puts a tag on an object or column, in the place of a value it had there.
    pub async fn set_tag(&mut self, reference: &TagReference) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_tag_reference (tag_id, object_kind, object_id, column_id, value)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (object_kind, object_id, column_id, tag_id)
             DO UPDATE SET value = excluded.value",
        )
        .bind(reference.tag)
        .bind(reference.on.0.as_str())
        .bind(reference.on.1)
        .bind(reference.column)
        .bind(&reference.value)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// Takes a tag off an object or column.
    pub async fn unset_tag(&mut self, tag: i64, on: GrantTarget, column: i64) -> Result<()> {
        sqlx::query(
            "DELETE FROM frazil_tag_reference
             WHERE tag_id = $1 AND object_kind = $2 AND object_id = $3 AND column_id = $4",
        )
        .bind(tag)
        .bind(on.0.as_str())
        .bind(on.1)
        .bind(column)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// CLONE: the tags on one object also on another. Those of columns that are none of `columns`
    /// stay behind.
    pub async fn copy_tags(
        &mut self,
        from: GrantTarget,
        to: GrantTarget,
        columns: &[i64],
    ) -> Result<()> {
        let references = all(self.connection).await?;
        for mut reference in references.into_iter().filter(|reference| reference.on == from) {
            if reference.column == 0 || columns.contains(&reference.column) {
                reference.on = to;
                self.set_tag(&reference).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn forget_tags_on(&mut self, on: GrantTarget) -> Result<()> {
        sqlx::query("DELETE FROM frazil_tag_reference WHERE object_kind = $1 AND object_id = $2")
            .bind(on.0.as_str())
            .bind(on.1)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}

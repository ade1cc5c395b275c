//! Which tags are on which objects, with what values.

use sqlx::sqlite::SqliteConnection;

use super::error::parse_word;
use super::{GrantTarget, Writer};
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

impl Writer<'_> {
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

//! Which policies are on which tables and views.

use frazil_common::ObjectKind;
use sqlx::sqlite::SqliteConnection;

use super::error::{from_json, parse_word, to_json};
use super::{GrantTarget, Writer};
use crate::Result;

/// A policy on a table or view, or on a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyReference {
    /// A masking or row access policy.
    pub policy: GrantTarget,
    /// A table, view or tag.
    pub on: GrantTarget,
    /// The masked column: a table's by its field id, a view's by its number from 1. 0 for a
    /// policy on rows. On a tag the policy's id, as it may have several.
    pub column: i64,
    /// The columns of the policy's arguments, in order.
    pub arguments: Vec<i64>,
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<PolicyReference>> {
    type Row = (String, i64, String, i64, i64, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT policy_kind, policy_id, object_kind, object_id, column_id, arguments
         FROM frazil_policy_reference ORDER BY object_kind, object_id, policy_kind, column_id",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(policy_kind, policy_id, object_kind, object_id, column, arguments)| {
            Ok(PolicyReference {
                policy: (parse_word(&policy_kind)?, policy_id),
                on: (parse_word(&object_kind)?, object_id),
                column,
                arguments: from_json(&arguments)?,
            })
        })
        .collect()
}

impl Writer<'_> {
    /// Puts a policy on a table or view, in the place of one of its kind that was there.
    pub async fn set_policy(&mut self, reference: &PolicyReference) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_policy_reference
                (policy_kind, policy_id, object_kind, object_id, column_id, arguments)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (object_kind, object_id, policy_kind, column_id)
             DO UPDATE SET policy_id = excluded.policy_id, arguments = excluded.arguments",
        )
        .bind(reference.policy.0.as_str())
        .bind(reference.policy.1)
        .bind(reference.on.0.as_str())
        .bind(reference.on.1)
        .bind(reference.column)
        .bind(to_json(&reference.arguments)?)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// Takes a policy off a column, or with column 0 off the rows; false if there was none.
    pub async fn unset_policy(
        &mut self,
        kind: ObjectKind,
        on: GrantTarget,
        column: i64,
    ) -> Result<bool> {
        let done = sqlx::query(
            "DELETE FROM frazil_policy_reference
             WHERE object_kind = $1 AND object_id = $2 AND policy_kind = $3 AND column_id = $4",
        )
        .bind(on.0.as_str())
        .bind(on.1)
        .bind(kind.as_str())
        .bind(column)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await?;
        Ok(done.rows_affected() > 0)
    }

    /// CLONE: the policies on one table or view also on another. Those that mask a column that is
    /// none of `columns` stay behind.
    pub async fn copy_policies(
        &mut self,
        from: GrantTarget,
        to: GrantTarget,
        columns: &[i64],
    ) -> Result<()> {
        let references = all(self.connection).await?;
        for mut reference in references.into_iter().filter(|reference| reference.on == from) {
            if reference.column == 0 || columns.contains(&reference.column) {
                reference.on = to;
                self.set_policy(&reference).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn forget_policies_on(&mut self, on: GrantTarget) -> Result<()> {
        sqlx::query(
            "DELETE FROM frazil_policy_reference WHERE object_kind = $1 AND object_id = $2",
        )
        .bind(on.0.as_str())
        .bind(on.1)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

//! Parameters set for the account or a user; sessions begin with them.

use std::collections::BTreeMap;

use super::error::{from_json, to_json};
use super::{AccountStore, Writer};
use crate::Result;

/// Where a parameter is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterLevel {
    Account,
    /// The user with this id.
    User(i64),
    /// The warehouse with this id.
    Warehouse(i64),
}

impl ParameterLevel {
    fn key(self) -> (&'static str, i64) {
        match self {
            ParameterLevel::Account => ("ACCOUNT", 0),
            ParameterLevel::User(id) => ("USER", id),
            ParameterLevel::Warehouse(id) => ("WAREHOUSE", id),
        }
    }
}

impl AccountStore {
    /// The parameters set at one level, by upper-case name.
    pub async fn parameters(
        &self,
        level: ParameterLevel,
    ) -> Result<BTreeMap<String, serde_json::Value>> {
        let (level, id) = level.key();
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, value FROM frazil_parameter WHERE level = $1 AND object_id = $2",
        )
        .bind(level)
        .bind(id)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.into_iter().map(|(name, value)| Ok((name, from_json(&value)?))).collect()
    }
}

impl Writer<'_> {
    /// Sets a parameter, or with none takes the setting away.
    pub async fn set_parameter(
        &mut self,
        level: ParameterLevel,
        name: &str,
        value: Option<&serde_json::Value>,
    ) -> Result<()> {
        let (level, id) = level.key();
        match value {
            Some(value) => {
                sqlx::query(
                    "INSERT INTO frazil_parameter (level, object_id, name, value)
                     VALUES ($1, $2, $3, $4)
                     ON CONFLICT (level, object_id, name) DO UPDATE SET value = excluded.value",
                )
                .bind(level)
                .bind(id)
                .bind(name)
                .bind(to_json(value)?)
                .execute(&mut *self.connection)
                .await?;
            }
            None => {
                sqlx::query(
                    "DELETE FROM frazil_parameter
                     WHERE level = $1 AND object_id = $2 AND name = $3",
                )
                .bind(level)
                .bind(id)
                .bind(name)
                .execute(&mut *self.connection)
                .await?;
            }
        }
        Ok(())
    }
}

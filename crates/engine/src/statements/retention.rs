//! DATA_RETENTION_TIME_IN_DAYS: what is set where, what is inherited, and what it allows.

use frazil_catalog::account::{AccountStore, ParameterLevel};
use frazil_catalog::{CatalogView, DatabaseInfo, SchemaInfo, TableInfo, TableKind};
use frazil_common::{Code, UserError};
use frazil_dialect::OptionValue;

use crate::statements::context::StatementContext;
use crate::statements::option_values::integer;

/// The property's and parameter's name.
pub(crate) const RETENTION: &str = "DATA_RETENTION_TIME_IN_DAYS";
/// Days where nothing is set anywhere.
pub(crate) const DAYS_DEFAULT: u16 = 1;
const DAYS_MAX: i64 = 90;
/// Most days of transient and temporary objects.
const TRANSIENT_DAYS_MAX: u16 = 1;
const DAY_MICROS: i64 = 86_400_000_000;

/// How long dropped objects and former rows stay within reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    account: u16,
    /// Whether the account sets it, and not the default.
    is_set: bool,
}

impl Retention {
    /// Reads what the account sets.
    pub async fn load(context: &StatementContext) -> Result<Retention, UserError> {
        Retention::of(&context.shared.accounts).await
    }

    /// The same, outside a statement.
    pub async fn of(accounts: &AccountStore) -> Result<Retention, UserError> {
        let set = accounts.parameters(ParameterLevel::Account).await?;
        let days = set.get(RETENTION).and_then(|value| match value {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|days| u16::try_from(days).ok()),
        });
        Ok(Retention { account: days.unwrap_or(DAYS_DEFAULT), is_set: days.is_some() })
    }

    /// What the account sets, for what is in no database any more.
    pub fn account(self) -> u16 {
        self.account
    }

    pub fn database(self, database: &DatabaseInfo) -> u16 {
        limited(database.retention_days.unwrap_or(self.account), database.transient)
    }

    pub fn schema(self, view: &CatalogView, schema: &SchemaInfo) -> u16 {
        let inherited = || {
            let database = view.database(&schema.database);
            database.map_or(self.account, |found| self.database(found))
        };
        limited(schema.retention_days.unwrap_or_else(inherited), schema.transient)
    }

    pub fn table(self, view: &CatalogView, table: &TableInfo) -> u16 {
        let inherited = || {
            let schema = view.schema(&table.name.database, &table.name.schema);
            schema.map_or(self.account, |found| self.schema(view, found))
        };
        let short = table.kind != TableKind::Permanent;
        limited(table.retention_days.unwrap_or_else(inherited), short)
    }
}

/// Where the days of an object were set, as SHOW PARAMETERS tells it: where nowhere, nothing.
impl Retention {
    pub fn set_for_database(self, database: &DatabaseInfo) -> &'static str {
        match (database.retention_days, self.is_set) {
            (Some(_), _) => "DATABASE",
            (None, true) => "ACCOUNT",
            (None, false) => "",
        }
    }

    pub fn set_for_schema(self, view: &CatalogView, schema: &SchemaInfo) -> &'static str {
        match (schema.retention_days, view.database(&schema.database)) {
            (Some(_), _) => "SCHEMA",
            (None, Some(database)) => self.set_for_database(database),
            (None, None) => "",
        }
    }

    pub fn set_for_table(self, view: &CatalogView, table: &TableInfo) -> &'static str {
        match (table.retention_days, view.schema(&table.name.database, &table.name.schema)) {
            (Some(_), _) => "TABLE",
            (None, Some(schema)) => self.set_for_schema(view, schema),
            (None, None) => "",
        }
    }
}

fn limited(days: u16, transient: bool) -> u16 {
    if transient { days.min(TRANSIENT_DAYS_MAX) } else { days }
}

/// The earliest time that so many days reach back to, in microseconds since 1970 UTC.
pub(crate) fn reaches_back(now_micros: i64, days: u16) -> i64 {
    now_micros - i64::from(days) * DAY_MICROS
}

/// The longest reach there can be.
pub(crate) fn longest_reach(now_micros: i64) -> i64 {
    now_micros - DAYS_MAX * DAY_MICROS
}

/// Reads the property's value.
pub(crate) fn days(value: &OptionValue, transient: bool) -> Result<u16, UserError> {
    let days = integer(RETENTION, value, 0..=DAYS_MAX)?;
    let days = u16::try_from(days).unwrap_or(DAYS_DEFAULT);
    if limited(days, transient) != days {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "invalid value [{value}] for parameter '{RETENTION}': a transient or temporary \
                 object keeps at most {TRANSIENT_DAYS_MAX} day"
            ),
        ));
    }
    Ok(days)
}

//! SNOWFLAKE.ACCOUNT_USAGE: the whole account's objects, history and credits as tables.

mod access_history;
mod activity;
mod gone;
mod loads;
pub(crate) mod metering;
mod names;
mod objects;
mod policies;
mod principals;
pub(crate) mod storage;
mod tags;

use std::sync::Arc;

use frazil_catalog::CatalogView;
use frazil_common::{Column, ObjectName, Privilege, SqlType, TimeZoneKind, UserError};
use frazil_governance::{AccessModel, EffectiveRoles};
use frazil_planner::Relation;
use futures::future::BoxFuture;

use crate::resolve::results::spool_relation;
use crate::run::spool::SpoolWriter;
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{Cell, batch_of, schema_of};

pub(crate) const DATABASE: &str = "SNOWFLAKE";
pub(crate) const SCHEMA: &str = "ACCOUNT_USAGE";

const TEXT: SqlType = SqlType::TEXT;
const NUMBER: SqlType = SqlType::Number { precision: 18, scale: 0 };
pub(crate) const CREDITS: SqlType = SqlType::Number { precision: 38, scale: CREDITS_SCALE };
const INSTANT: SqlType = SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false };

const CREDITS_SCALE: u8 = 9;
/// Rows made into one batch.
const BATCH_ROWS: usize = 4096;

/// A view's rows; many of them lie on disk.
struct Table {
    name: &'static str,
    columns: Vec<Column>,
    writer: SpoolWriter,
    pending: Vec<Vec<Cell>>,
}

impl Table {
    fn new(context: &StatementContext, name: &'static str, columns: &[(&str, SqlType)]) -> Table {
        let columns: Vec<Column> =
            columns.iter().map(|(name, ty)| Column::new(*name, ty.clone(), true)).collect();
        let file = format!("{}-usage-{}", context.query_id(), uuid::Uuid::now_v7());
        let directory = context.shared.results.directory();
        let writer = SpoolWriter::new(schema_of(&columns), directory, &file, None);
        Table { name, columns, writer, pending: Vec::new() }
    }

    fn push(&mut self, row: Vec<Cell>) -> Result<(), UserError> {
        self.pending.push(row);
        if self.pending.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), UserError> {
        let rows = std::mem::take(&mut self.pending);
        self.writer.write(&batch_of(&self.columns, &rows)?)
    }

    fn into_relation(mut self) -> Result<Relation, UserError> {
        self.flush()?;
        let name = format!("{SCHEMA}.{}", self.name);
        spool_relation(&name, self.columns, Arc::new(self.writer.finish()?))
    }
}

/// What the views are made of.
struct Source<'a> {
    context: &'a StatementContext,
    view: Arc<CatalogView>,
}

type Fill = for<'a> fn(&'a Source<'a>) -> BoxFuture<'a, Result<Relation, UserError>>;

/// A view's name and what fills it.
macro_rules! view {
    ($name:literal, $fill:path) => {
        ($name, |source| Box::pin(async move { $fill(source).await?.into_relation() }))
    };
}

/// Every view, by name.
const VIEWS: &[(&str, Fill)] = &[
    view!("ACCESS_HISTORY", access_history::access_history),
    view!("COLUMNS", objects::columns),
    view!("COPY_HISTORY", loads::copy_history),
    view!("DATABASES", objects::databases),
    view!("DATABASE_STORAGE_USAGE_HISTORY", storage::database_storage_usage_history),
    view!("GRANTS_TO_ROLES", principals::grants_to_roles),
    view!("GRANTS_TO_USERS", principals::grants_to_users),
    view!("LOAD_HISTORY", loads::load_history),
    view!("LOGIN_HISTORY", activity::login_history),
    view!("MASKING_POLICIES", policies::masking_policies),
    view!("METERING_DAILY_HISTORY", metering::metering_daily_history),
    view!("METERING_HISTORY", metering::metering_history),
    view!("POLICY_REFERENCES", policies::policy_references),
    view!("QUERY_HISTORY", activity::query_history),
    view!("ROLES", principals::roles),
    view!("ROW_ACCESS_POLICIES", policies::row_access_policies),
    view!("SCHEMATA", objects::schemata),
    view!("SESSIONS", activity::sessions),
    view!("STAGE_STORAGE_USAGE_HISTORY", storage::stage_storage_usage_history),
    view!("STORAGE_USAGE", storage::storage_usage),
    view!("TABLES", objects::tables),
    view!("TABLE_STORAGE_METRICS", storage::table_storage_metrics),
    view!("TAGS", tags::tags),
    view!("TAG_REFERENCES", tags::tag_references),
    view!("USERS", principals::users),
    view!("VIEWS", objects::views),
    view!("WAREHOUSE_EVENTS_HISTORY", metering::warehouse_events_history),
    view!("WAREHOUSE_LOAD_HISTORY", metering::warehouse_load_history),
    view!("WAREHOUSE_METERING_HISTORY", metering::warehouse_metering_history),
];

/// The names of all views.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|(name, _)| *name)
}

/// Whether a database's name means the one with ACCOUNT_USAGE: one of the user's own goes first.
pub(crate) fn is_shared(database: &str, view: &CatalogView) -> bool {
    database == DATABASE && view.database(DATABASE).is_none()
}

/// Whether roles read ACCOUNT_USAGE.
pub(crate) fn is_seen(model: &AccessModel, roles: &EffectiveRoles) -> bool {
    [Privilege::Monitor, Privilege::ImportedPrivileges]
        .into_iter()
        .any(|privilege| model.has_global(roles, privilege))
}

/// Whether a name means a view of ACCOUNT_USAGE.
pub(crate) fn is_named(context: &StatementContext, view: &CatalogView, name: &ObjectName) -> bool {
    let state = &context.state;
    let database = name.database.as_deref().or(state.database.as_deref());
    let schema = match name.schema.as_deref() {
        None => state.schema.as_deref(),
        named => named,
    };
    schema == Some(SCHEMA) && database.is_some_and(|database| is_shared(database, view))
}

/// The relation of `SNOWFLAKE.ACCOUNT_USAGE.name`.
///
/// # Errors
/// There is no such view, or the role may not monitor the account: the two are not told apart.
pub(crate) async fn relation(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<Relation, UserError> {
    // Views over these are read with their owner's rights.
    let roles = context.on_behalf_of.as_ref().unwrap_or(&context.roles);
    let allowed = is_seen(&context.model, roles);
    let found = VIEWS.iter().find(|(known, _)| *known == name.name).filter(|_| allowed);
    let Some((_, fill)) = found else { return Err(UserError::not_found("Object", name)) };
    let view = work.lake()?.view().clone();
    fill(&Source { context, view }).await
}

/// A number of credits.
pub(crate) fn credits(value: f64) -> Cell {
    Cell::Decimal((value * 10_f64.powi(i32::from(CREDITS_SCALE))).round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_sorted_and_named_once() {
        assert!(VIEWS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn credits_have_nine_digits() {
        assert_eq!(credits(1.0 / 3.0), Cell::Decimal(333_333_333));
    }
}

//! Tables, views and the information schema as relations.

use std::sync::Arc;

use datafusion::common::{DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder};
use frazil_catalog::account::{QueryFilter, QueryState};
use frazil_catalog::{
    CatalogView, ColumnInfo, Relation as CatalogRelation, TableInfo, TableKind, ViewInfo,
};
use frazil_common::{
    Access, Code, Column, ObjectName, ObjectRef, QualifiedName, UserError, quote_identifier,
};
use frazil_dialect::sqlparser::ast::Query;
use frazil_governance::{INTERNAL_SCHEMA, Sealed, authorize_accesses};
use frazil_lake::TableVersion;
use frazil_planner::{PlanContext, Planned, Relation, TimeTravel, plan_query, references};

use crate::account_usage;
use crate::resolve::foreign_view;
use crate::resolve::objects::{parents_by_object, parents_of, table_object, view_object};
use crate::resolve::policies::{Kept, protect};
use crate::resolve::resolve;
use crate::statements::context::{Pinned, StatementContext, Work};
use crate::statements::outcome::schema_of;
use crate::statements::pivot_values::{Place, depend_on_rows, written_out};
use crate::statements::retention::{Retention, reaches_back};

/// Number of identity columns that follow a table's own (see `frazil_planner::IDENTITY_COLUMNS`).
const HIDDEN_COLUMNS: usize = 3;

pub(crate) fn absent(name: &QualifiedName) -> UserError {
    UserError::not_found("Object", name)
}

/// Whether a view is read AT or BEFORE some state: what has no past is refused in it.
pub(crate) fn reads_past_view(context: &StatementContext) -> bool {
    context.pinned.as_ref().is_some_and(|pinned| pinned.travel.is_some())
}

/// The relation a name means in FROM.
pub(crate) async fn named(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
    travel: Option<&TimeTravel>,
    depth: usize,
) -> Result<Relation, UserError> {
    let past_view = reads_past_view(context);
    if name.schema.as_deref() == Some("INFORMATION_SCHEMA") {
        if travel.is_some() || past_view {
            return Err(UserError::unsupported("time travel on INFORMATION_SCHEMA"));
        }
        return crate::information_schema::relation(context, work, name).await;
    }
    // What a view or a policy names is not the asking session's to replace.
    let view = match depth == 0 && context.on_behalf_of.is_none() {
        true => work.lake()?.view().clone(),
        false => work.lake()?.permanent_view().clone(),
    };
    if account_usage::is_named(context, &view, name) {
        if travel.is_some() || past_view {
            return Err(UserError::unsupported("time travel on ACCOUNT_USAGE"));
        }
        return account_usage::relation(context, work, name).await;
    }
    let qualified = context.qualify(name)?;
    // Binding tells columns and types, so what the role may not know of is absent before that.
    // Inside a view its owner's rights count; they are checked with the plan.
    if depth == 0 && is_hidden(context, &view, &qualified) {
        return Err(absent(&qualified));
    }
    if let Some(travel) = travel {
        return past(context, work, (&view, &qualified), travel, depth).await;
    }
    match view.relation(&qualified) {
        Some(CatalogRelation::Table(table)) => {
            if let Some(Pinned { snapshot, travel }) = &context.pinned
                && table.kind != TableKind::Temporary
            {
                // What else is pinned is kept beyond the retention.
                if let Some(travel) = travel {
                    within_reach(context, &view, &table, travel, *snapshot).await?;
                }
                return state_at(context, work, &table, *snapshot, depth).await;
            }
            let version = work.lake()?.table_version(&table).await?;
            table_relation(context, work, version, Kept::Nothing, depth).await
        }
        Some(CatalogRelation::View(info)) => {
            view_relation(context, work, &view, &info, context.pinned.as_ref(), depth).await
        }
        None => Err(absent(&qualified)),
    }
}

/// The table or view of this name; none where it is absent or the session's own.
fn permanent_object(view: &CatalogView, name: &QualifiedName) -> Option<ObjectRef> {
    match view.relation(name)? {
        CatalogRelation::Table(table) => {
            (table.kind != TableKind::Temporary).then(|| table_object(&table))
        }
        CatalogRelation::View(info) => Some(view_object(&info)),
    }
}

/// Whether a table or view of this name is there, but not for these roles.
pub(crate) fn is_hidden(
    context: &StatementContext,
    view: &CatalogView,
    name: &QualifiedName,
) -> bool {
    permanent_object(view, name)
        .is_some_and(|object| !context.sees(&object, &parents_of(view, name)))
}

/// A table version as the roles see it under the policies on it, with the hidden identity columns.
pub(crate) async fn table_relation(
    context: &StatementContext,
    work: &mut Work,
    version: Arc<TableVersion>,
    kept: Kept,
    depth: usize,
) -> Result<Relation, UserError> {
    let table = version.table.clone();
    context.record.lock().snapshot = Some(version.snapshot);
    let provider = work.lake()?.scan(&version);
    let temporary = table.kind == TableKind::Temporary;
    let name = &table.name;
    let reference = if temporary {
        // Only the session that made it can name it, so it needs no grant.
        TableReference::partial(INTERNAL_SCHEMA, format!("temporary {name}"))
    } else {
        TableReference::full(name.database.clone(), name.schema.clone(), name.name.clone())
    };
    let plan = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(provider), None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(UserError::internal)?;
    let relation = Relation {
        object: (!temporary).then(|| table_object(&table)),
        name: Some(name.clone()),
        columns: table.column_list(),
        plan,
        accesses: Vec::new(),
        hidden: HIDDEN_COLUMNS,
    };
    if temporary {
        return Ok(relation);
    }
    let ids: Vec<i64> = table.columns.iter().map(|column| column.field_id).collect();
    let (relation, protected) = protect(context, work, relation, &ids, kept, depth).await?;
    let mut protections = context.protections.lock();
    if protected {
        protections.protect(&reference, relation.plan.clone());
    } else {
        protections.open(&reference);
    }
    drop(protections);
    Ok(relation)
}

/// A table that a statement only adds rows to: what is in it is not looked up.
pub(crate) fn extended_relation(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
) -> Result<Relation, UserError> {
    context.record.lock().snapshot = Some(work.lake()?.snapshot());
    let columns = table.column_list();
    let schema = DFSchema::try_from(schema_of(&columns)).map_err(UserError::internal)?;
    Ok(Relation {
        object: (table.kind != TableKind::Temporary).then(|| table_object(table)),
        name: Some(table.name.clone()),
        columns,
        plan: LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(schema),
        }),
        accesses: Vec::new(),
        hidden: 0,
    })
}

/// Other clients make columns of types that have no counterpart here.
pub(crate) fn check_type(table: &TableInfo, column: &ColumnInfo) -> Result<(), UserError> {
    match column.readable {
        true => Ok(()),
        false => Err(UserError::unsupported(format!(
            "type {} of column {} in table {}",
            column.foreign_type(),
            quote_identifier(&column.name),
            table.name
        ))),
    }
}

async fn past(
    context: &StatementContext,
    work: &mut Work,
    (view, name): (&CatalogView, &QualifiedName),
    travel: &TimeTravel,
    depth: usize,
) -> Result<Relation, UserError> {
    let known = view.relation(name).ok_or_else(|| absent(name))?;
    let table = match known {
        CatalogRelation::Table(table) => table,
        CatalogRelation::View(info) => {
            // The view is that of now, and what it reads is of the past, as in Snowflake.
            let snapshot = snapshot_of(context, travel).await?;
            let pinned = Pinned { snapshot, travel: Some(travel.clone()) };
            return view_relation(context, work, view, &info, Some(&pinned), depth).await;
        }
    };
    if table.kind == TableKind::Temporary {
        return Err(UserError::unsupported("time travel on a temporary table"));
    }
    let snapshot = snapshot_of(context, travel).await?;
    within_reach(context, view, &table, travel, snapshot).await?;
    state_at(context, work, &table, snapshot, depth).await
}

async fn state_at(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    snapshot: i64,
    depth: usize,
) -> Result<Relation, UserError> {
    let version = version_at(context, table, snapshot).await?;
    table_relation(context, work, version, Kept::Nothing, depth).await
}

/// A table as a snapshot shows it, whatever its name was then.
pub(crate) async fn version_at(
    context: &StatementContext,
    table: &TableInfo,
    snapshot: i64,
) -> Result<Arc<TableVersion>, UserError> {
    let found = context.shared.lake.table_version_by_id(table.table_id, snapshot).await;
    let found = found.ok().flatten().ok_or_else(|| unreachable_state(&table.name))?;
    if found.table.name == table.name {
        return Ok(found);
    }
    // Rights and qualified names go by the name the table has now.
    let named = TableInfo { name: table.name.clone(), ..TableInfo::clone(&found.table) };
    Ok(Arc::new(TableVersion { table: Arc::new(named), ..TableVersion::clone(&found) }))
}

/// A state of a table that is not there, or not any more.
pub(crate) fn unreachable_state(name: &QualifiedName) -> UserError {
    UserError::new(
        Code::TimeTravelUnavailable,
        format!(
            "Time travel data is not available for table {}. The requested time is either beyond \
             the allowed time travel period or before the object creation time.",
            name.name
        ),
    )
}

/// Demands that the table's retention reaches back to the state.
pub(crate) async fn within_reach(
    context: &StatementContext,
    view: &CatalogView,
    table: &TableInfo,
    travel: &TimeTravel,
    snapshot: i64,
) -> Result<(), UserError> {
    let days = Retention::load(context).await?.table(view, table);
    match reaches(context, travel, snapshot, days).await? {
        true => Ok(()),
        false => Err(unreachable_state(&table.name)),
    }
}

/// Whether a retention of so many days reaches back to a state: to the moment asked for, or to
/// any at which the snapshot was the newest.
pub(crate) async fn reaches(
    context: &StatementContext,
    travel: &TimeTravel,
    snapshot: i64,
    days: u16,
) -> Result<bool, UserError> {
    let now = context.facts.now_micros;
    let earliest = reaches_back(now, days);
    let asked = match travel {
        TimeTravel::AtTimestamp(micros) | TimeTravel::BeforeTimestamp(micros) => *micros,
        TimeTravel::AtOffset(seconds) | TimeTravel::BeforeOffset(seconds) => {
            now + seconds * 1_000_000
        }
        TimeTravel::AtStatement(_) | TimeTravel::AtVersion(_) | TimeTravel::BeforeStatement(_) => {
            context.shared.catalog.current_until(snapshot).await?.unwrap_or(now)
        }
    };
    Ok(asked >= earliest)
}

/// The snapshot AT or BEFORE means.
pub(crate) async fn snapshot_of(
    context: &StatementContext,
    travel: &TimeTravel,
) -> Result<i64, UserError> {
    let catalog = &context.shared.catalog;
    let now = context.facts.now_micros;
    let not_future = |micros: i64| {
        if micros > now {
            Err(UserError::new(
                Code::TimeTravelUnavailable,
                "Time travel to a time in the future is not possible.",
            ))
        } else {
            Ok(micros)
        }
    };
    // The last moment before now is the present too.
    let at = |micros: i64| catalog.snapshot_asked_for(micros, now - 1);
    Ok(match travel {
        TimeTravel::AtVersion(snapshot) => *snapshot,
        TimeTravel::AtTimestamp(micros) => at(not_future(*micros)?).await?,
        TimeTravel::AtOffset(seconds) => at(not_future(now + seconds * 1_000_000)?).await?,
        TimeTravel::BeforeTimestamp(micros) => at(not_future(*micros)? - 1).await?,
        TimeTravel::BeforeOffset(seconds) => at(not_future(now + seconds * 1_000_000)? - 1).await?,
        TimeTravel::AtStatement(id) => match catalog.snapshot_of_statement(id).await? {
            Some(snapshot) => snapshot,
            None => read_by(context, id).await?,
        },
        TimeTravel::BeforeStatement(id) => match catalog.snapshot_before_statement(id).await? {
            Some(snapshot) => snapshot,
            None => read_by(context, id).await?,
        },
    })
}

/// The snapshot that a statement read which changed nothing.
async fn read_by(context: &StatementContext, id: &str) -> Result<i64, UserError> {
    let shared = &context.shared;
    // The statement may be among those whose records wait to be written.
    shared.history.flush().await;
    let filter = QueryFilter { query_id: Some(id.to_string()), ..QueryFilter::default() };
    let found = shared.accounts.query_history(&filter).await?.into_iter().next();
    let Some(query) = found.filter(|query| query.state == QueryState::Success) else {
        return Err(UserError::new(
            Code::TimeTravelUnavailable,
            format!("Statement {id} not found, or it failed."),
        ));
    };
    // What it read last may have been the past.
    let began = shared.catalog.snapshot_at(query.start_time).await?;
    Ok(query.snapshot_id.map_or(began, |read| read.max(began)))
}

/// Plans a view's query with its own database and schema; what it reads is read with its owner's
/// rights. Of a secure view only its owner learns why it cannot be read.
async fn view_relation(
    context: &StatementContext,
    work: &mut Work,
    catalog: &CatalogView,
    info: &Arc<ViewInfo>,
    pinned: Option<&Pinned>,
    depth: usize,
) -> Result<Relation, UserError> {
    let object = view_object(info);
    let owner =
        context.model.owner(&object).unwrap_or(frazil_governance::system::ACCOUNTADMIN).to_string();
    // Below another view too it is the session's roles that are told.
    let closed = info.secure && !context.model.includes(&context.roles, &owner);
    let failure = |error: UserError| expansion_failure(&info.name.name, closed, &error);
    let planned = plan_view(context, work, info, &owner, pinned, depth).await.map_err(failure)?;
    let declared = foreign_view::declared(info, &planned.columns);
    check_declared(info, &declared, &planned)?;
    let columns = declared
        .iter()
        .zip(&planned.columns)
        .map(|(declared, found)| {
            frazil_common::Column::new(&declared.name, found.sql_type.clone(), found.nullable)
        })
        .collect();
    let accesses: Vec<Access> = planned
        .accesses
        .into_iter()
        .map(|access| Access {
            on_behalf_of: access.on_behalf_of.or_else(|| Some(owner.clone())),
            ..access
        })
        .collect();
    let containers = |object: &ObjectRef| parents_by_object(catalog, object);
    authorize_accesses(&accesses, &containers, &context.model, &context.roles).map_err(failure)?;
    let plan = if info.secure {
        Sealed::whole(planned.plan, closed).map_err(UserError::internal)?
    } else {
        planned.plan
    };
    let plan = under_its_name(plan, info, &declared)?;
    let relation = Relation {
        object: Some(object),
        name: Some(info.name.clone()),
        columns,
        plan,
        accesses,
        hidden: 0,
    };
    let ids: Vec<i64> = (1..).take(relation.columns.len()).collect();
    Ok(protect(context, work, relation, &ids, Kept::Nothing, depth).await?.0)
}

/// The columns of a view: of one that DuckDB made, which declares no types, those of its query by now.
///
/// # Errors
/// Such a query that cannot be read.
pub(crate) async fn view_columns(
    context: &StatementContext,
    work: &mut Work,
    info: &Arc<ViewInfo>,
) -> Result<Vec<Column>, UserError> {
    if info.foreign.is_none() {
        return Ok(info.columns.clone());
    }
    let catalog = work.lake()?.permanent_view().clone();
    Ok(view_relation(context, work, &catalog, info, None, 0).await?.columns)
}

/// The same for a list of views, in which one that cannot be read has no columns.
pub(crate) async fn listed_columns(
    context: &StatementContext,
    work: &mut Work,
    info: &Arc<ViewInfo>,
) -> Result<Vec<Column>, UserError> {
    match view_columns(context, work, info).await {
        Err(error) if error.code == Code::Unsupported || error.is_compilation() => Ok(Vec::new()),
        found => found,
    }
}

/// What is told of a view whose query cannot be read. `closed`: nothing of what lies below it.
fn expansion_failure(view: &str, closed: bool, error: &UserError) -> UserError {
    let denied = error.code == Code::InsufficientPrivileges;
    let words = format!("Failure during expansion of view '{view}'");
    let told = match (closed, error.message.as_str()) {
        (true, _) => words,
        (_, inner) if inner.starts_with("SQL ") || !(denied || error.is_compilation()) => {
            format!("{words}: {inner}")
        }
        (_, inner) if denied => format!("{words}: SQL access control error:\n{inner}"),
        (_, inner) => format!("{words}: SQL compilation error:\n{inner}"),
    };
    // Faults of the server, and cancelling, are none of the view.
    let code = if denied || error.is_compilation() { Code::ViewExpansion } else { error.code };
    UserError::new(code, told)
}

/// A view's plan under the view's name and those of its columns, by which the access history knows
/// where values come from.
fn under_its_name(
    plan: LogicalPlan,
    info: &ViewInfo,
    declared: &[Column],
) -> Result<LogicalPlan, UserError> {
    let fields = plan.schema().columns().into_iter().zip(declared);
    let named: Vec<Expr> =
        fields.map(|(field, column)| Expr::Column(field).alias(&column.name)).collect();
    let name = &info.name;
    let reference =
        TableReference::full(name.database.clone(), name.schema.clone(), name.name.clone());
    LogicalPlanBuilder::from(plan)
        .project(named)
        .and_then(|plan| plan.alias(reference))
        .and_then(LogicalPlanBuilder::build)
        .map_err(UserError::internal)
}

async fn plan_view(
    context: &StatementContext,
    work: &mut Work,
    info: &ViewInfo,
    owner: &str,
    pinned: Option<&Pinned>,
    depth: usize,
) -> Result<Planned, UserError> {
    let query = foreign_view::view_query(info)?;
    let inner = context.for_view(&info.name.database, &info.name.schema);
    let mut inner = inner.of_owner(owner).invoked_by(owner);
    inner.binds.clear();
    inner.pinned = pinned.cloned();
    plan_in_view(&inner, work, &query, &info.text, owner, depth).await
}

/// Refuses a view whose columns are not the declared ones any more.
fn check_declared(info: &ViewInfo, columns: &[Column], planned: &Planned) -> Result<(), UserError> {
    if info.foreign.is_some() {
        return Ok(());
    }
    let declared = columns.iter().map(|column| &column.name);
    // Values found now may not be those that the view's columns are named by.
    let query = frazil_dialect::parse_query(&info.text)?;
    if !declared.eq(planned.columns.iter().map(|column| &column.name)) && depend_on_rows(&query)? {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "View definition for '{}' declared other columns than its PIVOT produces by now; \
                 create it again.",
                info.name
            ),
        ));
    }
    if planned.columns.len() != info.columns.len() {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "View definition for '{}' declared {} column(s), but view query produces {} \
                 column(s).",
                info.name,
                info.columns.len(),
                planned.columns.len()
            ),
        ));
    }
    Ok(())
}

/// Plans a query of a view's text.
pub(crate) async fn plan_in_view(
    inner: &StatementContext,
    work: &mut Work,
    query: &Query,
    source: &str,
    owner: &str,
    depth: usize,
) -> Result<Planned, UserError> {
    let place = Place::View { owner, depth };
    let written = written_out(inner, work, query, source, place).await?;
    let query = written.as_ref().unwrap_or(query);
    let none = Default::default();
    let empty = frazil_planner::Resolved::default();
    let wanted = {
        let plan_context =
            PlanContext::new(&inner.facts, &empty, &inner.binds, &none).with_source(source);
        references(query, &plan_context)?
    };
    let resolved = resolve(inner, work, wanted, depth + 1).await?;
    let plan_context =
        PlanContext::new(&inner.facts, &resolved, &inner.binds, &none).with_source(source);
    plan_query(query, &plan_context)
}

/// The table a DML statement writes: absent tables and views are errors. A hidden one is absent.
pub(crate) fn target_table(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<Arc<TableInfo>, UserError> {
    let qualified = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let hidden = is_hidden(context, &view, &qualified);
    match view.relation(&qualified).filter(|_| !hidden) {
        Some(CatalogRelation::Table(table)) => Ok(table),
        Some(CatalogRelation::View(_)) => Err(UserError::new(
            Code::InvalidStatement,
            format!("Object '{qualified}' is a view and cannot be changed by this statement."),
        )),
        None => Err(UserError::not_found("Table", &qualified)),
    }
}

//! CREATE TABLE, SCHEMA and DATABASE … CLONE: files are shared, definitions are copied.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::account::{AccountView, TagReference};
use frazil_catalog::{
    CatalogView, CopiedGrants, CopiedObjects, CopiedPolicies, DatabaseInfo, Relation, SchemaInfo,
    TableInfo, TableKind, ViewInfo,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, QualifiedName, UserError, quote_identifier,
};
use frazil_dialect::{CreateTable, NamespaceClone, TimeTravelPoint};
use frazil_governance::Requirement;
use frazil_lake::{Clustering, LakeTransaction, NewClone, NewTable, NewView, TableVersion};
use frazil_planner::{Resolved, TimeTravel, time_travel};

use crate::history::access::note_cloned;
use crate::resolve::objects::{database_object, parents_of, schema_object, table_object};
use crate::resolve::policies::hides_columns;
use crate::resolve::relation::{snapshot_of, unreachable_state, version_at, within_reach};
use crate::resolve::tags::{effective, levels};
use crate::run::execute::{Operators, run_to_stream};
use crate::statements::constraints;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_table::copied;
use crate::statements::defaults::{draw_from, draws, sequence_of};
use crate::statements::lookup::schema_name;
use crate::statements::ownership::{Made, made};
use crate::statements::query::{operators, plan, plan_context};
use crate::statements::retention::Retention;
use crate::statements::table_options::TableOptions;

/// What a table is cloned from.
pub(crate) enum TableSource {
    /// A committed state.
    Lasting(Arc<TableVersion>),
    /// From or to a temporary table rows are copied: its files end with its session.
    Rows(Arc<TableInfo>, Operators),
}

impl TableSource {
    /// The source's id.
    pub fn table_id(&self) -> i64 {
        match self {
            TableSource::Lasting(version) => version.table.table_id,
            TableSource::Rows(table, _) => table.table_id,
        }
    }
}

/// The state of the account that a clone starts from.
struct Origin {
    view: Arc<CatalogView>,
    travel: Option<TimeTravel>,
}

async fn origin(
    context: &StatementContext,
    work: &mut Work,
    point: Option<&TimeTravelPoint>,
) -> Result<Origin, UserError> {
    let travel = match point {
        None => None,
        Some(point) => {
            let empty = Resolved::default();
            Some(time_travel(point, &plan_context(context, &empty, &context.text))?)
        }
    };
    let snapshot = match &travel {
        None => work.lake()?.snapshot(),
        Some(travel) => snapshot_of(context, travel).await?,
    };
    Ok(Origin { view: context.shared.catalog.view(snapshot).await?, travel })
}

/// Finds the source of a table's clone, which the role must be able to read.
pub(crate) async fn table_source(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
    point: Option<&TimeTravelPoint>,
    kind: TableKind,
) -> Result<TableSource, UserError> {
    let name = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let now = match view.relation(&name) {
        Some(Relation::Table(table)) => table,
        Some(Relation::View(_)) => {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!("Object '{name}' is a view and cannot be cloned as a table."),
            ));
        }
        None => return Err(UserError::not_found("Table", &name)),
    };
    if now.kind == TableKind::Temporary {
        if point.is_some() {
            return Err(UserError::unsupported("time travel on a temporary table"));
        }
        check_kinds(now.kind, kind)?;
        return rows_of(context, work, now, "").await;
    }
    context.authorize(&[Requirement::new(
        table_object(&now),
        parents_of(&view, &name),
        Privilege::Select,
    )])?;
    let origin = origin(context, work, point).await?;
    if let Some(travel) = &origin.travel {
        within_reach(context, &view, &now, travel, origin.view.snapshot).await?;
    }
    let snapshot = origin.view.snapshot;
    let version = version_at(context, &now, snapshot).await?;
    let version = with_sequences_of_now(version, &origin.view, &view)?;
    check_kinds(version.table.kind, kind)?;
    if kind == TableKind::Temporary {
        let at = format!(" AT (VERSION => {snapshot})");
        return rows_of(context, work, version.table.clone(), &at).await;
    }
    Ok(TableSource::Lasting(version))
}

/// A table of the past whose defaults draw from the sequences that they drew from, where the databases of
/// these have other names by now.
fn with_sequences_of_now(
    version: Arc<TableVersion>,
    then: &CatalogView,
    now: &CatalogView,
) -> Result<Arc<TableVersion>, UserError> {
    let mut columns = version.table.columns.clone();
    for column in &mut columns {
        let Some(default) = column.default.as_ref().filter(|_| !column.foreign_default) else {
            continue;
        };
        if !draws(default)? {
            continue;
        }
        let Some(sequence) = sequence_of(default)? else { continue };
        let database = then.database(&sequence.database);
        let Some(named) = database.and_then(|then| now.database_by_id(then.database_id)) else {
            continue;
        };
        let name = QualifiedName::new(&named.name, &sequence.schema, &sequence.name);
        column.default = Some(draw_from(&name));
    }
    if columns == version.table.columns {
        return Ok(version);
    }
    let table = Arc::new(TableInfo { columns, ..TableInfo::clone(&version.table) });
    Ok(Arc::new(TableVersion { table, ..TableVersion::clone(&version) }))
}

async fn rows_of(
    context: &StatementContext,
    work: &mut Work,
    table: Arc<TableInfo>,
    at: &str,
) -> Result<TableSource, UserError> {
    let text = format!("SELECT * FROM {}{at}", table.name);
    let query = frazil_dialect::parse_query(&text)?;
    let planned = plan(context, work, &query, &text).await?;
    let operators = operators(context, work, &planned).await?;
    Ok(TableSource::Rows(table, operators))
}

/// Makes the clone of a table.
pub(crate) async fn table(
    context: &StatementContext,
    work: &mut Work,
    source: TableSource,
    name: &QualifiedName,
    kind: TableKind,
    create: &CreateTable,
    options: &TableOptions,
) -> Result<Arc<TableInfo>, UserError> {
    if !create.cluster_by.is_empty() {
        return Err(UserError::unsupported("CLUSTER BY in CREATE TABLE … CLONE"));
    }
    let lake = work.lake()?;
    let (from, operators) = match source {
        TableSource::Rows(from, operators) => (from, operators),
        TableSource::Lasting(version) => {
            let clone = NewClone {
                name: name.clone(),
                kind,
                comment: create.comment.clone(),
                retention_days: options
                    .retention_days
                    .or_else(|| kept_retention(&version.table, kind)),
                change_tracking: options.change_tracking,
                defaults: HashMap::new(),
            };
            let table = lake.clone_table(&version, clone).await?;
            note_cloned(context, &version.table, &table);
            keep_policies(lake, &version.table, &table);
            let account = context.shared.accounts.view().await?;
            let from = (ObjectKind::Table, version.table.table_id, &version.table.name);
            keep_masking_tags(&account, lake, from, (table.table_id, &table.name));
            let source = &version.table;
            let view = lake.view().clone();
            let keys = kept_clustering(source).map(|keys| keys.columns).unwrap_or_default();
            if hides_columns(context, &account, &view, source, &keys).await? {
                // The order of rows would tell its owner what he may not see.
                lake.cluster_table(name, None)?;
                return Ok(lake.table(name)?);
            }
            return Ok(table);
        }
    };
    let rows = run_to_stream(&context.runtime, operators, &context.cancel)?;
    let new = NewTable {
        name: name.clone(),
        columns: from.columns.iter().cloned().map(copied).collect(),
        kind,
        comment: create.comment.clone().or_else(|| from.comment.clone()),
        cluster_by: kept_clustering(&from),
        retention_days: options.retention_days.or_else(|| kept_retention(&from, kind)),
        change_tracking: options.change_tracking.unwrap_or(from.change_tracking.is_some()),
    };
    lake.create_table(new).await?;
    constraints::copy(work, &from, name)?;
    let lake = work.lake()?;
    let table = lake.table(name)?;
    lake.append(&table, rows).await?;
    Ok(table)
}

/// The clustering keys go along, as far as they are columns.
pub(crate) fn kept_clustering(from: &TableInfo) -> Option<Clustering> {
    let columns = from.sorted_columns();
    if columns.len() < from.sort_keys.len() {
        // Another client's expressions are kept, and not understood.
        return None;
    }
    let columns = columns.into_iter();
    Some(Clustering {
        text: from.cluster_by.clone()?,
        columns: columns.map(|(place, _)| from.columns[place].name.clone()).collect(),
    })
}

/// An own retention goes along, as far as the new kind allows it.
fn kept_retention(from: &TableInfo, kind: TableKind) -> Option<u16> {
    let short = kind != TableKind::Permanent;
    from.retention_days.map(|days| if short { days.min(1) } else { days })
}

fn check_kinds(from: TableKind, to: TableKind) -> Result<(), UserError> {
    match (from, to) {
        (TableKind::Temporary, TableKind::Permanent) => Err(UserError::new(
            Code::CloneOfTemporary,
            "Temp table cannot be cloned to a permanent table; clone to a transient table instead.",
        )),
        (TableKind::Transient, TableKind::Permanent) => Err(transient_to_permanent()),
        _ => Ok(()),
    }
}

fn transient_to_permanent() -> UserError {
    UserError::new(
        Code::CloneOfTransient,
        "Transient object cannot be cloned to a permanent object.",
    )
}

/// The schema a clone starts from.
pub(crate) struct SchemaSource {
    view: Arc<CatalogView>,
    schema: Arc<SchemaInfo>,
}

/// Finds the source of a schema's clone, of which the role must have USAGE.
pub(crate) async fn schema_source(
    context: &StatementContext,
    work: &mut Work,
    clone: &NamespaceClone,
    transient: bool,
) -> Result<SchemaSource, UserError> {
    let (database, name) = schema_name(context, &clone.source)?;
    let absent = || {
        UserError::not_found(
            "Schema",
            format!("{}.{}", quote_identifier(&database), quote_identifier(&name)),
        )
    };
    let view = work.lake()?.view().clone();
    let now = view.schema(&database, &name).ok_or_else(absent)?;
    context.authorize(&[Requirement::new(
        schema_object(now),
        database_object(&view, &database).into_iter().collect(),
        Privilege::Usage,
    )])?;
    let origin = origin(context, work, clone.point.as_ref()).await?;
    check_reach(context, &origin, Retention::load(context).await?.schema(&view, now)).await?;
    // Its database may have had another name then.
    let then = origin.view.schemas().find(|then| then.schema_id == now.schema_id);
    let then = then.cloned().ok_or_else(absent)?;
    if then.transient && !transient {
        return Err(transient_to_permanent());
    }
    Ok(SchemaSource { view: origin.view, schema: then })
}

async fn check_reach(
    context: &StatementContext,
    origin: &Origin,
    days: u16,
) -> Result<(), UserError> {
    let Some(travel) = &origin.travel else { return Ok(()) };
    let fits = crate::resolve::relation::reaches(context, travel, origin.view.snapshot, days);
    match fits.await? {
        true => Ok(()),
        false => Err(UserError::new(
            Code::TimeTravelUnavailable,
            "Time travel data is not available. The requested time is either beyond the allowed \
             time travel period or before the object creation time.",
        )),
    }
}

/// Fills a new schema with clones of what another holds.
pub(crate) async fn schema(
    context: &StatementContext,
    work: &mut Work,
    source: &SchemaSource,
    to: &Arc<SchemaInfo>,
) -> Result<(), UserError> {
    let database_id = work.lake()?.view().database(&to.database).map(|found| found.database_id);
    let database_id = database_id
        .ok_or_else(|| UserError::not_found("Database", quote_identifier(&to.database)))?;
    let lake = work.lake()?;
    fill_schema(context, lake, &source.view, &source.schema, to, (database_id, false)).await
}

/// The defaults of a table's columns that draw from a sequence which is cloned with the table: those of its
/// clone draw from the sequence's clone, as in Snowflake.
fn moved_sequences(
    table: &TableInfo,
    from: &SchemaInfo,
    to: &SchemaInfo,
    whole_database: bool,
) -> Result<HashMap<String, String>, UserError> {
    let mut moved = HashMap::new();
    for column in &table.columns {
        let Some(default) = &column.default else { continue };
        if column.foreign_default || !draws(default)? {
            continue;
        }
        let Some(sequence) = sequence_of(default)? else { continue };
        let schema = match &sequence.schema {
            own if *own == from.name => &to.name,
            other if whole_database => other,
            _ => continue,
        };
        if sequence.database == from.database {
            let name = QualifiedName::new(&to.database, schema, &sequence.name);
            moved.insert(column.name.clone(), draw_from(&name));
        }
    }
    Ok(moved)
}

async fn fill_schema(
    context: &StatementContext,
    lake: &mut LakeTransaction,
    view: &Arc<CatalogView>,
    from: &SchemaInfo,
    to: &SchemaInfo,
    (database_id, whole_database): (i64, bool),
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    let from_database = view.database(&from.database).map(|found| found.database_id);
    let same_database = from_database == Some(database_id);
    // What is there now, or was dropped and is kept, has its policies on record.
    let now = lake.view().clone();
    let tables: Vec<Arc<TableInfo>> = view.tables_in(&from.database, &from.name).cloned().collect();
    for table in tables {
        if now.table_by_id(table.table_id).is_none()
            && account.owner(ObjectKind::Table, table.table_id).is_none()
        {
            return Err(unreachable_state(&table.name));
        }
        let kind = if to.transient { TableKind::Transient } else { table.kind };
        let version = context.shared.lake.table_version_at(&table.name, view.snapshot).await?;
        let clone = NewClone {
            name: QualifiedName::new(&to.database, &to.name, &table.name.name),
            kind,
            comment: None,
            retention_days: kept_retention(&table, kind),
            change_tracking: None,
            defaults: moved_sequences(&version.table, from, to, whole_database)?,
        };
        let version = with_sequences_of_now(version, view, &now)?;
        let made = lake.clone_table(&version, clone).await?;
        note_cloned(context, &version.table, &made);
        keep_policies(lake, &version.table, &made);
        keep_grants(
            context,
            lake,
            ObjectKind::Table,
            (table.table_id, made.table_id),
            made.name.clone(),
            same_database,
        );
    }
    let views: Vec<Arc<ViewInfo>> = view.views_in(&from.database, &from.name).cloned().collect();
    for found in views {
        if !now.views().any(|view| view.view_id == found.view_id)
            && account.owner(ObjectKind::View, found.view_id).is_none()
        {
            return Err(unreachable_state(&found.name));
        }
        let made = lake.create_view(NewView {
            name: QualifiedName::new(&to.database, &to.name, &found.name.name),
            text: found.text.clone(),
            foreign: found.foreign.clone(),
            columns: found.columns.clone(),
            column_comments: found.column_comments.clone(),
            secure: found.secure,
            comment: found.comment.clone(),
        })?;
        lake.account().copied_policies.push(CopiedPolicies {
            kind: ObjectKind::View,
            from: found.view_id,
            to: made.view_id,
            columns: (1..).take(made.columns.len()).collect(),
        });
        keep_grants(
            context,
            lake,
            ObjectKind::View,
            (found.view_id, made.view_id),
            made.name.clone(),
            same_database,
        );
    }
    keep_tags(lake, ObjectKind::Schema, from.schema_id, to.schema_id);
    if let Some(from_database) = from_database {
        keep_database_tags(&account, lake, (from, from_database), (to, database_id));
    }
    lake.account().copied_objects.push(CopiedObjects {
        from_schema: from.schema_id,
        to_database: database_id,
        to_schema: to.schema_id,
        same_database,
        role: context.role().to_string(),
    });
    Ok(())
}

/// The policies and tags on a table are on its clone too.
fn keep_policies(lake: &mut LakeTransaction, from: &TableInfo, to: &TableInfo) {
    lake.account().copied_policies.push(CopiedPolicies {
        kind: ObjectKind::Table,
        from: from.table_id,
        to: to.table_id,
        columns: to.columns.iter().map(|column| column.field_id).collect(),
    });
}

/// A tag that masks what a table is cloned from, and comes from its schema or database, goes along
/// where the clone is in another: it must not show more. The same of a table or view that is moved.
pub(crate) fn keep_masking_tags(
    account: &AccountView,
    lake: &mut LakeTransaction,
    (kind, from, from_name): (ObjectKind, i64, &QualifiedName),
    (to, to_name): (i64, &QualifiedName),
) {
    if !account.has_tag_policies() {
        return;
    }
    let view = lake.view().clone();
    let levels_of = |id: i64, name: &QualifiedName| {
        let object = ObjectRef { kind, id, name: name.to_string() };
        levels(&object, &parents_of(&view, name), None)
    };
    let there = effective(account, &levels_of(to, to_name));
    for tag in effective(account, &levels_of(from, from_name)) {
        let masks = !account.policies_on(ObjectKind::Tag, tag.tag).is_empty();
        let inherited = tag.on != (kind, from);
        if masks && inherited && !there.iter().any(|known| known.tag == tag.tag) {
            let on = (kind, to);
            lake.account().tags.push(TagReference { on, column: 0, ..tag.clone() });
        }
    }
}

/// The tags on a schema or database are on its clone too.
fn keep_tags(lake: &mut LakeTransaction, kind: ObjectKind, from: i64, to: i64) {
    lake.account().copied_policies.push(CopiedPolicies { kind, from, to, columns: Vec::new() });
}

/// The same of a schema that is cloned into another database.
fn keep_database_tags(
    account: &AccountView,
    lake: &mut LakeTransaction,
    (from, from_database): (&SchemaInfo, i64),
    (to, to_database): (&SchemaInfo, i64),
) {
    let database = |id: i64| (ObjectKind::Database, id);
    let (old, new) = (database(from_database), database(to_database));
    let cloned =
        |copied: &CopiedPolicies| (copied.kind, copied.from, copied.to) == (old.0, old.1, new.1);
    if lake.account().copied_policies.iter().any(cloned) {
        return;
    }
    let own = account.tags_on(ObjectKind::Schema, from.schema_id);
    let kept: Vec<TagReference> = account
        .tags_on(old.0, old.1)
        .iter()
        .filter(|tag| !account.policies_on(ObjectKind::Tag, tag.tag).is_empty())
        .filter(|tag| !account.tags_on(new.0, new.1).iter().any(|known| known.tag == tag.tag))
        .filter(|tag| !own.iter().any(|known| known.tag == tag.tag))
        .map(|tag| TagReference { on: (ObjectKind::Schema, to.schema_id), ..tag.clone() })
        .collect();
    lake.account().tags.extend(kept);
}

/// What a cloned container holds keeps the owner and the grants it has there.
fn keep_grants(
    context: &StatementContext,
    lake: &mut LakeTransaction,
    kind: ObjectKind,
    (from, to): (i64, i64),
    name: QualifiedName,
    same_database: bool,
) {
    made(context, lake, Made { kind, id: to, name });
    let copied = CopiedGrants { kind, from, to, owner: true, same_database };
    lake.account().copied_grants.push(copied);
}

/// The database a clone starts from.
pub(crate) struct DatabaseSource {
    view: Arc<CatalogView>,
    database: Arc<DatabaseInfo>,
}

/// Finds the source of a database's clone, of which the role must have USAGE.
pub(crate) async fn database_source(
    context: &StatementContext,
    work: &mut Work,
    clone: &NamespaceClone,
    transient: bool,
) -> Result<DatabaseSource, UserError> {
    let name = crate::statements::lookup::single(&clone.source)?;
    let absent = || UserError::not_found("Database", quote_identifier(&name));
    let view = work.lake()?.view().clone();
    let now = view.database(&name).ok_or_else(absent)?;
    let object = database_object(&view, &name).ok_or_else(absent)?;
    context.authorize(&[Requirement::new(object, Vec::new(), Privilege::Usage)])?;
    let origin = origin(context, work, clone.point.as_ref()).await?;
    check_reach(context, &origin, Retention::load(context).await?.database(now)).await?;
    // It may have had another name then.
    let then = origin.view.database_by_id(now.database_id).cloned().ok_or_else(absent)?;
    if then.transient && !transient {
        return Err(transient_to_permanent());
    }
    Ok(DatabaseSource { view: origin.view, database: then })
}

/// Fills a new database with clones of another's schemas.
pub(crate) async fn database(
    context: &StatementContext,
    work: &mut Work,
    source: &DatabaseSource,
    to: &Arc<DatabaseInfo>,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    let lake = work.lake()?;
    keep_tags(lake, ObjectKind::Database, source.database.database_id, to.database_id);
    let schemas: Vec<Arc<SchemaInfo>> =
        source.view.schemas_in(&source.database.name).cloned().collect();
    for from in schemas {
        let transient = to.transient || from.transient;
        let made = lake.create_schema(
            &to.name,
            &from.name,
            transient,
            from.comment.clone(),
            from.retention_days.map(|days| if transient { days.min(1) } else { days }),
        )?;
        if account.managed_schemas.contains(&from.schema_id) {
            lake.account().managed_schemas.push(made.schema_id);
        }
        let name = QualifiedName::new(&to.name, &from.name, "");
        let ids = (from.schema_id, made.schema_id);
        keep_grants(context, lake, ObjectKind::Schema, ids, name, false);
        fill_schema(context, lake, &source.view, &from, &made, (to.database_id, true)).await?;
    }
    Ok(())
}

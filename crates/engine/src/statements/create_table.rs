//! CREATE TABLE: column lists, AS SELECT, LIKE.

use frazil_catalog::{
    Autoincrement, CatalogView, ColumnInfo, Relation as CatalogRelation, TableInfo, TableKind,
};
use frazil_common::{
    Code, Column, ObjectKind, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
};
use frazil_dialect::{ColumnDefinition, CreateTable, CreateTableSource, Persistence};
use frazil_governance::{Requirement, may_bring_grants};
use frazil_lake::{LakeTransaction, NewTable};
use frazil_planner::{Planned, sql_type};

use crate::history::access::note_created;
use crate::resolve::objects::{
    database_object, parents_of, schema, schema_object, table_object, view_object,
};
use crate::resolve::relation::{check_type, target_table};
use crate::run::execute::run_to_stream;
use crate::statements::clone;
use crate::statements::clustering::clustering;
use crate::statements::constraints;
use crate::statements::context::{StatementContext, Work};
use crate::statements::defaults;
use crate::statements::outcome::{Changes, Outcome};
use crate::statements::ownership::{Made, gone, made, made_with_grants};
use crate::statements::policy::DefinedPolicies;
use crate::statements::query::{operators, plan};
use crate::statements::table_options::TableOptions;
use crate::statements::tag::{DefinedTags, copy_tags};

/// Checks that the role may create such an object in a schema that exists.
pub(crate) fn authorize_create(
    context: &StatementContext,
    work: &mut Work,
    name: &QualifiedName,
    privilege: Privilege,
) -> Result<(), UserError> {
    let view = work.lake()?.view().clone();
    let schema = schema(&view, &name.database, &name.schema)?;
    let database: Vec<ObjectRef> = database_object(&view, &name.database).into_iter().collect();
    context.authorize(&[Requirement::new(schema_object(&schema), database, privilege)])
}

/// Checks that an object may come into a schema with the grants that it has.
pub(crate) fn authorize_grants_of(
    context: &StatementContext,
    view: &CatalogView,
    name: &QualifiedName,
) -> Result<(), UserError> {
    let schema = schema(view, &name.database, &name.schema)?;
    let database: Vec<ObjectRef> = database_object(view, &name.database).into_iter().collect();
    may_bring_grants(&context.model, &context.roles, &schema_object(&schema), &database)
}

/// Checks that the role may move an object of its own into another schema.
pub(crate) fn authorize_move(
    context: &StatementContext,
    work: &mut Work,
    name: &QualifiedName,
    privilege: Privilege,
) -> Result<(), UserError> {
    authorize_create(context, work, name, privilege)?;
    let view = work.lake()?.view().clone();
    authorize_grants_of(context, &view, name)
}

/// What stands under the name a CREATE wants, and whether to go on.
pub(crate) enum Occupied {
    Free,
    /// OR REPLACE: drop this first.
    Replace(ObjectRef),
    /// IF NOT EXISTS: nothing to do.
    Keep,
}

/// Decides what CREATE does about a table or view of the name.
pub(crate) fn occupied(
    context: &StatementContext,
    work: &mut Work,
    name: &QualifiedName,
    mode: frazil_dialect::CreateMode,
    temporary: bool,
) -> Result<Occupied, UserError> {
    let view = work.lake()?.view().clone();
    let (object, found_temporary) = match view.relation(name) {
        None => return Ok(Occupied::Free),
        Some(CatalogRelation::Table(table)) => {
            (table_object(&table), table.kind == TableKind::Temporary)
        }
        Some(CatalogRelation::View(view)) => (view_object(&view), false),
    };
    if temporary && !found_temporary {
        // A temporary table shadows the permanent one of its name.
        return Ok(Occupied::Free);
    }
    if mode.if_not_exists {
        return Ok(Occupied::Keep);
    }
    if !mode.or_replace {
        return Err(UserError::exists(frazil_common::quote_identifier(&name.name)));
    }
    if !found_temporary {
        context.authorize(&[Requirement::new(
            object.clone(),
            parents_of(&view, name),
            Privilege::Ownership,
        )])?;
    }
    Ok(Occupied::Replace(object))
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateTable,
) -> Result<Outcome, UserError> {
    let name = context.qualify(&create.name)?;
    let in_transient = {
        let view = work.lake()?.view();
        view.schema(&name.database, &name.schema).is_some_and(|schema| schema.transient)
    };
    let kind = match create.persistence {
        // What a transient schema holds is transient too.
        Persistence::Permanent if in_transient => TableKind::Transient,
        Persistence::Permanent => TableKind::Permanent,
        Persistence::Transient => TableKind::Transient,
        Persistence::Temporary => TableKind::Temporary,
    };
    if kind == TableKind::Temporary {
        let view = work.lake()?.view().clone();
        let schema = schema(&view, &name.database, &name.schema)?;
        let database = database_object(&view, &name.database).into_iter().collect();
        context.authorize(&[Requirement::new(
            schema_object(&schema),
            database,
            Privilege::Usage,
        )
        .or(Privilege::CreateTable)])?;
    } else {
        authorize_create(context, work, &name, Privilege::CreateTable)?;
    }
    let options = TableOptions::read("TABLE", &create.options, kind != TableKind::Permanent)?;
    let occupied = occupied(context, work, &name, create.mode, kind == TableKind::Temporary)?;
    if matches!(occupied, Occupied::Keep) {
        return Outcome::status(format!("{} already exists, statement succeeded.", name.name));
    }
    let mut cloned = None;
    let mut like = None;
    let (columns, query) = match &create.source {
        CreateTableSource::Columns { columns, constraints: _ } => {
            (definitions(context, columns).await?, None)
        }
        CreateTableSource::AsSelect { columns, constraints: _, query } => {
            let planned = plan(context, work, query, &context.text).await?;
            let (columns, planned) = as_select(context, columns, planned).await?;
            (columns, Some(planned))
        }
        CreateTableSource::Like(source) => {
            let source = target_table(context, work, source)?;
            authorize_read(context, work, &source)?;
            source.columns.iter().try_for_each(|column| check_type(&source, column))?;
            let columns = source.columns.iter().cloned().map(copied).collect();
            like = Some(source);
            (columns, None)
        }
        CreateTableSource::Clone { source, point } => {
            cloned = Some(clone::table_source(context, work, source, point.as_ref(), kind).await?);
            (Vec::new(), None)
        }
    };
    check_columns(&columns)?;
    let cluster_by = match (&cloned, &like) {
        (Some(_), _) => None,
        (None, Some(source)) if create.cluster_by.is_empty() => clone::kept_clustering(source),
        (None, _) => clustering(&create.cluster_by, &columns)?,
    };
    let rows = match &query {
        Some(planned) => Some(operators(context, work, planned).await?),
        None => None,
    };
    let tags = match &create.source {
        CreateTableSource::Columns { columns, .. }
        | CreateTableSource::AsSelect { columns, .. } => {
            let columns = columns.iter().map(|column| (&column.name, column.tags.as_slice()));
            DefinedTags::find(context, work, &create.tags, columns).await?
        }
        CreateTableSource::Like(_) | CreateTableSource::Clone { .. } => {
            DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?
        }
    };
    let policies = defined_policies(context, work, create, &columns).await?;
    if kind == TableKind::Temporary && !tags.is_empty() {
        return Err(UserError::unsupported("tags on a temporary table"));
    }
    if kind == TableKind::Temporary && !policies.is_empty() {
        return Err(UserError::unsupported("policies on a temporary table"));
    }
    let done = format!("Table {} successfully created.", name.name);
    if context.describe_only {
        return Outcome::status(done);
    }
    let replaced = match &occupied {
        Occupied::Replace(object) => work.lake()?.view().table_by_id(object.id).cloned(),
        _ => None,
    };
    let replaced = replaced.filter(|_| create.copy_tags && kind != TableKind::Temporary);
    let account = context.shared.accounts.view().await?;
    if let Occupied::Replace(object) = &occupied {
        match object.kind {
            ObjectKind::View => {
                let lake = work.lake()?;
                lake.drop_view(&name)?;
                gone(lake, ObjectKind::View, object.id);
            }
            _ => drop(work.lake()?.drop_table(&name)?),
        }
    }
    if let Some(source) = cloned {
        let source_id = source.table_id();
        let table = clone::table(context, work, source, &name, kind, create, &options).await?;
        record_owner(context, work.lake()?, &table, create, &occupied, Some(source_id));
        tags.record_table(work.lake()?, &table);
        if let Some(replaced) = &replaced {
            copy_tags(&account, work.lake()?, replaced, &table);
        }
        return Outcome::status(done);
    }
    work.lake()?
        .create_table(NewTable {
            name: name.clone(),
            columns,
            kind,
            comment: create
                .comment
                .clone()
                .or_else(|| like.as_ref().and_then(|source| source.comment.clone())),
            cluster_by,
            retention_days: options.retention_days,
            change_tracking: options.change_tracking == Some(true),
        })
        .await?;
    match (&create.source, &like) {
        (CreateTableSource::Columns { columns, constraints }, _)
        | (CreateTableSource::AsSelect { columns, constraints, .. }, _) => {
            constraints::add(context, work, &name, columns, constraints)?;
        }
        (_, Some(source)) => constraints::copy(work, source, &name)?,
        (_, None) => {}
    }
    let table = work.lake()?.table(&name)?;
    let source_id = like.as_ref().map(|source| source.table_id);
    record_owner(context, work.lake()?, &table, create, &occupied, source_id);
    if let Some(source) = like.as_ref().filter(|_| kind != TableKind::Temporary) {
        copy_tags(&account, work.lake()?, source, &table);
    }
    tags.record_table(work.lake()?, &table);
    policies.record_table(work.lake()?, &table)?;
    if let Some(replaced) = &replaced {
        copy_tags(&account, work.lake()?, replaced, &table);
    }
    if let Some(planned) = &query {
        note_created(context, &table, planned);
    }
    let mut outcome = Outcome::status(done)?;
    if let Some(rows) = rows {
        let stream = run_to_stream(&context.runtime, rows, &context.cancel)?;
        let inserted = work.lake()?.append(&table, stream).await?;
        outcome.changes = Changes { inserted, ..Changes::default() };
    }
    Ok(outcome)
}

/// The policies that come with the columns and the table.
async fn defined_policies(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateTable,
    columns: &[ColumnInfo],
) -> Result<DefinedPolicies, UserError> {
    let given = match &create.source {
        CreateTableSource::Columns { columns, .. }
        | CreateTableSource::AsSelect { columns, .. } => columns.as_slice(),
        CreateTableSource::Like(_) | CreateTableSource::Clone { .. } => {
            if create.row_access.is_some() {
                return Err(UserError::unsupported(
                    "ROW ACCESS POLICY in CREATE TABLE … LIKE or CLONE",
                ));
            }
            return Ok(DefinedPolicies::default());
        }
    };
    let known: Vec<_> =
        columns.iter().map(|column| (column.name.as_str(), &column.sql_type)).collect();
    let masks = given.iter().map(|column| (&column.name, column.masking.as_ref()));
    DefinedPolicies::find(context, work, create.row_access.as_ref(), masks, &known).await
}

/// The new table's owner and, with COPY GRANTS, the grants of the table it replaces, or else of
/// the one it is a clone of or made like.
fn record_owner(
    context: &StatementContext,
    lake: &mut LakeTransaction,
    table: &TableInfo,
    create: &CreateTable,
    occupied: &Occupied,
    source: Option<i64>,
) {
    if table.kind == TableKind::Temporary {
        return;
    }
    let new = Made { kind: ObjectKind::Table, id: table.table_id, name: table.name.clone() };
    let replaced = match occupied {
        Occupied::Replace(object) if object.kind == ObjectKind::Table => Some(object.id),
        _ => None,
    };
    // Grants from outside come into a schema with managed access by its owner alone.
    let source = source.filter(|id| {
        let name = lake.view().table_by_id(*id).map(|source| source.name.clone());
        let here = |name: &QualifiedName| {
            (&name.database, &name.schema) == (&table.name.database, &table.name.schema)
        };
        name.as_ref().is_some_and(here)
            || authorize_grants_of(context, lake.view(), &table.name).is_ok()
    });
    if let (true, Some(from)) = (create.copy_grants, replaced.or(source)) {
        let source = lake.view().table_by_id(from);
        let same = source.is_none_or(|source| source.name.database == table.name.database);
        made_with_grants(context, lake, new, from, same);
    } else {
        made(context, lake, new);
    }
}

fn authorize_read(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
) -> Result<(), UserError> {
    if table.kind == TableKind::Temporary {
        return Ok(());
    }
    let view = work.lake()?.view().clone();
    context.authorize(&[Requirement::new(
        table_object(table),
        parents_of(&view, &table.name),
        Privilege::Select,
    )])
}

/// A column of another table, with counters of its own.
pub(crate) fn copied(mut column: ColumnInfo) -> ColumnInfo {
    if column.is_converted() {
        let own = ColumnInfo::new(&column.name, column.sql_type.clone(), column.nullable);
        (column.physical_type, column.children) = (own.physical_type, own.children);
    }
    column.field_id = 0;
    for child in &mut column.children {
        child.field_id = 0;
    }
    column.initial_default = None;
    if let Some(counter) = &mut column.autoincrement {
        counter.sequence_id = 0;
    }
    column
}

fn check_columns(columns: &[ColumnInfo]) -> Result<(), UserError> {
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.name == column.name) {
            return Err(UserError::new(
                Code::DuplicateColumn,
                format!("duplicate column name '{}'", column.name),
            ));
        }
    }
    Ok(())
}

/// Column definitions as the catalog keeps them; defaults are checked against their type.
pub(crate) async fn definitions(
    context: &StatementContext,
    columns: &[ColumnDefinition],
) -> Result<Vec<ColumnInfo>, UserError> {
    let mut all = Vec::with_capacity(columns.len());
    for column in columns {
        all.push(definition(context, column).await?);
    }
    Ok(all)
}

/// One column definition.
pub(crate) async fn definition(
    context: &StatementContext,
    column: &ColumnDefinition,
) -> Result<ColumnInfo, UserError> {
    let data_type = column.data_type.as_ref().ok_or_else(|| {
        UserError::syntax(format!("column {} has no data type", column.name))
            .at(Some(column.position))
    })?;
    let target = sql_type(data_type).map_err(|error| error.at(Some(column.position)))?;
    if let Some(collation) = &column.collation
        && !collation.is_empty()
        && !collation.eq_ignore_ascii_case("utf8")
    {
        return Err(UserError::unsupported(format!("COLLATE '{collation}'")));
    }
    let mut info = ColumnInfo::new(&column.name, target, !(column.not_null || column.primary_key));
    info.comment = column.comment.clone();
    if let Some((expression, text)) = &column.default {
        let default = defaults::checked(context, expression, text, &info.sql_type).await;
        info.default = Some(default.map_err(|error| {
            let message = format!("Default of column {}: {}", column.name, error.message);
            UserError { message, ..error }.at(Some(column.position))
        })?);
    }
    if let Some(counter) = &column.autoincrement {
        if !matches!(info.sql_type, SqlType::Number { .. } | SqlType::Float) {
            return Err(UserError::new(
                Code::InvalidDataType,
                format!("Column {} with AUTOINCREMENT must be numeric.", column.name),
            )
            .at(Some(column.position)));
        }
        info.autoincrement =
            Some(Autoincrement { sequence_id: 0, start: counter.start, step: counter.increment });
    }
    info.ducklake_default = defaults::for_other_clients(context, &info)?;
    Ok(info)
}

/// Columns of CREATE TABLE … AS SELECT, and the query with its values cast to them.
async fn as_select(
    context: &StatementContext,
    definitions_given: &[ColumnDefinition],
    planned: Planned,
) -> Result<(Vec<ColumnInfo>, Planned), UserError> {
    if !definitions_given.is_empty() && definitions_given.len() != planned.columns.len() {
        return Err(UserError::new(
            Code::InvalidColumnList,
            format!(
                "Invalid column definition list: {} columns for a query of {}.",
                definitions_given.len(),
                planned.columns.len()
            ),
        ));
    }
    let mut columns = Vec::with_capacity(planned.columns.len());
    for (index, found) in planned.columns.iter().enumerate() {
        let own = definitions_given.get(index);
        let mut info = match own {
            Some(column) if column.data_type.is_some() => definition(context, column).await?,
            other => {
                let name = other.map_or(&found.name, |column| &column.name);
                ColumnInfo::new(name, stored_type(&found.sql_type), found.nullable)
            }
        };
        if own.is_none() {
            // A column made by a query accepts NULL later, as Snowflake's does unless declared.
            info.nullable = true;
        }
        columns.push(info);
    }
    let target: Vec<Column> = columns.iter().map(ColumnInfo::to_column).collect();
    let planned = frazil_planner::cast_columns(planned, &target, &context.facts)?;
    Ok((columns, planned))
}

/// The type a table keeps for a query's column: a bare NULL becomes text.
fn stored_type(found: &SqlType) -> SqlType {
    match found {
        SqlType::Null => SqlType::TEXT,
        other => other.clone(),
    }
}

//! Primary, unique and foreign keys: kept and shown, and not enforced, as in Snowflake.

use std::collections::HashSet;
use std::sync::Arc;

use frazil_catalog::{
    CatalogView, ColumnInfo, ConstraintInfo, ConstraintKind as Kind, TableInfo, TableKind,
};
use frazil_common::{Code, Privilege, QualifiedName, UserError, quote_identifier};
use frazil_dialect::{ColumnDefinition, ConstraintKind, ForeignKey, TableConstraint};
use frazil_governance::Requirement;

use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::relation::target_table;
use crate::statements::context::{StatementContext, Work};

/// Begin of the name of a constraint that was given none.
pub(crate) const MADE_UP: &str = "SYS_CONSTRAINT_";

/// Adds the constraints of column definitions, and those beside them, to a table.
///
/// # Errors
/// A second primary key, columns that are not there, a name that is taken, or a foreign key to
/// what is no key.
pub(crate) fn add(
    context: &StatementContext,
    work: &mut Work,
    name: &QualifiedName,
    columns: &[ColumnDefinition],
    constraints: &[TableConstraint],
) -> Result<(), UserError> {
    let inline = columns.iter().flat_map(of_column);
    let wanted: Vec<TableConstraint> = inline.chain(constraints.iter().cloned()).collect();
    for constraint in wanted {
        let table = work.lake()?.table(name)?;
        let made = made(context, work, &table, &constraint)?;
        work.lake()?.alter_table(name, |table| {
            if made.kind == Kind::PrimaryKey {
                let of_key = |column: &&mut ColumnInfo| made.columns.contains(&column.field_id);
                for column in table.columns.iter_mut().filter(of_key) {
                    column.nullable = false;
                }
            }
            table.constraints.push(made);
            Ok(())
        })?;
    }
    Ok(())
}

/// The constraints within a column's definition.
fn of_column(column: &ColumnDefinition) -> Vec<TableConstraint> {
    let own = || vec![column.name.clone()];
    let mut kinds = Vec::new();
    if column.primary_key {
        kinds.push(ConstraintKind::PrimaryKey(own()));
    }
    if column.unique {
        kinds.push(ConstraintKind::Unique(own()));
    }
    if let Some(references) = &column.references {
        kinds.push(ConstraintKind::ForeignKey { columns: own(), references: references.clone() });
    }
    let name = |index: usize| column.constraint_name.clone().filter(|_| index == 0);
    kinds
        .into_iter()
        .enumerate()
        .map(|(index, kind)| TableConstraint { name: name(index), kind, comment: None })
        .collect()
}

/// Gives a table the constraints of the one it is made like.
pub(crate) fn copy(
    work: &mut Work,
    from: &TableInfo,
    name: &QualifiedName,
) -> Result<(), UserError> {
    if from.constraints.is_empty() {
        return Ok(());
    }
    work.lake()?.alter_table(name, |table| {
        // The columns have the same names, and field ids of their own.
        let own = |id: &i64| {
            let column = from.columns.iter().find(|column| column.field_id == *id)?;
            Some(table.column(&column.name)?.field_id)
        };
        let constraint = |constraint: &ConstraintInfo| {
            let mut copy = constraint.clone();
            copy.columns = constraint.columns.iter().map(own).collect::<Option<_>>()?;
            if let Kind::ForeignKey { table_id, columns } = &mut copy.kind
                && *table_id == from.table_id
            {
                *table_id = table.table_id;
                *columns = columns.iter().map(own).collect::<Option<_>>()?;
            }
            Some(copy)
        };
        table.constraints = from.constraints.iter().filter_map(constraint).collect();
        Ok(())
    })?;
    Ok(())
}

fn field_ids(table: &TableInfo, names: &[String]) -> Result<Vec<i64>, UserError> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let column = table.column(name);
        let column = column.ok_or_else(|| UserError::invalid_identifier(quote_identifier(name)))?;
        if ids.contains(&column.field_id) {
            return Err(UserError::new(
                Code::DuplicateColumn,
                format!("duplicate column name '{name}'"),
            ));
        }
        ids.push(column.field_id);
    }
    Ok(ids)
}

fn made(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    wanted: &TableConstraint,
) -> Result<ConstraintInfo, UserError> {
    let (kind, columns) = match &wanted.kind {
        ConstraintKind::PrimaryKey(columns) => (Kind::PrimaryKey, field_ids(table, columns)?),
        ConstraintKind::Unique(columns) => (Kind::Unique, field_ids(table, columns)?),
        ConstraintKind::ForeignKey { columns, references } => {
            let own = field_ids(table, columns)?;
            (foreign_key(context, work, table, &own, references)?, own)
        }
        ConstraintKind::ByName => return Err(UserError::internal("a constraint of no kind")),
    };
    let second = |other: &ConstraintInfo| other.kind == Kind::PrimaryKey;
    if kind == Kind::PrimaryKey && table.constraints.iter().any(second) {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Primary key already exists for table '{}'.",
                quote_identifier(&table.name.name)
            ),
        ));
    }
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => format!("{MADE_UP}{}", uuid::Uuid::now_v7()),
    };
    if table.constraints.iter().any(|other| other.name == name) {
        return Err(UserError::exists(quote_identifier(&name)));
    }
    Ok(ConstraintInfo {
        name,
        kind,
        columns,
        comment: wanted.comment.clone(),
        created_micros: context.facts.now_micros,
    })
}

fn foreign_key(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    own: &[i64],
    references: &ForeignKey,
) -> Result<Kind, UserError> {
    let other = match context.qualify(&references.table)? == table.name {
        // A table that is being made has no owner yet.
        true => Arc::new(table.clone()),
        false => target_table(context, work, &references.table)?,
    };
    if other.kind != TableKind::Temporary && other.table_id != table.table_id {
        let view = work.lake()?.view().clone();
        context.authorize(&[Requirement::new(
            table_object(&other),
            parents_of(&view, &other.name),
            Privilege::References,
        )])?;
    }
    if other.kind == TableKind::Temporary && table.kind != TableKind::Temporary {
        return Err(UserError::unsupported("a foreign key to a temporary table"));
    }
    let refuse = |what: String| Err(UserError::new(Code::InvalidStatement, what));
    let primary = other.constraints.iter().find(|key| key.kind == Kind::PrimaryKey);
    let columns = match (references.columns.as_slice(), primary) {
        ([], Some(key)) => key.columns.clone(),
        ([], None) => {
            return refuse(format!("Primary key not defined on table '{}'.", other.name));
        }
        (names, _) => field_ids(&other, names)?,
    };
    if other.key_over(&columns).is_none() {
        return refuse(format!(
            "Primary or unique key not defined on the referenced columns of table '{}'.",
            other.name
        ));
    }
    if columns.len() != own.len() {
        return refuse(format!(
            "Foreign key has {} columns, the key of table '{}' has {}.",
            own.len(),
            other.name,
            columns.len()
        ));
    }
    for (from, to) in own.iter().zip(&columns) {
        let of = |table: &TableInfo, id: i64| {
            table.columns.iter().find(|column| column.field_id == id).cloned()
        };
        if let (Some(from), Some(to)) = (of(table, *from), of(&other, *to))
            && std::mem::discriminant(&from.sql_type) != std::mem::discriminant(&to.sql_type)
        {
            return Err(UserError::new(
                Code::IncompatibleTypes,
                format!(
                    "Foreign key column {} has type {}, column {} of table '{}' has type {}.",
                    from.name, from.sql_type, to.name, other.name, to.sql_type
                ),
            ));
        }
    }
    Ok(Kind::ForeignKey { table_id: other.table_id, columns })
}

/// Drops a constraint.
///
/// # Errors
/// There is none such.
pub(crate) fn drop(
    work: &mut Work,
    table: &TableInfo,
    wanted: &TableConstraint,
) -> Result<(), UserError> {
    let found = match (&wanted.kind, &wanted.name) {
        (ConstraintKind::Unique(columns), _) => {
            let ids: HashSet<i64> = field_ids(table, columns)?.into_iter().collect();
            table.constraints.iter().find(|constraint| {
                constraint.kind == Kind::Unique
                    && constraint.columns.iter().copied().collect::<HashSet<_>>() == ids
            })
        }
        (ConstraintKind::PrimaryKey(_), _) => {
            table.constraints.iter().find(|constraint| constraint.kind == Kind::PrimaryKey)
        }
        (_, Some(name)) => table.constraints.iter().find(|constraint| constraint.name == *name),
        (_, None) => None,
    };
    let Some(found) = found else {
        let name = match &wanted.name {
            Some(name) => quote_identifier(name),
            None => format!("of table {}", table.name),
        };
        return Err(UserError::not_found("Constraint", name));
    };
    let name = found.name.clone();
    work.lake()?.alter_table(&table.name, |table| {
        table.constraints.retain(|constraint| constraint.name != name);
        Ok(())
    })?;
    Ok(())
}

/// A foreign key with the key it refers to.
pub(crate) struct Reference<'a> {
    pub own: &'a ConstraintInfo,
    pub table: Arc<TableInfo>,
    pub key: ConstraintInfo,
    /// Pairs of column names: the foreign key's and the other's.
    pub columns: Vec<(String, String)>,
}

/// Names of columns by field id.
pub(crate) fn column_names(table: &TableInfo, ids: &[i64]) -> Vec<String> {
    let name = |id: &i64| table.columns.iter().find(|c| c.field_id == *id).map(|c| c.name.clone());
    ids.iter().filter_map(name).collect()
}

/// The foreign keys of a table whose other side is there: what they refer to may be dropped.
pub(crate) fn references<'a>(view: &CatalogView, table: &'a TableInfo) -> Vec<Reference<'a>> {
    let reference = |own: &'a ConstraintInfo| {
        let Kind::ForeignKey { table_id, columns } = &own.kind else { return None };
        let other = match *table_id == table.table_id {
            true => Arc::new(table.clone()),
            false => view.table_by_id(*table_id).cloned()?,
        };
        let key = other.key_over(columns)?.clone();
        let theirs = column_names(&other, columns);
        let pairs = column_names(table, &own.columns).into_iter().zip(theirs).collect();
        Some(Reference { own, table: other, key, columns: pairs })
    };
    table.constraints.iter().filter_map(reference).collect()
}

//! CREATE VIEW: the query is checked now and kept as text.

use frazil_common::{Code, Column, ObjectKind, Privilege, UserError};
use frazil_dialect::{CreateView, Persistence};
use frazil_lake::NewView;

use crate::statements::context::{StatementContext, Work};
use crate::statements::create_table::{Occupied, authorize_create, occupied};
use crate::statements::outcome::Outcome;
use crate::statements::ownership::{Made, gone, made, made_with_grants};
use crate::statements::pivot_values;
use crate::statements::policy::DefinedPolicies;
use crate::statements::query::{governed, plan};
use crate::statements::tag::DefinedTags;

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateView,
) -> Result<Outcome, UserError> {
    let name = context.qualify(&create.name)?;
    if create.persistence == Persistence::Temporary {
        return Err(UserError::unsupported("CREATE TEMPORARY VIEW"));
    }
    if create.recursive {
        return Err(UserError::unsupported("CREATE RECURSIVE VIEW"));
    }
    if let Some((option, _)) = create.options.iter().next() {
        return Err(UserError::unsupported(format!("CREATE VIEW … {option}")));
    }
    authorize_create(context, work, &name, Privilege::CreateView)?;
    let occupied = occupied(context, work, &name, create.mode, false)?;
    if matches!(occupied, Occupied::Keep) {
        return Outcome::status(format!("{} already exists, statement succeeded.", name.name));
    }
    // The view's text is read later with its own database and schema as the current ones.
    let mut inner = context.for_view(&name.database, &name.schema);
    inner.state.variables.clear();
    let query = frazil_dialect::parse_query(&create.query_text)?;
    let planned = match plan(&inner, work, &query, &create.query_text).await {
        Ok(planned) => planned,
        Err(_) => {
            // The error of the query as written has the right place in the statement's text.
            plan(context, work, &create.query, &context.text).await?;
            let with_variables = context.for_view(&name.database, &name.schema);
            if plan(&with_variables, work, &query, &create.query_text).await.is_ok() {
                return Err(UserError::unsupported("session variables in a view"));
            }
            plan(&inner, work, &query, &create.query_text).await?
        }
    };
    governed(context, work, &planned)?;
    if !create.columns.is_empty() && pivot_values::depend_on_rows(&query)? {
        return Err(UserError::unsupported(
            "PIVOT … IN (ANY) and IN (query) in a view with a column list",
        ));
    }
    if !create.columns.is_empty() && create.columns.len() != planned.columns.len() {
        return Err(UserError::new(
            Code::InvalidColumnList,
            format!(
                "Invalid column definition list: {} columns for a query of {}.",
                create.columns.len(),
                planned.columns.len()
            ),
        ));
    }
    let columns: Vec<Column> = planned
        .columns
        .iter()
        .enumerate()
        .map(|(index, found)| {
            let name = create.columns.get(index).map_or(&found.name, |column| &column.name);
            Column::new(name, found.sql_type.clone(), found.nullable)
        })
        .collect();
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.name == column.name) {
            return Err(UserError::new(
                Code::DuplicateColumn,
                format!("duplicate column name '{}'", column.name),
            ));
        }
    }
    let of_columns = create
        .columns
        .iter()
        .zip(&columns)
        .map(|(column, found)| (&found.name, column.tags.as_slice()));
    let tags = DefinedTags::find(context, work, &create.tags, of_columns).await?;
    let known: Vec<_> =
        columns.iter().map(|column| (column.name.as_str(), &column.sql_type)).collect();
    let masks = create.columns.iter().map(|column| (&column.name, column.masking.as_ref()));
    let policies =
        DefinedPolicies::find(context, work, create.row_access.as_ref(), masks, &known).await?;
    let done = format!("View {} successfully created.", name.name);
    if context.describe_only {
        return Outcome::status(done);
    }
    if let Occupied::Replace(object) = &occupied {
        if object.kind != ObjectKind::View {
            return Err(UserError::exists(frazil_common::quote_identifier(&name.name)));
        }
        work.lake()?.drop_view(&name)?;
    }
    let lake = work.lake()?;
    let view = lake.create_view(NewView {
        name: name.clone(),
        text: create.query_text.clone(),
        foreign: None,
        column_comments: (0..columns.len())
            .map(|index| create.columns.get(index).and_then(|column| column.comment.clone()))
            .collect(),
        columns,
        secure: create.secure,
        comment: create.comment.clone(),
    })?;
    let new = Made { kind: ObjectKind::View, id: view.view_id, name };
    match &occupied {
        Occupied::Replace(object) if create.copy_grants => {
            made_with_grants(context, lake, new, object.id, true);
        }
        _ => made(context, lake, new),
    }
    if let Occupied::Replace(object) = &occupied {
        // Views are not brought back on their own.
        gone(lake, ObjectKind::View, object.id);
    }
    tags.record_view(lake, &view);
    policies.record_view(lake, &view)?;
    Outcome::status(done)
}

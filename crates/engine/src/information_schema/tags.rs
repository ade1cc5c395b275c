//! TAG_REFERENCES and TAG_REFERENCES_ALL_COLUMNS as table functions.

use frazil_catalog::CatalogView;
use frazil_catalog::account::{AccountView, Tag, TagReference};
use frazil_common::{Code, ObjectKind, UserError};

use super::history::{Arguments, Given};
use super::{Rows, TEXT};
use crate::resolve::tags::{Level, effective, levels};
use crate::statements::context::StatementContext;
use crate::statements::lookup::Target;
use crate::statements::outcome::Cell;
use crate::statements::policy::columns;
use crate::statements::tag::{Tagged, tagged};

pub(super) async fn function(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Rows>, UserError> {
    let of_columns = match name {
        "TAG_REFERENCES" => false,
        "TAG_REFERENCES_ALL_COLUMNS" => true,
        _ => return Ok(None),
    };
    let given = Given::read(context, name, &["OBJECT_NAME", "OBJECT_DOMAIN"], arguments)?;
    let missing = |argument: &str| {
        UserError::new(
            Code::InvalidArgument,
            format!("Argument {argument} of function {name} is missing."),
        )
    };
    let object = given.text("OBJECT_NAME")?.ok_or_else(|| missing("OBJECT_NAME"))?;
    let domain = given.text("OBJECT_DOMAIN")?.ok_or_else(|| missing("OBJECT_DOMAIN"))?;
    if of_columns && !domain.eq_ignore_ascii_case("TABLE") {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("Function {name} takes the domain TABLE alone."),
        ));
    }
    let view = context.shared.catalog.head_view().await?;
    let account = context.shared.accounts.view().await?;
    let asked = tagged(context, &view, &object, &domain).await?;
    let mut rows = Rows::new(
        "TAG_REFERENCES",
        &[
            ("TAG_DATABASE", TEXT),
            ("TAG_SCHEMA", TEXT),
            ("TAG_NAME", TEXT),
            ("TAG_VALUE", TEXT),
            ("APPLY_METHOD", TEXT),
            ("LEVEL", TEXT),
            ("OBJECT_DATABASE", TEXT),
            ("OBJECT_SCHEMA", TEXT),
            ("OBJECT_NAME", TEXT),
            ("DOMAIN", TEXT),
            ("COLUMN_NAME", TEXT),
        ],
    );
    let mut sources = vec![asked.column.clone()];
    if of_columns {
        sources = asked
            .found
            .iter()
            .flat_map(columns)
            .map(|(column, id, _)| Some((column, id)))
            .collect();
    }
    for column in sources {
        let domain = if of_columns { "COLUMN" } else { asked.domain.as_str() };
        list(context, &view, &account, &asked, column, domain, &mut rows).await?;
    }
    Ok(Some(rows))
}

async fn list(
    context: &StatementContext,
    view: &CatalogView,
    account: &AccountView,
    asked: &Tagged,
    column: Option<(String, i64)>,
    domain: &str,
    rows: &mut Rows,
) -> Result<(), UserError> {
    let id = column.as_ref().map(|(_, id)| *id);
    let levels: Vec<Level> = levels(&asked.object, &asked.parents, id);
    let place = place(asked);
    for reference in effective(account, &levels) {
        let tag = context.shared.accounts.object_by_id::<Tag>(reference.tag).await?;
        let Some(tag) = tag else { continue };
        // A tag whose schema is dropped is not there until the schema comes back.
        let Some(schema) = view.schemas().find(|s| s.schema_id == tag.place.schema_id) else {
            continue;
        };
        let own = levels.first() == Some(&(reference.on, reference.column));
        let [database, of_schema, name] = place.clone();
        rows.push(vec![
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(tag.name.as_str()),
            Cell::from(reference.value.as_str()),
            Cell::from(if own { "MANUAL" } else { "INHERITED" }),
            Cell::from(level(reference)),
            database,
            of_schema,
            name,
            Cell::from(domain),
            Cell::from(column.as_ref().map(|(name, _)| name.clone())),
        ]);
    }
    Ok(())
}

/// The domain of what a tag is on.
fn level(reference: &TagReference) -> &'static str {
    match reference.on.0 {
        _ if reference.column != 0 => "COLUMN",
        ObjectKind::View => "TABLE",
        kind => kind.as_str(),
    }
}

/// Database, schema and name of what is asked for.
fn place(asked: &Tagged) -> [Cell; 3] {
    let cell = |text: &str| Cell::from(text);
    match asked.found.as_ref().map(|found| &found.target) {
        Some(Target::Table(table)) => {
            [cell(&table.name.database), cell(&table.name.schema), cell(&table.name.name)]
        }
        Some(Target::View(view)) => {
            [cell(&view.name.database), cell(&view.name.schema), cell(&view.name.name)]
        }
        Some(Target::Schema(schema)) => [cell(&schema.database), Cell::Null, cell(&schema.name)],
        Some(Target::Database(database)) => [Cell::Null, Cell::Null, cell(&database.name)],
        Some(_) => {
            let parsed = frazil_dialect::parse_object_name_text(&asked.object.name);
            match parsed {
                Ok(name) => {
                    [Cell::from(name.database), Cell::from(name.schema), Cell::from(name.name)]
                }
                Err(_) => [Cell::Null, Cell::Null, cell(&asked.object.name)],
            }
        }
        None => [Cell::Null, Cell::Null, cell(&asked.object.name)],
    }
}

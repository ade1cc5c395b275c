//! GET_DDL: the statement that would make an object anew.

use std::fmt::Write as _;
use std::sync::Arc;

use frazil_catalog::account::{Object, PolicyRule, Warehouse};
use frazil_catalog::{
    CatalogView, ColumnInfo, ConstraintInfo, ConstraintKind, DatabaseInfo, SchemaInfo, TableInfo,
    TableKind, ViewInfo,
};
use frazil_common::{Code, ObjectKind, ObjectName, UserError, quote_identifier};
use frazil_dialect::{ObjectWord, Scope};
use serde_json::Value;

use crate::resolve::foreign_view;
use crate::resolve::relation::check_type;
use crate::statements::constraints::{MADE_UP, column_names, references};
use crate::statements::context::{StatementContext, Work};
use crate::statements::ddl_governance::GovernanceTexts;
use crate::statements::lookup::{Found, Target, absent, all_in, find, of_schema, of_table};

/// The definition of an object by its kind and name. `full`: with database and schema in the name.
///
/// # Errors
/// An object that is absent or hidden; a secure view of another role; a kind that has none yet.
pub(crate) async fn definition(
    context: &StatementContext,
    work: &mut Work,
    kind: &str,
    name: &str,
    full: bool,
) -> Result<String, UserError> {
    let kind = kind.to_uppercase();
    let words: &[ObjectWord] = match kind.as_str() {
        "TABLE" | "VIEW" => &[ObjectWord::Table, ObjectWord::View],
        "POLICY" => &[ObjectWord::MaskingPolicy, ObjectWord::RowAccessPolicy],
        "SEQUENCE" => &[ObjectWord::Sequence],
        "TAG" => &[ObjectWord::Tag],
        "FILE_FORMAT" => &[ObjectWord::FileFormat],
        "WAREHOUSE" => &[ObjectWord::Warehouse],
        "SCHEMA" => &[ObjectWord::Schema],
        "DATABASE" => &[ObjectWord::Database],
        other => return Err(UserError::unsupported(format!("GET_DDL of {other}"))),
    };
    let name = frazil_dialect::parse_object_name_text(name)?;
    let view = work.lake()?.view().clone();
    let mut found = None;
    for word in words {
        // A view is no table, which is told of both alike.
        if let Ok(Some(object)) = find(context, &view, *word, &name).await {
            found = Some(object);
            break;
        }
    }
    let found = found.ok_or_else(|| absent(context, words[0], &name))?;
    let governance = GovernanceTexts::load(context, &view).await?;
    let ddl = Definitions { context, view: &view, governance, full };
    let texts = match &found.target {
        Target::Schema(schema) => ddl.schema(schema).await?,
        Target::Database(database) => ddl.database(database).await?,
        _ => vec![ddl.text(&found)?],
    };
    Ok(texts.join("\n\n"))
}

/// What a schema holds, in an order in which each finds what it names. Tables and views follow.
const OF_SCHEMA: [ObjectWord; 7] = [
    ObjectWord::Tag,
    ObjectWord::MaskingPolicy,
    ObjectWord::RowAccessPolicy,
    ObjectWord::Sequence,
    ObjectWord::FileFormat,
    ObjectWord::Table,
    ObjectWord::View,
];

struct Definitions<'a> {
    context: &'a StatementContext,
    view: &'a CatalogView,
    governance: GovernanceTexts,
    /// With database and schema in the names.
    full: bool,
}

impl Definitions<'_> {
    async fn database(&self, database: &Arc<DatabaseInfo>) -> Result<Vec<String>, UserError> {
        let transient = if database.transient { "TRANSIENT " } else { "" };
        let mut texts = vec![format!(
            "create or replace {transient}database {}{}{};",
            quote_identifier(&database.name),
            self.governance.tags((ObjectKind::Database, database.database_id), 0),
            comment(database.comment.as_deref())
        )];
        for schema in self.view.schemas_in(&database.name) {
            if of_schema(self.view, schema.clone()).is_visible(self.context) {
                texts.extend(self.schema(schema).await?);
            }
        }
        Ok(texts)
    }

    /// The schema and what the role sees in it, but for secure views of others.
    async fn schema(&self, schema: &Arc<SchemaInfo>) -> Result<Vec<String>, UserError> {
        let found = of_schema(self.view, schema.clone());
        let transient = if schema.transient { "TRANSIENT " } else { "" };
        let account = self.context.shared.accounts.view().await?;
        let managed = match account.managed_schemas.contains(&schema.schema_id) {
            true => " WITH MANAGED ACCESS",
            false => "",
        };
        let mut texts = vec![format!(
            "create or replace {transient}schema {}{managed}{}{};",
            if self.full { found.object.name } else { quote_identifier(&schema.name) },
            self.governance.tags((ObjectKind::Schema, schema.schema_id), 0),
            comment(schema.comment.as_deref())
        )];
        let name = ObjectName {
            database: None,
            schema: Some(schema.database.clone()),
            name: schema.name.clone(),
        };
        let scope = Scope::Schema(name);
        for word in OF_SCHEMA {
            for found in all_in(self.context, self.view, word, &scope).await? {
                let hidden = matches!(&found.target, Target::View(view) if view.secure)
                    && !found.is_owned(self.context);
                if !hidden {
                    texts.push(self.text(&found)?);
                }
            }
        }
        Ok(texts)
    }

    fn text(&self, found: &Found) -> Result<String, UserError> {
        let name = match self.full {
            true => found.object.name.clone(),
            false => {
                let parsed = frazil_dialect::parse_object_name_text(&found.object.name)?;
                quote_identifier(&parsed.name)
            }
        };
        text(self.context, self.view, &self.governance, found, &name)
    }
}

fn text(
    context: &StatementContext,
    view: &CatalogView,
    governance: &GovernanceTexts,
    found: &Found,
    name: &str,
) -> Result<String, UserError> {
    Ok(match &found.target {
        Target::Table(table) => {
            table.columns.iter().try_for_each(|column| check_type(table, column))?;
            table_text(context, view, governance, table, name)
        }
        Target::View(view) => {
            if view.secure && !found.is_owned(context) {
                return Err(UserError::new(
                    Code::InsufficientPrivileges,
                    format!(
                        "SQL access control error:\nInsufficient privileges to operate on view \
                         '{}'",
                        view.name.name
                    ),
                ));
            }
            view_text(governance, view, name)?
        }
        Target::MaskingPolicy(policy) => policy_text("masking", name, &policy.body.rule),
        Target::RowAccessPolicy(policy) => policy_text("row access", name, &policy.body.rule),
        Target::Sequence(sequence) => {
            let body = &sequence.body;
            let order = if body.ordered { "order" } else { "noorder" };
            format!(
                "create or replace sequence {name} start with {} increment by {} {order}{};",
                body.start,
                body.increment,
                comment(sequence.comment.as_deref())
            )
        }
        Target::Tag(tag) => {
            let values: Vec<String> =
                tag.body.allowed_values.iter().map(|value| literal(value)).collect();
            let allowed = match values.is_empty() {
                true => String::new(),
                false => format!(" allowed_values {}", values.join(", ")),
            };
            format!("create or replace tag {name}{allowed}{};", comment(tag.comment.as_deref()))
        }
        Target::FileFormat(format) => {
            let mut text =
                format!("create or replace file format {name} TYPE = {}", format.body.format_type);
            for (key, value) in &format.body.options {
                // Writing to a text never fails.
                let _ = write!(text, " {key} = {}", option(value));
            }
            text + &comment(format.comment.as_deref()) + ";"
        }
        Target::Warehouse(warehouse) => warehouse_text(governance, warehouse, name),
        _ => return Err(UserError::internal("an object of another kind was found")),
    })
}

/// The value of a property.
fn option(value: &Value) -> String {
    match value {
        Value::String(text) => literal(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(option).collect();
            format!("({})", values.join(", "))
        }
        Value::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_string(),
        Value::Null => "NONE".to_string(),
        other => other.to_string(),
    }
}

fn warehouse_text(
    governance: &GovernanceTexts,
    warehouse: &Object<Warehouse>,
    name: &str,
) -> String {
    let body = &warehouse.body;
    let suspend = body.auto_suspend.map_or_else(|| "NULL".to_string(), |s| s.to_string());
    let mut text = format!(
        "create or replace warehouse {name} with\n\tWAREHOUSE_SIZE = {}\n\tAUTO_SUSPEND = \
         {suspend}\n\tAUTO_RESUME = {}",
        literal(&body.size),
        option(&Value::Bool(body.auto_resume)),
    );
    if body.statement_timeout != 0 {
        let _ = write!(text, "\n\tSTATEMENT_TIMEOUT_IN_SECONDS = {}", body.statement_timeout);
    }
    for (key, value) in &body.options {
        let _ = write!(text, "\n\t{key} = {}", option(value));
    }
    let comment = warehouse.comment.as_ref();
    let comment = comment.map(|text| format!("\n\tCOMMENT = {}", literal(text)));
    let tags = governance.tags((ObjectKind::Warehouse, warehouse.id), 0);
    format!("{text}{}{tags};", comment.unwrap_or_default())
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn comment(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(" COMMENT={}", literal(text)))
}

fn column_text(column: &ColumnInfo, governed: &str) -> String {
    let mut text = format!("{} {}", quote_identifier(&column.name), column.sql_type);
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    let own = column.default.as_ref().filter(|_| !column.foreign_default);
    if let Some(default) = own {
        // Writing to a text never fails.
        let _ = write!(text, " DEFAULT {default}");
    }
    if let Some(counter) = &column.autoincrement {
        let (start, step) = (counter.start, counter.step);
        let _ = write!(text, " autoincrement start {start} increment {step} noorder");
    }
    text.push_str(governed);
    if let Some(comment) = &column.comment {
        let _ = write!(text, " COMMENT {}", literal(comment));
    }
    text
}

/// The keys, without names that were made up; of foreign keys those to tables that the role may know of.
fn constraint_texts(
    context: &StatementContext,
    view: &CatalogView,
    table: &TableInfo,
) -> Vec<String> {
    let list = |names: Vec<String>| {
        let names: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
        format!("({})", names.join(", "))
    };
    let references = references(view, table);
    let text = |constraint: &ConstraintInfo| {
        let own = list(column_names(table, &constraint.columns));
        let keys = match &constraint.kind {
            ConstraintKind::PrimaryKey => format!("primary key {own}"),
            ConstraintKind::Unique => format!("unique {own}"),
            ConstraintKind::ForeignKey { columns, .. } => {
                let found = references.iter().find(|other| other.own.name == constraint.name)?;
                if !of_table(view, found.table.clone()).is_visible(context) {
                    return None;
                }
                let theirs = list(column_names(&found.table, columns));
                format!("foreign key {own} references {}{theirs}", found.table.name)
            }
        };
        let name = match constraint.name.starts_with(MADE_UP) {
            true => String::new(),
            false => format!("constraint {} ", quote_identifier(&constraint.name)),
        };
        Some(format!("\t{name}{keys}"))
    };
    table.constraints.iter().filter_map(text).collect()
}

fn table_text(
    context: &StatementContext,
    view: &CatalogView,
    governance: &GovernanceTexts,
    table: &TableInfo,
    name: &str,
) -> String {
    let kind = match table.kind {
        TableKind::Permanent => "TABLE",
        TableKind::Transient => "TRANSIENT TABLE",
        TableKind::Temporary => "TEMPORARY TABLE",
    };
    let on = (ObjectKind::Table, table.table_id);
    let ids: Vec<(i64, &str)> =
        table.columns.iter().map(|column| (column.field_id, column.name.as_str())).collect();
    let mut columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let id = column.field_id;
            let governed = governance.mask(on, id, &ids) + &governance.tags(on, id);
            format!("\t{}", column_text(column, &governed))
        })
        .collect();
    columns.extend(constraint_texts(context, view, table));
    let cluster = table.cluster_by.as_ref().map(|keys| format!(" cluster by {keys}"));
    format!(
        "create or replace {kind} {name}{} (\n{}\n){}{}{};",
        cluster.unwrap_or_default(),
        columns.join(",\n"),
        governance.rows(on, &ids),
        governance.tags(on, 0),
        comment(table.comment.as_deref())
    )
}

fn view_text(
    governance: &GovernanceTexts,
    view: &ViewInfo,
    name: &str,
) -> Result<String, UserError> {
    let on = (ObjectKind::View, view.view_id);
    let ids: Vec<(i64, &str)> =
        (1..).zip(&view.columns).map(|(id, column)| (id, column.name.as_str())).collect();
    let secure = if view.secure { "secure " } else { "" };
    let mut columns: Vec<String> = view
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let comment = view.column_comments.get(index).and_then(Option::as_deref);
            let comment = comment.map(|text| format!(" COMMENT {}", literal(text)));
            let id = ids.get(index).map_or(0, |(id, _)| *id);
            let governed = governance.mask(on, id, &ids) + &governance.tags(on, id);
            let name = quote_identifier(&column.name);
            format!("\t{name}{governed}{}", comment.unwrap_or_default())
        })
        .collect();
    if let Some(foreign) = &view.foreign {
        columns = foreign.names().iter().map(|n| format!("\t{}", quote_identifier(n))).collect();
    }
    let columns = match columns.is_empty() {
        true => String::new(),
        false => format!("(\n{}\n)", columns.join(",\n")),
    };
    Ok(format!(
        "create or replace {secure}view {name}{columns}{}{}{} as\n{};",
        governance.rows(on, &ids),
        governance.tags(on, 0),
        comment(view.comment.as_deref()),
        foreign_view::view_text(view)?
    ))
}

fn policy_text(kind: &str, name: &str, rule: &PolicyRule) -> String {
    let arguments: Vec<String> = rule
        .arguments
        .iter()
        .map(|(name, sql_type)| format!("{} {sql_type}", quote_identifier(name)))
        .collect();
    format!(
        "create or replace {kind} policy {name} as ({})\nreturns {} ->\n{}\n;",
        arguments.join(", "),
        rule.returns,
        rule.body
    )
}

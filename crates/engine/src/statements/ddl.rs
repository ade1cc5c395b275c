//! GET_DDL: the statement that would make an object anew.

use std::fmt::Write as _;

use frazil_catalog::account::PolicyRule;
use frazil_catalog::{
    CatalogView, ColumnInfo, ConstraintInfo, ConstraintKind, TableInfo, TableKind, ViewInfo,
};
use frazil_common::{Code, UserError, quote_identifier};
use frazil_dialect::ObjectWord;

use crate::statements::constraints::{MADE_UP, column_names, references};
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Found, Target, absent, find};

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
    let called = if full { found.object.name.clone() } else { quote_identifier(&name.name) };
    text(context, &view, &found, &called)
}

fn text(
    context: &StatementContext,
    view: &CatalogView,
    found: &Found,
    name: &str,
) -> Result<String, UserError> {
    Ok(match &found.target {
        Target::Table(table) => table_text(view, table, name),
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
            view_text(view, name)
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
        _ => return Err(UserError::internal("an object of another kind was found")),
    })
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn comment(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(" COMMENT={}", literal(text)))
}

fn column_text(column: &ColumnInfo) -> String {
    let mut text = format!("{} {}", quote_identifier(&column.name), column.sql_type);
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        // Writing to a text never fails.
        let _ = write!(text, " DEFAULT {default}");
    }
    if let Some(counter) = &column.autoincrement {
        let (start, step) = (counter.start, counter.step);
        let _ = write!(text, " autoincrement start {start} increment {step} noorder");
    }
    if let Some(comment) = &column.comment {
        let _ = write!(text, " COMMENT {}", literal(comment));
    }
    text
}

/// The keys, without names that were made up.
fn constraint_texts(view: &CatalogView, table: &TableInfo) -> Vec<String> {
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

fn table_text(view: &CatalogView, table: &TableInfo, name: &str) -> String {
    let kind = match table.kind {
        TableKind::Permanent => "TABLE",
        TableKind::Transient => "TRANSIENT TABLE",
        TableKind::Temporary => "TEMPORARY TABLE",
    };
    let mut columns: Vec<String> =
        table.columns.iter().map(|column| format!("\t{}", column_text(column))).collect();
    columns.extend(constraint_texts(view, table));
    let cluster = table.cluster_by.as_ref().map(|keys| format!(" cluster by {keys}"));
    format!(
        "create or replace {kind} {name}{} (\n{}\n){};",
        cluster.unwrap_or_default(),
        columns.join(",\n"),
        comment(table.comment.as_deref())
    )
}

fn view_text(view: &ViewInfo, name: &str) -> String {
    let secure = if view.secure { "secure " } else { "" };
    let columns: Vec<String> = view
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let comment = view.column_comments.get(index).and_then(Option::as_deref);
            let comment = comment.map(|text| format!(" COMMENT {}", literal(text)));
            format!("\t{}{}", quote_identifier(&column.name), comment.unwrap_or_default())
        })
        .collect();
    format!(
        "create or replace {secure}view {name}(\n{}\n){} as\n{};",
        columns.join(",\n"),
        comment(view.comment.as_deref()),
        view.text
    )
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

//! DESCRIBE of objects and of results.

use frazil_catalog::account::{Endpoint, Model, Object, PolicyRule, Stage, User};
use frazil_catalog::{CatalogView, ConstraintKind, Relation as CatalogRelation, SchemaInfo};
use frazil_common::{Column, SqlType, UserError, quote_identifier};
use frazil_dialect::{Describe, DescribeResult, ObjectWord};
use serde_json::Value;
use uuid::Uuid;

use crate::account_usage;
use crate::resolve::relation::view_columns;
use crate::statements::context::{StatementContext, Work};
use crate::statements::ddl_governance::GovernanceTexts;
use crate::statements::lookup::{
    Found, Target, absent, all_in, cannot_be_performed, find_described, object_kind, single,
};
use crate::statements::outcome::{Cell, Outcome};
use crate::statements::principals::expect_user;
use crate::statements::show::{
    DAY_MICROS, INSTANT, MINUTE_MICROS, TEXT, format_options, metadata, sequence_columns,
    sequence_row, time_left,
};

const COLUMNS: [(&str, SqlType); 12] = [
    ("name", TEXT),
    ("type", TEXT),
    ("kind", TEXT),
    ("null?", TEXT),
    ("default", TEXT),
    ("primary key", TEXT),
    ("unique key", TEXT),
    ("check", TEXT),
    ("expression", TEXT),
    ("comment", TEXT),
    ("policy name", TEXT),
    ("privacy domain", TEXT),
];
const NAMED: [(&str, SqlType); 3] = [("created_on", INSTANT), ("name", TEXT), ("kind", TEXT)];
const PROPERTIES: [(&str, SqlType); 4] = [
    ("property", TEXT),
    ("property_type", TEXT),
    ("property_value", TEXT),
    ("property_default", TEXT),
];
const STAGE_PROPERTIES: [(&str, SqlType); 5] = [
    ("parent_property", TEXT),
    ("property", TEXT),
    ("property_type", TEXT),
    ("property_value", TEXT),
    ("property_default", TEXT),
];
const USER_PROPERTIES: [(&str, SqlType); 4] =
    [("property", TEXT), ("value", TEXT), ("default", TEXT), ("description", TEXT)];
const MODEL_PROPERTIES: [(&str, SqlType); 4] =
    [("kind", TEXT), ("name", TEXT), ("type", TEXT), ("value", TEXT)];
const POLICY_PROPERTIES: [(&str, SqlType); 5] = [
    ("created_on", INSTANT),
    ("name", TEXT),
    ("signature", TEXT),
    ("return_type", TEXT),
    ("body", TEXT),
];
const ENDPOINT_PROPERTIES: [(&str, SqlType); 2] = [("property", TEXT), ("value", TEXT)];

type Rows = Vec<Vec<Cell>>;

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    describe: &Describe,
) -> Result<Outcome, UserError> {
    let (columns, rows) = described(context, work, describe).await?;
    let rows = if context.describe_only { Vec::new() } else { rows };
    Outcome::table(&columns, rows)
}

async fn described(
    context: &StatementContext,
    work: &mut Work,
    describe: &Describe,
) -> Result<(Vec<(&'static str, SqlType)>, Rows), UserError> {
    let Describe { kind, name, version, stage_properties } = describe;
    if *stage_properties {
        return Err(UserError::unsupported("DESCRIBE TABLE … TYPE = STAGE"));
    }
    let of_table = matches!(kind, ObjectWord::Table | ObjectWord::View);
    if of_table && name.schema.as_deref() == Some("INFORMATION_SCHEMA") {
        let relation = crate::information_schema::relation(context, work, name).await?;
        let rows = relation.columns.iter().map(|column| column_row(column, None, None)).collect();
        return Ok((COLUMNS.to_vec(), rows));
    }
    if of_table && account_usage::is_named(context, work.lake()?.view(), name) {
        let relation = account_usage::relation(context, work, name).await?;
        let rows = relation.columns.iter().map(|column| column_row(column, None, None)).collect();
        return Ok((COLUMNS.to_vec(), rows));
    }
    if *kind == ObjectWord::User {
        let name = single(name)?;
        let user = expect_user(context, Some(&name)).await?.ok_or_else(cannot_be_performed)?;
        let now = context.facts.now_micros;
        let failures = context.shared.accounts.login_failures(&user.login_name).await?;
        let locked_until = failures.locked_until.filter(|_| failures.is_locked(now));
        return Ok((USER_PROPERTIES.to_vec(), user_rows(&user, locked_until, now)));
    }
    if *kind == ObjectWord::ResourceMonitor {
        return Err(UserError::unsupported(format!("DESCRIBE {kind}")));
    }
    object_kind(*kind).map_err(|_| UserError::unsupported(format!("DESCRIBE {kind}")))?;
    if *kind == ObjectWord::Tag {
        return Err(UserError::unsupported("DESCRIBE TAG"));
    }
    let view = work.lake()?.view().clone();
    // DESCRIBE TABLE takes a view's name too.
    let kind = match (kind, of_table) {
        (ObjectWord::Table, true) => match view.relation(&context.qualify(name)?) {
            Some(CatalogRelation::View(_)) => ObjectWord::View,
            _ => ObjectWord::Table,
        },
        (kind, _) => *kind,
    };
    let Some(found) = find_described(context, &view, kind, name).await? else {
        return Err(match object_kind(kind)? {
            kind_found if kind_found.in_schema() => absent(context, describe.kind, name),
            _ => cannot_be_performed(),
        });
    };
    let Found { target, object, .. } = found;
    let on = (object.kind, object.id);
    let policies = match context.shared.accounts.view().await?.policies_on(on.0, on.1) {
        [] => None,
        _ => Some(GovernanceTexts::load(context, &view).await?),
    };
    let policy = |column: i64| {
        Cell::from(policies.as_ref().and_then(|policies| policies.mask_name(on, column)))
    };
    Ok(match target {
        Target::Table(table) => {
            let rows = table.columns.iter().map(|column| {
                let default = match column.autoincrement {
                    Some(counter) => Some(format!(
                        "IDENTITY START {} INCREMENT {} NOORDER",
                        counter.start, counter.step
                    )),
                    None => column.default.clone(),
                };
                let in_key = |kind: ConstraintKind| {
                    let mut keys = table.constraints.iter().filter(|key| key.kind == kind);
                    keys.any(|key| key.columns.contains(&column.field_id))
                };
                let mut row = column_row(&column.to_column(), default, column.comment.clone());
                row[TYPE] = Cell::from(column.shown_type());
                row[PRIMARY_KEY] = yes_or_no(in_key(ConstraintKind::PrimaryKey));
                row[UNIQUE_KEY] = yes_or_no(in_key(ConstraintKind::Unique));
                row[POLICY_NAME] = policy(column.field_id);
                row
            });
            (COLUMNS.to_vec(), rows.collect())
        }
        Target::View(info) => {
            let columns = view_columns(context, work, &info).await?;
            let rows = columns.iter().zip(1..).enumerate().map(|(index, (column, number))| {
                let comment = info.column_comments.get(index).cloned().flatten();
                let mut row = column_row(column, None, comment);
                row[POLICY_NAME] = policy(number);
                row
            });
            (COLUMNS.to_vec(), rows.collect())
        }
        Target::Schema(schema) => (NAMED.to_vec(), schema_rows(context, &view, &schema).await?),
        Target::Database(database) => {
            let rows = view
                .schemas_in(&database.name)
                .map(|schema| crate::statements::lookup::of_schema(&view, schema.clone()))
                .filter(|found| found.is_visible(context))
                .filter_map(|found| match found.target {
                    Target::Schema(schema) => {
                        Some(named_row(schema.created_micros, &schema.name, "SCHEMA"))
                    }
                    _ => None,
                })
                .collect();
            (NAMED.to_vec(), rows)
        }
        Target::Warehouse(warehouse) => {
            (NAMED.to_vec(), vec![named_row(warehouse.created_on, &warehouse.name, "WAREHOUSE")])
        }
        Target::Stage(stage) => (STAGE_PROPERTIES.to_vec(), stage_rows(&stage)),
        Target::FileFormat(format) => {
            let options: Value =
                serde_json::from_str(&format_options(&format.body)).unwrap_or(Value::Null);
            (PROPERTIES.to_vec(), option_rows(&options))
        }
        Target::Sequence(sequence) => {
            let schema = view.schemas().find(|schema| schema.schema_id == sequence.place.schema_id);
            let (database, schema) = match schema {
                Some(schema) => (schema.database.as_str(), schema.name.as_str()),
                None => ("", ""),
            };
            let next = context.shared.accounts.peek_sequence(sequence.id).await?;
            (sequence_columns(), vec![sequence_row(database, schema, &sequence, next)])
        }
        Target::Model(model) => {
            (MODEL_PROPERTIES.to_vec(), model_rows(context, &model, version.as_deref()).await?)
        }
        Target::MaskingPolicy(policy) => {
            let created = policy.created_on;
            (POLICY_PROPERTIES.to_vec(), vec![policy_row(&policy.name, created, &policy.body.rule)])
        }
        Target::RowAccessPolicy(policy) => {
            let created = policy.created_on;
            (POLICY_PROPERTIES.to_vec(), vec![policy_row(&policy.name, created, &policy.body.rule)])
        }
        Target::Endpoint(endpoint) => {
            (ENDPOINT_PROPERTIES.to_vec(), endpoint_rows(context, &view, &endpoint).await?)
        }
        Target::Role(_)
        | Target::DatabaseRole(_)
        | Target::User(_)
        | Target::Tag(_)
        | Target::ResourceMonitor(_) => {
            return Err(UserError::unsupported(format!("DESCRIBE {kind}")));
        }
    })
}

/// Places of the key columns and of the policy's name in a column's row.
const TYPE: usize = 1;
const PRIMARY_KEY: usize = 5;
const UNIQUE_KEY: usize = 6;
const POLICY_NAME: usize = 10;

fn yes_or_no(value: bool) -> Cell {
    Cell::from(if value { "Y" } else { "N" })
}

fn column_row(column: &Column, default: Option<String>, comment: Option<String>) -> Vec<Cell> {
    vec![
        Cell::from(column.name.as_str()),
        Cell::from(column.sql_type.to_string()),
        Cell::from("COLUMN"),
        Cell::from(if column.nullable { "Y" } else { "N" }),
        Cell::from(default),
        Cell::from("N"),
        Cell::from("N"),
        Cell::Null,
        Cell::Null,
        Cell::from(comment),
        Cell::Null,
        Cell::Null,
    ]
}

fn policy_row(name: &str, created: i64, rule: &PolicyRule) -> Vec<Cell> {
    let arguments: Vec<String> =
        rule.arguments.iter().map(|(name, sql_type)| format!("{name} {sql_type}")).collect();
    vec![
        Cell::Instant(created),
        Cell::from(name),
        Cell::from(format!("({})", arguments.join(", "))),
        Cell::from(rule.returns.to_string()),
        Cell::from(rule.body.as_str()),
    ]
}

fn named_row(created: i64, name: &str, kind: &str) -> Vec<Cell> {
    vec![Cell::Instant(created), Cell::from(name), Cell::from(kind)]
}

async fn schema_rows(
    context: &StatementContext,
    view: &CatalogView,
    schema: &SchemaInfo,
) -> Result<Rows, UserError> {
    let scope = frazil_dialect::Scope::Schema(frazil_common::ObjectName {
        database: None,
        schema: Some(schema.database.clone()),
        name: schema.name.clone(),
    });
    let mut rows = Vec::new();
    for word in [
        ObjectWord::Table,
        ObjectWord::View,
        ObjectWord::Stage,
        ObjectWord::FileFormat,
        ObjectWord::Sequence,
        ObjectWord::Model,
    ] {
        for found in all_in(context, view, word, &scope).await? {
            let (created, name) = match &found.target {
                Target::Table(table) => (table.created_micros, table.name.name.as_str()),
                Target::View(view) => (view.created_micros, view.name.name.as_str()),
                Target::Stage(object) => (object.created_on, object.name.as_str()),
                Target::FileFormat(object) => (object.created_on, object.name.as_str()),
                Target::Sequence(object) => (object.created_on, object.name.as_str()),
                Target::Model(object) => (object.created_on, object.name.as_str()),
                _ => continue,
            };
            rows.push(named_row(created, name, word.as_str()));
        }
    }
    Ok(rows)
}

/// A JSON value as a property's type and text.
fn typed(value: &Value) -> (&'static str, String) {
    match value {
        Value::String(text) => ("String", text.clone()),
        Value::Bool(value) => ("Boolean", value.to_string()),
        Value::Number(number) if number.is_f64() => ("Double", number.to_string()),
        Value::Number(number) => ("Integer", number.to_string()),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(|value| typed(value).1).collect();
            ("List", format!("[{}]", texts.join(", ")))
        }
        Value::Null => ("String", String::new()),
        Value::Object(_) => ("String", value.to_string()),
    }
}

fn option_rows(options: &Value) -> Rows {
    let Value::Object(options) = options else { return Vec::new() };
    options
        .iter()
        .map(|(key, value)| {
            let (kind, text) = typed(value);
            vec![Cell::from(key.as_str()), Cell::from(kind), Cell::from(text), Cell::from("")]
        })
        .collect()
}

fn stage_rows(stage: &Object<Stage>) -> Rows {
    let with_parent = |parent: &str, row: Vec<Cell>| {
        std::iter::once(Cell::from(parent)).chain(row).collect::<Vec<Cell>>()
    };
    let map = |options: &std::collections::BTreeMap<String, Value>| {
        Value::Object(options.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let mut rows: Rows = Vec::new();
    let formats = option_rows(&map(&stage.body.file_format));
    rows.extend(formats.into_iter().map(|row| with_parent("STAGE_FILE_FORMAT", row)));
    let copy = option_rows(&map(&stage.body.copy_options));
    rows.extend(copy.into_iter().map(|row| with_parent("STAGE_COPY_OPTIONS", row)));
    rows.push(vec![
        Cell::from("DIRECTORY"),
        Cell::from("ENABLE"),
        Cell::from("Boolean"),
        Cell::from(stage.body.directory.to_string()),
        Cell::from("false"),
    ]);
    rows
}

fn user_rows(user: &User, locked_until: Option<i64>, now: i64) -> Rows {
    let properties = &user.properties;
    let flag = |value: bool| Some(value.to_string());
    let password = user.password_hash.as_ref().map(|_| "********".to_string());
    let secondary = properties.default_secondary_roles_all;
    let fingerprint =
        |key: &Option<String>| key.as_deref().and_then(crate::session::key_pair::fingerprint);
    let left = |until: Option<i64>, unit: i64| until.map(|until| time_left(until, now, unit));
    let said: [(&str, Option<String>, &str, &str); 21] = [
        ("NAME", Some(user.name.clone()), "null", "Name"),
        ("COMMENT", user.comment.clone(), "null", "User comment"),
        ("DISPLAY_NAME", properties.display_name.clone(), "null", "Display name"),
        ("TYPE", Some(properties.type_word().to_string()), "null", "User type"),
        ("LOGIN_NAME", Some(user.login_name.clone()), "null", "Name typed at login"),
        ("FIRST_NAME", properties.first_name.clone(), "null", "First name"),
        ("LAST_NAME", properties.last_name.clone(), "null", "Last name"),
        ("EMAIL", properties.email.clone(), "null", "Email address"),
        ("PASSWORD", password, "null", "Whether there is a password"),
        (
            "MUST_CHANGE_PASSWORD",
            flag(user.must_change_password),
            "false",
            "Whether the password must be changed at the next login",
        ),
        ("DISABLED", flag(user.disabled), "false", "Whether the user is disabled"),
        (
            "DAYS_TO_EXPIRY",
            left(properties.expires_on, DAY_MICROS),
            "null",
            "Days until the user may not log in any more",
        ),
        (
            "MINS_TO_UNLOCK",
            left(locked_until, MINUTE_MICROS),
            "null",
            "Minutes until a lock of the login ends",
        ),
        (
            "DEFAULT_WAREHOUSE",
            properties.default_warehouse.clone(),
            "null",
            "Warehouse that sessions begin with",
        ),
        (
            "DEFAULT_NAMESPACE",
            properties.default_namespace.clone(),
            "null",
            "Database and schema that sessions begin with",
        ),
        ("DEFAULT_ROLE", properties.default_role.clone(), "null", "Role sessions begin with"),
        (
            "DEFAULT_SECONDARY_ROLES",
            Some(if secondary { "[\"ALL\"]" } else { "[]" }.to_string()),
            "[\"ALL\"]",
            "Secondary roles that sessions begin with",
        ),
        ("RSA_PUBLIC_KEY", properties.rsa_public_key.clone(), "null", "Key for key-pair logins"),
        (
            "RSA_PUBLIC_KEY_FP",
            fingerprint(&properties.rsa_public_key),
            "null",
            "Fingerprint of RSA_PUBLIC_KEY",
        ),
        (
            "RSA_PUBLIC_KEY_2",
            properties.rsa_public_key_2.clone(),
            "null",
            "Second key for key-pair logins, for rotation",
        ),
        (
            "RSA_PUBLIC_KEY_2_FP",
            fingerprint(&properties.rsa_public_key_2),
            "null",
            "Fingerprint of RSA_PUBLIC_KEY_2",
        ),
    ];
    said.into_iter()
        .map(|(property, value, default, description)| {
            vec![
                Cell::from(property),
                Cell::from(value.unwrap_or_else(|| "null".to_string())),
                Cell::from(default),
                Cell::from(description),
            ]
        })
        .collect()
}

/// A version's signature, measurements and origin, one fact a row.
async fn model_rows(
    context: &StatementContext,
    model: &Object<Model>,
    version: Option<&str>,
) -> Result<Rows, UserError> {
    let registry = &context.shared.registry;
    let version = registry.version(model, version).await?;
    let loaded = registry.load(&version).await?;
    let row = |kind: &str, name: &str, sql_type: Cell, value: Cell| {
        vec![Cell::from(kind), Cell::from(name), sql_type, value]
    };
    let text = |value: &Value| match value {
        Value::Null => Cell::Null,
        value => Cell::from(typed(value).1),
    };
    let mut rows = vec![
        row("PROPERTY", "name", Cell::Null, Cell::from(model.name.as_str())),
        row("PROPERTY", "version", Cell::Null, Cell::from(version.name.as_str())),
        row(
            "PROPERTY",
            "default_version",
            Cell::Null,
            Cell::from(model.body.default_version.as_str()),
        ),
        row("PROPERTY", "comment", Cell::Null, Cell::from(version.comment.clone())),
    ];
    if let Value::Object(facts) = metadata(&version) {
        for (name, value) in &facts {
            if !matches!(value, Value::Object(_)) {
                rows.push(row("PROPERTY", name, Cell::Null, text(value)));
            }
        }
    }
    let importance = version.body.importance.as_object();
    for feature in loaded.features() {
        let share = importance.and_then(|importance| importance.get(&feature.name));
        rows.push(row(
            "FEATURE",
            &feature.name,
            Cell::from(feature.sql_type.to_string()),
            share.map_or(Cell::Null, text),
        ));
    }
    for (kind, facts) in [("OPTION", &version.body.options), ("METRIC", &version.body.metrics)] {
        if let Value::Object(facts) = facts {
            for (name, value) in facts {
                rows.push(row(kind, name, Cell::Null, text(value)));
            }
        }
    }
    for method in frazil_models::Method::ALL {
        if let Some(returns) = loaded.returns(method) {
            let returns = Cell::from(returns.to_string());
            rows.push(row("METHOD", method.as_str(), returns, Cell::Null));
        }
    }
    Ok(rows)
}

async fn endpoint_rows(
    context: &StatementContext,
    view: &CatalogView,
    endpoint: &Object<Endpoint>,
) -> Result<Rows, UserError> {
    let accounts = &context.shared.accounts;
    let model = accounts.object_by_id::<Model>(endpoint.body.model_id).await?;
    let schema = model
        .as_ref()
        .and_then(|model| view.schemas().find(|schema| schema.schema_id == model.place.schema_id));
    let full = match (&model, schema) {
        (Some(model), Some(schema)) => Some(format!(
            "{}.{}.{}",
            quote_identifier(&schema.database),
            quote_identifier(&schema.name),
            quote_identifier(&model.name)
        )),
        _ => None,
    };
    let default = model.map(|model| model.body.default_version);
    let version = endpoint.body.version.clone().or(default);
    let state = if endpoint.body.suspended { "SUSPENDED" } else { "READY" };
    let row = |name: &str, value: Cell| vec![Cell::from(name), value];
    Ok(vec![
        row("name", Cell::from(endpoint.name.as_str())),
        row("state", Cell::from(state)),
        row("model", Cell::from(full)),
        row("version", Cell::from(version)),
        row("follows_default", Cell::from(endpoint.body.version.is_none().to_string())),
        row("owner", Cell::from(endpoint.owner.clone())),
        row("comment", Cell::from(endpoint.comment.clone())),
        row("path", Cell::from(format!("/endpoints/{}/invocations", endpoint.name))),
    ])
}

/// DESCRIBE RESULT: the columns of an earlier result of the same user.
pub(crate) async fn result(
    context: &StatementContext,
    describe: &DescribeResult,
) -> Result<Outcome, UserError> {
    let id = describe.query_id.clone().or_else(|| context.state.query_ids.back().cloned());
    let id = id.unwrap_or_default();
    let reader = context.session.reader();
    let known = id.parse::<Uuid>().ok();
    let Some(result) = known.and_then(|id| context.shared.results.get(&id, &reader)) else {
        return Err(context.session.lost_result(&id).await);
    };
    let result = result?;
    // Policies and privacy domains are of tables, not of results.
    let width = COLUMNS.len() - 2;
    let rows = if context.describe_only {
        Vec::new()
    } else {
        result
            .columns
            .iter()
            .map(|column| {
                let mut row = column_row(column, None, None);
                row.truncate(width);
                row
            })
            .collect()
    };
    Outcome::table(&COLUMNS[..width], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_have_a_type_and_a_text() {
        assert_eq!(typed(&serde_json::json!(["a", 1])), ("List", "[a, 1]".to_string()));
        assert_eq!(typed(&serde_json::json!(true)), ("Boolean", "true".to_string()));
        assert_eq!(typed(&serde_json::json!(0.5)).0, "Double");
    }

    #[test]
    fn a_column_is_described_as_snowflake_does() {
        let row = column_row(&Column::new("A", SqlType::INTEGER, false), None, None);
        assert_eq!(row[1], Cell::from("NUMBER(38,0)"));
        assert_eq!(row[3], Cell::from("N"));
        assert_eq!(row.len(), COLUMNS.len());
    }
}

//! MASKING_POLICIES, ROW_ACCESS_POLICIES and POLICY_REFERENCES: the account's policies, and the
//! tables, views and tags they were put on.

use frazil_catalog::account::{
    MaskingPolicy, Object, ObjectBody, ObjectFilter, PolicyRule, RowAccessPolicy,
};
use frazil_common::{ObjectKind, SqlType, UserError, quote_identifier};

use super::names::Names;
use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::information_schema::policies::{REFERENCE_COLUMNS, argument_names, kind_word};
use crate::statements::outcome::Cell;

const COLUMNS: [(&str, SqlType); 15] = [
    ("POLICY_ID", NUMBER),
    ("POLICY_NAME", TEXT),
    ("POLICY_SCHEMA_ID", NUMBER),
    ("POLICY_SCHEMA", TEXT),
    ("POLICY_CATALOG_ID", NUMBER),
    ("POLICY_CATALOG", TEXT),
    ("POLICY_OWNER", TEXT),
    ("POLICY_SIGNATURE", TEXT),
    ("POLICY_RETURN_TYPE", TEXT),
    ("POLICY_BODY", TEXT),
    ("POLICY_COMMENT", TEXT),
    ("CREATED", INSTANT),
    ("LAST_ALTERED", INSTANT),
    ("DELETED", INSTANT),
    ("OWNER_ROLE_TYPE", TEXT),
];

pub(super) async fn masking_policies(source: &Source<'_>) -> Result<Table, UserError> {
    fill(source, "MASKING_POLICIES", |policy: &MaskingPolicy| &policy.rule).await
}

pub(super) async fn row_access_policies(source: &Source<'_>) -> Result<Table, UserError> {
    fill(source, "ROW_ACCESS_POLICIES", |policy: &RowAccessPolicy| &policy.rule).await
}

async fn fill<B: ObjectBody>(
    source: &Source<'_>,
    name: &'static str,
    rule: fn(&B) -> &PolicyRule,
) -> Result<Table, UserError> {
    let mut table = Table::new(source.context, name, &COLUMNS);
    let accounts = &source.context.shared.accounts;
    for policy in accounts.objects::<B>(ObjectFilter::default()).await? {
        table.push(row(source, &policy, rule(&policy.body)))?;
    }
    Ok(table)
}

fn row<B>(source: &Source<'_>, policy: &Object<B>, rule: &PolicyRule) -> Vec<Cell> {
    let schema = source.view.schemas().find(|schema| schema.schema_id == policy.place.schema_id);
    let signature: Vec<String> = rule
        .arguments
        .iter()
        .map(|(name, sql_type)| format!("{} {sql_type}", quote_identifier(name)))
        .collect();
    vec![
        Cell::Number(policy.id),
        Cell::from(policy.name.as_str()),
        Cell::Number(policy.place.schema_id),
        Cell::from(schema.map(|schema| schema.name.clone())),
        Cell::Number(policy.place.database_id),
        Cell::from(schema.map(|schema| schema.database.clone())),
        Cell::from(policy.owner.clone()),
        Cell::from(format!("({})", signature.join(", "))),
        Cell::from(rule.returns.to_string()),
        Cell::from(rule.body.as_str()),
        Cell::from(policy.comment.clone()),
        Cell::Instant(policy.created_on),
        Cell::Instant(policy.altered_on),
        Cell::Null,
        Cell::from(policy.owner.as_ref().map(|_| "ROLE")),
    ]
}

pub(super) async fn policy_references(source: &Source<'_>) -> Result<Table, UserError> {
    let mut columns = REFERENCE_COLUMNS.to_vec();
    columns.insert(2, ("POLICY_ID", NUMBER));
    let mut table = Table::new(source.context, "POLICY_REFERENCES", &columns);
    let names = Names::load(source).await?;
    let account = source.context.shared.accounts.view().await?;
    let mut references: Vec<_> = account.policies.values().flatten().collect();
    references.sort_by_key(|reference| (reference.policy, reference.on, reference.column));
    for reference in references {
        // What was dropped keeps its policies for UNDROP; meanwhile there are none.
        let (Some(policy), Some(on)) = (names.get(reference.policy), names.get(reference.on))
        else {
            continue;
        };
        let of_tag = reference.on.0 == ObjectKind::Tag;
        let column = |id: i64| on.column(id).map(str::to_string);
        let masked = if of_tag { None } else { column(reference.column) };
        if !of_tag && reference.column != 0 && masked.is_none() {
            continue;
        }
        let arguments = if of_tag { None } else { argument_names(reference, column) };
        let [policy_database, policy_schema, policy_name] = policy.cells();
        let [database, schema, name] = on.cells();
        let [tag_database, tag_schema, tag_name] = match of_tag {
            true => on.cells(),
            false => [Cell::Null, Cell::Null, Cell::Null],
        };
        table.push(vec![
            policy_database,
            policy_schema,
            Cell::Number(reference.policy.1),
            policy_name,
            Cell::from(kind_word(reference.policy.0)),
            database,
            schema,
            name,
            Cell::from(reference.on.0.as_str()),
            Cell::from(masked),
            Cell::from(arguments),
            tag_database,
            tag_schema,
            tag_name,
            Cell::from("ACTIVE"),
        ])?;
    }
    Ok(table)
}

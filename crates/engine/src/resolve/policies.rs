//! The policies on a table or view, bound and put over its rows.

use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, Object, ObjectBody, PolicyReference, PolicyRule,
    RowAccessPolicy,
};
use frazil_catalog::{CatalogView, ColumnInfo, TableInfo};
use frazil_common::hidden::MARK;
use frazil_common::{
    Access, Code, Column, ObjectKind, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
};
use frazil_functions::TypedExpr;
use frazil_functions::cast::{CastMode, cast};
use frazil_governance::{Policies, PolicyUse, authorize_accesses, system};
use frazil_planner::{
    METADATA_KEPT, PlanContext, Reference, Relation, Resolved, plan_expression_and_accesses,
    references_of_expression,
};

use crate::resolve::objects::{parents_by_object, parents_of, table_object};
use crate::resolve::relation::{absent, is_hidden};
use crate::resolve::resolve;
use crate::resolve::tags::{
    ColumnAt, Governed, MaskRules, masks_of_column, masks_of_tags, with_tags,
};
use crate::statements::context::{StatementContext, Work};

/// Whether two types are one but for length, precision and scale.
pub(crate) fn alike(left: &SqlType, right: &SqlType) -> bool {
    match (left, right) {
        (SqlType::Timestamp { zone: left, .. }, SqlType::Timestamp { zone: right, .. }) => {
            left == right
        }
        (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
    }
}

/// Which values a reader gets beside what the policies show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// Those of masked columns, hidden, for DML to write back.
    Masked,
}

/// Whether a row access policy keeps the number of rows of a table or view from the roles: from
/// all but those that could take it off.
pub(crate) fn hides_row_count(
    context: &StatementContext,
    account: &AccountView,
    object: &ObjectRef,
) -> bool {
    account
        .policies_on(object.kind, object.id)
        .iter()
        .any(|on| on.policy.0 == ObjectKind::RowAccessPolicy && !may_lift(context, on.policy))
}

/// Whether the roles could take a policy off what it protects.
pub(crate) fn may_lift(context: &StatementContext, (kind, id): GrantTarget) -> bool {
    let privilege = match kind {
        ObjectKind::RowAccessPolicy => Privilege::ApplyRowAccessPolicy,
        _ => Privilege::ApplyMaskingPolicy,
    };
    let policy = ObjectRef { kind, id, name: String::new() };
    let owner = context.model.owner(&policy).unwrap_or(system::ACCOUNTADMIN);
    context.model.includes(&context.roles, owner)
        || context.model.has_global(&context.roles, privilege)
}

/// Whether policies on a table, its own or brought by tags, may keep values of its rows from the roles:
/// from all but those that could take them off.
pub(crate) async fn hides_values(
    context: &StatementContext,
    account: &AccountView,
    view: &CatalogView,
    table: &TableInfo,
) -> Result<bool, UserError> {
    let object = table_object(table);
    let own = account.policies_on(object.kind, object.id);
    if own.iter().any(|on| !may_lift(context, on.policy)) {
        return Ok(true);
    }
    let all: Vec<&ColumnInfo> = table.columns.iter().collect();
    masks_any(context, account, view, table, &all).await
}

/// Whether policies keep the values of one of some columns from the roles; as [`hides_values`].
pub(crate) async fn hides_columns(
    context: &StatementContext,
    account: &AccountView,
    view: &CatalogView,
    table: &TableInfo,
    names: &[String],
) -> Result<bool, UserError> {
    let named = table.columns.iter().filter(|column| names.contains(&column.name));
    let columns: Vec<&ColumnInfo> = named.collect();
    let object = table_object(table);
    let own = account.policies_on(object.kind, object.id).iter();
    let mut masks = own.filter(|on| columns.iter().any(|column| column.field_id == on.column));
    if masks.any(|on| !may_lift(context, on.policy)) {
        return Ok(true);
    }
    masks_any(context, account, view, table, &columns).await
}

/// Whether tags bring policies to one of some columns that the roles could not take off.
async fn masks_any(
    context: &StatementContext,
    account: &AccountView,
    view: &CatalogView,
    table: &TableInfo,
    columns: &[&ColumnInfo],
) -> Result<bool, UserError> {
    let object = table_object(table);
    let may_lift = |policy| may_lift(context, policy);
    if !account.has_tag_policies() {
        return Ok(false);
    }
    let parents = parents_of(view, &table.name);
    let mut rules = MaskRules::default();
    for column in columns {
        let at = ColumnAt { object: &object, parents: &parents, id: column.field_id };
        let masks = masks_of_column(context, account, &mut rules, &at, &column.sql_type).await?;
        if masks.into_iter().any(|policy| !may_lift(policy)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A policy that is on the relation, read from the catalog.
struct Rule {
    reference: PolicyReference,
    rule: PolicyRule,
    object: ObjectRef,
    /// Database and schema of the policy, where its unqualified names are looked up.
    database: String,
    schema: String,
}

async fn read<B: ObjectBody>(
    context: &StatementContext,
    work: &mut Work,
    (reference, on): (&PolicyReference, &ObjectRef),
    rule: fn(B) -> PolicyRule,
) -> Result<Rule, UserError> {
    // A policy that went with its schema, while what it protects was dropped too, lets nothing through.
    let gone = || {
        UserError::new(
            Code::InvalidStatement,
            format!(
                "{} cannot be read: a policy that protects it was dropped with its schema. Bring the \
                 schema back with UNDROP, or take the policy off.",
                on.name
            ),
        )
    };
    let accounts = &context.shared.accounts;
    let object: Object<B> = accounts.object_by_id(reference.policy.1).await?.ok_or_else(gone)?;
    let view = work.lake()?.view().clone();
    let schema = view
        .schemas()
        .find(|schema| schema.schema_id == object.place.schema_id)
        .ok_or_else(gone)?;
    let name = QualifiedName::new(&schema.database, &schema.name, &object.name);
    Ok(Rule {
        reference: reference.clone(),
        object: ObjectRef { kind: B::KIND, id: object.id, name: name.to_string() },
        rule: rule(object.body),
        database: name.database,
        schema: name.schema,
    })
}

/// A relation as the roles see it under the policies on it, and whether there are any. `ids` are
/// those by which policies name its columns, in order.
///
/// # Errors
/// A policy that cannot be bound any more: nothing is shown without it.
pub(crate) async fn protect(
    context: &StatementContext,
    work: &mut Work,
    relation: Relation,
    ids: &[i64],
    kept: Kept,
    depth: usize,
) -> Result<(Relation, bool), UserError> {
    let Some(object) = relation.object.clone() else { return Ok((relation, false)) };
    let account = context.shared.accounts.view().await?;
    let mut references = account.policies_on(object.kind, object.id).to_vec();
    let parents = parents_by_object(work.lake()?.view(), &object);
    let by_tag =
        masks_of_tags(context, &account, &relation, &object, &parents, &references, ids).await?;
    references.extend(by_tag.policies);
    if references.is_empty() && by_tag.refused.is_empty() {
        return Ok((relation, false));
    }
    let mut rules = Vec::with_capacity(references.len());
    for reference in &references {
        rules.push(match reference.policy.0 {
            ObjectKind::MaskingPolicy => {
                let on = (reference, &object);
                read(context, work, on, |policy: MaskingPolicy| policy.rule).await?
            }
            ObjectKind::RowAccessPolicy => {
                let on = (reference, &object);
                read(context, work, on, |policy: RowAccessPolicy| policy.rule).await?
            }
            other => return Err(UserError::internal(format!("{other} as a policy"))),
        });
    }
    // A column that was dropped takes the policies that mask it along.
    rules.retain(|rule| rule.reference.column == 0 || ids.contains(&rule.reference.column));
    let fields = relation.plan.schema().columns();
    let position = |id: i64, rule: &Rule| {
        ids.iter().position(|known| *known == id).ok_or_else(|| {
            UserError::new(
                Code::InvalidStatement,
                format!(
                    "Policy '{}' refers to a column that {} does not have.",
                    rule.object.name, object.name
                ),
            )
        })
    };
    let mut arguments = Vec::new();
    let mut types: Vec<Vec<SqlType>> = Vec::with_capacity(rules.len());
    for (number, rule) in rules.iter().enumerate() {
        let mut taken = Vec::with_capacity(rule.rule.arguments.len());
        for (index, (id, (_, sql_type))) in
            rule.reference.arguments.iter().zip(&rule.rule.arguments).enumerate()
        {
            let at = position(*id, rule)?;
            let column = &relation.columns[at];
            let value = TypedExpr::new(
                datafusion::logical_expr::Expr::Column(fields[at].clone()),
                column.sql_type.clone(),
                column.nullable,
            );
            // A policy on a type is one for its every length, precision and scale: the value is whole.
            let value = match alike(&value.sql_type, sql_type) {
                true => value,
                false => cast(value, sql_type, CastMode::Implicit, &context.facts)?,
            };
            taken.push(value.sql_type);
            arguments.push((argument_name(number, index), value.expr));
        }
        types.push(taken);
    }
    let extended = Policies::with_arguments(relation.plan.clone(), arguments)?;
    let mut policies = Policies::default();
    let mut relation = relation;
    let name = relation.name.clone();
    for (number, rule) in rules.iter().enumerate() {
        let masked = match rule.reference.column {
            0 => None,
            column => Some(relation.columns[position(column, rule)?].name.clone()),
        };
        let on = Governed {
            account: &account,
            object: &object,
            parents: &parents,
            name: name.as_ref(),
            column: (rule.reference.column != 0).then_some(rule.reference.column),
        };
        context.protections.lock().note(PolicyUse {
            policy: rule.object.clone(),
            on: object.clone(),
            column: masked,
        });
        let masks = match rule.reference.column {
            0 => None,
            column => Some(relation.columns[position(column, rule)?].sql_type.clone()),
        };
        let returns = masks.filter(|of| alike(of, &rule.rule.returns));
        let returns = returns.as_ref().unwrap_or(&rule.rule.returns);
        let typed = (number, types[number].as_slice(), returns);
        let bound = bound(context, work, rule, typed, &extended, &on, depth).await;
        // The words of what went wrong are of the policy's body.
        let (value, accesses) = bound.map_err(|error| {
            if may_lift(context, (rule.object.kind, rule.object.id)) {
                return error;
            }
            let told = format!("Failure during expansion of a policy on {}", object.name);
            UserError::new(error.code, told)
        })?;
        relation.accesses.extend(accesses);
        if rule.reference.column == 0 {
            policies.rows.push(value.expr);
            continue;
        }
        let at = position(rule.reference.column, rule)?;
        let column = &mut relation.columns[at];
        let value = cast(value, &column.sql_type, CastMode::Implicit, &context.facts)?;
        column.nullable = true;
        policies.columns.insert(at, value.expr);
        if kept == Kept::Masked {
            policies.kept.push((at, format!("{METADATA_KEPT}{}", fields[at].name)));
        }
    }
    for (id, error) in by_tag.refused {
        let Some(at) = ids.iter().position(|known| *known == id) else { continue };
        policies.refused.insert(at, error);
        context.protections.lock().refuse();
        if kept == Kept::Masked {
            policies.kept.push((at, format!("{METADATA_KEPT}{}", fields[at].name)));
        }
    }
    relation.hidden += policies.kept.len();
    relation.plan = policies.apply(&relation.plan, extended)?;
    Ok((relation, true))
}

fn argument_name(rule: usize, index: usize) -> String {
    format!("{MARK}policy {rule} argument {index}")
}

/// A policy's expression over its arguments. Its queries read with the rights of its owner; the
/// session's role and user are those of whoever asks.
async fn bound(
    context: &StatementContext,
    work: &mut Work,
    rule: &Rule,
    (number, types, returns): (usize, &[SqlType], &SqlType),
    extended: &datafusion::logical_expr::LogicalPlan,
    on: &Governed<'_>,
    depth: usize,
) -> Result<(TypedExpr, Vec<Access>), UserError> {
    let wanted: Vec<String> =
        (0..rule.rule.arguments.len()).map(|index| argument_name(number, index)).collect();
    let exprs = extended
        .schema()
        .columns()
        .into_iter()
        .filter(|field| wanted.contains(&field.name))
        .map(datafusion::logical_expr::Expr::Column)
        .collect();
    let plan = datafusion::logical_expr::Projection::try_new(exprs, extended.clone().into())
        .map_err(UserError::internal)?;
    let arguments = Relation {
        object: None,
        name: None,
        columns: rule
            .rule
            .arguments
            .iter()
            .zip(types)
            .map(|((name, _), sql_type)| Column::new(name, sql_type.clone(), true))
            .collect(),
        plan: datafusion::logical_expr::LogicalPlan::Projection(plan),
        accesses: Vec::new(),
        hidden: 0,
    };
    let owner = context.model.owner(&rule.object).unwrap_or(system::ACCOUNTADMIN).to_string();
    let (value, accesses) = bind(
        context,
        work,
        Body { kind: rule.object.kind, text: &rule.rule.body, returns },
        (&rule.database, &rule.schema),
        &arguments,
        (Some(on), Some(&owner)),
        depth,
    )
    .await?;
    let accesses: Vec<Access> = accesses
        .into_iter()
        .map(|access| Access {
            on_behalf_of: access.on_behalf_of.or_else(|| Some(owner.clone())),
            ..access
        })
        .collect();
    // With the plan they are checked too, but its error would name what the policy reads.
    let view = work.lake()?.view().clone();
    let containers = |object: &ObjectRef| parents_by_object(&view, object);
    authorize_accesses(&accesses, &containers, &context.model, &context.roles)?;
    Ok((value, accesses))
}

/// Refuses a body that names what the role may not know of: binding would tell of its columns.
///
/// # Errors
/// 002003, as for an object that is absent.
pub(crate) async fn refuse_hidden(
    context: &StatementContext,
    work: &mut Work,
    rule: &PolicyRule,
    (database, schema): (&str, &str),
) -> Result<(), UserError> {
    let inner = context.for_view(database, schema).at_present();
    let expr = frazil_dialect::parse_expression(&rule.body)?;
    let (none, empty) = (Default::default(), Resolved::default());
    let plan_context = PlanContext::new(&inner.facts, &empty, &[], &none).with_source(&rule.body);
    let view = work.lake()?.permanent_view().clone();
    for reference in references_of_expression(&expr, &plan_context)? {
        let (Reference::Table { name, .. } | Reference::Changes { name, .. }) = reference else {
            continue;
        };
        let name = inner.qualify(&name)?;
        if is_hidden(context, &view, &name) {
            return Err(absent(&name));
        }
    }
    Ok(())
}

/// What a policy computes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    /// A row access policy's is a condition.
    pub kind: ObjectKind,
    pub text: &'a str,
    pub returns: &'a SqlType,
}

/// Binds a policy's body over a relation of its arguments, cast to what it returns. `on` is what
/// the policy stands on and `owner` its owner; none when it is written.
///
/// # Errors
/// Those of the body.
pub(crate) async fn bind(
    context: &StatementContext,
    work: &mut Work,
    body: Body<'_>,
    (database, schema): (&str, &str),
    arguments: &Relation,
    (on, owner): (Option<&Governed<'_>>, Option<&str>),
    depth: usize,
) -> Result<(TypedExpr, Vec<Access>), UserError> {
    let mut inner = context.for_view(database, schema).at_present();
    // CURRENT_DATABASE and CURRENT_SCHEMA are those of what is protected, names those of the policy.
    if let Some(name) = on.and_then(|on| on.name) {
        inner.facts.database = Some(name.database.clone());
        inner.facts.schema = Some(name.schema.clone());
    }
    if let Some(owner) = owner {
        inner = inner.of_owner(owner);
    }
    let expr = frazil_dialect::parse_expression(body.text)?;
    let expr = with_tags(&inner, expr, on).await?;
    let none = Default::default();
    let empty = Resolved::default();
    let wanted = {
        let plan_context =
            PlanContext::new(&inner.facts, &empty, &[], &none).with_source(body.text);
        references_of_expression(&expr, &plan_context)?
    };
    let resolved = resolve(&inner, work, wanted, depth + 1).await?;
    let plan_context = PlanContext::new(&inner.facts, &resolved, &[], &none).with_source(body.text);
    let is_condition = body.kind == ObjectKind::RowAccessPolicy;
    let (value, accesses) =
        plan_expression_and_accesses(&expr, arguments, is_condition, &plan_context)?;
    let value = cast(value, body.returns, CastMode::Implicit, &inner.facts)?;
    Ok((value, accesses))
}

//! Masking and row access policies: CREATE, ALTER, and ALTER TABLE or VIEW that sets them.

use datafusion::logical_expr::LogicalPlanBuilder;
use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, Object, ObjectBody, Place, PolicyReference,
    PolicyRule, RowAccessPolicy,
};
use frazil_catalog::{TableInfo, ViewInfo};
use frazil_common::{
    Code, Column, ObjectKind, ObjectName, ObjectRef, Privilege, SqlType, UserError,
    quote_identifier,
};
use frazil_dialect::{
    AlterPolicy, AlterPolicyAction, ColumnMask, CreatePolicy, ObjectWord, RowFilter, SetPolicy,
    SetPolicyAction,
};
use frazil_governance::{Requirement, authorize_accesses};
use frazil_lake::LakeTransaction;
use frazil_planner::{Relation, sql_type};

use crate::resolve::objects::{
    database_object, parents_by_object, schema as expect_schema, schema_object,
};
use crate::resolve::policies::{Body, alike, bind, refuse_hidden};
use crate::resolve::tags::{ColumnAt, MaskRules, masks_of_column};
use crate::statements::account_change::AccountChange;
use crate::statements::alter_object::complete;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_stage::{kept, make, site};
use crate::statements::create_table::authorize_move;
use crate::statements::lookup::{
    Found, Target, absent, described_status, expect, find, find_reached,
};
use crate::statements::outcome::{Outcome, schema_of};

const DONE: &str = "Statement executed successfully.";

fn rule(create: &CreatePolicy) -> Result<PolicyRule, UserError> {
    let arguments = create
        .arguments
        .iter()
        .map(|argument| Ok((argument.name.clone(), sql_type(&argument.data_type)?)))
        .collect::<Result<Vec<_>, UserError>>()?;
    let returns = sql_type(&create.returns)?;
    match create.kind {
        ObjectWord::RowAccessPolicy if returns != SqlType::Boolean => {
            return Err(UserError::new(
                Code::InvalidDataType,
                "The return type of a row access policy must be BOOLEAN.",
            ));
        }
        ObjectWord::MaskingPolicy
            if arguments.first().is_none_or(|(_, first)| !alike(first, &returns)) =>
        {
            return Err(UserError::new(
                Code::IncompatibleTypes,
                "Masking policy function argument and return type mismatch.",
            ));
        }
        _ => {}
    }
    if arguments.is_empty() {
        return Err(UserError::syntax("a policy has at least one argument"));
    }
    Ok(PolicyRule { arguments, returns, body: create.body.text.clone() })
}

/// Binds a body over arguments without rows, so that its errors are told when it is written.
async fn check(
    context: &StatementContext,
    work: &mut Work,
    (kind, rule): (ObjectKind, &PolicyRule),
    place: (&str, &str),
) -> Result<(), UserError> {
    let columns: Vec<Column> = rule
        .arguments
        .iter()
        .map(|(name, sql_type)| Column::new(name, sql_type.clone(), true))
        .collect();
    let plan = datafusion::logical_expr::LogicalPlan::EmptyRelation(
        datafusion::logical_expr::EmptyRelation {
            produce_one_row: false,
            schema: std::sync::Arc::new(
                datafusion::common::DFSchema::try_from(schema_of(&columns).as_ref().clone())
                    .map_err(UserError::internal)?,
            ),
        },
    );
    let plan = LogicalPlanBuilder::from(plan).build().map_err(UserError::internal)?;
    let arguments =
        Relation { object: None, name: None, columns, plan, accesses: Vec::new(), hidden: 0 };
    refuse_hidden(context, work, rule, place).await?;
    let body = Body { kind, text: &rule.body, returns: &rule.returns };
    let (_, accesses) = bind(context, work, body, place, &arguments, (None, None), 0).await?;
    // The policy may come to another owner, whose rights it reads with.
    let view = work.lake()?.view().clone();
    let containers = |object: &ObjectRef| parents_by_object(&view, object);
    authorize_accesses(&accesses, &containers, &context.model, &context.roles)
}

async fn create_as<B: ObjectBody>(
    context: &StatementContext,
    work: &mut Work,
    create: &CreatePolicy,
    privilege: Privilege,
    body: fn(PolicyRule) -> B,
) -> Result<Outcome, UserError> {
    let rule = rule(create)?;
    let found = site::<B>(context, work, &create.name, create.mode, false, privilege).await?;
    let Some(site) = found else { return kept(&create.name) };
    if let Some(existing) = &site.existing {
        refuse_in_use(context, (B::KIND, existing.id), &create.name.name).await?;
    }
    check(context, work, (B::KIND, &rule), (&site.name.database, &site.name.schema)).await?;
    if !context.describe_only {
        make(context, site, create.comment.clone(), body(rule)).await?;
    }
    let noun = if B::KIND == ObjectKind::MaskingPolicy { "Masking" } else { "Row access" };
    Outcome::status(format!("{noun} policy {} successfully created.", create.name.name))
}

pub(crate) async fn create(
    context: &StatementContext,
    work: &mut Work,
    create: &CreatePolicy,
) -> Result<Outcome, UserError> {
    match create.kind {
        ObjectWord::MaskingPolicy => {
            let privilege = Privilege::CreateMaskingPolicy;
            create_as(context, work, create, privilege, |rule| MaskingPolicy { rule }).await
        }
        _ => {
            let privilege = Privilege::CreateRowAccessPolicy;
            create_as(context, work, create, privilege, |rule| RowAccessPolicy { rule }).await
        }
    }
}

/// A policy that is on a table or view can be neither dropped nor replaced.
pub(crate) async fn refuse_in_use(
    context: &StatementContext,
    policy: (ObjectKind, i64),
    name: &str,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    let used = account.policies.values().flatten().any(|reference| reference.policy == policy);
    if !used {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidStatement,
        format!(
            "Policy {} cannot be dropped/replaced as it is associated with one or more entities.",
            quote_identifier(name)
        ),
    ))
}

pub(crate) async fn alter(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterPolicy,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let Some(found) = find(context, &view, alter.kind, &alter.name).await? else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, alter.kind, &alter.name))
        };
    };
    found.require(context, &[Privilege::Ownership])?;
    match found.target {
        Target::MaskingPolicy(policy) => {
            let privilege = Privilege::CreateMaskingPolicy;
            changed(context, work, alter, policy, privilege, |policy| &mut policy.rule).await
        }
        Target::RowAccessPolicy(policy) => {
            let privilege = Privilege::CreateRowAccessPolicy;
            changed(context, work, alter, policy, privilege, |policy| &mut policy.rule).await
        }
        _ => Err(UserError::internal("a policy is no policy")),
    }
}

async fn changed<B: ObjectBody>(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterPolicy,
    mut policy: Object<B>,
    privilege: Privilege,
    rule: fn(&mut B) -> &mut PolicyRule,
) -> Result<Outcome, UserError> {
    let full = context.qualify(&alter.name)?;
    match &alter.action {
        AlterPolicyAction::SetBody(body) => {
            let rule = rule(&mut policy.body);
            rule.body.clone_from(&body.text);
            let rule = rule.clone();
            check(context, work, (B::KIND, &rule), (&full.database, &full.schema)).await?;
        }
        AlterPolicyAction::RenameTo(to) => {
            let to = complete(to, &full);
            if (&to.database, &to.schema) != (&full.database, &full.schema) {
                authorize_move(context, work, &to, privilege)?;
            }
            let view = work.lake()?.view().clone();
            let schema = expect_schema(&view, &to.database, &to.schema)?;
            let accounts = &context.shared.accounts;
            if accounts.object::<B>(schema.schema_id, &to.name, 0).await?.is_some() {
                return Err(UserError::exists(quote_identifier(&to.name)));
            }
            let database_id =
                view.database(&to.database).map_or(0, |database| database.database_id);
            policy.name = to.name;
            policy.place = Place::in_schema(database_id, schema.schema_id);
        }
        AlterPolicyAction::Comment(comment) => policy.comment.clone_from(comment),
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.claim_rules(context).await?;
    change.writer().update_object(&policy).await?;
    change.commit().await?;
    Outcome::status(DONE)
}

/// The table or view, if the role may put policies of the kind on it: with the privilege on the
/// account, or with APPLY on the policy and the ownership of the table or view.
async fn governed(
    context: &StatementContext,
    work: &mut Work,
    set: &SetPolicy,
    global: Privilege,
) -> Result<Option<Found>, UserError> {
    let view = work.lake()?.view().clone();
    let everywhere = context.authorize(&[Requirement::global(global)]).is_ok();
    let found = if everywhere {
        find_reached(context, &view, set.kind, &set.name).await?
    } else {
        find(context, &view, set.kind, &set.name).await?
    };
    let Some(found) = found else {
        return if set.if_exists { Ok(None) } else { Err(absent(context, set.kind, &set.name)) };
    };
    if found.object.id < 0 {
        return Err(UserError::unsupported("policies on a temporary table"));
    }
    if !everywhere {
        found.require(context, &[Privilege::Ownership])?;
    }
    Ok(Some(found))
}

/// The policy, if the role may put it on something.
pub(crate) async fn applicable(
    context: &StatementContext,
    work: &mut Work,
    word: ObjectWord,
    name: &ObjectName,
    global: Privilege,
) -> Result<(i64, PolicyRule), UserError> {
    let view = work.lake()?.view().clone();
    let found = if context.authorize(&[Requirement::global(global)]).is_ok() {
        match find_reached(context, &view, word, name).await? {
            Some(found) => found,
            None => return Err(absent(context, word, name)),
        }
    } else {
        let found = expect(context, &view, word, name).await?;
        found.require(context, &[Privilege::Apply, Privilege::Ownership])?;
        found
    };
    match found.target {
        Target::MaskingPolicy(policy) => Ok((policy.id, policy.body.rule)),
        Target::RowAccessPolicy(policy) => Ok((policy.id, policy.body.rule)),
        _ => Err(UserError::internal("a policy is no policy")),
    }
}

/// Demands of a policy that is to be taken off what a policy to be put on takes: the owner of a
/// clone must not get at what the policies on it hide.
async fn require_removable(
    context: &StatementContext,
    work: &mut Work,
    policy: (ObjectKind, i64),
    global: Privilege,
) -> Result<(), UserError> {
    if context.authorize(&[Requirement::global(global)]).is_ok() {
        return Ok(());
    }
    let view = work.lake()?.view().clone();
    let accounts = &context.shared.accounts;
    let (kind, id) = policy;
    let schema = match kind {
        ObjectKind::MaskingPolicy => {
            accounts.object_by_id::<MaskingPolicy>(id).await?.map(|policy| policy.place.schema_id)
        }
        _ => {
            accounts.object_by_id::<RowAccessPolicy>(id).await?.map(|policy| policy.place.schema_id)
        }
    };
    let schema = view.schemas().find(|found| Some(found.schema_id) == schema);
    let parents: Vec<ObjectRef> = match schema {
        Some(schema) => database_object(&view, &schema.database)
            .into_iter()
            .chain([schema_object(schema)])
            .collect(),
        None => Vec::new(),
    };
    let noun = if kind == ObjectKind::MaskingPolicy { "Masking" } else { "Row access" };
    // The name of a policy that the role may not know of is not told.
    let object = ObjectRef { kind, id, name: "on this object".to_string() };
    context
        .authorize(&[Requirement::new(object, parents, Privilege::Apply).or(Privilege::Ownership)])
        .map_err(|error| match error.code {
            Code::ObjectNotFound => UserError::new(
                error.code,
                format!("{noun} policy on this object does not exist or not authorized."),
            ),
            _ => error,
        })
}

/// The policies by tags that a policy of the column's own comes before.
async fn masks_by_tags(
    context: &StatementContext,
    account: &AccountView,
    found: &Found,
    id: i64,
) -> Result<Vec<GrantTarget>, UserError> {
    let known = columns(found).into_iter().find(|(_, known, _)| *known == id);
    let Some((_, _, sql_type)) = known else { return Ok(Vec::new()) };
    let at = ColumnAt { object: &found.object, parents: &found.parents, id };
    masks_of_column(context, account, &mut MaskRules::default(), &at, &sql_type).await
}

/// Names, ids and types of the columns of a table or view.
pub(crate) fn columns(found: &Found) -> Vec<(String, i64, SqlType)> {
    match &found.target {
        Target::Table(table) => table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.field_id, column.sql_type.clone()))
            .collect(),
        Target::View(view) => view
            .columns
            .iter()
            .zip(1..)
            .map(|(column, number)| (column.name.clone(), number, column.sql_type.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

/// The ids of the columns that a policy's arguments are, after a look at their types.
fn arguments(
    columns: &[(String, i64, SqlType)],
    named: &[String],
    rule: &PolicyRule,
) -> Result<Vec<i64>, UserError> {
    if named.len() != rule.arguments.len() {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "The policy has {} argument(s), but {} column(s) are named.",
                rule.arguments.len(),
                named.len()
            ),
        ));
    }
    named
        .iter()
        .zip(&rule.arguments)
        .map(|(name, (argument, expected))| {
            let (_, id, found) = columns
                .iter()
                .find(|(column, _, _)| column == name)
                .ok_or_else(|| UserError::invalid_identifier(quote_identifier(name)))?;
            if !alike(found, expected) {
                return Err(UserError::new(
                    Code::IncompatibleTypes,
                    format!(
                        "Column {name} of type {found} does not fit argument {argument} of type \
                         {expected}."
                    ),
                ));
            }
            Ok(*id)
        })
        .collect()
}

pub(crate) fn column_id(found: &Found, name: &str) -> Result<i64, UserError> {
    columns(found)
        .into_iter()
        .find(|(column, _, _)| column == name)
        .map(|(_, id, _)| id)
        .ok_or_else(|| UserError::invalid_identifier(quote_identifier(name)))
}

/// The columns a masking policy is given: the masked one first.
fn mask_arguments(column: &str, using: &[String]) -> Result<Vec<String>, UserError> {
    let named = if using.is_empty() { vec![column.to_string()] } else { using.to_vec() };
    if named.first().is_none_or(|first| first != column) {
        return Err(UserError::new(
            Code::InvalidStatement,
            "The first column of USING must be the masked column.",
        ));
    }
    Ok(named)
}

/// A policy that a definition brings, with the names of the columns it is given.
#[derive(Debug)]
struct Defined {
    policy: GrantTarget,
    /// None: the policy is one on rows.
    column: Option<String>,
    arguments: Vec<String>,
}

/// The policies a definition brings, for the rows and the columns of a table or view.
#[derive(Debug, Default)]
pub(crate) struct DefinedPolicies(Vec<Defined>);

impl DefinedPolicies {
    /// Looks the policies up, which the role must be able to put on what it makes. `known` are the
    /// columns there will be.
    pub async fn find<'a>(
        context: &StatementContext,
        work: &mut Work,
        rows: Option<&RowFilter>,
        masks: impl Iterator<Item = (&'a String, Option<&'a ColumnMask>)>,
        known: &[(&str, &SqlType)],
    ) -> Result<Self, UserError> {
        let known: Vec<(String, i64, SqlType)> =
            known.iter().map(|(name, ty)| ((*name).to_string(), 0, (*ty).clone())).collect();
        let mut all = Vec::new();
        for (column, mask) in masks.filter_map(|(column, mask)| Some((column, mask?))) {
            let (kind, word) = (ObjectKind::MaskingPolicy, ObjectWord::MaskingPolicy);
            let global = Privilege::ApplyMaskingPolicy;
            let (id, rule) = applicable(context, work, word, &mask.policy, global).await?;
            let named = mask_arguments(column, &mask.using)?;
            arguments(&known, &named, &rule)?;
            let column = Some(column.clone());
            all.push(Defined { policy: (kind, id), column, arguments: named });
        }
        if let Some(rows) = rows {
            let (kind, word) = (ObjectKind::RowAccessPolicy, ObjectWord::RowAccessPolicy);
            let global = Privilege::ApplyRowAccessPolicy;
            let (id, rule) = applicable(context, work, word, &rows.policy, global).await?;
            arguments(&known, &rows.on, &rule)?;
            all.push(Defined { policy: (kind, id), column: None, arguments: rows.on.clone() });
        }
        Ok(DefinedPolicies(all))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells the commit of them.
    ///
    /// # Errors
    /// A column that is not there: what was checked before is what was made.
    pub fn record_table(
        &self,
        lake: &mut LakeTransaction,
        table: &TableInfo,
    ) -> Result<(), UserError> {
        let column = |name: &str| table.column(name).map(|column| column.field_id);
        self.record(lake, (ObjectKind::Table, table.table_id), column)
    }

    /// The same of a view.
    ///
    /// # Errors
    /// As above.
    pub fn record_view(
        &self,
        lake: &mut LakeTransaction,
        view: &ViewInfo,
    ) -> Result<(), UserError> {
        let column = |name: &str| {
            (1..).zip(&view.columns).find(|(_, column)| column.name == name).map(|(id, _)| id)
        };
        self.record(lake, (ObjectKind::View, view.view_id), column)
    }

    fn record(
        &self,
        lake: &mut LakeTransaction,
        on: GrantTarget,
        column: impl Fn(&str) -> Option<i64>,
    ) -> Result<(), UserError> {
        let id = |name: &String| {
            column(name).ok_or_else(|| UserError::invalid_identifier(quote_identifier(name)))
        };
        for defined in &self.0 {
            let reference = PolicyReference {
                policy: defined.policy,
                on,
                column: defined.column.as_ref().map(id).transpose()?.unwrap_or(0),
                arguments: defined.arguments.iter().map(id).collect::<Result<_, _>>()?,
            };
            lake.account().policies.push(reference);
        }
        Ok(())
    }
}

fn taken(kind: &str, found: &Found) -> UserError {
    UserError::new(
        Code::InvalidStatement,
        format!("{} already has a {kind}. Unset it first.", found.object.name),
    )
}

/// A column has one mask: a statement says one thing of it.
fn refuse_twice(actions: &[SetPolicyAction]) -> Result<(), UserError> {
    let mut named = std::collections::HashSet::new();
    for action in actions {
        let (SetPolicyAction::SetMasking { column, .. } | SetPolicyAction::UnsetMasking { column }) =
            action
        else {
            continue;
        };
        if !named.insert(column) {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!("duplicate column name '{column}' in one ALTER"),
            ));
        }
    }
    Ok(())
}

pub(crate) async fn set(
    context: &StatementContext,
    work: &mut Work,
    set: &SetPolicy,
) -> Result<Outcome, UserError> {
    let masking = matches!(
        set.actions.as_slice(),
        [SetPolicyAction::SetMasking { .. } | SetPolicyAction::UnsetMasking { .. }, ..]
    );
    let (kind, word, global) = if masking {
        (ObjectKind::MaskingPolicy, ObjectWord::MaskingPolicy, Privilege::ApplyMaskingPolicy)
    } else {
        (ObjectKind::RowAccessPolicy, ObjectWord::RowAccessPolicy, Privilege::ApplyRowAccessPolicy)
    };
    let Some(found) = governed(context, work, set, global).await? else {
        return Outcome::status(DONE);
    };
    let on = (found.object.kind, found.object.id);
    let account = context.shared.accounts.view().await?;
    let present = |column: i64| {
        account
            .policies_on(on.0, on.1)
            .iter()
            .find(|reference| reference.policy.0 == kind && reference.column == column)
    };
    refuse_twice(&set.actions)?;
    // What is taken off, and what is put on.
    let mut unset: Vec<i64> = Vec::new();
    let mut added: Vec<PolicyReference> = Vec::new();
    for action in &set.actions {
        match action {
            SetPolicyAction::SetMasking { column, policy, using, force } => {
                let (id, rule) = applicable(context, work, word, policy, global).await?;
                let named = mask_arguments(column, using)?;
                let arguments = arguments(&columns(&found), &named, &rule)?;
                let column = column_id(&found, column)?;
                if let Some(replaced) = present(column) {
                    if !force {
                        return Err(taken("masking policy on this column", &found));
                    }
                    require_removable(context, work, replaced.policy, global).await?;
                } else {
                    for hidden in masks_by_tags(context, &account, &found, column).await? {
                        require_removable(context, work, hidden, global).await?;
                    }
                }
                added.push(PolicyReference { policy: (kind, id), on, column, arguments });
            }
            SetPolicyAction::UnsetMasking { column } => {
                let column = column_id(&found, column)?;
                let removed = present(column).ok_or_else(|| {
                    UserError::new(Code::InvalidStatement, "The column has no masking policy.")
                })?;
                require_removable(context, work, removed.policy, global).await?;
                unset.push(column);
            }
            SetPolicyAction::AddRowAccess { policy, on: named } => {
                let (id, rule) = applicable(context, work, word, policy, global).await?;
                if present(0).is_some() {
                    return Err(taken("row access policy", &found));
                }
                let arguments = arguments(&columns(&found), named, &rule)?;
                added.push(PolicyReference { policy: (kind, id), on, column: 0, arguments });
            }
            SetPolicyAction::DropRowAccess { policy, then } => {
                let (id, _) = applicable(context, work, word, policy, global).await?;
                if present(0).is_none_or(|reference| reference.policy.1 != id) {
                    return Err(UserError::new(
                        Code::InvalidStatement,
                        format!("Policy '{policy}' is not on {}.", found.object.name),
                    ));
                }
                unset.push(0);
                if let Some((policy, named)) = then {
                    let (id, rule) = applicable(context, work, word, policy, global).await?;
                    let arguments = arguments(&columns(&found), named, &rule)?;
                    added.push(PolicyReference { policy: (kind, id), on, column: 0, arguments });
                }
            }
            SetPolicyAction::DropAllRowAccess => {
                if let Some(removed) = present(0) {
                    require_removable(context, work, removed.policy, global).await?;
                }
                unset.push(0);
            }
        }
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.claim_rules(context).await?;
    let mut writer = change.writer();
    for column in unset {
        writer.unset_policy(kind, on, column).await?;
    }
    for reference in &added {
        writer.set_policy(reference).await?;
    }
    change.commit().await?;
    Outcome::status(DONE)
}

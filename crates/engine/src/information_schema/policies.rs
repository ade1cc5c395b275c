//! POLICY_REFERENCES: what a policy is on, or which policies are on an object.

use std::sync::Arc;

use frazil_catalog::account::{AccountView, PolicyReference};
use frazil_catalog::{CatalogView, Relation};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
};
use frazil_dialect::ObjectWord;
use frazil_governance::Requirement;

use super::history::{Arguments, Given};
use super::{Rows, TEXT};
use crate::resolve::tags::{ColumnAt, MaskRules, effective, levels, masks_of_column};
use crate::statements::context::StatementContext;
use crate::statements::lookup::{
    Found, Target, absent, find, find_reached, of_schema_object, of_table, of_view,
};
use crate::statements::outcome::Cell;
use crate::statements::policy::columns;

pub(super) const FUNCTION: &str = "POLICY_REFERENCES";

const ARGUMENTS: [&str; 4] = ["POLICY_NAME", "POLICY_KIND", "REF_ENTITY_NAME", "REF_ENTITY_DOMAIN"];

pub(super) async fn function(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let given = Given::read(context, name, &ARGUMENTS, arguments)?;
    if let Some(kind) = given.text("POLICY_KIND")? {
        return Err(UserError::unsupported(format!("policies of kind {kind}")));
    }
    let view = context.shared.catalog.head_view().await?;
    let account = context.shared.accounts.view().await?;
    let mut list = List { context, view: &view, account: &account, rows: rows() };
    let policy = given.text("POLICY_NAME")?;
    let entity = (given.text("REF_ENTITY_NAME")?, given.text("REF_ENTITY_DOMAIN")?);
    match (policy, entity) {
        (Some(policy), (None, None)) => list.of_policy(&policy).await?,
        (None, (Some(name), Some(domain))) => list.on_entity(&name, &domain).await?,
        _ => {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!(
                    "Function {name} takes POLICY_NAME, or REF_ENTITY_NAME and REF_ENTITY_DOMAIN."
                ),
            ));
        }
    }
    Ok(list.rows)
}

/// What the function and the view of its name tell of each use of a policy.
pub(crate) const REFERENCE_COLUMNS: [(&str, SqlType); 14] = [
    ("POLICY_DB", TEXT),
    ("POLICY_SCHEMA", TEXT),
    ("POLICY_NAME", TEXT),
    ("POLICY_KIND", TEXT),
    ("REF_DATABASE_NAME", TEXT),
    ("REF_SCHEMA_NAME", TEXT),
    ("REF_ENTITY_NAME", TEXT),
    ("REF_ENTITY_DOMAIN", TEXT),
    ("REF_COLUMN_NAME", TEXT),
    ("REF_ARG_COLUMN_NAMES", TEXT),
    ("TAG_DATABASE", TEXT),
    ("TAG_SCHEMA", TEXT),
    ("TAG_NAME", TEXT),
    ("POLICY_STATUS", TEXT),
];

/// Of a policy that is in force, and of one of several that tags bring for a column.
const ACTIVE: &str = "ACTIVE";
const SEVERAL: &str = "MULTIPLE_MASKING_POLICY_ASSIGNED_TO_THE_COLUMN";

fn rows() -> Rows {
    Rows::new(FUNCTION, &REFERENCE_COLUMNS)
}

/// The privilege on the account to put policies of the kind on anything.
fn global(kind: ObjectKind) -> Privilege {
    match kind {
        ObjectKind::MaskingPolicy => Privilege::ApplyMaskingPolicy,
        _ => Privilege::ApplyRowAccessPolicy,
    }
}

fn everywhere(context: &StatementContext, kind: ObjectKind) -> bool {
    context.authorize(&[Requirement::global(global(kind))]).is_ok()
}

/// The names of the columns a policy on rows is given, as JSON.
pub(crate) fn argument_names(
    reference: &PolicyReference,
    column: impl Fn(i64) -> Option<String>,
) -> Option<String> {
    if reference.column != 0 {
        return None;
    }
    let names: Vec<String> = reference.arguments.iter().filter_map(|id| column(*id)).collect();
    Some(serde_json::Value::from(names).to_string())
}

/// The policy's kind, as the function and the view tell it.
pub(crate) fn kind_word(kind: ObjectKind) -> String {
    kind.as_str().replace(' ', "_")
}

struct List<'a> {
    context: &'a StatementContext,
    view: &'a Arc<CatalogView>,
    account: &'a AccountView,
    rows: Rows,
}

impl List<'_> {
    /// Of a policy that the role may put on things, what it is on and the role may know of.
    async fn of_policy(&mut self, name: &str) -> Result<(), UserError> {
        let name = frazil_dialect::parse_object_name_text(name)?;
        let mut found = None;
        for (word, kind) in [
            (ObjectWord::MaskingPolicy, ObjectKind::MaskingPolicy),
            (ObjectWord::RowAccessPolicy, ObjectKind::RowAccessPolicy),
        ] {
            let policy = match everywhere(self.context, kind) {
                true => find_reached(self.context, self.view, word, &name).await?,
                false => find(self.context, self.view, word, &name).await?,
            };
            if let Some(policy) = policy {
                found = Some(policy);
                break;
            }
        }
        let policy = found.ok_or_else(|| absent(self.context, ObjectWord::MaskingPolicy, &name))?;
        let kind = policy.object.kind;
        if !everywhere(self.context, kind) {
            policy.require(self.context, &[Privilege::Apply, Privilege::Ownership])?;
        }
        let mut references: Vec<&PolicyReference> = self
            .account
            .policies
            .values()
            .flatten()
            .filter(|reference| reference.policy == (kind, policy.object.id))
            .collect();
        references.sort_by_key(|reference| (reference.on, reference.column));
        for reference in references {
            let on = match reference.on.0 {
                ObjectKind::Tag => self.tag(reference.on.1).await?,
                _ => self.relation(reference.on),
            };
            let Some(on) = on.filter(|on| self.is_shown(on, kind)) else { continue };
            self.push(&policy.object, &on, reference, None, ACTIVE);
        }
        Ok(())
    }

    /// The policies on an object of the role's own, or of any for who puts them on everything.
    async fn on_entity(&mut self, name: &str, domain: &str) -> Result<(), UserError> {
        let name = frazil_dialect::parse_object_name_text(name)?;
        let word = match domain.to_uppercase().as_str() {
            "TABLE" | "VIEW" => match self.view.relation(&self.context.qualify(&name)?) {
                Some(Relation::View(_)) => ObjectWord::View,
                _ => ObjectWord::Table,
            },
            "TAG" => ObjectWord::Tag,
            other => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("Unknown domain '{other}'."),
                ));
            }
        };
        let kinds = [ObjectKind::MaskingPolicy, ObjectKind::RowAccessPolicy];
        let any = kinds.iter().any(|kind| everywhere(self.context, *kind));
        let found = match any {
            true => find_reached(self.context, self.view, word, &name).await?,
            false => find(self.context, self.view, word, &name).await?,
        };
        let on = found.ok_or_else(|| absent(self.context, word, &name))?;
        if !any {
            on.require(self.context, &[Privilege::Ownership])?;
        }
        let owned = on.is_owned(self.context);
        for reference in self.account.policies_on(on.object.kind, on.object.id) {
            let kind = reference.policy.0;
            if !owned && !everywhere(self.context, kind) {
                continue;
            }
            if let Some(policy) = self.policy(reference).await? {
                self.push(&policy, &on, reference, None, ACTIVE);
            }
        }
        if word != ObjectWord::Tag && (owned || everywhere(self.context, kinds[0])) {
            self.by_tags(&on).await?;
        }
        Ok(())
    }

    /// The policies that tags put on the columns.
    async fn by_tags(&mut self, on: &Found) -> Result<(), UserError> {
        let own = self.account.policies_on(on.object.kind, on.object.id);
        let mut rules = MaskRules::default();
        for (_, id, sql_type) in columns(on) {
            let masked = |own: &PolicyReference| {
                own.policy.0 == ObjectKind::MaskingPolicy && own.column == id
            };
            if own.iter().any(masked) {
                continue;
            }
            let at = ColumnAt { object: &on.object, parents: &on.parents, id };
            let found =
                masks_of_column(self.context, self.account, &mut rules, &at, &sql_type).await?;
            let status = if found.len() > 1 { SEVERAL } else { ACTIVE };
            for policy in found {
                let reference = PolicyReference {
                    policy,
                    on: (on.object.kind, on.object.id),
                    column: id,
                    arguments: vec![id],
                };
                let Some(policy) = self.policy(&reference).await? else { continue };
                let bringing = effective(self.account, &levels(&on.object, &on.parents, Some(id)))
                    .into_iter()
                    .find(|tag| {
                        let policies = self.account.policies_on(ObjectKind::Tag, tag.tag);
                        policies.iter().any(|set| set.policy == reference.policy)
                    });
                let tag = match bringing {
                    Some(tag) => self.tag(tag.tag).await?,
                    None => None,
                };
                self.push(&policy, on, &reference, tag.as_ref(), status);
            }
        }
        Ok(())
    }

    /// Whether the role may know of what a policy is on: it holds something on it, or may put
    /// policies of the kind on everything it reaches.
    fn is_shown(&self, on: &Found, kind: ObjectKind) -> bool {
        on.is_visible(self.context)
            || everywhere(self.context, kind)
                && on.parents.split_last().is_some_and(|(schema, above)| {
                    let reach = Requirement::any(schema.clone(), above.to_vec());
                    self.context.authorize(&[reach]).is_ok()
                })
    }

    fn relation(&self, (kind, id): (ObjectKind, i64)) -> Option<Found> {
        match kind {
            ObjectKind::Table => {
                self.view.table_by_id(id).map(|table| of_table(self.view, table.clone()))
            }
            _ => self
                .view
                .views()
                .find(|found| found.view_id == id)
                .map(|found| of_view(self.view, found.clone())),
        }
    }

    async fn tag(&self, id: i64) -> Result<Option<Found>, UserError> {
        let tag = self.context.shared.accounts.object_by_id(id).await?;
        Ok(tag.and_then(|tag: frazil_catalog::account::Object<_>| {
            let of = tag.place.schema_id;
            let schema = self.view.schemas().find(|schema| schema.schema_id == of)?;
            Some(of_schema_object(self.view, schema, tag, Target::Tag))
        }))
    }

    /// The policy, where the role may know of it.
    async fn policy(&self, reference: &PolicyReference) -> Result<Option<ObjectRef>, UserError> {
        let accounts = &self.context.shared.accounts;
        let (kind, id) = reference.policy;
        let schema = |of: i64| self.view.schemas().find(|schema| schema.schema_id == of);
        let found = match kind {
            ObjectKind::MaskingPolicy => accounts.object_by_id(id).await?.and_then(
                |policy: frazil_catalog::account::Object<_>| {
                    let schema = schema(policy.place.schema_id)?;
                    Some(of_schema_object(self.view, schema, policy, Target::MaskingPolicy))
                },
            ),
            _ => accounts.object_by_id(id).await?.and_then(
                |policy: frazil_catalog::account::Object<_>| {
                    let schema = schema(policy.place.schema_id)?;
                    Some(of_schema_object(self.view, schema, policy, Target::RowAccessPolicy))
                },
            ),
        };
        Ok(found.filter(|policy| self.is_shown(policy, kind)).map(|policy| policy.object))
    }

    fn push(
        &mut self,
        policy: &ObjectRef,
        on: &Found,
        reference: &PolicyReference,
        tag: Option<&Found>,
        status: &str,
    ) {
        let of_tag = on.object.kind == ObjectKind::Tag;
        let columns = columns(on);
        let column = |id: i64| {
            columns.iter().find(|(_, known, _)| *known == id).map(|(name, _, _)| name.clone())
        };
        // A column that was dropped took its policy along.
        if !of_tag && reference.column != 0 && column(reference.column).is_none() {
            return;
        }
        let [policy_database, policy_schema, policy_name] = parts(policy);
        let [database, schema, name] = parts(&on.object);
        let [tag_database, tag_schema, tag_name] = match tag {
            Some(tag) => parts(&tag.object),
            None if of_tag => parts(&on.object),
            None => [Cell::Null, Cell::Null, Cell::Null],
        };
        let (masked, arguments) = match of_tag {
            true => (None, None),
            false => (column(reference.column), argument_names(reference, column)),
        };
        self.rows.push(vec![
            policy_database,
            policy_schema,
            policy_name,
            Cell::from(kind_word(reference.policy.0)),
            database,
            schema,
            name,
            Cell::from(on.object.kind.as_str()),
            Cell::from(masked),
            Cell::from(arguments),
            tag_database,
            tag_schema,
            tag_name,
            Cell::from(status),
        ]);
    }
}

/// Database, schema and name of an object of a schema.
fn parts(object: &ObjectRef) -> [Cell; 3] {
    match frazil_dialect::parse_object_name_text(&object.name) {
        Ok(ObjectName { database: Some(database), schema: Some(schema), name }) => {
            let name = QualifiedName::new(database, schema, name);
            [Cell::from(name.database), Cell::from(name.schema), Cell::from(name.name)]
        }
        _ => [Cell::Null, Cell::Null, Cell::from(object.name.as_str())],
    }
}

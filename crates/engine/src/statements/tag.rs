//! Tags: CREATE, ALTER, and setting them on objects, alone or with the objects' definition.

use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, Object, Place, PolicyReference, PolicyRule, Tag,
    TagReference, Writer,
};
use frazil_catalog::{CatalogView, Relation, TableInfo, ViewInfo};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, UserError, quote_identifier,
};
use frazil_dialect::{
    AlterTag, AlterTagAction, CreateTag, ObjectWord, SetTags, SetTagsAction, TagValue,
};
use frazil_governance::Requirement;
use frazil_lake::LakeTransaction;

use crate::resolve::objects::schema as expect_schema;
use crate::resolve::policies::alike;
use crate::statements::account_change::AccountChange;
use crate::statements::alter_object::complete;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_stage::{kept, make, site};
use crate::statements::create_table::authorize_move;
use crate::statements::lookup::{
    Found, Target, absent, account_object, described_status, expect, find, find_reached,
    no_current_database,
};
use crate::statements::outcome::Outcome;
use crate::statements::policy;

const DONE: &str = "Statement executed successfully.";

/// The longest value of a tag, in characters.
const VALUE_LENGTH_MAX: usize = 256;

/// Tags on one object, or on one column.
const TAGS_MAX: usize = 50;

/// The kinds of objects that have tags.
const TAGGED: &[ObjectWord] = &[
    ObjectWord::Account,
    ObjectWord::Database,
    ObjectWord::Schema,
    ObjectWord::Table,
    ObjectWord::View,
    ObjectWord::Stage,
    ObjectWord::Sequence,
    ObjectWord::Model,
    ObjectWord::MaskingPolicy,
    ObjectWord::RowAccessPolicy,
    ObjectWord::Warehouse,
    ObjectWord::Role,
    ObjectWord::DatabaseRole,
    ObjectWord::User,
];

fn applies_everywhere(context: &StatementContext) -> bool {
    context.authorize(&[Requirement::global(Privilege::ApplyTag)]).is_ok()
}

pub(crate) async fn create(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateTag,
) -> Result<Outcome, UserError> {
    let privilege = Privilege::CreateTag;
    let found = site::<Tag>(context, work, &create.name, create.mode, false, privilege).await?;
    let Some(site) = found else { return kept(&create.name) };
    if let Some(existing) = &site.existing {
        refuse_masking(context, existing).await?;
    }
    let mut body = Tag::default();
    allow(&mut body, &create.allowed_values)?;
    if !context.describe_only {
        make(context, site, create.comment.clone(), body).await?;
    }
    Outcome::status(format!("Tag {} successfully created.", create.name.name))
}

fn allow(tag: &mut Tag, values: &[String]) -> Result<(), UserError> {
    for value in values {
        check_length(value)?;
        if !tag.allowed_values.contains(value) {
            tag.allowed_values.push(value.clone());
        }
    }
    Ok(())
}

fn check_length(value: &str) -> Result<(), UserError> {
    if value.chars().count() <= VALUE_LENGTH_MAX {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidArgument,
        format!("A tag's value has at most {VALUE_LENGTH_MAX} characters."),
    ))
}

/// A tag that masks columns can be neither dropped nor replaced.
pub(crate) async fn refuse_masking(
    context: &StatementContext,
    tag: &Object<Tag>,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    if account.policies_on(ObjectKind::Tag, tag.id).is_empty() {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidStatement,
        format!(
            "Tag {} cannot be dropped/replaced as a masking policy is set on it.",
            quote_identifier(&tag.name)
        ),
    ))
}

pub(crate) async fn alter(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterTag,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let masks =
        matches!(alter.action, AlterTagAction::SetMasking { .. } | AlterTagAction::UnsetMasking(_));
    let everywhere = masks && applies_everywhere(context);
    let found = if everywhere {
        find_reached(context, &view, ObjectWord::Tag, &alter.name).await?
    } else {
        find(context, &view, ObjectWord::Tag, &alter.name).await?
    };
    let Some(found) = found else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, ObjectWord::Tag, &alter.name))
        };
    };
    if !everywhere {
        found.require(context, &[Privilege::Ownership])?;
    }
    let Target::Tag(mut tag) = found.target else {
        return Err(UserError::internal("a tag is no tag"));
    };
    let mut unset: Vec<i64> = Vec::new();
    let mut set: Vec<i64> = Vec::new();
    match &alter.action {
        AlterTagAction::RenameTo(to) => rename(context, work, alter, to, &mut tag).await?,
        AlterTagAction::AddAllowedValues(values) => allow(&mut tag.body, values)?,
        AlterTagAction::DropAllowedValues(values) => {
            tag.body.allowed_values.retain(|value| !values.contains(value));
        }
        AlterTagAction::UnsetAllowedValues => tag.body.allowed_values.clear(),
        AlterTagAction::Comment(comment) => tag.comment.clone_from(comment),
        AlterTagAction::SetMasking { policies, force } => {
            let mut on = masking(context, &tag).await?;
            for name in policies {
                let (id, rule) = applicable_policy(context, work, name).await?;
                if on.iter().any(|(known, _)| *known == id) {
                    continue;
                }
                let same = on.iter().position(|(_, other)| same_type(other, &rule));
                if let Some(place) = same {
                    let (other, _) = on.remove(place);
                    if !force || set.contains(&other) {
                        return Err(UserError::new(
                            Code::InvalidStatement,
                            format!(
                                "Tag {} already has a masking policy for this data type.",
                                quote_identifier(&tag.name)
                            ),
                        ));
                    }
                    unset.push(other);
                }
                on.push((id, rule));
                set.push(id);
            }
        }
        AlterTagAction::UnsetMasking(policies) => {
            let on = masking(context, &tag).await?;
            for name in policies {
                let (id, _) = applicable_policy(context, work, name).await?;
                if !on.iter().any(|(known, _)| *known == id) {
                    return Err(UserError::new(
                        Code::InvalidStatement,
                        format!("Policy '{name}' is not on tag {}.", quote_identifier(&tag.name)),
                    ));
                }
                unset.push(id);
            }
        }
    }
    if context.describe_only {
        return described_status();
    }
    let on = (ObjectKind::Tag, tag.id);
    let kind = ObjectKind::MaskingPolicy;
    let mut change = AccountChange::begin(context).await?;
    change.claim_rules(context).await?;
    let mut writer = change.writer();
    for policy in unset {
        writer.unset_policy(kind, on, policy).await?;
    }
    for id in set {
        let arguments = Vec::new();
        writer
            .set_policy(&PolicyReference { policy: (kind, id), on, column: id, arguments })
            .await?;
    }
    if !masks {
        writer.update_object(&tag).await?;
    }
    change.commit().await?;
    Outcome::status(DONE)
}

async fn rename(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterTag,
    to: &ObjectName,
    tag: &mut Object<Tag>,
) -> Result<(), UserError> {
    let full = context.qualify(&alter.name)?;
    let to = complete(to, &full);
    if (&to.database, &to.schema) != (&full.database, &full.schema) {
        authorize_move(context, work, &to, Privilege::CreateTag)?;
    }
    let view = work.lake()?.view().clone();
    let schema = expect_schema(&view, &to.database, &to.schema)?;
    if context.shared.accounts.object::<Tag>(schema.schema_id, &to.name, 0).await?.is_some() {
        return Err(UserError::exists(quote_identifier(&to.name)));
    }
    let database_id = view.database(&to.database).map_or(0, |database| database.database_id);
    tag.name = to.name;
    tag.place = Place::in_schema(database_id, schema.schema_id);
    Ok(())
}

async fn applicable_policy(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<(i64, PolicyRule), UserError> {
    let global = Privilege::ApplyMaskingPolicy;
    policy::applicable(context, work, ObjectWord::MaskingPolicy, name, global).await
}

fn same_type(left: &PolicyRule, right: &PolicyRule) -> bool {
    match (left.arguments.first(), right.arguments.first()) {
        (Some((_, left)), Some((_, right))) => alike(left, right),
        _ => false,
    }
}

/// The masking policies on a tag.
async fn masking(
    context: &StatementContext,
    tag: &Object<Tag>,
) -> Result<Vec<(i64, PolicyRule)>, UserError> {
    let accounts = &context.shared.accounts;
    let account = accounts.view().await?;
    let mut all = Vec::new();
    for on in account.policies_on(ObjectKind::Tag, tag.id) {
        if let Some(policy) = accounts.object_by_id::<MaskingPolicy>(on.policy.1).await? {
            all.push((policy.id, policy.body.rule));
        }
    }
    Ok(all)
}

/// The tag, if the role may set it on something: with the privilege on the account, or on the tag.
async fn applicable(
    context: &StatementContext,
    view: &CatalogView,
    name: &ObjectName,
) -> Result<Object<Tag>, UserError> {
    let found = if applies_everywhere(context) {
        find_reached(context, view, ObjectWord::Tag, name)
            .await?
            .ok_or_else(|| absent(context, ObjectWord::Tag, name))?
    } else {
        let found = expect(context, view, ObjectWord::Tag, name).await?;
        found.require(context, &[Privilege::Apply, Privilege::Ownership])?;
        found
    };
    match found.target {
        Target::Tag(tag) => Ok(tag),
        _ => Err(UserError::internal("a tag is no tag")),
    }
}

/// Tags and their values, looked up; each tag once.
async fn valued(
    context: &StatementContext,
    view: &CatalogView,
    values: &[TagValue],
) -> Result<Vec<(i64, String)>, UserError> {
    let mut all: Vec<(i64, String)> = Vec::with_capacity(values.len());
    for TagValue { name, value } in values {
        let tag = applicable(context, view, name).await?;
        check_length(value)?;
        let allowed = &tag.body.allowed_values;
        if !allowed.is_empty() && !allowed.contains(value) {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!(
                    "Value '{value}' is not among the allowed values of tag {}.",
                    quote_identifier(&tag.name)
                ),
            ));
        }
        if all.iter().any(|(known, _)| *known == tag.id) {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!("Tag {} is given twice.", quote_identifier(&tag.name)),
            ));
        }
        all.push((tag.id, value.clone()));
    }
    if all.len() > TAGS_MAX {
        return Err(too_many());
    }
    Ok(all)
}

fn too_many() -> UserError {
    UserError::new(Code::InvalidStatement, format!("An object has at most {TAGS_MAX} tags."))
}

/// The tags a definition brings, for the object and its columns.
#[derive(Debug, Default)]
pub(crate) struct DefinedTags {
    object: Vec<(i64, String)>,
    columns: Vec<(String, Vec<(i64, String)>)>,
}

impl DefinedTags {
    /// Looks the tags up, which the role must be able to set.
    pub async fn find<'a>(
        context: &StatementContext,
        work: &mut Work,
        object: &[TagValue],
        columns: impl Iterator<Item = (&'a String, &'a [TagValue])>,
    ) -> Result<Self, UserError> {
        let tagged: Vec<_> = columns.filter(|(_, tags)| !tags.is_empty()).collect();
        if object.is_empty() && tagged.is_empty() {
            return Ok(DefinedTags::default());
        }
        let view = work.lake()?.view().clone();
        let mut found = DefinedTags {
            object: valued(context, &view, object).await?,
            columns: Vec::with_capacity(tagged.len()),
        };
        for (name, tags) in tagged {
            found.columns.push((name.clone(), valued(context, &view, tags).await?));
        }
        Ok(found)
    }

    pub fn is_empty(&self) -> bool {
        self.object.is_empty() && self.columns.is_empty()
    }

    /// Tells the commit of them.
    pub fn record_table(&self, lake: &mut LakeTransaction, table: &TableInfo) {
        let column = |name: &str| table.column(name).map(|column| column.field_id);
        self.record(lake, (ObjectKind::Table, table.table_id), column);
    }

    /// The same of a view.
    pub fn record_view(&self, lake: &mut LakeTransaction, view: &ViewInfo) {
        let column = |name: &str| {
            (1..).zip(&view.columns).find(|(_, column)| column.name == name).map(|(id, _)| id)
        };
        self.record(lake, (ObjectKind::View, view.view_id), column);
    }

    /// The same of a schema or database.
    pub fn record_container(&self, lake: &mut LakeTransaction, on: GrantTarget) {
        self.record(lake, on, |_| None);
    }

    /// Writes them with an object of the account, which has no columns.
    pub async fn write(&self, writer: &mut Writer<'_>, on: GrantTarget) -> Result<(), UserError> {
        for (tag, value) in &self.object {
            let reference = TagReference { tag: *tag, on, column: 0, value: value.clone() };
            writer.set_tag(&reference).await?;
        }
        Ok(())
    }

    fn record(
        &self,
        lake: &mut LakeTransaction,
        on: (ObjectKind, i64),
        column: impl Fn(&str) -> Option<i64>,
    ) {
        let columns = self.columns.iter().filter_map(|(name, tags)| Some((column(name)?, tags)));
        for (column, tags) in std::iter::once((0, &self.object)).chain(columns) {
            for (tag, value) in tags {
                let reference = TagReference { tag: *tag, on, column, value: value.clone() };
                lake.account().tags.push(reference);
            }
        }
    }
}

/// The tags on a table and its columns are on another too, by the columns' names: CREATE TABLE …
/// LIKE, and COPY TAGS.
pub(crate) fn copy_tags(
    account: &AccountView,
    lake: &mut LakeTransaction,
    from: &TableInfo,
    to: &TableInfo,
) {
    let on = (ObjectKind::Table, to.table_id);
    for reference in account.tags_on(ObjectKind::Table, from.table_id) {
        let column = match reference.column {
            0 => Some(0),
            id => {
                let name = from.columns.iter().find(|column| column.field_id == id);
                name.and_then(|old| to.column(&old.name)).map(|column| column.field_id)
            }
        };
        if let Some(column) = column {
            lake.account().tags.push(TagReference { on, column, ..reference.clone() });
        }
    }
}

/// The object's name where a statement leaves it out.
fn current(context: &StatementContext, kind: ObjectWord) -> Result<ObjectName, UserError> {
    let state = &context.state;
    let name = match kind {
        ObjectWord::Schema => state.schema.clone(),
        _ => state.database.clone(),
    };
    name.map(ObjectName::bare).ok_or_else(no_current_database)
}

pub(crate) async fn set(
    context: &StatementContext,
    work: &mut Work,
    set: &SetTags,
) -> Result<Outcome, UserError> {
    let kind = set.kind;
    if !TAGGED.contains(&kind) {
        return Err(UserError::unsupported(format!("tags on objects of kind {kind}")));
    }
    let view = work.lake()?.view().clone();
    let everywhere = applies_everywhere(context);
    let (on, column) = if kind == ObjectWord::Account {
        context.authorize(&[Requirement::global(Privilege::ApplyTag)])?;
        (account_object(), 0)
    } else {
        let name = match &set.name {
            Some(name) => name.clone(),
            None => current(context, kind)?,
        };
        let found = if everywhere {
            find_reached(context, &view, kind, &name).await?
        } else {
            find(context, &view, kind, &name).await?
        };
        let Some(found) = found else {
            return if set.if_exists {
                Outcome::status(DONE)
            } else {
                Err(absent(context, kind, &name))
            };
        };
        if found.object.id < 0 {
            return Err(UserError::unsupported("tags on a temporary table"));
        }
        if !everywhere {
            found.require(context, &[Privilege::Ownership])?;
        }
        let column = match &set.column {
            Some(column) => policy::column_id(&found, column)?,
            None => 0,
        };
        (found.object, column)
    };
    let on = (on.kind, on.id);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    match &set.action {
        SetTagsAction::Set(values) => {
            added = valued(context, &view, values).await?;
            let account = context.shared.accounts.view().await?;
            let stay = account.tags_on(on.0, on.1).iter().filter(|reference| {
                reference.column == column && !added.iter().any(|(tag, _)| *tag == reference.tag)
            });
            if stay.count() + added.len() > TAGS_MAX {
                return Err(too_many());
            }
        }
        SetTagsAction::Unset(names) => {
            for name in names {
                removed.push(applicable(context, &view, name).await?.id);
            }
        }
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.claim_rules(context).await?;
    let mut writer = change.writer();
    for (tag, value) in added {
        writer.set_tag(&TagReference { tag, on, column, value }).await?;
    }
    for tag in removed {
        writer.unset_tag(tag, on, column).await?;
    }
    change.commit().await?;
    Outcome::status(DONE)
}

/// Something that is asked for its tags.
pub(crate) struct Tagged {
    pub object: ObjectRef,
    pub parents: Vec<ObjectRef>,
    /// None: the account.
    pub found: Option<Found>,
    pub column: Option<(String, i64)>,
    /// As it was asked for, upper case.
    pub domain: String,
}

/// The object that a name and a domain mean: `('d.s.t', 'TABLE')`, `('t.c', 'COLUMN')`. Views are
/// of the domain TABLE.
///
/// # Errors
/// An unknown domain; an object that is absent or hidden.
pub(crate) async fn tagged(
    context: &StatementContext,
    view: &CatalogView,
    name: &str,
    domain: &str,
) -> Result<Tagged, UserError> {
    let domain = domain.to_uppercase();
    let word = match domain.as_str() {
        "COLUMN" => ObjectWord::Table,
        other => TAGGED.iter().copied().find(|word| word.as_str() == other).ok_or_else(|| {
            UserError::new(Code::InvalidArgument, format!("Unknown domain '{other}'."))
        })?,
    };
    if word == ObjectWord::Account {
        let object = account_object();
        return Ok(Tagged { object, parents: Vec::new(), found: None, column: None, domain });
    }
    let (name, column) = match domain.as_str() {
        "COLUMN" => {
            let (relation, column) = split_column(name)?;
            (relation, Some(column))
        }
        _ => (frazil_dialect::parse_object_name_text(name)?, None),
    };
    let of_relation = matches!(word, ObjectWord::Table | ObjectWord::View);
    let word = match of_relation.then(|| context.qualify(&name)).transpose()? {
        Some(full) => match view.relation(&full) {
            Some(Relation::View(_)) => ObjectWord::View,
            _ => ObjectWord::Table,
        },
        None => word,
    };
    let found = expect(context, view, word, &name).await?;
    let column = match column {
        Some(name) => Some((name.clone(), policy::column_id(&found, &name)?)),
        None => None,
    };
    let (object, parents) = (found.object.clone(), found.parents.clone());
    Ok(Tagged { object, parents, found: Some(found), column, domain })
}

/// The relation and the column of `d.s.t.c`.
fn split_column(text: &str) -> Result<(ObjectName, String), UserError> {
    let mut quoted = false;
    let mut last = None;
    for (place, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => last = Some(place),
            _ => {}
        }
    }
    let place =
        last.ok_or_else(|| UserError::syntax(format!("'{text}' is no name of a column.")))?;
    let relation = frazil_dialect::parse_object_name_text(&text[..place])?;
    let column = frazil_dialect::parse_object_name_text(&text[place + 1..])?;
    Ok((relation, column.name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_split_from_their_relation() {
        let (relation, column) = split_column("d.s.t.c").unwrap();
        assert_eq!((relation.to_string(), column.as_str()), ("D.S.T".to_string(), "C"));
        let (relation, column) = split_column("t.\"a.b\"").unwrap();
        assert_eq!((relation.to_string(), column.as_str()), ("T".to_string(), "a.b"));
        assert!(split_column("t").is_err());
    }
}

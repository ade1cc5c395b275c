//! What a statement defines, alters or drops, as the access history tells it.

use frazil_common::{ObjectKind, ObjectName, ObjectRef, UserError, quote_identifier};
use frazil_dialect::{CreateMode, ObjectWord, Persistence, Statement};

use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Target, find, object_kind, schema_name, single};

/// Of an object that is new the id is not known yet.
const NOT_KNOWN: i64 = -1;

/// An object, and what the statement does to it.
#[derive(Debug, Clone)]
pub(crate) struct Defined {
    pub object: ObjectRef,
    pub operation: &'static str,
}

/// The object a statement is about to define; asked before it runs, as it may be gone afterwards. None
/// for statements that define nothing that the history tells of, and for those that will fail.
pub(crate) async fn defined(
    context: &StatementContext,
    work: &mut Work,
    statement: &Statement,
) -> Option<Defined> {
    use Statement as S;
    if context.describe_only {
        return None;
    }
    match statement {
        S::CreateTable(create) if create.persistence != Persistence::Temporary => {
            created(context, work, ObjectWord::Table, &create.name, create.mode).await
        }
        S::CreateView(create) => {
            created(context, work, ObjectWord::View, &create.name, create.mode).await
        }
        S::CreateSchema(create) => {
            created(context, work, ObjectWord::Schema, &create.name, create.mode).await
        }
        S::CreateDatabase(create) => {
            let name = ObjectName::bare(&create.name);
            created(context, work, ObjectWord::Database, &name, create.mode).await
        }
        S::CreatePolicy(create) => {
            created(context, work, create.kind, &create.name, create.mode).await
        }
        S::CreateTag(create) => {
            created(context, work, ObjectWord::Tag, &create.name, create.mode).await
        }
        S::AlterTable(alter) => known(context, work, ObjectWord::Table, &alter.name, "ALTER").await,
        S::AlterObject(alter) => {
            known(context, work, alter.kind, alter.name.as_ref()?, "ALTER").await
        }
        S::AlterPolicy(alter) => known(context, work, alter.kind, &alter.name, "ALTER").await,
        S::AlterTag(alter) => known(context, work, ObjectWord::Tag, &alter.name, "ALTER").await,
        S::SetPolicy(set) => known(context, work, set.kind, &set.name, "ALTER").await,
        S::SetTags(set) => known(context, work, set.kind, set.name.as_ref()?, "ALTER").await,
        S::Drop(drop) => known(context, work, drop.kind, &drop.name, "DROP").await,
        S::Undrop(undrop) => {
            let object = named(context, undrop.kind, &undrop.name).ok()?;
            Some(Defined { object, operation: "UNDROP" })
        }
        _ => None,
    }
}

/// The kinds whose definitions are told of.
fn is_told(word: ObjectWord) -> bool {
    matches!(
        word,
        ObjectWord::Table
            | ObjectWord::View
            | ObjectWord::Schema
            | ObjectWord::Database
            | ObjectWord::MaskingPolicy
            | ObjectWord::RowAccessPolicy
            | ObjectWord::Tag
    )
}

async fn created(
    context: &StatementContext,
    work: &mut Work,
    word: ObjectWord,
    name: &ObjectName,
    mode: CreateMode,
) -> Option<Defined> {
    let view = work.lake().ok()?.view().clone();
    let existing = find(context, &view, word, name).await.ok().flatten();
    let operation = match existing {
        Some(_) if mode.or_replace => "REPLACE",
        Some(_) => return None,
        None => "CREATE",
    };
    Some(Defined { object: named(context, word, name).ok()?, operation })
}

async fn known(
    context: &StatementContext,
    work: &mut Work,
    word: ObjectWord,
    name: &ObjectName,
    operation: &'static str,
) -> Option<Defined> {
    if !is_told(word) {
        return None;
    }
    let view = work.lake().ok()?.view().clone();
    let found = find(context, &view, word, name).await.ok().flatten()?;
    let temporary = matches!(
        &found.target,
        Target::Table(table) if table.kind == frazil_catalog::TableKind::Temporary
    );
    (!temporary).then_some(Defined { object: found.object, operation })
}

/// An object that is not there yet.
fn named(
    context: &StatementContext,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<ObjectRef, UserError> {
    let kind = object_kind(word)?;
    let name = match kind {
        ObjectKind::Database => quote_identifier(&single(name)?),
        ObjectKind::Schema => {
            let (database, schema) = schema_name(context, name)?;
            format!("{}.{}", quote_identifier(&database), quote_identifier(&schema))
        }
        _ => context.qualify(name)?.to_string(),
    };
    Ok(ObjectRef { kind, id: NOT_KNOWN, name })
}

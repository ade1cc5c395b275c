//! What a schema or database holds that something outside it cannot do without.

use std::collections::HashSet;

use frazil_catalog::CatalogView;
use frazil_catalog::account::{
    AccountView, MaskingPolicy, ObjectBody, ObjectFilter, RowAccessPolicy, Tag,
};
use frazil_common::{Code, ObjectKind, QualifiedName, UserError, quote_identifier};

use crate::statements::context::StatementContext;

/// A schema or database that is to be dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Container<'a> {
    Schema { database: &'a str, schema: &'a str, id: i64 },
    Database { name: &'a str, id: i64 },
}

impl Container<'_> {
    fn holds(self, name: &QualifiedName) -> bool {
        match self {
            Container::Schema { database, schema, .. } => {
                name.database == database && name.schema == schema
            }
            Container::Database { name: database, .. } => name.database == database,
        }
    }

    fn filter(self) -> ObjectFilter {
        match self {
            Container::Schema { id, .. } => {
                ObjectFilter { schema_id: Some(id), ..ObjectFilter::default() }
            }
            Container::Database { id, .. } => {
                ObjectFilter { database_id: Some(id), ..ObjectFilter::default() }
            }
        }
    }
}

/// Refuses to drop policies that protect something outside, and tags by which columns outside are
/// masked: they would be shown once the drop is final.
pub(crate) async fn refuse_used_outside(
    context: &StatementContext,
    view: &CatalogView,
    container: Container<'_>,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    if account.policies.is_empty() {
        return Ok(());
    }
    let tags = ids::<Tag>(context, container).await?;
    let masking = ids::<MaskingPolicy>(context, container).await?;
    let rows = ids::<RowAccessPolicy>(context, container).await?;
    let outside = |kind: ObjectKind, id: i64| is_outside(view, container, &tags, kind, id);
    let policy_used = account.policies.values().flatten().any(|on| {
        let held = match on.policy.0 {
            ObjectKind::MaskingPolicy => masking.contains(&on.policy.1),
            _ => rows.contains(&on.policy.1),
        };
        held && outside(on.on.0, on.on.1)
    });
    if policy_used || masks_outside(&account, &tags, outside) {
        let (word, name) = match container {
            Container::Schema { schema, .. } => ("schema", schema),
            Container::Database { name, .. } => ("database", name),
        };
        return Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Cannot drop {word} {}: a policy or tag in it protects objects outside it.",
                quote_identifier(name)
            ),
        ));
    }
    Ok(())
}

async fn ids<B: ObjectBody>(
    context: &StatementContext,
    container: Container<'_>,
) -> Result<HashSet<i64>, UserError> {
    let objects = context.shared.accounts.objects::<B>(container.filter()).await?;
    Ok(objects.into_iter().map(|object| object.id).collect())
}

fn masks_outside(
    account: &AccountView,
    tags: &HashSet<i64>,
    outside: impl Fn(ObjectKind, i64) -> bool,
) -> bool {
    let masks = |tag: i64| !account.policies_on(ObjectKind::Tag, tag).is_empty();
    account
        .tags
        .values()
        .flatten()
        .any(|on| tags.contains(&on.tag) && masks(on.tag) && outside(on.on.0, on.on.1))
}

/// Whether something that is there is outside the container. What was dropped already does not count.
fn is_outside(
    view: &CatalogView,
    container: Container<'_>,
    tags: &HashSet<i64>,
    kind: ObjectKind,
    id: i64,
) -> bool {
    match kind {
        ObjectKind::Table => {
            view.table_by_id(id).is_some_and(|table| !container.holds(&table.name))
        }
        ObjectKind::View => view
            .views()
            .find(|found| found.view_id == id)
            .is_some_and(|found| !container.holds(&found.name)),
        ObjectKind::Schema => {
            view.schemas().find(|schema| schema.schema_id == id).is_some_and(|schema| {
                match container {
                    Container::Schema { id: own, .. } => own != id,
                    Container::Database { name, .. } => schema.database != name,
                }
            })
        }
        ObjectKind::Database => match container {
            Container::Database { id: own, .. } => own != id,
            Container::Schema { .. } => view.databases().any(|found| found.database_id == id),
        },
        ObjectKind::Tag => !tags.contains(&id),
        ObjectKind::Account => true,
        // Other kinds have no columns.
        _ => false,
    }
}

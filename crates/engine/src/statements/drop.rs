//! DROP of every kind of object.

use frazil_catalog::objects::EXTERNAL_DATABASE;
use frazil_common::{Code, ObjectKind, Privilege, UserError};
use frazil_dialect::Drop;
use frazil_governance::system;

use crate::session::SessionState;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::in_use::{Container, refuse_used_outside};
use crate::statements::lookup::{Found, Target, absent, described_status, find, object_kind};
use crate::statements::outcome::Outcome;
use crate::statements::ownership::gone;
use crate::statements::policy::refuse_in_use;
use crate::statements::tag::refuse_masking;

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    drop: &Drop,
) -> Result<Outcome, UserError> {
    object_kind(drop.kind).map_err(|_| UserError::unsupported(format!("DROP {}", drop.kind)))?;
    let name = &drop.name.name;
    let view = work.lake()?.view().clone();
    let Some(found) = find(context, &view, drop.kind, &drop.name).await? else {
        return if !drop.if_exists {
            Err(absent(context, drop.kind, &drop.name))
        } else if context.describe_only {
            described_status()
        } else {
            Outcome::status(format!(
                "Drop statement executed successfully ({name} already dropped)."
            ))
        };
    };
    found.require(context, &[Privilege::Ownership])?;
    refuse_needed(context, &found)?;
    if let Target::MaskingPolicy(_) | Target::RowAccessPolicy(_) = &found.target {
        refuse_in_use(context, (found.object.kind, found.object.id), name).await?;
    }
    if let Target::Tag(tag) = &found.target {
        refuse_masking(context, tag).await?;
    }
    if let Some(container) = container(&found) {
        refuse_used_outside(context, &view, container).await?;
    }
    if drop.restrict {
        refuse_filled(context, work, &found).await?;
    }
    if context.describe_only {
        return described_status();
    }
    apply(context, work, found).await?;
    Outcome::status(format!("{name} successfully dropped."))
}

fn container(found: &Found) -> Option<Container<'_>> {
    match &found.target {
        Target::Schema(schema) => Some(Container::Schema {
            database: &schema.database,
            schema: &schema.name,
            id: schema.schema_id,
        }),
        Target::Database(database) => {
            Some(Container::Database { name: &database.name, id: database.database_id })
        }
        _ => None,
    }
}

/// What the account or the session can't do without.
fn refuse_needed(context: &StatementContext, found: &Found) -> Result<(), UserError> {
    let refused = |what: String| Err(UserError::new(Code::InvalidStatement, what));
    match &found.target {
        Target::Role(role) if system::ALL.contains(&role.name.as_str()) => {
            refused(format!("System role '{}' can not be dropped.", role.name))
        }
        Target::Role(role) if role.name == context.state.role => {
            refused(format!("Role '{}' is the current role and can not be dropped.", role.name))
        }
        Target::User(user) if user.name == context.session.user => {
            refused(format!("User '{}' can not drop itself.", user.name))
        }
        Target::Database(database) if database.name == EXTERNAL_DATABASE => {
            refused(format!("Database '{EXTERNAL_DATABASE}' can not be dropped."))
        }
        _ => Ok(()),
    }
}

/// RESTRICT: a database or schema that holds something stays.
async fn refuse_filled(
    context: &StatementContext,
    work: &mut Work,
    found: &Found,
) -> Result<(), UserError> {
    use frazil_catalog::account::{FileFormat, Model, ObjectFilter, Sequence, Stage};
    let view = work.lake()?.view().clone();
    let (filled, filter) = match &found.target {
        Target::Database(database) => (
            view.schemas_in(&database.name).any(|schema| {
                view.tables_in(&database.name, &schema.name).next().is_some()
                    || view.views_in(&database.name, &schema.name).next().is_some()
            }),
            ObjectFilter { database_id: Some(database.database_id), ..ObjectFilter::default() },
        ),
        Target::Schema(schema) => (
            view.tables_in(&schema.database, &schema.name).next().is_some()
                || view.views_in(&schema.database, &schema.name).next().is_some(),
            ObjectFilter { schema_id: Some(schema.schema_id), ..ObjectFilter::default() },
        ),
        _ => return Ok(()),
    };
    let accounts = &context.shared.accounts;
    let filled = filled
        || !accounts.objects::<Stage>(filter).await?.is_empty()
        || !accounts.objects::<FileFormat>(filter).await?.is_empty()
        || !accounts.objects::<Sequence>(filter).await?.is_empty()
        || !accounts.objects::<Model>(filter).await?.is_empty();
    if filled {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!("{} is not empty and can not be dropped with RESTRICT.", found.object.name),
        ));
    }
    Ok(())
}

async fn apply(context: &StatementContext, work: &mut Work, found: Found) -> Result<(), UserError> {
    let shared = &context.shared;
    let Found { target, object, .. } = found;
    match target {
        Target::Table(table) => {
            // Its grants stay: UNDROP brings the table back with them.
            work.lake()?.drop_table(&table.name)?;
        }
        Target::View(view) => {
            let lake = work.lake()?;
            lake.drop_view(&view.name)?;
            gone(lake, ObjectKind::View, view.view_id);
        }
        Target::Schema(schema) => {
            // What the account keeps of it (grants, stages, models …) stays until it can not come
            // back any more.
            work.lake()?.drop_schema(&schema.database, &schema.name)?;
            leave(context, |state| {
                if state.database.as_deref() == Some(&schema.database)
                    && state.schema.as_deref() == Some(&schema.name)
                {
                    state.schema = None;
                }
            });
        }
        Target::Database(database) => {
            drop_database(context, work, &database.name).await?;
            leave(context, |state| {
                if state.database.as_deref() == Some(&database.name) {
                    state.database = None;
                    state.schema = None;
                }
            });
        }
        Target::Stage(stage) => {
            drop_object(context, ObjectKind::Stage, stage.id).await?;
            shared.stages.delete_stage(stage.id).await?;
        }
        Target::Tag(tag) => {
            // Its values stay: UNDROP brings it back with them.
            let mut change = AccountChange::begin(context).await?;
            change.claim_rules(context).await?;
            change.writer().drop_tag(tag.id).await?;
            change.commit().await?;
        }
        Target::MaskingPolicy(_)
        | Target::RowAccessPolicy(_)
        | Target::FileFormat(_)
        | Target::Sequence(_) => {
            drop_object(context, object.kind, object.id).await?;
        }
        Target::Model(model) => {
            context.committing.begin().await;
            shared.registry.drop_model(&model).await?;
        }
        Target::Endpoint(endpoint) => {
            drop_object(context, ObjectKind::Endpoint, endpoint.id).await?;
            shared.registry.invalidate();
        }
        Target::Warehouse(warehouse) => {
            let mut change = AccountChange::begin(context).await?;
            change.writer().drop_object(ObjectKind::Warehouse, warehouse.id).await?;
            let event = super::create_warehouse::dropped(context, &warehouse);
            change.writer().insert_warehouse_event(&event).await?;
            change.commit().await?;
            shared.warehouses.refresh().await?;
            leave(context, |state| {
                if state.warehouse.as_deref() == Some(&warehouse.name) {
                    state.warehouse = None;
                }
            });
        }
        Target::ResourceMonitor(monitor) => {
            super::resource_monitor::drop(context, &monitor).await?;
        }
        Target::Role(role) | Target::DatabaseRole(role) => {
            let mut change = AccountChange::keeping_administrator(context).await?;
            change.claim_rules(context).await?;
            change.writer().drop_role(role.id, context.role()).await?;
            change.commit().await?;
        }
        Target::User(user) => {
            let mut change = AccountChange::keeping_administrator(context).await?;
            let stage = change.writer().drop_user(user.id).await?;
            change.commit().await?;
            end_sessions(context, &user.name);
            if let Some(stage) = stage {
                shared.stages.delete_stage(stage).await?;
            }
        }
    }
    Ok(())
}

async fn drop_object(
    context: &StatementContext,
    kind: ObjectKind,
    id: i64,
) -> Result<(), UserError> {
    let mut change = AccountChange::begin(context).await?;
    if matches!(kind, ObjectKind::MaskingPolicy | ObjectKind::RowAccessPolicy) {
        change.claim_rules(context).await?;
    }
    change.writer().drop_object(kind, id).await?;
    change.commit().await
}

/// The session leaves what is gone.
fn leave(context: &StatementContext, change: impl Fn(&mut SessionState)) {
    change(&mut context.session.state.lock());
}

/// A dropped user's sessions stop what they run and are found no more.
pub(crate) fn end_sessions(context: &StatementContext, user: &str) {
    let mut sessions = context.shared.sessions.write();
    sessions.retain(|id, session| {
        let stays = session.user != user;
        if !stays {
            context.shared.results.cancel_session(*id, None);
        }
        stays
    });
}

/// Drops a database with all it holds. Its roles end with it for good: they are known by its name,
/// which another database may take.
pub(crate) async fn drop_database(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    let roles = account
        .roles
        .values()
        .filter(|role| database_role::database_of(role).is_some_and(|database| database == name));
    let lake = work.lake()?;
    lake.drop_database(name)?;
    let heir = context.role();
    lake.account().dropped_roles.extend(roles.map(|role| (role.id, heir.to_string())));
    Ok(())
}

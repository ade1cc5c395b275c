//! GRANT and REVOKE of privileges and ownership.

use std::collections::HashSet;

use frazil_catalog::account::AccountView;
use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError, quote_identifier};
use frazil_dialect::{
    Grant, GrantOwnership, GrantTarget, Grantee, GranteeKind, OwnershipTransfer, PrivilegeWord,
    Privileges, Revoke,
};
use frazil_governance::{
    may_grant_future, may_grant_privilege, may_revoke_privilege, may_transfer_ownership,
};

use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::lookup::{
    Found, account_object, all_in, described_status, expect, expect_scope, object_kind, single,
};
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";

/// An object of a grant and its containers.
struct Securable {
    object: ObjectRef,
    parents: Vec<ObjectRef>,
}

impl From<Found> for Securable {
    fn from(found: Found) -> Self {
        Securable { object: found.object, parents: found.parents }
    }
}

/// What a grant is on, resolved.
enum Target {
    /// Objects there are; `many` where they were named as ALL … IN.
    Objects { kind: ObjectKind, objects: Vec<Securable>, many: bool },
    /// Objects of a kind to come in a database or schema.
    Future { kind: ObjectKind, container: Securable },
}

async fn target(
    context: &StatementContext,
    work: &mut Work,
    on: &GrantTarget,
) -> Result<Target, UserError> {
    let view = work.lake()?.view().clone();
    Ok(match on {
        GrantTarget::Account => Target::Objects {
            kind: ObjectKind::Account,
            objects: vec![Securable { object: account_object(), parents: Vec::new() }],
            many: false,
        },
        GrantTarget::Object { kind, name } => {
            let found = expect(context, &view, *kind, name).await?;
            if found.object.id < 0 {
                return Err(UserError::unsupported("grants on a temporary table"));
            }
            Target::Objects { kind: object_kind(*kind)?, objects: vec![found.into()], many: false }
        }
        GrantTarget::AllIn { kind, scope } => {
            let found = all_in(context, &view, *kind, scope).await?;
            Target::Objects {
                kind: object_kind(*kind)?,
                objects: found.into_iter().map(Securable::from).collect(),
                many: true,
            }
        }
        GrantTarget::FutureIn { kind, scope } => {
            let container = expect_scope(context, &view, scope).await?;
            let kind = object_kind(*kind)?;
            let fits = kind.in_schema()
                || (kind == ObjectKind::Schema && container.object.kind == ObjectKind::Database);
            if !fits {
                return Err(UserError::syntax(format!(
                    "a {kind} is not in a {}.",
                    container.object.kind.as_str().to_lowercase()
                )));
            }
            Target::Future { kind, container: container.into() }
        }
    })
}

impl Target {
    /// A database role holds privileges on its database and what is in it, on nothing else.
    fn check_reach(&self, account: &AccountView, role: &str) -> Result<(), UserError> {
        let Some(database) = account.roles.get(role).and_then(database_role::database_of) else {
            return Ok(());
        };
        let database = quote_identifier(&database);
        let within = |on: &Securable| {
            let container = on.parents.first().unwrap_or(&on.object);
            container.kind == ObjectKind::Database && container.name == database
        };
        let all = match self {
            Target::Objects { objects, .. } => objects.iter().all(within),
            Target::Future { container, .. } => within(container),
        };
        if all {
            return Ok(());
        }
        Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Database role '{role}' can only hold privileges on objects of its own database."
            ),
        ))
    }

    fn kind(&self) -> ObjectKind {
        match self {
            Target::Objects { kind, .. } | Target::Future { kind, .. } => *kind,
        }
    }
}

/// The privileges named; ALL means every one the kind has.
fn privileges(words: &Privileges, kind: ObjectKind) -> Result<Vec<Privilege>, UserError> {
    let words = match words {
        Privileges::All => return Ok(kind.privileges().to_vec()),
        Privileges::List(words) => words,
    };
    words.iter().map(|word| privilege(word, kind)).collect()
}

fn privilege(word: &PrivilegeWord, kind: ObjectKind) -> Result<Privilege, UserError> {
    let privilege: Privilege = word.name.parse().map_err(|_| {
        UserError::unsupported(format!("privilege {}", word.name)).at(Some(word.position))
    })?;
    if privilege == Privilege::Ownership {
        return Err(UserError::new(
            Code::InvalidStatement,
            "OWNERSHIP is transferred by GRANT OWNERSHIP alone, and can not be revoked.",
        )
        .at(Some(word.position)));
    }
    if !kind.privileges().contains(&privilege) {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!("Privilege {privilege} can not be granted on {kind}."),
        )
        .at(Some(word.position)));
    }
    Ok(privilege)
}

/// The role that receives privileges; it need not be visible to the one who grants.
fn role_of(
    context: &StatementContext,
    account: &AccountView,
    grantee: &Grantee,
) -> Result<String, UserError> {
    let (noun, name) = match grantee.kind {
        GranteeKind::Role => ("Role", single(&grantee.name)?),
        GranteeKind::DatabaseRole => {
            ("Database role", database_role::full_name(context, &grantee.name)?)
        }
        GranteeKind::User => return Err(UserError::unsupported("privileges granted to a user")),
        GranteeKind::Share => return Err(UserError::unsupported("shares")),
    };
    let of_database = grantee.kind == GranteeKind::DatabaseRole;
    if account.roles.get(&name).is_none_or(|role| role.is_of_database() != of_database) {
        let shown = if of_database { name } else { quote_identifier(&name) };
        return Err(UserError::not_found(noun, shown));
    }
    Ok(name)
}

fn done(many: bool, objects: usize) -> Result<Outcome, UserError> {
    if many {
        Outcome::status(format!("Statement executed successfully. {objects} objects affected."))
    } else {
        Outcome::status(DONE)
    }
}

/// The (object, privilege) pairs of a statement that the roles may grant or revoke. Naming ALL
/// privileges or ALL objects means those they may; a statement that leaves nothing is refused.
fn allowed(
    objects: &[Securable],
    wanted: &[Privilege],
    lenient: bool,
    check: impl Fn(&Securable, Privilege) -> Result<(), UserError>,
) -> Result<Vec<(ObjectRef, Privilege)>, UserError> {
    let mut pairs = Vec::new();
    let mut refused = None;
    for securable in objects {
        for privilege in wanted {
            match check(securable, *privilege) {
                Ok(()) => pairs.push((securable.object.clone(), *privilege)),
                Err(error) if lenient => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
    }
    match refused {
        Some(error) if pairs.is_empty() => Err(error),
        _ => Ok(pairs),
    }
}

pub(crate) async fn grant(
    context: &StatementContext,
    work: &mut Work,
    grant: &Grant,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let role = role_of(context, &account, &grant.to)?;
    let target = target(context, work, &grant.on).await?;
    target.check_reach(&account, &role)?;
    let wanted = privileges(&grant.privileges, target.kind())?;
    let (model, roles) = (&context.model, &context.roles);
    match target {
        Target::Objects { objects, many, .. } => {
            let lenient = many || grant.privileges == Privileges::All;
            let pairs = allowed(&objects, &wanted, lenient, |on, privilege| {
                may_grant_privilege(model, roles, &on.object, &on.parents, privilege)
            })?;
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            for (object, privilege) in &pairs {
                writer
                    .grant_privilege(
                        (object.kind, object.id),
                        *privilege,
                        &role,
                        grant.with_grant_option,
                        Some(context.role()),
                    )
                    .await?;
            }
            change.commit().await?;
            done(many, objects.len())
        }
        Target::Future { kind, container } => {
            may_grant_future(model, roles, &container.object, &container.parents)?;
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            for privilege in wanted {
                writer
                    .grant_future(
                        (container.object.kind, container.object.id),
                        kind,
                        privilege,
                        &role,
                        grant.with_grant_option,
                        Some(context.role()),
                    )
                    .await?;
            }
            change.commit().await?;
            done(false, 0)
        }
    }
}

/// A grant to take back.
type Held = (ObjectKind, i64, Privilege, String);

/// Grants of one privilege that a role gave on, directly or through others, while it held the
/// privilege with grant option.
fn dependents(account: &AccountView, from: &Held) -> Vec<Held> {
    let (kind, id, privilege, _) = from;
    let mut all = Vec::new();
    let mut seen: HashSet<&str> = HashSet::from([from.3.as_str()]);
    let mut open = vec![from.3.as_str()];
    let grants = account.grants_on(*kind, *id);
    while let Some(role) = open.pop() {
        let passes = grants
            .iter()
            .any(|held| held.privilege == *privilege && held.role == role && held.grant_option);
        // The owner's grants rest on ownership, not on a grant.
        if !passes || account.owner(*kind, *id) == Some(role) {
            continue;
        }
        for grant in grants {
            if grant.privilege == *privilege
                && grant.granted_by.as_deref() == Some(role)
                && seen.insert(&grant.role)
            {
                open.push(&grant.role);
                all.push((*kind, *id, *privilege, grant.role.clone()));
            }
        }
    }
    all
}

pub(crate) async fn revoke(
    context: &StatementContext,
    work: &mut Work,
    revoke: &Revoke,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let role = role_of(context, &account, &revoke.from)?;
    let target = target(context, work, &revoke.on).await?;
    let wanted = privileges(&revoke.privileges, target.kind())?;
    let (model, roles) = (&context.model, &context.roles);
    match target {
        Target::Objects { objects, many, .. } => {
            let lenient = many || revoke.privileges == Privileges::All;
            let pairs = allowed(&objects, &wanted, lenient, |on, privilege| {
                may_revoke_privilege(model, roles, &on.object, &on.parents, privilege)
            })?;
            let held: Vec<Held> = pairs
                .iter()
                .map(|(object, privilege)| (object.kind, object.id, *privilege, role.clone()))
                .collect();
            let following: Vec<Held> =
                held.iter().flat_map(|held| dependents(&account, held)).collect();
            if let Some((_, _, privilege, role)) = following.first()
                && !revoke.cascade
            {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    format!(
                        "Dependent grant of privilege '{privilege}' to role '{role}' exists. It \
                         must be revoked first, or with REVOKE … CASCADE."
                    ),
                ));
            }
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            for (kind, id, privilege, role) in &held {
                writer
                    .revoke_privilege((*kind, *id), *privilege, role, revoke.grant_option_for)
                    .await?;
            }
            for (kind, id, privilege, role) in &following {
                writer.revoke_privilege((*kind, *id), *privilege, role, false).await?;
            }
            change.commit().await?;
            done(many, objects.len())
        }
        Target::Future { kind, container } => {
            may_grant_future(model, roles, &container.object, &container.parents)?;
            if revoke.grant_option_for {
                return Err(UserError::unsupported("REVOKE GRANT OPTION FOR … ON FUTURE"));
            }
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            let container = (container.object.kind, container.object.id);
            for privilege in wanted {
                writer.revoke_future(container, kind, privilege, &role).await?;
            }
            change.commit().await?;
            done(false, 0)
        }
    }
}

pub(crate) async fn grant_ownership(
    context: &StatementContext,
    work: &mut Work,
    grant: &GrantOwnership,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let role = role_of(context, &account, &grant.to)?;
    let (model, roles) = (&context.model, &context.roles);
    let target = target(context, work, &grant.on).await?;
    target.check_reach(&account, &role)?;
    match target {
        Target::Objects { kind: ObjectKind::Account, .. } => {
            Err(UserError::unsupported("GRANT OWNERSHIP ON ACCOUNT"))
        }
        Target::Objects { objects, many, .. } => {
            for on in &objects {
                may_transfer_ownership(model, roles, &on.object, &on.parents)?;
                if grant.grants.is_none() {
                    refuse_dependent(&account, &on.object)?;
                }
            }
            if context.describe_only {
                return described_status();
            }
            let copy = grant.grants == Some(OwnershipTransfer::CopyCurrentGrants);
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            for on in &objects {
                writer.transfer_ownership(on.object.kind, on.object.id, &role, copy).await?;
            }
            change.commit().await?;
            done(many, objects.len())
        }
        Target::Future { kind, container } => {
            may_grant_future(model, roles, &container.object, &container.parents)?;
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            change
                .writer()
                .grant_future(
                    (container.object.kind, container.object.id),
                    kind,
                    Privilege::Ownership,
                    &role,
                    false,
                    Some(context.role()),
                )
                .await?;
            change.commit().await?;
            done(false, 0)
        }
    }
}

/// Grants on the object must be copied or revoked on purpose.
fn refuse_dependent(account: &AccountView, object: &ObjectRef) -> Result<(), UserError> {
    match account.grants_on(object.kind, object.id).first() {
        None => Ok(()),
        Some(grant) => Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Dependent grant of privilege '{}' on securable '{}' to role '{}' exists. It must \
                 be revoked first. More than one dependent grant may exist: use 'SHOW GRANTS' \
                 command to view them. To revoke all dependent grants while transferring object \
                 ownership, use convenience command 'GRANT OWNERSHIP ON <target_objects> TO \
                 <target_role> REVOKE CURRENT GRANTS'.",
                grant.privilege, object.name, grant.role
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use frazil_dialect::Statement;

    fn parsed(text: &str) -> Grant {
        match frazil_dialect::parse_statement(text).unwrap().statement {
            Statement::Grant(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_means_every_privilege_of_the_kind() {
        let grant = parsed("GRANT ALL PRIVILEGES ON SCHEMA s TO ROLE PUBLIC");
        let all = privileges(&grant.privileges, ObjectKind::Schema).unwrap();
        assert!(all.contains(&Privilege::Usage) && all.contains(&Privilege::CreateTable));
        assert!(!all.contains(&Privilege::Ownership));
    }

    #[test]
    fn privileges_of_other_kinds_and_unknown_ones_are_refused_by_name() {
        let grant = parsed("GRANT SELECT ON SCHEMA s TO ROLE r");
        let error = privileges(&grant.privileges, ObjectKind::Schema).unwrap_err();
        assert_eq!(error.code, Code::InvalidStatement);
        let grant = parsed("GRANT EXECUTE TASK ON ACCOUNT TO ROLE r");
        let error = privileges(&grant.privileges, ObjectKind::Account).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.contains("EXECUTE TASK"), "{}", error.message);
    }

    #[test]
    fn a_privilege_passed_on_is_followed_to_its_end() {
        use frazil_catalog::account::Grant as Row;
        let row = |role: &str, by: &str, grant_option: bool| Row {
            object_kind: ObjectKind::Table,
            object_id: 1,
            privilege: Privilege::Select,
            role: role.to_string(),
            grant_option,
            granted_by: Some(by.to_string()),
            created_on: 0,
        };
        let mut account = AccountView::default();
        account.owners.insert((ObjectKind::Table, 1), "OWNER".to_string());
        account.grants.insert(
            (ObjectKind::Table, 1),
            vec![row("A", "OWNER", true), row("B", "A", true), row("C", "B", false)],
        );
        let held = |role: &str| (ObjectKind::Table, 1, Privilege::Select, role.to_string());
        assert_eq!(dependents(&account, &held("A")), vec![held("B"), held("C")]);
        assert_eq!(dependents(&account, &held("C")), vec![]);
    }
}

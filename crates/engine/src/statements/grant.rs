//! GRANT and REVOKE of privileges and ownership.

use std::collections::HashSet;

use frazil_catalog::account::{AccountView, Grant as HeldGrant};
use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError, quote_identifier};
use frazil_dialect::{
    Grant, GrantOwnership, GrantTarget, Grantee, GranteeKind, OwnershipTransfer, PrivilegeWord,
    Privileges, Revoke,
};
use frazil_governance::{
    acts_as_owner, decider, grantor, may_grant_future, may_grant_privilege, may_promise_ownership,
    may_revoke_privilege, may_transfer_ownership, system,
};

use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::imported_privileges;
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

fn parsed_privilege(word: &PrivilegeWord) -> Result<Privilege, UserError> {
    word.name.parse().map_err(|_| {
        UserError::unsupported(format!("privilege {}", word.name)).at(Some(word.position))
    })
}

fn privilege(word: &PrivilegeWord, kind: ObjectKind) -> Result<Privilege, UserError> {
    let privilege = parsed_privilege(word)?;
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

/// The privileges that a REVOKE names. What is promised of new objects can be taken back, their
/// ownership too; that of objects there are can only be given to another.
fn revocable(words: &Privileges, target: &Target) -> Result<Vec<Privilege>, UserError> {
    match (target, words) {
        (Target::Future { kind, .. }, Privileges::List(words)) => words
            .iter()
            .map(|word| match parsed_privilege(word)? {
                Privilege::Ownership => Ok(Privilege::Ownership),
                _ => privilege(word, *kind),
            })
            .collect(),
        _ => privileges(words, target.kind()),
    }
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
fn allowed<'o>(
    objects: &'o [Securable],
    wanted: &[Privilege],
    lenient: bool,
    check: impl Fn(&Securable, Privilege) -> Result<(), UserError>,
) -> Result<Vec<(&'o Securable, Privilege)>, UserError> {
    let mut pairs = Vec::new();
    let mut refused = None;
    for securable in objects {
        for privilege in wanted {
            match check(securable, *privilege) {
                Ok(()) => pairs.push((securable, *privilege)),
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
    if imported_privileges::are_named(&grant.privileges) {
        return imported_privileges::grant(context, work, grant, &role).await;
    }
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
            for (Securable { object, parents }, privilege) in pairs {
                writer
                    .grant_privilege(
                        (object.kind, object.id),
                        privilege,
                        &role,
                        grant.with_grant_option,
                        grantor(model, roles, object, parents, privilege),
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

/// A grant to take back: its object, and who holds it by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    object: (ObjectKind, i64),
    privilege: Privilege,
    role: String,
    granted_by: Option<String>,
}

impl From<&HeldGrant> for Held {
    fn from(grant: &HeldGrant) -> Held {
        Held {
            object: (grant.object_kind, grant.object_id),
            privilege: grant.privilege,
            role: grant.role.clone(),
            granted_by: grant.granted_by.clone(),
        }
    }
}

/// The roles whose grants on an object rest on ownership and not on a grant: its owner, and that of the
/// schema with managed access that it is in.
fn owners<'c>(context: &'c StatementContext, on: &Securable) -> [Option<&'c str>; 2] {
    let model = &context.model;
    [model.owner(&on.object), model.owner(decider(model, &on.object, &on.parents))]
}

/// What a REVOKE takes of a role's grants of one privilege. Whoever may pass a privilege on takes back
/// what the own roles gave. The owner, and MANAGE GRANTS in its place, takes all but what other roles
/// gave that may pass it on: those grants end with what they rest on.
fn revoked(
    context: &StatementContext,
    account: &AccountView,
    on: &Securable,
    privilege: Privilege,
    role: &str,
) -> Vec<Held> {
    let (model, roles) = (&context.model, &context.roles);
    let as_owner = acts_as_owner(model, roles, &on.object, &on.parents);
    let owners = owners(context, on);
    let grants = account.grants_on(on.object.kind, on.object.id);
    let rests_on_another = |grantor: &str| {
        !owners.contains(&Some(grantor))
            && grants.iter().any(|held| {
                held.privilege == privilege && held.role == grantor && held.grant_option
            })
    };
    let taken = |grant: &&HeldGrant| {
        let grantor = grant.granted_by.as_deref();
        grantor.is_some_and(|grantor| model.includes(roles, grantor))
            || (as_owner && !grantor.is_some_and(rests_on_another))
    };
    grants
        .iter()
        .filter(|grant| grant.privilege == privilege && grant.role == role)
        .filter(taken)
        .map(Held::from)
        .collect()
}

/// Grants of one privilege on one object that rested, directly or through others, on those taken back:
/// given by roles that may not pass it on any more. Roles that gave it to each other do not keep each
/// other.
fn dependents(account: &AccountView, owners: &[Option<&str>], taken: &[Held]) -> Vec<Held> {
    let Some(Held { object, privilege, .. }) = taken.first() else { return Vec::new() };
    let grants: Vec<&HeldGrant> = account
        .grants_on(object.0, object.1)
        .iter()
        .filter(|grant| grant.privilege == *privilege)
        .collect();
    // Those of others that cannot pass it on rest on MANAGE GRANTS.
    let rests_on_itself = |grantor: &str| {
        owners.contains(&Some(grantor))
            || !grants.iter().any(|held| held.role == grantor && held.grant_option)
    };
    let standing = |gone: &[Held]| {
        let mut passing: HashSet<&str> = HashSet::new();
        let mut standing = vec![false; grants.len()];
        let mut found = true;
        while std::mem::take(&mut found) {
            for (grant, stands) in grants.iter().zip(&mut standing) {
                let given = grant
                    .granted_by
                    .as_deref()
                    .is_none_or(|grantor| rests_on_itself(grantor) || passing.contains(grantor));
                if !*stands && given && !gone.contains(&Held::from(*grant)) {
                    (*stands, found) = (true, true);
                    if grant.grant_option {
                        passing.insert(&grant.role);
                    }
                }
            }
        }
        standing
    };
    grants
        .iter()
        .zip(standing(&[]).into_iter().zip(standing(taken)))
        .filter(|(_, (before, after))| *before && !after)
        .map(|(grant, _)| Held::from(*grant))
        .filter(|grant| !taken.contains(grant))
        .collect()
}

pub(crate) async fn revoke(
    context: &StatementContext,
    work: &mut Work,
    revoke: &Revoke,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let role = role_of(context, &account, &revoke.from)?;
    if imported_privileges::are_named(&revoke.privileges) {
        return imported_privileges::revoke(context, work, &account, revoke, &role).await;
    }
    let target = target(context, work, &revoke.on).await?;
    let wanted = revocable(&revoke.privileges, &target)?;
    let (model, roles) = (&context.model, &context.roles);
    match target {
        Target::Objects { objects, many, .. } => {
            let lenient = many || revoke.privileges == Privileges::All;
            let pairs = allowed(&objects, &wanted, lenient, |on, privilege| {
                may_revoke_privilege(model, roles, &on.object, &on.parents, privilege)
            })?;
            let (mut held, mut following) = (Vec::new(), Vec::new());
            for (on, privilege) in pairs {
                let mut taken = revoked(context, &account, on, privilege, &role);
                let all = taken.len();
                taken.retain(|grant| !came_with_account(grant));
                if taken.len() < all && !lenient {
                    return Err(system_role_kept(&format!("privilege {privilege}"), &role));
                }
                following.extend(dependents(&account, &owners(context, on), &taken));
                held.extend(taken);
            }
            if let Some(Held { privilege, role, .. }) = following.first()
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
            let option_only = std::iter::repeat_n(revoke.grant_option_for, held.len());
            for (grant, option_only) in
                held.iter().zip(option_only).chain(following.iter().map(|grant| (grant, false)))
            {
                let Held { object, privilege, role, granted_by } = grant;
                writer
                    .revoke_privilege(*object, *privilege, role, granted_by.as_deref(), option_only)
                    .await?;
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
                may_transfer_ownership(model, roles, &on.object, &on.parents, &role)?;
                let name = on.object.name.as_str();
                if on.object.kind == ObjectKind::Role && system::ALL.contains(&name) {
                    return Err(system_role_kept("ownership", name));
                }
                if grant.grants.is_none() {
                    refuse_dependent(&account, &on.object)?;
                }
            }
            if context.describe_only {
                return described_status();
            }
            let copy = grant.grants == Some(OwnershipTransfer::CopyCurrentGrants);
            let mut change = AccountChange::begin(context).await?;
            change.claim_rules(context).await?;
            let mut writer = change.writer();
            for on in &objects {
                writer.transfer_ownership(on.object.kind, on.object.id, &role, copy).await?;
            }
            change.commit().await?;
            done(many, objects.len())
        }
        Target::Future { kind, container } => {
            let Securable { object, parents } = &container;
            may_promise_ownership(model, roles, object, parents, &role)?;
            refuse_second_owner(&account, &container.object, kind, &role)?;
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            change.claim_rules(context).await?;
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

/// New objects of a kind in one container can be promised to one owner.
fn refuse_second_owner(
    account: &AccountView,
    container: &ObjectRef,
    kind: ObjectKind,
    role: &str,
) -> Result<(), UserError> {
    let another = account.future_grants.iter().any(|promise| {
        promise.container == (container.kind, container.id)
            && promise.object_kind == kind
            && promise.privilege == Privilege::Ownership
            && promise.role != role
    });
    if !another {
        return Ok(());
    }
    Err(UserError::new(
        Code::FutureOwnerExists,
        format!(
            "A future grant with privilege OWNERSHIP on object type {kind} already exists in the {}.",
            container.kind.as_str().to_lowercase()
        ),
    ))
}

/// Whether a grant was made with the account: what the system roles hold is theirs.
fn came_with_account(grant: &Held) -> bool {
    grant.object.0 == ObjectKind::Account
        && grant.granted_by.is_none()
        && system::ALL.contains(&grant.role.as_str())
}

/// What is told of an attempt to change what the account's own roles are.
pub(super) fn system_role_kept(what: &str, role: &str) -> UserError {
    UserError::new(
        Code::InvalidStatement,
        format!(
            "{what} of system role '{role}' cannot be changed: roles of the account are fixed."
        ),
    )
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
        let row = |role: &str, by: &str, grant_option: bool| HeldGrant {
            object_kind: ObjectKind::Table,
            object_id: 1,
            privilege: Privilege::Select,
            role: role.to_string(),
            grant_option,
            granted_by: Some(by.to_string()),
            created_on: 0,
        };
        let held = |role: &str, by: &str| Held::from(&row(role, by, false));
        let mut account = AccountView::default();
        let table = (ObjectKind::Table, 1);
        let owners = [Some("OWNER")];
        let dependents =
            |account: &AccountView, taken: &[Held]| dependents(account, &owners, taken);
        let mut rows = vec![row("A", "OWNER", true), row("B", "A", true), row("C", "B", false)];
        account.grants.insert(table, rows.clone());
        let first = [held("A", "OWNER")];
        assert_eq!(dependents(&account, &first), vec![held("B", "A"), held("C", "B")]);
        assert_eq!(dependents(&account, &[held("C", "B")]), vec![]);
        // What another grantor gave too stands, and what rests on it.
        rows.push(row("B", "OWNER", true));
        account.grants.insert(table, rows.clone());
        assert_eq!(dependents(&account, &first), vec![held("B", "A")]);
        // Two that gave it to each other do not keep each other.
        rows.pop();
        rows.push(row("A", "B", true));
        account.grants.insert(table, rows);
        let all = vec![held("B", "A"), held("C", "B"), held("A", "B")];
        assert_eq!(dependents(&account, &first), all);
    }
}

//! GRANT and REVOKE IMPORTED PRIVILEGES ON DATABASE SNOWFLAKE: which roles read ACCOUNT_USAGE. It is kept as a
//! privilege on the account, which nothing else asks for.

use frazil_catalog::account::AccountView;
use frazil_common::{Code, ObjectKind, Privilege, UserError};
use frazil_dialect::{Grant, GrantTarget, ObjectWord, Privileges, Revoke};
use frazil_governance::{Requirement, is_database_role};

use crate::account_usage;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{absent, account_object, described_status};
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";
const ACCOUNT: (ObjectKind, i64) = (ObjectKind::Account, 0);

/// Whether a statement is about them.
pub(crate) fn are_named(privileges: &Privileges) -> bool {
    let Privileges::List(words) = privileges else { return false };
    words.iter().any(|word| word.name == Privilege::ImportedPrivileges.as_str())
}

/// They are all that can be granted, on the one database that there is from elsewhere, to roles of the account.
fn check(
    context: &StatementContext,
    work: &mut Work,
    privileges: &Privileges,
    on: &GrantTarget,
    role: &str,
) -> Result<(), UserError> {
    let GrantTarget::Object { kind: ObjectWord::Database, name } = on else {
        return Err(invalid("IMPORTED PRIVILEGES are granted on a database."));
    };
    if name.schema.is_some() || !account_usage::is_shared(&name.name, work.lake()?.view()) {
        let own = work.lake()?.view().database(&name.name).is_some();
        return Err(match own {
            true => invalid("IMPORTED PRIVILEGES are granted on a database of a share alone."),
            false => absent(context, ObjectWord::Database, name),
        });
    }
    if matches!(privileges, Privileges::List(words) if words.len() > 1) {
        return Err(invalid("IMPORTED PRIVILEGES are granted alone."));
    }
    if is_database_role(role) {
        return Err(invalid("IMPORTED PRIVILEGES are granted to roles of the account alone."));
    }
    context.authorize(&[Requirement::global(Privilege::ManageGrants)])
}

fn invalid(words: &str) -> UserError {
    UserError::new(Code::InvalidStatement, words)
}

pub(crate) async fn grant(
    context: &StatementContext,
    work: &mut Work,
    grant: &Grant,
    role: &str,
) -> Result<Outcome, UserError> {
    check(context, work, &grant.privileges, &grant.on, role)?;
    if grant.with_grant_option {
        return Err(UserError::unsupported("IMPORTED PRIVILEGES … WITH GRANT OPTION"));
    }
    if context.describe_only {
        return described_status();
    }
    let owner = context.model.owner(&account_object());
    let mut change = AccountChange::begin(context).await?;
    let privilege = Privilege::ImportedPrivileges;
    change.writer().grant_privilege(ACCOUNT, privilege, role, false, owner).await?;
    change.commit().await?;
    Outcome::status(DONE)
}

pub(crate) async fn revoke(
    context: &StatementContext,
    work: &mut Work,
    account: &AccountView,
    revoke: &Revoke,
    role: &str,
) -> Result<Outcome, UserError> {
    check(context, work, &revoke.privileges, &revoke.on, role)?;
    if context.describe_only {
        return described_status();
    }
    let privilege = Privilege::ImportedPrivileges;
    let grants = account.grants_on(ACCOUNT.0, ACCOUNT.1).iter();
    let held = grants.filter(|grant| grant.privilege == privilege && grant.role == role);
    let mut change = AccountChange::begin(context).await?;
    for grant in held {
        let by = grant.granted_by.as_deref();
        change.writer().revoke_privilege(ACCOUNT, privilege, role, by, false).await?;
    }
    change.commit().await?;
    Outcome::status(DONE)
}

//! Who may grant and revoke.

use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError};

use crate::authorize::{HiddenError, hidden_error, insufficient};
use crate::model::AccessModel;
use crate::roles::{EffectiveRoles, system};

/// GRANT `privilege` ON `object` TO ROLE …: the owner, a holder of the privilege with grant
/// option, or a holder of MANAGE GRANTS. In a schema with managed access the schema's owner decides
/// in the place of the object's.
///
/// # Errors
/// 003001 where the roles may not; an error for a privilege that the kind does not have.
pub fn may_grant_privilege(
    model: &AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
    privilege: Privilege,
) -> Result<(), UserError> {
    if !object.kind.privileges().contains(&privilege) {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!("Privilege {privilege} can not be granted on {}.", object.kind),
        ));
    }
    let passes = model.managed_schema(parents).is_none()
        && model.reaches(roles, parents)
        && model.holds_grant_option(roles, object, privilege);
    let allowed = passes || acts_as_owner(model, roles, object, parents);
    refuse_unless(allowed, model, roles, object, parents)
}

/// Whose owner decides on grants of an object: the schema with managed access that it is in, or itself.
pub fn decider<'o>(
    model: &AccessModel,
    object: &'o ObjectRef,
    parents: &'o [ObjectRef],
) -> &'o ObjectRef {
    model.managed_schema(parents).unwrap_or(object)
}

/// Whether the roles grant and revoke in the owner's place: they own the object (or the schema with
/// managed access that it is in), or hold MANAGE GRANTS.
pub fn acts_as_owner(
    model: &AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
) -> bool {
    model.has_global(roles, Privilege::ManageGrants)
        || (model.reaches(roles, parents) && model.owns(roles, decider(model, object, parents)))
}

/// The role that a grant is on record as given by: the owner where the roles own the object, or else the
/// one of them that may pass the privilege on, or else, by MANAGE GRANTS, the owner again. In a schema
/// with managed access it is always the schema's owner.
pub fn grantor<'m>(
    model: &'m AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
    privilege: Privilege,
) -> Option<&'m str> {
    let managed = model.managed_schema(parents).is_some();
    let decider = decider(model, object, parents);
    match model.option_holder(roles, object, privilege) {
        Some(holder) if !managed && !model.owns(roles, decider) => Some(holder),
        _ => model.owner(decider),
    }
}

/// REVOKE follows the same rule as GRANT.
///
/// # Errors
/// As [`may_grant_privilege`].
pub fn may_revoke_privilege(
    model: &AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
    privilege: Privilege,
) -> Result<(), UserError> {
    may_grant_privilege(model, roles, object, parents, privilege)
}

/// GRANT OWNERSHIP TO ROLE `to`: the owner to a role below it, or a holder of MANAGE GRANTS to any.
///
/// # Errors
/// 003001 or 002003.
pub fn may_transfer_ownership(
    model: &AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
    to: &str,
) -> Result<(), UserError> {
    refuse_unless(acts_as_owner(model, roles, object, parents), model, roles, object, parents)?;
    may_hand_to(model, roles, decider(model, object, parents), to)
}

/// What a view or policy names is read with its owner's rights, so that an owner who gave it to a role
/// with other rights than its own would have them lent.
fn may_hand_to(
    model: &AccessModel,
    roles: &EffectiveRoles,
    from: &ObjectRef,
    to: &str,
) -> Result<(), UserError> {
    let owner = model.owner(from).unwrap_or(system::ACCOUNTADMIN);
    if model.has_global(roles, Privilege::ManageGrants)
        || model.includes(&model.role_alone(owner), to)
    {
        return Ok(());
    }
    Err(UserError::new(
        Code::InsufficientPrivileges,
        format!(
            "SQL access control error:\nInsufficient privileges to operate on role '{to}': without MANAGE \
             GRANTS ownership passes from a role to one that it holds."
        ),
    ))
}

/// GRANT … ON FUTURE … IN SCHEMA or DATABASE: MANAGE GRANTS, or the ownership of a schema with
/// managed access.
///
/// # Errors
/// 003001 on the container.
pub fn may_grant_future(
    model: &AccessModel,
    roles: &EffectiveRoles,
    container: &ObjectRef,
    parents: &[ObjectRef],
) -> Result<(), UserError> {
    let allowed = model.has_global(roles, Privilege::ManageGrants)
        || (model.is_managed(container)
            && model.reaches(roles, parents)
            && model.owns(roles, container));
    refuse_unless(allowed, model, roles, container, parents)
}

/// GRANT OWNERSHIP ON FUTURE … TO ROLE `to`: as [`may_grant_future`], and as for the ownership of objects
/// there are.
///
/// # Errors
/// 003001.
pub fn may_promise_ownership(
    model: &AccessModel,
    roles: &EffectiveRoles,
    container: &ObjectRef,
    parents: &[ObjectRef],
    to: &str,
) -> Result<(), UserError> {
    may_grant_future(model, roles, container, parents)?;
    may_hand_to(model, roles, container, to)
}

/// Bringing an object with its grants into a schema: where the schema has managed access its owner decides on
/// grants, so that an object's owner brings none.
///
/// # Errors
/// 003001 on the schema.
pub fn may_bring_grants(
    model: &AccessModel,
    roles: &EffectiveRoles,
    schema: &ObjectRef,
    parents: &[ObjectRef],
) -> Result<(), UserError> {
    let allowed = !model.is_managed(schema) || acts_as_owner(model, roles, schema, parents);
    refuse_unless(allowed, model, roles, schema, parents)
}

/// GRANT ROLE and REVOKE ROLE: the role's owner, or a holder of MANAGE GRANTS. `to_role` is the
/// receiving role of a GRANT, to refuse circles.
///
/// # Errors
/// 002003 or 003001; an error for a circle, and for PUBLIC, which everybody holds.
pub fn may_grant_role(
    model: &AccessModel,
    roles: &EffectiveRoles,
    role: &ObjectRef,
    to_role: Option<&str>,
) -> Result<(), UserError> {
    let name = match role.kind {
        ObjectKind::Role => crate::names::last_part(&role.name),
        ObjectKind::DatabaseRole => role.name.clone(),
        _ => return Err(UserError::internal(format!("{} is no role", role.name))),
    };
    let allowed = model.has_global(roles, Privilege::ManageGrants) || model.owns(roles, role);
    refuse_unless(allowed, model, roles, role, &[])?;
    if name == system::PUBLIC {
        return Err(UserError::new(
            Code::InvalidStatement,
            "Role 'PUBLIC' is held by every user and role and can not be granted or revoked.",
        ));
    }
    match to_role {
        Some(grantee) if model.would_cycle(&name, grantee) => Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Role '{name}' can not be granted to role '{grantee}': it would create a cycle."
            ),
        )),
        _ => Ok(()),
    }
}

fn refuse_unless(
    allowed: bool,
    model: &AccessModel,
    roles: &EffectiveRoles,
    object: &ObjectRef,
    parents: &[ObjectRef],
) -> Result<(), UserError> {
    if allowed {
        Ok(())
    } else if model.is_visible(roles, object, parents) {
        Err(insufficient(object))
    } else {
        Err(hidden_error(object, HiddenError::DoesNotExist))
    }
}

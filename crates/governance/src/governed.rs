//! The proof that a plan passed authorisation.

use datafusion::logical_expr::LogicalPlan;
use frazil_common::{Access, ObjectRef, UserError};

use crate::authorize::{Requirement, authorize};
use crate::model::AccessModel;
use crate::protect::Protections;
use crate::roles::EffectiveRoles;
use crate::scans::check_scans;

/// A value that has passed governance. Only [`govern`] makes one.
#[derive(Debug, Clone)]
pub struct Governed<T>(T);

impl<T> Governed<T> {
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Takes the value out to run it. It can't be put back.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Tells which database and schema contain an object.
pub trait Containers {
    /// The database, then the schema; empty for objects of the account.
    fn parents(&self, object: &ObjectRef) -> Vec<ObjectRef>;
}

impl<F: Fn(&ObjectRef) -> Vec<ObjectRef>> Containers for F {
    fn parents(&self, object: &ObjectRef) -> Vec<ObjectRef> {
        self(object)
    }
}

/// Checks every access of a plan against the roles in force, and every scan of the plan against
/// the accesses and the policies.
///
/// An access on behalf of a role (the owner of a view) is checked for that role alone.
///
/// # Errors
/// Those of [`authorize`]; an internal error for a scan that no access covers, or
/// that is not under the policies on its table.
pub fn govern(
    plan: LogicalPlan,
    accesses: &[Access],
    containers: &dyn Containers,
    model: &AccessModel,
    roles: &EffectiveRoles,
    protections: &Protections,
) -> Result<Governed<LogicalPlan>, UserError> {
    authorize_accesses(accesses, containers, model, roles)?;
    check_scans(&plan, accesses, protections)?;
    Ok(Governed(plan))
}

/// Checks accesses against the roles in force, or against the role on whose behalf they are.
///
/// # Errors
/// Those of [`authorize`].
pub fn authorize_accesses(
    accesses: &[Access],
    containers: &dyn Containers,
    model: &AccessModel,
    roles: &EffectiveRoles,
) -> Result<(), UserError> {
    for access in accesses {
        let requirement = Requirement::new(
            access.object.clone(),
            containers.parents(&access.object),
            access.privilege,
        );
        match &access.on_behalf_of {
            Some(owner) => {
                let mut owner = model.role_alone(owner);
                owner.session_owners = roles.session_owners.clone();
                authorize(model, &owner, &[requirement])?;
            }
            None => authorize(model, roles, &[requirement])?,
        }
    }
    Ok(())
}

//! Authorisation: who may do what to which object, and the proof that a plan was checked.
//!
//! Pure: knows nothing of stores, sessions or the clock. The caller brings the facts as
//! [`AccessFacts`], and gets back either a Snowflake error or a [`Governed`] plan. Nothing
//! outside this crate can make a `Governed` value, and the executor accepts nothing else.

mod authorize;
mod governed;
mod grants;
mod model;
mod names;
mod protect;
mod refusal;
mod roles;
mod scans;
mod sealed;

pub use authorize::{HiddenError, Requirement, authorize};
pub use governed::{Containers, Governed, authorize_accesses, govern};
pub use grants::{
    acts_as_owner, decider, grantor, may_bring_grants, may_grant_future, may_grant_privilege,
    may_grant_role, may_promise_ownership, may_revoke_privilege, may_transfer_ownership,
};
pub use model::{AccessFacts, AccessModel, GrantFact};
pub use protect::{Policies, PolicyUse, Protections};
pub use refusal::check_refusals;
pub use roles::{EffectiveRoles, SecondaryRoles, is_database_role, system};
pub use scans::INTERNAL_SCHEMA;
pub use sealed::{REDACTED, Sealed};

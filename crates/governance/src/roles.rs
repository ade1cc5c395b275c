//! Roles in force: a primary role, secondary roles, and everything they inherit.

use std::collections::HashMap;

use frazil_common::ObjectKind;
use serde::{Deserialize, Serialize};

/// Names of the roles every account has.
pub mod system {
    /// Top of the hierarchy; inherits all the others and owns what has no recorded owner.
    pub const ACCOUNTADMIN: &str = "ACCOUNTADMIN";
    /// Manages grants.
    pub const SECURITYADMIN: &str = "SECURITYADMIN";
    /// Creates users and roles.
    pub const USERADMIN: &str = "USERADMIN";
    /// Creates databases and warehouses.
    pub const SYSADMIN: &str = "SYSADMIN";
    /// Held by every user and every role.
    pub const PUBLIC: &str = "PUBLIC";
    /// All of them, highest first.
    pub const ALL: [&str; 5] = [ACCOUNTADMIN, SECURITYADMIN, USERADMIN, SYSADMIN, PUBLIC];
}

/// Whether a role is a database's. Their names are `DATABASE.ROLE` as SQL text; no other role's
/// name has a dot. They are held through other roles, and no session can be in one.
pub fn is_database_role(name: &str) -> bool {
    name.contains('.')
}

/// `USE SECONDARY ROLES`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SecondaryRoles {
    /// Only the primary role counts.
    #[default]
    None,
    /// Every role granted to the user counts.
    All,
    /// These roles count, as far as the user holds them.
    Listed(Vec<String>),
}

/// A set of roles by their index in one [`crate::AccessModel`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoleSet {
    members: Vec<bool>,
}

impl RoleSet {
    pub(crate) fn with_capacity(roles: usize) -> Self {
        RoleSet { members: vec![false; roles] }
    }

    /// Adds a role; false if it was there.
    pub(crate) fn insert(&mut self, role: usize) -> bool {
        match self.members.get_mut(role) {
            Some(member) => !std::mem::replace(member, true),
            None => false,
        }
    }

    pub(crate) fn contains(&self, role: usize) -> bool {
        self.members.get(role).copied().unwrap_or(false)
    }

    pub(crate) fn extend(&mut self, other: &RoleSet) {
        for (member, added) in self.members.iter_mut().zip(&other.members) {
            *member |= added;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.iter().enumerate().filter_map(|(role, member)| member.then_some(role))
    }
}

/// The roles whose privileges a statement may use. Valid for the [`crate::AccessModel`] that
/// made it, and for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveRoles {
    pub(crate) name: String,
    /// The primary role and what it inherits: the only ones that may create objects.
    pub(crate) primary: RoleSet,
    /// The primary and secondary roles and what they inherit.
    pub(crate) any: RoleSet,
    /// Owners of objects that only the session has: temporary ones, and those its open
    /// transaction made. They come before the owners on record.
    pub(crate) session_owners: HashMap<(ObjectKind, i64), usize>,
}

impl EffectiveRoles {
    /// The primary role's name; it owns what the statement creates.
    pub fn primary(&self) -> &str {
        &self.name
    }
}

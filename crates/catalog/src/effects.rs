//! What a commit of definitions does to the account's records: owners, grants and the objects
//! that a schema holds besides tables and views. Committed with the definitions, or not at all.

use frazil_common::ObjectKind;

use crate::account::{PolicyReference, TagReference};

/// Changes of the account's records that belong to a commit. Ids below zero are local to the
/// transaction, as in its changes of definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountEffects {
    pub owners: Vec<NewOwner>,
    pub copied_grants: Vec<CopiedGrants>,
    pub copied_policies: Vec<CopiedPolicies>,
    pub copied_objects: Vec<CopiedObjects>,
    /// Tags on what the commit makes.
    pub tags: Vec<TagReference>,
    /// Policies on what the commit makes.
    pub policies: Vec<PolicyReference>,
    /// New schemas with managed access.
    pub managed_schemas: Vec<i64>,
    /// Database roles that end with their database, and the role that gets what they own.
    pub dropped_roles: Vec<(i64, String)>,
    /// Former and new names of databases, all changed at once: their roles are known by them, and sessions
    /// are in them.
    pub renamed_databases: Vec<(String, String)>,
    /// Schemas that have new names, all changed at once.
    pub renamed_schemas: Vec<RenamedSchema>,
    /// Objects that moved to another database: roles of the former one lose their grants.
    pub left_database: Vec<(ObjectKind, i64)>,
    /// Objects that cannot come back: their grants end.
    pub forgotten: Vec<(ObjectKind, i64)>,
    /// The version of the rules that the commit was checked against, where it must be the newest: see
    /// [`crate::account::Writer::claim_rules`].
    pub rules_version: Option<i64>,
}

/// A schema's new name: sessions are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedSchema {
    pub database: String,
    pub from: String,
    pub to: String,
}

/// The owner of an object that the commit makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOwner {
    pub kind: ObjectKind,
    pub id: i64,
    /// The role's name.
    pub role: String,
    /// Its database and, where it is in one, its schema: their future grants apply.
    pub containers: Option<(i64, Option<i64>)>,
}

/// Grants of one object that another of its kind gets too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedGrants {
    pub kind: ObjectKind,
    pub from: i64,
    pub to: i64,
    /// The owner as well, as the children of a cloned schema keep theirs.
    pub owner: bool,
    /// Both are in one database, so that its roles keep their grants.
    pub same_database: bool,
}

/// Policies and tags on one object that are also on its clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPolicies {
    pub kind: ObjectKind,
    pub from: i64,
    pub to: i64,
    /// The clone's columns, as policies name them. A later column of the source may have had an id
    /// that the clone gives to another.
    pub columns: Vec<i64>,
}

/// File formats and sequences of one schema that are made anew in another, with their grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedObjects {
    pub from_schema: i64,
    pub to_database: i64,
    pub to_schema: i64,
    /// See [`CopiedGrants`].
    pub same_database: bool,
    /// Owns copies of objects that have no owner on record.
    pub role: String,
}

impl AccountEffects {
    /// Whether the commit puts policies or tags on objects.
    pub fn changes_rules(&self) -> bool {
        !(self.copied_policies.is_empty() && self.tags.is_empty() && self.policies.is_empty())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &AccountEffects::default()
    }
}

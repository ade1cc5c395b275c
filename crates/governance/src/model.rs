//! The access model: the role graph, grants and owners, ready for questions.

use std::collections::{HashMap, HashSet};

use frazil_common::{ObjectKind, ObjectRef, Privilege};

use crate::roles::{EffectiveRoles, RoleSet, SecondaryRoles, is_database_role, system};

/// One privilege held by one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFact {
    pub object_kind: ObjectKind,
    pub object_id: i64,
    pub privilege: Privilege,
    pub role: String,
    /// Whether the role may pass the privilege on.
    pub grant_option: bool,
}

/// Everything authorisation depends on, as plain data. Names of unknown roles are ignored: a
/// grant to a role that is gone gives nothing.
#[derive(Debug, Clone, Default)]
pub struct AccessFacts {
    pub roles: Vec<String>,
    /// (role, the role it is granted to): the second inherits the first.
    pub role_grants: Vec<(String, String)>,
    /// (role, the user it is granted to).
    pub user_roles: Vec<(String, String)>,
    pub grants: Vec<GrantFact>,
    /// The owning role of each object that has one on record.
    pub owners: Vec<((ObjectKind, i64), String)>,
    /// Ids of the schemas with managed access.
    pub managed_schemas: Vec<i64>,
    /// The version of policies, tags and roles at which these were read.
    pub rules_version: i64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    privilege: Privilege,
    role: usize,
    grant_option: bool,
}

/// Answers questions about roles and privileges. Immutable; made anew when the facts change.
#[derive(Debug)]
pub struct AccessModel {
    names: Vec<String>,
    index: HashMap<String, usize>,
    /// For each role: itself and everything it inherits.
    inherited: Vec<RoleSet>,
    users: HashMap<String, Vec<usize>>,
    grants: HashMap<(ObjectKind, i64), Vec<Held>>,
    owners: HashMap<(ObjectKind, i64), usize>,
    managed: HashSet<i64>,
    rules_version: i64,
}

impl AccessModel {
    pub fn new(facts: &AccessFacts) -> Self {
        let names = facts.roles.clone();
        let index: HashMap<String, usize> =
            names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        let find = |name: &str| index.get(name).copied();

        let mut granted_to: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        for (role, grantee) in &facts.role_grants {
            if let (Some(role), Some(grantee)) = (find(role), find(grantee)) {
                granted_to[grantee].push(role);
            }
        }
        let public = find(system::PUBLIC);
        let inherited = (0..names.len()).map(|role| closure(&granted_to, role, public)).collect();

        let mut users: HashMap<String, Vec<usize>> = HashMap::new();
        for (role, user) in &facts.user_roles {
            if let Some(role) = find(role) {
                users.entry(user.clone()).or_default().push(role);
            }
        }
        let mut grants: HashMap<(ObjectKind, i64), Vec<Held>> = HashMap::new();
        for grant in &facts.grants {
            if let Some(role) = find(&grant.role) {
                grants.entry((grant.object_kind, grant.object_id)).or_default().push(Held {
                    privilege: grant.privilege,
                    role,
                    grant_option: grant.grant_option,
                });
            }
        }
        let owners =
            facts.owners.iter().filter_map(|(object, role)| Some((*object, find(role)?))).collect();
        let managed = facts.managed_schemas.iter().copied().collect();
        let rules_version = facts.rules_version;
        AccessModel { names, index, inherited, users, grants, owners, managed, rules_version }
    }

    /// What changes of policies, tags and roles must find unchanged, if they were checked against this.
    pub fn rules_version(&self) -> i64 {
        self.rules_version
    }

    /// Whether a role of this name exists.
    pub fn has_role(&self, role: &str) -> bool {
        self.index.contains_key(role)
    }

    /// Whether the user may make this role primary: it is granted to the user directly, or
    /// inherited by a role that is. Every user holds PUBLIC.
    pub fn may_assume(&self, user: &str, role: &str) -> bool {
        let Some(&index) = self.index.get(role) else { return false };
        !is_database_role(role) && self.user_closure(user).contains(index)
    }

    /// Names of all roles the user may assume, in the order of the facts.
    pub fn available_roles(&self, user: &str) -> Vec<&str> {
        self.user_closure(user)
            .iter()
            .map(|role| self.names[role].as_str())
            .filter(|role| !is_database_role(role))
            .collect()
    }

    /// Names of the roles in force, those of databases too.
    pub fn names_of<'m>(&'m self, roles: &EffectiveRoles) -> impl Iterator<Item = &'m str> {
        let members: Vec<usize> = roles.any.iter().collect();
        members.into_iter().map(|role| self.names[role].as_str())
    }

    /// The roles in force for a user's session. A primary role that was taken from the user since the
    /// session assumed it gives nothing, nor does another one that was given its name.
    pub fn session_roles(
        &self,
        user: &str,
        primary: &str,
        secondary: &SecondaryRoles,
    ) -> EffectiveRoles {
        let mut roles = self.effective_roles(user, primary, secondary);
        if !self.may_assume(user, primary) {
            roles.primary = self.empty();
            roles.any = match secondary {
                SecondaryRoles::None => self.empty(),
                _ => self.effective_roles(user, system::PUBLIC, secondary).any,
            };
        }
        roles
    }

    /// The roles of a primary role that the user holds. Secondary roles the user does not hold, and a
    /// primary role that does not exist, count for nothing.
    pub fn effective_roles(
        &self,
        user: &str,
        primary: &str,
        secondary: &SecondaryRoles,
    ) -> EffectiveRoles {
        let mut roles = self.role_alone(primary);
        match secondary {
            SecondaryRoles::None => {}
            SecondaryRoles::All => {
                let held = self.user_closure(user);
                roles.any.extend(&held);
            }
            SecondaryRoles::Listed(listed) => {
                for name in listed.iter().filter(|name| self.may_assume(user, name)) {
                    if let Some(&role) = self.index.get(name) {
                        roles.any.extend(&self.inherited[role]);
                    }
                }
            }
        }
        roles
    }

    /// One role and what it inherits, as for the owner of a view. Nothing if it does not exist.
    pub fn role_alone(&self, role: &str) -> EffectiveRoles {
        let set = match self.index.get(role) {
            Some(&role) => self.inherited[role].clone(),
            None => self.empty(),
        };
        EffectiveRoles {
            name: role.to_string(),
            primary: set.clone(),
            any: set,
            session_owners: HashMap::new(),
        }
    }

    /// Adds the owner of an object that only the session has: a temporary one, or one its open
    /// transaction made, whose id is not on record.
    pub fn add_session_owner(
        &self,
        roles: &mut EffectiveRoles,
        object: (ObjectKind, i64),
        role: &str,
    ) {
        if let Some(&role) = self.index.get(role) {
            roles.session_owners.insert(object, role);
        }
    }

    /// Whether granting `role` to `grantee` would close a circle.
    pub fn would_cycle(&self, role: &str, grantee: &str) -> bool {
        match (self.index.get(role), self.index.get(grantee)) {
            (Some(&role), Some(&grantee)) => self.inherited[role].contains(grantee),
            _ => role == grantee,
        }
    }

    /// Whether `roles` have taken in `role`, as its holder or by inheritance.
    pub fn includes(&self, roles: &EffectiveRoles, role: &str) -> bool {
        self.index.get(role).is_some_and(|&role| roles.any.contains(role))
    }

    /// The owning role. An object with no record, such as a table another program wrote, is
    /// ACCOUNTADMIN's.
    pub fn owner(&self, object: &ObjectRef) -> Option<&str> {
        self.owner_key((object.kind, object.id)).map(|role| self.names[role].as_str())
    }

    /// Whether the roles hold the privilege on the object, and can reach it through `parents`
    /// (its database, and its schema where it is in one).
    ///
    /// OWNERSHIP implies every other privilege on that object. Reaching takes any privilege on every
    /// parent. The right to create takes the primary role.
    pub fn has_privilege(
        &self,
        roles: &EffectiveRoles,
        object: &ObjectRef,
        parents: &[ObjectRef],
        privilege: Privilege,
    ) -> bool {
        self.reaches(roles, parents) && self.holds(roles, object, privilege)
    }

    /// Whether the roles may know that the object exists: they hold any privilege on it and reach
    /// it, manage grants, or own the schema with managed access that it is in.
    pub fn is_visible(
        &self,
        roles: &EffectiveRoles,
        object: &ObjectRef,
        parents: &[ObjectRef],
    ) -> bool {
        object.kind == ObjectKind::Account
            || self.has_global(roles, Privilege::ManageGrants)
            || (self.reaches(roles, parents)
                && (self.holds_any(roles, object)
                    || self.managed_schema(parents).is_some_and(|schema| self.owns(roles, schema))))
    }

    /// Whether the roles hold a privilege on the account.
    pub fn has_global(&self, roles: &EffectiveRoles, privilege: Privilege) -> bool {
        self.holds_key(roles, (ObjectKind::Account, 0), privilege)
    }

    /// Whether the roles hold the privilege with the right to pass it on.
    pub(crate) fn holds_grant_option(
        &self,
        roles: &EffectiveRoles,
        object: &ObjectRef,
        privilege: Privilege,
    ) -> bool {
        self.option_holder(roles, object, privilege).is_some()
    }

    /// The role by which they do; the primary one where there are several.
    pub(crate) fn option_holder(
        &self,
        roles: &EffectiveRoles,
        object: &ObjectRef,
        privilege: Privilege,
    ) -> Option<&str> {
        let grants = self.grants.get(&(object.kind, object.id))?;
        let holders = grants.iter().filter(|grant| {
            grant.grant_option && grant.privilege == privilege && roles.any.contains(grant.role)
        });
        let holder = holders.min_by_key(|grant| self.names[grant.role] != roles.name)?;
        Some(&self.names[holder.role])
    }

    pub(crate) fn owns(&self, roles: &EffectiveRoles, object: &ObjectRef) -> bool {
        self.owned_within(&roles.any, roles, (object.kind, object.id))
    }

    /// The schema among the containers where its owner alone decides on grants.
    pub(crate) fn managed_schema<'p>(&self, parents: &'p [ObjectRef]) -> Option<&'p ObjectRef> {
        parents.iter().find(|parent| self.is_managed(parent))
    }

    pub(crate) fn is_managed(&self, object: &ObjectRef) -> bool {
        object.kind == ObjectKind::Schema && self.managed.contains(&object.id)
    }

    pub(crate) fn reaches(&self, roles: &EffectiveRoles, parents: &[ObjectRef]) -> bool {
        parents.iter().all(|parent| self.holds_any(roles, parent))
    }

    fn holds(&self, roles: &EffectiveRoles, object: &ObjectRef, privilege: Privilege) -> bool {
        self.holds_key(roles, (object.kind, object.id), privilege)
    }

    fn holds_key(
        &self,
        roles: &EffectiveRoles,
        key: (ObjectKind, i64),
        privilege: Privilege,
    ) -> bool {
        let set = if creates(privilege) { &roles.primary } else { &roles.any };
        self.owned_within(set, roles, key)
            || self.grants.get(&key).is_some_and(|held| {
                held.iter().any(|grant| {
                    (grant.privilege == privilege || grant.privilege == Privilege::Ownership)
                        && set.contains(grant.role)
                })
            })
    }

    fn holds_any(&self, roles: &EffectiveRoles, object: &ObjectRef) -> bool {
        self.owns(roles, object)
            || self
                .grants
                .get(&(object.kind, object.id))
                .is_some_and(|held| held.iter().any(|grant| roles.any.contains(grant.role)))
    }

    fn owned_within(&self, set: &RoleSet, roles: &EffectiveRoles, key: (ObjectKind, i64)) -> bool {
        let owner = roles.session_owners.get(&key).copied().or_else(|| self.owner_key(key));
        owner.is_some_and(|owner| set.contains(owner))
    }

    fn owner_key(&self, key: (ObjectKind, i64)) -> Option<usize> {
        self.owners.get(&key).or_else(|| self.index.get(system::ACCOUNTADMIN)).copied()
    }

    fn user_closure(&self, user: &str) -> RoleSet {
        let mut set = self.empty();
        let granted = self.users.get(user).into_iter().flatten().copied();
        for role in granted.chain(self.index.get(system::PUBLIC).copied()) {
            set.extend(&self.inherited[role]);
        }
        set
    }

    fn empty(&self) -> RoleSet {
        RoleSet::with_capacity(self.names.len())
    }
}

/// Privileges that only the primary role can use, because it will own what they make.
fn creates(privilege: Privilege) -> bool {
    use Privilege::*;
    match privilege {
        CreateDatabase
        | CreateWarehouse
        | CreateRole
        | CreateUser
        | CreateEndpoint
        | CreateDatabaseRole
        | CreateSchema
        | CreateTable
        | CreateView
        | CreateStage
        | CreateFileFormat
        | CreateSequence
        | CreateModel
        | CreateMaskingPolicy
        | CreateRowAccessPolicy
        | CreateTag => true,
        Select | Insert | Update | Delete | Truncate | References | Usage | Read | Write
        | Monitor | Modify | Operate | Ownership | ManageGrants | Apply | ApplyMaskingPolicy
        | ApplyRowAccessPolicy | ApplyTag | ImportedPrivileges => false,
    }
}

/// The role, all it inherits, and PUBLIC. Terminates on circular grants too.
fn closure(granted_to: &[Vec<usize>], role: usize, public: Option<usize>) -> RoleSet {
    let mut set = RoleSet::with_capacity(granted_to.len());
    let mut open: Vec<usize> = std::iter::once(role).chain(public).collect();
    while let Some(role) = open.pop() {
        if set.insert(role) {
            open.extend(&granted_to[role]);
        }
    }
    set
}

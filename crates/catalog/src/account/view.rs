//! An unchanging picture of users, roles, grants and owners, for authorisation and SHOW.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use frazil_common::ObjectKind;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::{
    AccountStore, FutureGrant, Grant, GrantTarget, Grantee, PolicyReference, RULES_VERSION, Role,
    RoleGrant, SECURITY_VERSION, TagReference, User, future, grants, ownership, policies, roles,
    tags, users,
};
use crate::Result;

/// Users, roles, grants and owners at one security version. Roles and users go by name.
#[derive(Debug, Clone, Default)]
pub struct AccountView {
    /// Grows with every change of what is in here.
    pub version: i64,
    /// Grows with every change of policies and tags on objects, and of roles granted: see
    /// [`super::Writer::claim_rules`].
    pub rules_version: i64,
    pub users: BTreeMap<String, User>,
    pub roles: BTreeMap<String, Role>,
    pub role_grants: Vec<RoleGrant>,
    /// By object.
    pub grants: HashMap<GrantTarget, Vec<Grant>>,
    pub future_grants: Vec<FutureGrant>,
    /// The policies on each table, view and tag that has some.
    pub policies: HashMap<GrantTarget, Vec<PolicyReference>>,
    /// The tags on each object that has some, columns' too.
    pub tags: HashMap<GrantTarget, Vec<TagReference>>,
    /// Ids of the schemas with managed access.
    pub managed_schemas: HashSet<i64>,
    /// The owning role of each object.
    pub owners: HashMap<GrantTarget, String>,
    /// Since when each object has been that role's, in microseconds since 1970 UTC.
    pub owned_since: HashMap<GrantTarget, i64>,
}

impl AccountView {
    /// The owning role of an object, if it has one on record.
    pub fn owner(&self, kind: ObjectKind, id: i64) -> Option<&str> {
        self.owners.get(&(kind, id)).map(String::as_str)
    }

    /// The user with this id.
    pub fn user_by_id(&self, id: i64) -> Option<&User> {
        self.users.values().find(|user| user.id == id)
    }

    /// The policies on a table or view.
    pub fn policies_on(&self, kind: ObjectKind, id: i64) -> &[PolicyReference] {
        self.policies.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// The tags on an object, on its columns too.
    pub fn tags_on(&self, kind: ObjectKind, id: i64) -> &[TagReference] {
        self.tags.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// Whether any tag masks columns.
    pub fn has_tag_policies(&self) -> bool {
        self.policies.keys().any(|(kind, _)| *kind == ObjectKind::Tag)
    }

    /// Grants on one object, ownership apart.
    pub fn grants_on(&self, kind: ObjectKind, id: i64) -> &[Grant] {
        self.grants.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// Grants held by a role itself, ownership apart, by object and privilege.
    pub fn grants_to(&self, role: &str) -> Vec<&Grant> {
        let mut held: Vec<&Grant> =
            self.grants.values().flatten().filter(|grant| grant.role == role).collect();
        held.sort_by_key(|grant| (grant.object_kind, grant.object_id, grant.privilege));
        held
    }
}

async fn security_version(connection: &mut SqliteConnection) -> Result<i64> {
    let (version,): (i64,) = sqlx::query_as("SELECT value FROM frazil_counter WHERE name = $1")
        .bind(SECURITY_VERSION)
        .fetch_one(connection)
        .await?;
    Ok(version)
}

/// A counter's value; zero before its first step.
async fn counter(connection: &mut SqliteConnection, name: &str) -> Result<i64> {
    let value = sqlx::query_scalar("SELECT value FROM frazil_counter WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(value.unwrap_or_default())
}

impl AccountStore {
    /// The view of a version, where it is the one known here; the newest otherwise.
    pub async fn view_of(&self, version: i64) -> Result<Arc<AccountView>> {
        let known = self.view.lock().clone();
        match known {
            Some(view) if view.version == version => Ok(view),
            _ => self.view().await,
        }
    }

    /// The newest view. Cached: when nothing changed, this reads one counter.
    pub async fn view(&self) -> Result<Arc<AccountView>> {
        let known = self.view.lock().clone();
        if let Some(view) = known
            && view.version == security_version(&mut *self.reader().await?).await?
        {
            return Ok(view);
        }
        // One transaction, so that the parts are of one moment.
        let mut reader = self.reader().await?;
        let mut transaction = reader.begin().await?;
        let version = security_version(&mut transaction).await?;
        let rules_version = counter(&mut transaction, RULES_VERSION).await?;
        let users = users::all(&mut transaction).await?;
        let roles = roles::all(&mut transaction).await?;
        let role_grants = roles::all_grants(&mut transaction).await?;
        let grants = grants::all(&mut transaction).await?;
        let future = future::all(&mut transaction).await?;
        let owners = ownership::all(&mut transaction).await?;
        let references = policies::all(&mut transaction).await?;
        let tagged = tags::all(&mut transaction).await?;
        let managed = ownership::managed_schemas(&mut transaction).await?;
        transaction.commit().await?;

        let names: HashMap<i64, String> =
            roles.iter().map(|role| (role.id, role.name.clone())).collect();
        let user_names: HashMap<i64, String> =
            users.iter().map(|user| (user.id, user.name.clone())).collect();
        let name = |id: i64| names.get(&id).cloned();
        let grantor = |id: Option<i64>| id.and_then(name);
        let mut by_object: HashMap<GrantTarget, Vec<Grant>> = HashMap::new();
        for row in grants {
            if let Some(role) = name(row.role_id) {
                by_object.entry(row.object).or_default().push(Grant {
                    object_kind: row.object.0,
                    object_id: row.object.1,
                    privilege: row.privilege,
                    role,
                    grant_option: row.grant_option,
                    granted_by: name(row.granted_by),
                    created_on: row.created_on,
                });
            }
        }
        let mut policies: HashMap<GrantTarget, Vec<PolicyReference>> = HashMap::new();
        for reference in references {
            policies.entry(reference.on).or_default().push(reference);
        }
        let mut tags: HashMap<GrantTarget, Vec<TagReference>> = HashMap::new();
        for reference in tagged {
            tags.entry(reference.on).or_default().push(reference);
        }
        let view = Arc::new(AccountView {
            version,
            rules_version,
            policies,
            tags,
            role_grants: role_grants
                .into_iter()
                .filter_map(|(role, to_user, grantee, granted_by, created_on)| {
                    Some(RoleGrant {
                        role: name(role)?,
                        grantee: if to_user {
                            Grantee::User(user_names.get(&grantee)?.clone())
                        } else {
                            Grantee::Role(name(grantee)?)
                        },
                        granted_by: grantor(granted_by),
                        created_on,
                    })
                })
                .collect(),
            grants: by_object,
            future_grants: future
                .into_iter()
                .filter_map(|row| {
                    Some(FutureGrant {
                        container: row.container,
                        object_kind: row.object_kind,
                        privilege: row.privilege,
                        role: name(row.role_id)?,
                        grant_option: row.grant_option,
                        granted_by: name(row.granted_by),
                        created_on: row.created_on,
                    })
                })
                .collect(),
            managed_schemas: managed.into_iter().collect(),
            owned_since: owners.iter().map(|(object, _, since)| (*object, *since)).collect(),
            owners: owners
                .into_iter()
                .filter_map(|(object, role, _)| Some((object, name(role)?)))
                .collect(),
            users: users.into_iter().map(|user| (user.name.clone(), user)).collect(),
            roles: roles.into_iter().map(|role| (role.name.clone(), role)).collect(),
        });
        let mut cache = self.view.lock();
        if cache.as_ref().is_none_or(|old| old.version < version) {
            *cache = Some(Arc::clone(&view));
        }
        Ok(view)
    }
}

//! Changes of users, roles, grants and owners, and what must be on record after them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use frazil_catalog::account::{AccountStore, Grantee, NewUser, UserProperties, Writer};
use frazil_common::{ObjectKind, Privilege};
use rand::Rng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;

use crate::faults::Faults;

/// Owns what no other role does.
pub const HEIR: &str = "SYSADMIN";

/// What is on record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub users: BTreeSet<String>,
    pub roles: BTreeSet<String>,
    /// Role, and who holds it.
    pub holders: BTreeSet<(String, Grantee)>,
    /// Owning role by table.
    pub owners: BTreeMap<i64, String>,
    /// Tables and the roles that may insert into them.
    pub writers: BTreeSet<(i64, String)>,
}

impl Facts {
    /// What is on record now.
    pub async fn read(store: &AccountStore) -> Result<Facts, String> {
        let view = store.view().await.map_err(|error| error.to_string())?;
        let own = |name: &&String| name.starts_with("SIM_");
        let mut facts = Facts {
            users: view.users.keys().filter(own).cloned().collect(),
            roles: view.roles.keys().filter(own).cloned().collect(),
            ..Facts::default()
        };
        for grant in view.role_grants.iter().filter(|grant| own(&&grant.role)) {
            facts.holders.insert((grant.role.clone(), grant.grantee.clone()));
        }
        for ((kind, id), role) in &view.owners {
            if *kind == ObjectKind::Table {
                facts.owners.insert(*id, role.clone());
            }
        }
        for grant in view.grants.values().flatten() {
            if (grant.object_kind, grant.privilege) == (ObjectKind::Table, Privilege::Insert) {
                facts.writers.insert((grant.object_id, grant.role.clone()));
            }
        }
        Ok(facts)
    }

    /// The same without tables that nobody was told of.
    pub fn of_tables(mut self, known: &Facts) -> Facts {
        self.owners.retain(|id, _| known.owners.contains_key(id));
        self.writers.retain(|(id, _)| known.owners.contains_key(id));
        self
    }

    /// A table that a commit made, with the grants of the one it was cloned from.
    pub fn add_table(&mut self, id: i64, owner: &str, source: Option<i64>) {
        self.owners.insert(id, owner.to_string());
        let copied: Vec<(i64, String)> = self
            .writers
            .iter()
            .filter(|(table, _)| Some(*table) == source)
            .map(|(_, role)| (id, role.clone()))
            .collect();
        self.writers.extend(copied);
    }

    fn drop_role(&mut self, role: &str) {
        self.roles.remove(role);
        let named = Grantee::Role(role.to_string());
        self.holders.retain(|(held, holder)| held != role && *holder != named);
        self.writers.retain(|(_, writer)| writer != role);
        for owner in self.owners.values_mut().filter(|owner| *owner == role) {
            *owner = HEIR.to_string();
        }
    }
}

/// One transaction on the account.
#[derive(Debug)]
enum Change {
    /// A user with a role of its own, which belong together.
    UserWithRole(String, String),
    Role(String),
    GrantRole(String, Grantee),
    DropRole(String),
    GrantInsert(i64, String),
    Owner(i64, String),
}

/// The account's part of a history.
pub struct Accounts {
    pub store: AccountStore,
    faults: Arc<Faults>,
    /// What was acknowledged.
    pub facts: Facts,
    /// What a change without an answer may have made of it.
    pub in_doubt: Option<Facts>,
    made: u64,
}

impl Accounts {
    /// A part over a store whose record is `facts`; names of new things begin at a number.
    pub fn new(store: AccountStore, faults: Arc<Faults>, facts: Facts, first: u64) -> Accounts {
        Accounts { store, faults, facts, in_doubt: None, made: first }
    }

    /// A role to own something.
    pub fn any_role(&self, rng: &mut ChaCha8Rng) -> String {
        self.facts.roles.iter().choose(rng).map_or_else(|| HEIR.to_string(), String::clone)
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Change {
        self.made += 1;
        let new = self.made;
        let table = self.facts.owners.keys().choose(rng).copied();
        let role = self.facts.roles.iter().choose(rng).cloned();
        let user = self.facts.users.iter().choose(rng).cloned();
        match (rng.random_range(0..100), role, user, table) {
            (0..20, ..) | (_, None, ..) => {
                Change::UserWithRole(format!("SIM_USER_{new}"), format!("SIM_ROLE_{new}"))
            }
            (20..35, ..) => Change::Role(format!("SIM_ROLE_{new}")),
            (35..50, Some(role), Some(user), _) => Change::GrantRole(role, Grantee::User(user)),
            (50..58, Some(role), ..) => Change::DropRole(role),
            (58..80, Some(role), _, Some(table)) => Change::GrantInsert(table, role),
            (80..100, Some(role), _, Some(table)) => Change::Owner(table, role),
            (_, Some(role), ..) => Change::GrantRole(role, Grantee::Role(HEIR.to_string())),
        }
    }

    async fn make(&self, change: &Change) -> frazil_catalog::Result<()> {
        let view = self.store.view().await?;
        let mut transaction = self.store.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        match change {
            Change::UserWithRole(user, role) => {
                writer.create_role(role, None, HEIR).await?;
                writer
                    .create_user(NewUser {
                        name: user.clone(),
                        login_name: None,
                        password_hash: None,
                        must_change_password: false,
                        disabled: false,
                        comment: None,
                        properties: UserProperties::default(),
                        owner_role: role.clone(),
                    })
                    .await?;
                writer.grant_role(role, &Grantee::User(user.clone()), None).await?;
            }
            Change::Role(role) => {
                writer.create_role(role, None, HEIR).await?;
            }
            Change::GrantRole(role, holder) => {
                writer.grant_role(role, holder, None).await?;
            }
            Change::DropRole(role) => {
                let id = writer.role_id(role).await?;
                debug_assert!(view.roles.get(role).is_none_or(|known| known.id == id));
                writer.drop_role(id, HEIR).await?;
            }
            Change::GrantInsert(table, role) => {
                let object = (ObjectKind::Table, *table);
                writer.grant_privilege(object, Privilege::Insert, role, false, None).await?;
            }
            Change::Owner(table, role) => {
                writer.transfer_ownership(ObjectKind::Table, *table, role, false).await?;
            }
        }
        transaction.commit().await
    }

    fn after(&self, change: &Change) -> Facts {
        let mut facts = self.facts.clone();
        match change {
            Change::UserWithRole(user, role) => {
                facts.users.insert(user.clone());
                facts.roles.insert(role.clone());
                facts.holders.insert((role.clone(), Grantee::User(user.clone())));
            }
            Change::Role(role) => {
                facts.roles.insert(role.clone());
            }
            Change::GrantRole(role, holder) => {
                facts.holders.insert((role.clone(), holder.clone()));
            }
            Change::DropRole(role) => facts.drop_role(role),
            Change::GrantInsert(table, role) => {
                facts.writers.insert((*table, role.clone()));
            }
            Change::Owner(table, role) => {
                facts.owners.insert(*table, role.clone());
                facts.writers.retain(|(granted, _)| granted != table);
            }
        }
        facts
    }

    /// Does one random thing; gives a line for the log. `Err` is a broken promise.
    pub async fn step(&mut self, rng: &mut ChaCha8Rng) -> Result<String, String> {
        let change = self.draw(rng);
        let after = self.after(&change);
        self.faults.take_in_doubt();
        let made = self.make(&change).await;
        let line = format!("{change:?}: {made:?}");
        if made.is_ok() {
            self.facts = after;
            return Ok(line);
        }
        let doubt = self.faults.take_in_doubt();
        if self.faults.is_dead() {
            self.in_doubt = doubt.then_some(after);
            return Ok(line);
        }
        let paused = self.faults.pause(true);
        let found = Facts::read(&self.store).await;
        self.faults.pause(paused);
        let found = found?;
        // A commit whose answer was lost may have made tables that nobody was told of.
        let found = found.of_tables(&self.facts);
        match found == self.facts {
            true => Ok(line),
            false if doubt && found == after => {
                self.facts = after;
                Ok(line)
            }
            false => Err(format!("{line} left {found:?} of {:?}", self.facts)),
        }
    }
}

//! Who may do what, as tables of questions and answers, and against a small reference model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError};
use frazil_governance::{
    AccessFacts, AccessModel, EffectiveRoles, GrantFact, HiddenError, Requirement, SecondaryRoles,
    authorize, may_grant_future, may_grant_privilege, may_grant_role, may_transfer_ownership,
};
use proptest::prelude::*;

const DATABASE: i64 = 1;
const SCHEMA: i64 = 2;
const TABLE: i64 = 3;

fn object(kind: ObjectKind, id: i64, name: &str) -> ObjectRef {
    ObjectRef { kind, id, name: name.to_string() }
}

fn database() -> ObjectRef {
    object(ObjectKind::Database, DATABASE, "D")
}

fn schema() -> ObjectRef {
    object(ObjectKind::Schema, SCHEMA, "D.S")
}

fn table() -> ObjectRef {
    object(ObjectKind::Table, TABLE, "D.S.\"my t\"")
}

fn containers() -> Vec<ObjectRef> {
    vec![database(), schema()]
}

fn grant(object: &ObjectRef, privilege: Privilege, role: &str) -> GrantFact {
    GrantFact {
        object_kind: object.kind,
        object_id: object.id,
        privilege,
        role: role.to_string(),
        grant_option: false,
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

/// The system roles with Snowflake's hierarchy; ANALYST below ENGINEER below SYSADMIN; LONER
/// beside them; D and D.S are SYSADMIN's, the table is ENGINEER's.
fn facts() -> AccessFacts {
    let account = object(ObjectKind::Account, 0, "ACCOUNT");
    AccessFacts {
        roles: [
            "ACCOUNTADMIN",
            "SECURITYADMIN",
            "USERADMIN",
            "SYSADMIN",
            "PUBLIC",
            "ENGINEER",
            "ANALYST",
            "LONER",
        ]
        .map(String::from)
        .to_vec(),
        role_grants: pairs(&[
            ("SYSADMIN", "ACCOUNTADMIN"),
            ("SECURITYADMIN", "ACCOUNTADMIN"),
            ("USERADMIN", "SECURITYADMIN"),
            ("ENGINEER", "SYSADMIN"),
            ("ANALYST", "ENGINEER"),
        ]),
        user_roles: pairs(&[("ANALYST", "ANN"), ("LONER", "ANN"), ("ENGINEER", "BOB")]),
        grants: vec![
            grant(&account, Privilege::ManageGrants, "SECURITYADMIN"),
            grant(&account, Privilege::CreateDatabase, "SYSADMIN"),
            grant(&database(), Privilege::Usage, "ANALYST"),
            grant(&schema(), Privilege::Usage, "ANALYST"),
            grant(&schema(), Privilege::CreateTable, "ENGINEER"),
            grant(&table(), Privilege::Select, "ANALYST"),
            grant(&table(), Privilege::Insert, "LONER"),
        ],
        owners: vec![
            ((ObjectKind::Database, DATABASE), "SYSADMIN".to_string()),
            ((ObjectKind::Schema, SCHEMA), "SYSADMIN".to_string()),
            ((ObjectKind::Table, TABLE), "ENGINEER".to_string()),
            ((ObjectKind::Role, 9), "USERADMIN".to_string()),
        ],
        ..AccessFacts::default()
    }
}

fn roles(model: &AccessModel, role: &str) -> EffectiveRoles {
    model.effective_roles("NOBODY", role, &SecondaryRoles::None)
}

#[test]
fn privileges_on_a_table() {
    use Privilege::*;
    let model = AccessModel::new(&facts());
    for (role, privilege, expected) in [
        ("ANALYST", Select, true),
        ("ANALYST", Insert, false),
        ("ENGINEER", Select, true),
        ("ENGINEER", Delete, true),
        ("ENGINEER", Ownership, true),
        ("SYSADMIN", Update, true),
        ("ACCOUNTADMIN", Truncate, true),
        // Managing grants is not using.
        ("SECURITYADMIN", Select, false),
        ("PUBLIC", Select, false),
        // Holds INSERT, but can't reach the schema.
        ("LONER", Insert, false),
        ("GONE", Select, false),
    ] {
        let roles = roles(&model, role);
        assert_eq!(
            model.has_privilege(&roles, &table(), &containers(), privilege),
            expected,
            "{role} {privilege}"
        );
    }
}

#[test]
fn any_privilege_on_what_contains_an_object_reaches_it() {
    let reaches = |held: &[(ObjectRef, Privilege)]| {
        let mut facts = facts();
        facts.grants.extend(held.iter().map(|(on, privilege)| grant(on, *privilege, "LONER")));
        let model = AccessModel::new(&facts);
        let loner = roles(&model, "LONER");
        model.has_privilege(&loner, &table(), &containers(), Privilege::Insert)
    };
    assert!(!reaches(&[(database(), Privilege::Usage)]));
    assert!(!reaches(&[(schema(), Privilege::Usage)]));
    for on_database in [Privilege::Usage, Privilege::Monitor, Privilege::CreateSchema] {
        for on_schema in [Privilege::Usage, Privilege::Modify, Privilege::CreateTable] {
            assert!(reaches(&[(database(), on_database), (schema(), on_schema)]));
        }
    }
}

#[test]
fn errors_hide_what_may_not_be_seen() {
    use Privilege::*;
    let model = AccessModel::new(&facts());
    let insufficient =
        "SQL access control error:\nInsufficient privileges to operate on table 'my t'";
    let absent = "Object 'D.S.\"my t\"' does not exist or not authorized.";
    let ask = |role: &str, requirement: Requirement| -> Option<(u32, String)> {
        let error: UserError = authorize(&model, &roles(&model, role), &[requirement]).err()?;
        Some((error.code.number(), error.message))
    };
    let on_table = |privilege| Requirement::new(table(), containers(), privilege);
    assert_eq!(ask("ANALYST", on_table(Select)), None);
    assert_eq!(ask("ANALYST", on_table(Delete).or(Select)), None);
    assert_eq!(ask("ANALYST", on_table(Delete)), Some((3001, insufficient.to_string())));
    // Who manages grants may know of the table.
    assert_eq!(ask("SECURITYADMIN", on_table(Delete)), Some((3001, insufficient.to_string())));
    assert_eq!(ask("SECURITYADMIN", on_table(Delete).or_global(ManageGrants)), None);
    assert_eq!(ask("LONER", on_table(Insert)), Some((2003, absent.to_string())));
    assert_eq!(ask("PUBLIC", on_table(Select)), Some((2003, absent.to_string())));
    let dropping = on_table(Ownership).hidden_as(HiddenError::CannotBePerformed);
    assert_eq!(ask("PUBLIC", dropping.clone()).unwrap().0, 2043);
    assert_eq!(ask("ANALYST", dropping), Some((3001, insufficient.to_string())));
    assert_eq!(ask("ANALYST", Requirement::any(table(), containers())), None);
    assert_eq!(ask("LONER", Requirement::any(table(), containers())).unwrap().0, 2043);
    // The account is never hidden.
    assert_eq!(ask("SYSADMIN", Requirement::global(CreateDatabase)), None);
    assert_eq!(
        ask("PUBLIC", Requirement::global(CreateDatabase)),
        Some((
            3001,
            "SQL access control error:\nInsufficient privileges to operate on account 'ACCOUNT'"
                .to_string()
        ))
    );
    assert_eq!(ask("ACCOUNTADMIN", Requirement::global(CreateUser)), None);
}

#[test]
fn secondary_roles_may_use_but_not_create() {
    let model = AccessModel::new(&facts());
    let create = Requirement::new(schema(), vec![database()], Privilege::CreateTable);
    let delete = Requirement::new(table(), containers(), Privilege::Delete);
    for (primary, secondary, may_create, may_delete) in [
        ("PUBLIC", SecondaryRoles::None, false, false),
        ("PUBLIC", SecondaryRoles::All, false, true),
        ("PUBLIC", SecondaryRoles::Listed(vec!["ENGINEER".to_string()]), false, true),
        ("ENGINEER", SecondaryRoles::None, true, true),
        // Not Bob's to use.
        ("PUBLIC", SecondaryRoles::Listed(vec!["SYSADMIN".to_string()]), false, false),
    ] {
        let roles = model.effective_roles("BOB", primary, &secondary);
        let case = format!("{primary} {secondary:?}");
        assert_eq!(
            authorize(&model, &roles, std::slice::from_ref(&create)).is_ok(),
            may_create,
            "{case}"
        );
        assert_eq!(
            authorize(&model, &roles, std::slice::from_ref(&delete)).is_ok(),
            may_delete,
            "{case}"
        );
    }
}

#[test]
fn users_assume_what_they_hold_or_inherit() {
    let model = AccessModel::new(&facts());
    for (user, role, expected) in [
        ("ANN", "ANALYST", true),
        ("ANN", "LONER", true),
        ("ANN", "PUBLIC", true),
        ("ANN", "ENGINEER", false),
        ("BOB", "ANALYST", true),
        ("BOB", "LONER", false),
        ("EVE", "PUBLIC", true),
        ("EVE", "ANALYST", false),
        ("ANN", "GONE", false),
    ] {
        assert_eq!(model.may_assume(user, role), expected, "{user} {role}");
    }
    assert_eq!(model.available_roles("BOB"), ["PUBLIC", "ENGINEER", "ANALYST"]);
}

#[test]
fn objects_of_the_session_and_objects_without_owner() {
    let model = AccessModel::new(&facts());
    let temporary = object(ObjectKind::Table, -5, "D.S.TMP");
    let mut analyst = roles(&model, "ANALYST");
    let may = |roles: &EffectiveRoles, object: &ObjectRef| {
        model.has_privilege(roles, object, &containers(), Privilege::Delete)
    };
    assert!(!may(&analyst, &temporary));
    model.add_session_owner(&mut analyst, (ObjectKind::Table, -5), "ANALYST");
    assert!(may(&analyst, &temporary));
    let foreign = object(ObjectKind::Table, 77, "D.S.FOREIGN");
    assert_eq!(model.owner(&foreign), Some("ACCOUNTADMIN"));
    assert!(!may(&roles(&model, "SYSADMIN"), &foreign));
    assert!(may(&roles(&model, "ACCOUNTADMIN"), &foreign));
}

#[test]
fn who_may_grant() {
    let mut facts = facts();
    facts
        .grants
        .push(GrantFact { grant_option: true, ..grant(&table(), Privilege::Update, "ANALYST") });
    let model = AccessModel::new(&facts);
    for (role, privilege, expected) in [
        ("ENGINEER", Privilege::Select, None),
        ("SYSADMIN", Privilege::Select, None),
        ("SECURITYADMIN", Privilege::Select, None),
        ("ANALYST", Privilege::Update, None),
        // Holds SELECT, but not the right to pass it on.
        ("ANALYST", Privilege::Select, Some(Code::InsufficientPrivileges)),
        ("LONER", Privilege::Insert, Some(Code::ObjectNotFound)),
        ("ENGINEER", Privilege::CreateTable, Some(Code::InvalidStatement)),
        ("ENGINEER", Privilege::Ownership, Some(Code::InvalidStatement)),
    ] {
        let roles = roles(&model, role);
        let result = may_grant_privilege(&model, &roles, &table(), &containers(), privilege);
        assert_eq!(result.err().map(|e| e.code), expected, "{role} {privilege}");
    }
    let transfer = |role, to| {
        may_transfer_ownership(&model, &roles(&model, role), &table(), &containers(), to)
            .err()
            .map(|e| e.code)
    };
    assert_eq!(transfer("ENGINEER", "ANALYST"), None);
    // Who may make it a more powerful role's could have it read with that role's rights.
    for to in ["SYSADMIN", "ACCOUNTADMIN", "LONER"] {
        assert_eq!(transfer("ENGINEER", to), Some(Code::InsufficientPrivileges), "{to}");
        assert_eq!(transfer("SECURITYADMIN", to), None, "{to}");
    }
    assert_eq!(transfer("ANALYST", "ANALYST"), Some(Code::InsufficientPrivileges));
    let future =
        |role| may_grant_future(&model, &roles(&model, role), &schema(), &[database()]).is_ok();
    assert!(future("SECURITYADMIN") && future("ACCOUNTADMIN"));
    assert!(!future("SYSADMIN"));
}

#[test]
fn who_may_grant_roles() {
    let model = AccessModel::new(&facts());
    let role = |name: &str| object(ObjectKind::Role, 9, name);
    let ask = |by: &str, name: &str, to: Option<&str>| {
        may_grant_role(&model, &roles(&model, by), &role(name), to).err().map(|e| e.code)
    };
    assert_eq!(ask("USERADMIN", "ANALYST", Some("LONER")), None);
    assert_eq!(ask("SECURITYADMIN", "ANALYST", None), None);
    assert_eq!(ask("ENGINEER", "ANALYST", None), Some(Code::ObjectNotFound));
    assert_eq!(ask("USERADMIN", "PUBLIC", None), Some(Code::InvalidStatement));
    // ENGINEER inherits ANALYST already, so the other way round is a circle.
    assert_eq!(ask("USERADMIN", "ENGINEER", Some("ANALYST")), Some(Code::InvalidStatement));
    assert_eq!(ask("USERADMIN", "ANALYST", Some("ANALYST")), Some(Code::InvalidStatement));
}

/// Roles that inherit one another in a circle end the search instead of running for ever.
#[test]
fn circular_grants_terminate() {
    let mut facts = facts();
    facts.role_grants.extend(pairs(&[("SYSADMIN", "ANALYST")]));
    let model = AccessModel::new(&facts);
    let analyst = roles(&model, "ANALYST");
    assert!(model.has_privilege(&analyst, &table(), &containers(), Privilege::Delete));
}

const ROLES: usize = 6;

/// The rules written down once more, naively, over role numbers.
#[derive(Debug, Clone)]
struct Reference {
    edges: Vec<(usize, usize)>,
    /// (object 0 database, 1 schema, 2 table; privilege number; role)
    grants: Vec<(usize, usize, usize)>,
    owners: [usize; 3],
}

const PRIVILEGES: [Privilege; 4] =
    [Privilege::Usage, Privilege::Select, Privilege::Insert, Privilege::CreateTable];

impl Reference {
    fn inherited(&self, role: usize) -> BTreeSet<usize> {
        let mut set = BTreeSet::from([role]);
        for _ in 0..ROLES {
            for (child, parent) in &self.edges {
                if set.contains(parent) {
                    set.insert(*child);
                }
            }
        }
        set
    }

    fn holds(&self, set: &BTreeSet<usize>, object: usize, privilege: usize) -> bool {
        set.contains(&self.owners[object])
            || self.grants.iter().any(|g| g.0 == object && g.1 == privilege && set.contains(&g.2))
    }

    fn holds_any(&self, set: &BTreeSet<usize>, object: usize) -> bool {
        (0..PRIVILEGES.len()).any(|privilege| self.holds(set, object, privilege))
    }

    fn has(&self, role: usize, object: usize, privilege: usize) -> bool {
        let set = self.inherited(role);
        (0..object).all(|container| self.holds_any(&set, container))
            && self.holds(&set, object, privilege)
    }

    fn visible(&self, role: usize, object: usize) -> bool {
        let set = self.inherited(role);
        (0..=object).all(|place| self.holds_any(&set, place))
    }

    fn model(&self) -> AccessModel {
        let objects = [database(), schema(), table()];
        let name = |role: &usize| format!("R{role}");
        AccessModel::new(&AccessFacts {
            roles: (0..ROLES).map(|role| name(&role)).collect(),
            role_grants: self.edges.iter().map(|(c, p)| (name(c), name(p))).collect(),
            user_roles: Vec::new(),
            grants: self
                .grants
                .iter()
                .map(|(object, privilege, role)| {
                    grant(&objects[*object], PRIVILEGES[*privilege], &name(role))
                })
                .collect(),
            owners: self
                .owners
                .iter()
                .zip(&objects)
                .map(|(role, object)| ((object.kind, object.id), name(role)))
                .collect(),
            ..AccessFacts::default()
        })
    }
}

fn references() -> impl Strategy<Value = Reference> {
    (
        prop::collection::vec((0..ROLES, 0..ROLES), 0..8),
        prop::collection::vec((0..3usize, 0..PRIVILEGES.len(), 0..ROLES), 0..12),
        [0..ROLES, 0..ROLES, 0..ROLES],
    )
        .prop_map(|(edges, grants, owners)| Reference { edges, grants, owners })
}

proptest! {
    #[test]
    fn agrees_with_the_reference(reference in references()) {
        let model = reference.model();
        let objects = [database(), schema(), table()];
        for role in 0..ROLES {
            let roles = roles(&model, &format!("R{role}"));
            for (place, object) in objects.iter().enumerate() {
                let parents = &objects[..place];
                prop_assert_eq!(
                    model.is_visible(&roles, object, parents),
                    reference.visible(role, place)
                );
                for (number, privilege) in PRIVILEGES.iter().enumerate() {
                    let has = model.has_privilege(&roles, object, parents, *privilege);
                    prop_assert_eq!(has, reference.has(role, place, number));
                    let requirement = Requirement::new(object.clone(), parents.to_vec(), *privilege);
                    let code = authorize(&model, &roles, &[requirement]).err().map(|e| e.code);
                    let expected = match (has, reference.visible(role, place)) {
                        (true, _) => None,
                        (false, true) => Some(Code::InsufficientPrivileges),
                        (false, false) => Some(Code::ObjectNotFound),
                    };
                    prop_assert_eq!(code, expected);
                }
            }
        }
    }
}

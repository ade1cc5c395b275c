//! Every kind of statement, without the privilege and with exactly the least one.
//!
//! What there is to try comes from the `Statement` enum and the enums below it: a new variant is
//! a compile error in `kinds.rs` until it is listed, and a failure here until it has a case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access_cases;
mod account;
mod cases;
mod kinds;
mod policy_cases;
mod substitutes;
mod tag_cases;
mod traces;
mod undrop;
mod users;

use std::collections::BTreeSet;

use account::{Account, Answer, Client};
use cases::{Case, Expected, cases};
use frazil_common::{Code, ObjectKind, Privilege, UserError};
use frazil_dialect::{ObjectWord, ShowObject, Statement, parse_statement};

/// The role may see the object, but not do this with it.
const INSUFFICIENT: u32 = 3001;

/// `{o}` begins the names of objects that may be hidden, `{c}` those a statement makes; `{r}` is
/// the role under test.
fn filled(text: &str, number: usize) -> String {
    named(text, number, "o")
}

fn named(text: &str, number: usize, letter: &str) -> String {
    text.replace("{o}", &format!("{letter}{number}_"))
        .replace("{c}", &format!("c{number}_"))
        .replace("{r}", &format!("r{number}"))
}

fn parsed(text: &str) -> Statement {
    parse_statement(text).unwrap_or_else(|error| panic!("{text}: {error}")).statement
}

/// One privilege on one object, as `<privilege> ON <kind> [<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    privilege: Privilege,
    kind: ObjectKind,
    /// `TABLE d.s.t`, `ACCOUNT`.
    target: String,
}

impl Need {
    fn parse(text: &str) -> Need {
        let (privilege, target) = text.split_once(" ON ").expect(text);
        let kind = ObjectKind::ALL
            .iter()
            .copied()
            .filter(|kind| target.starts_with(kind.as_str()))
            .max_by_key(|kind| kind.as_str().len())
            .expect(text);
        Need { privilege: privilege.parse().expect(text), kind, target: target.to_string() }
    }

    async fn give(&self, admin: &Client, role: &str) {
        let Need { privilege, target, .. } = self;
        admin
            .run(&match privilege {
                Privilege::Ownership => {
                    format!("GRANT OWNERSHIP ON {target} TO ROLE {role} REVOKE CURRENT GRANTS")
                }
                privilege => format!("GRANT {privilege} ON {target} TO ROLE {role}"),
            })
            .await;
    }

    async fn take(&self, admin: &Client, role: &str) {
        let Need { privilege, target, .. } = self;
        admin
            .run(&match privilege {
                Privilege::Ownership => format!(
                    "GRANT OWNERSHIP ON {target} TO ROLE ACCOUNTADMIN REVOKE CURRENT GRANTS"
                ),
                privilege => format!("REVOKE {privilege} ON {target} FROM ROLE {role}"),
            })
            .await;
    }
}

/// The sets of privileges that suffice, `ANY ON …` written out.
fn alternatives(case: &Case, number: usize) -> Vec<Vec<Need>> {
    let mut all = Vec::new();
    for set in case.least {
        let mut sets: Vec<Vec<Need>> = vec![Vec::new()];
        for text in *set {
            let text = filled(text, number);
            let choices: Vec<Need> = match text.strip_prefix("ANY ON ") {
                None => vec![Need::parse(&text)],
                Some(target) => {
                    let kind = Need::parse(&format!("USAGE ON {target}")).kind;
                    let privileges = kind.privileges().iter().chain([&Privilege::Ownership]);
                    privileges.map(|p| Need::parse(&format!("{p} ON {target}"))).collect()
                }
            };
            sets = sets
                .iter()
                .flat_map(|set| {
                    choices
                        .iter()
                        .map(|choice| [set.as_slice(), std::slice::from_ref(choice)].concat())
                })
                .collect();
        }
        all.extend(sets);
    }
    all
}

/// The other privileges on the objects of `set`, none of which may help.
fn others(set: &[Need], alternatives: &[Vec<Need>], missing: &Need) -> Vec<Need> {
    let mut others = Vec::new();
    for privilege in missing.kind.privileges() {
        let other =
            Need { privilege: *privilege, kind: missing.kind, target: missing.target.clone() };
        let helps = alternatives.iter().flatten().any(|need| *need == other);
        if !helps && !set.contains(&other) && !others.contains(&other) {
            others.push(other);
        }
    }
    others
}

fn check_refused(case: &Case, sql: &str, answer: &Answer, expected: u32, why: &str) -> String {
    match answer {
        Err(error) if error.code.number() == expected => String::new(),
        Err(error) => format!(
            "{sql}\n  {why}: expected {expected:06}, got {:06} {}\n",
            error.code.number(),
            error.message
        ),
        Ok(_) => format!("{sql}\n  {why}: allowed ({:?})\n", case.least),
    }
}

/// The same words for an object that is hidden as for one that is not there.
fn check_hidden(sql: &str, hidden: &Answer, absent: &Answer, number: usize) -> String {
    let told = |answer: &Answer| match answer {
        Ok((_, rows)) => format!("{rows:?}"),
        Err(UserError { code, message, .. }) => format!("{code:?} {message}"),
    };
    let lower = |text: String| text.to_uppercase();
    let (hidden, absent) = (lower(told(hidden)), lower(told(absent)));
    let absent = absent
        .replace(&format!("N{number}_"), &format!("O{number}_"))
        .replace(&format!("n{number}_"), &format!("o{number}_"));
    if hidden == absent {
        String::new()
    } else {
        format!("{sql}\n  a hidden object is told from an absent one:\n  {hidden}\n  {absent}\n")
    }
}

async fn try_case(admin: &Client, worker: &Client, case: &Case, number: usize) -> String {
    let role = format!("r{number}");
    let sql = filled(case.sql, number);
    for text in case.prepare {
        admin.run(&filled(text, number)).await;
    }
    admin.run(&format!("CREATE ROLE {role}")).await;
    admin.run(&format!("GRANT ROLE {role} TO USER worker")).await;
    worker.run(&format!("USE ROLE {role}")).await;
    let mut faults = String::new();

    let hides = case.sql.contains("{o}") && !case.told;
    if hides {
        let absent = worker.try_run(&named(case.sql, number, "n")).await;
        let hidden = worker.try_run(&sql).await;
        faults += &check_hidden(&sql, &hidden, &absent, number);
    }
    admin.run(&format!("GRANT USAGE ON DATABASE d TO ROLE {role}")).await;
    admin.run(&format!("GRANT USAGE ON SCHEMA d.s TO ROLE {role}")).await;
    if hides {
        let absent = worker.try_run(&named(case.sql, number, "n")).await;
        let hidden = worker.try_run(&sql).await;
        faults += &check_hidden(&sql, &hidden, &absent, number);
    }
    match case.expected {
        Expected::Unsupported => {
            let answer = admin.try_run(&sql).await;
            return faults
                + &check_refused(case, &sql, &answer, Code::Unsupported.number(), "not offered");
        }
        Expected::Open => {
            let answer = worker.try_run(&sql).await;
            if let Err(error) = answer
                && !(case.early && error.code.number() == case.hidden)
            {
                faults += &format!("{sql}\n  needs no privilege, but: {error}\n");
            }
            return faults;
        }
        Expected::Allowed | Expected::Lists | Expected::Until(_) => {}
    }

    let alternatives = alternatives(case, number);
    assert!(!alternatives.is_empty(), "{sql}: no privileges are listed");
    for set in &alternatives {
        for missing in set {
            for need in set.iter().filter(|need| *need != missing) {
                need.give(admin, &role).await;
            }
            let other = if case.early || case.expected == Expected::Lists {
                Vec::new()
            } else {
                others(set, &alternatives, missing)
            };
            let answer = worker.try_run(&sql).await;
            let why = format!("without {} ON {}", missing.privilege, missing.target);
            match case.expected {
                Expected::Lists => faults += &listed(&sql, &answer, number, false),
                _ => {
                    let names = case.sql.contains("{o}");
                    let seen = missing.kind == ObjectKind::Account
                        && !(names && missing.privilege == Privilege::ManageGrants)
                        || missing.target == "SCHEMA d.s"
                        || missing.target == "DATABASE d"
                        || set.iter().any(|n| n != missing && n.target == missing.target);
                    let code = if seen { INSUFFICIENT } else { case.hidden };
                    faults += &check_refused(case, &sql, &answer, code, &why);
                }
            }
            // All others on the same object do not make up for it.
            if !other.is_empty() {
                for need in &other {
                    need.give(admin, &role).await;
                }
                let answer = worker.try_run(&sql).await;
                let why = format!("with all but {} ON {}", missing.privilege, missing.target);
                let unseen =
                    missing.privilege == Privilege::ManageGrants && case.sql.contains("{o}");
                let code = if case.usable || unseen { case.hidden } else { INSUFFICIENT };
                faults += &check_refused(case, &sql, &answer, code, &why);
                for need in &other {
                    need.take(admin, &role).await;
                }
            }
            for need in set.iter().filter(|need| *need != missing) {
                need.take(admin, &role).await;
            }
            // Taken USAGE was what reached the object.
            admin.run(&format!("GRANT USAGE ON DATABASE d TO ROLE {role}")).await;
            admin.run(&format!("GRANT USAGE ON SCHEMA d.s TO ROLE {role}")).await;
        }
    }
    for (index, set) in alternatives.iter().enumerate() {
        for need in set {
            need.give(admin, &role).await;
        }
        let answer = worker.try_run(&sql).await;
        match (case.expected, &answer) {
            (Expected::Lists, answer) => faults += &listed(&sql, answer, number, true),
            (Expected::Until(code), Err(error)) if error.code.number() == code => {}
            (_, Ok(_)) => {}
            (_, Err(error)) => {
                faults += &format!("{sql}\n  refused with {set:?}: {error}\n");
            }
        }
        // The last set may have done away with the object itself.
        if index + 1 < alternatives.len() {
            for need in set {
                need.take(admin, &role).await;
            }
            admin.run(&format!("GRANT USAGE ON DATABASE d TO ROLE {role}")).await;
            admin.run(&format!("GRANT USAGE ON SCHEMA d.s TO ROLE {role}")).await;
        }
    }
    faults
}

/// Whether a list names the case's object.
fn listed(sql: &str, answer: &Answer, number: usize, expected: bool) -> String {
    match answer {
        Err(error) => format!("{sql}\n  {error}\n"),
        Ok((_, rows)) => {
            let name = format!("O{number}_");
            let found = rows.iter().flatten().flatten().any(|cell| cell.contains(&name));
            if found == expected {
                String::new()
            } else {
                format!("{sql}\n  lists the object: {found}, expected {expected}\n")
            }
        }
    }
}

async fn account() -> (Account, Client, Client) {
    let account = Account::open().await;
    let admin = account.login("admin").await;
    for text in [
        "CREATE DATABASE d",
        "CREATE SCHEMA d.s",
        "CREATE USER worker DEFAULT_SECONDARY_ROLES = ()",
        "CREATE SCHEMA d.other",
    ] {
        admin.run(text).await;
    }
    let worker = account.login("worker").await;
    (account, admin, worker)
}

#[test]
fn every_kind_of_statement_has_a_case() {
    let mut missing: BTreeSet<String> = kinds::all().into_iter().collect();
    for case in cases() {
        for kind in kinds::of(&parsed(&filled(case.sql, 0))) {
            missing.remove(&kind);
        }
    }
    missing.retain(|kind| !TRIED_APART.contains(&kind.as_str()));
    // These are tried from the lists of kinds themselves, below.
    missing.retain(|kind| {
        !["Drop.", "Describe.", "Comment.", "Undrop.", "Show."]
            .iter()
            .any(|family| kind.starts_with(family))
    });
    assert!(missing.is_empty(), "no case in cases.rs for: {missing:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_take_exactly_the_least_privilege() {
    let (_account, admin, worker) = account().await;
    let mut faults = String::new();
    for (number, case) in cases().iter().enumerate() {
        faults += &try_case(&admin, &worker, case, number).await;
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// No privilege can be granted on what is dropped, and the account has no OWNERSHIP to grant, nor a
/// privilege to make resource monitors: `undrop.rs` tries these.
const TRIED_APART: &[&str] = &[
    "Statement.Undrop",
    "Undrop.TABLE",
    "Undrop.SCHEMA",
    "Undrop.DATABASE",
    "Undrop.TAG",
    "AlterObject.ACCOUNT",
    "Statement.CreateResourceMonitor",
];

/// DROP, DESCRIBE, COMMENT and UNDROP of a kind without a case must refuse the kind by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_without_a_case_are_refused_by_name() {
    let (_account, admin, worker) = account().await;
    let mut tried: BTreeSet<String> = TRIED_APART.iter().map(ToString::to_string).collect();
    for case in cases() {
        tried.extend(kinds::of(&parsed(&filled(case.sql, 0))));
    }
    let mut faults = String::new();
    for word in ObjectWord::ALL {
        for (family, sql) in [
            ("Drop", format!("DROP {word} d.s.x")),
            ("Describe", format!("DESCRIBE {word} d.s.x")),
            ("Comment", format!("COMMENT ON {word} d.s.x IS 'c'")),
            ("Undrop", format!("UNDROP {word} d.s.x")),
            ("Grant", format!("GRANT SELECT ON {word} d.s.x TO ROLE public")),
        ] {
            if tried.contains(&format!("{family}.{word}")) {
                continue;
            }
            match admin.try_run(&sql).await {
                Err(error) if [Code::Unsupported, Code::SyntaxError].contains(&error.code) => {}
                other => faults += &format!("{sql}\n  has no case, but answers {other:?}\n"),
            }
        }
    }
    // SHOW of a kind without a case shows a role without privileges nothing of the account.
    worker.run("USE ROLE public").await;
    for object in ShowObject::ALL {
        if tried.contains(&format!("Show.{}", object.as_str())) {
            continue;
        }
        match worker.try_run(&format!("SHOW {}", object.as_str())).await {
            Ok((_, rows)) if rows.is_empty() => {}
            Err(error) if error.code == Code::Unsupported => {}
            other => faults += &format!("SHOW {}\n  has no case: {other:?}\n", object.as_str()),
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

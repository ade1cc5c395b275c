//! Grants that must not reach where they are not meant to, or longer than they last.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::account::{Account, Client};
use crate::trial::Trial;
use crate::world::{ROLES, Relation, Way, World, role};

/// A database role of another database holds nothing here, and is held by none here. All roles have
/// it: whatever came through would be seen.
pub async fn foreign(world: &World, admin: &Client) -> Vec<String> {
    for text in
        ["CREATE DATABASE e", "CREATE DATABASE ROLE e.foreigner", "CREATE DATABASE ROLE d.native"]
    {
        admin.run(text).await;
    }
    for number in 0..ROLES {
        admin.run(&format!("GRANT DATABASE ROLE e.foreigner TO ROLE {}", role(number))).await;
    }
    let mut attempts: Vec<String> = world
        .relations
        .iter()
        .map(|relation| {
            let kind = relation.kind();
            format!("GRANT SELECT ON {kind} d.s.{} TO DATABASE ROLE e.foreigner", relation.name)
        })
        .collect();
    attempts.extend(
        [
            "GRANT SELECT ON ALL TABLES IN SCHEMA d.s TO DATABASE ROLE e.foreigner",
            "GRANT SELECT ON FUTURE TABLES IN SCHEMA d.s TO DATABASE ROLE e.foreigner",
            "GRANT SELECT ON FUTURE TABLES IN DATABASE d TO DATABASE ROLE e.foreigner",
            "GRANT DATABASE ROLE d.native TO DATABASE ROLE e.foreigner",
        ]
        .map(str::to_string),
    );
    let mut faults = Vec::new();
    for sql in attempts {
        if admin.try_run(&sql).await.is_ok() {
            faults.push(format!("seed {}: {sql}\n  is allowed", world.seed));
        }
    }
    faults
}

/// In a schema with managed access the owner of a table grants nothing on it.
pub async fn managed(trial: &mut Trial<'_>, admin: &Client, other: &Client) {
    let number = trial.role;
    if number == 0 {
        admin.run("CREATE SCHEMA d.managed WITH MANAGED ACCESS").await;
        admin.run("GRANT USAGE, CREATE TABLE ON SCHEMA d.managed TO ROLE PUBLIC").await;
    }
    let table = format!("d.managed.made_{number}");
    trial.worker.run(&format!("CREATE TABLE {table} AS SELECT 'zq' || 'managedqz' AS a")).await;
    for sql in [
        format!("GRANT SELECT ON TABLE {table} TO ROLE PUBLIC"),
        format!("GRANT OWNERSHIP ON TABLE {table} TO ROLE {}", role((number + 1) % ROLES)),
        "GRANT SELECT ON FUTURE TABLES IN SCHEMA d.managed TO ROLE PUBLIC".to_string(),
    ] {
        trial.refused(&sql).await;
    }
    // Of the roles that do not inherit this one.
    let stranger = (0..ROLES).find(|role| !trial.world.holds(*role, number));
    if let Some(stranger) = stranger {
        other.run(&format!("USE ROLE {}", role(stranger))).await;
        let sql = format!("SELECT a FROM {table}");
        if let Ok(rows) = other.try_run(&sql).await {
            trial.fault(&sql, &format!("shows {} {rows:?}", role(stranger)));
        }
        other.run(&format!("USE ROLE {}", role(number))).await;
    }
}

/// Any privilege on the schema, and on the database, reaches what a role may read, and without one its
/// name is not told.
pub async fn reached(trial: &mut Trial<'_>) {
    for other in 0..ROLES {
        let name = format!("w.s{other}.t");
        let secret = trial.world.definition_secret(&format!("ws{other}"));
        let sql = format!("SELECT a FROM {name}");
        if !trial.world.reaches(trial.role, other) {
            trial.refused(&sql).await;
            trial.refused(&format!("DESCRIBE TABLE {name}")).await;
            continue;
        }
        match trial.ask(&sql, &BTreeSet::from([secret.clone()])).await {
            Ok((_, rows)) if rows == [vec![Some(secret)]] => {}
            answer => trial.fault(&sql, &format!("does not show the row: {answer:?}")),
        }
    }
}

/// What is revoked is gone at once, in sessions too that used it.
pub async fn revoked(trial: &mut Trial<'_>, admin: &Client) {
    let own = role(trial.role);
    for text in [
        "CREATE OR REPLACE TABLE d.s.lent AS SELECT 'zqlentqz' AS a".to_string(),
        "CREATE DATABASE ROLE d.lends".to_string(),
        "GRANT SELECT ON TABLE d.s.lent TO DATABASE ROLE d.lends".to_string(),
    ] {
        admin.run(&text).await;
    }
    let inherited =
        (0..ROLES).any(|other| other != trial.role && trial.world.holds(other, trial.role));
    let ask = "SELECT a, COUNT(*) FROM d.s.lent GROUP BY a";
    for (give, take) in [
        (
            "GRANT SELECT ON TABLE d.s.lent TO ROLE {r}",
            "REVOKE SELECT ON TABLE d.s.lent FROM ROLE {r}",
        ),
        ("GRANT DATABASE ROLE d.lends TO ROLE {r}", "REVOKE DATABASE ROLE d.lends FROM ROLE {r}"),
        ("GRANT SELECT ON TABLE d.s.lent TO ROLE {r}", "REVOKE ROLE {r} FROM USER worker"),
    ] {
        // Who holds a role that inherits this one has it still.
        if inherited && take.contains("FROM USER") {
            continue;
        }
        admin.run(&give.replace("{r}", &own)).await;
        trial.worker.run(ask).await;
        admin.run(&take.replace("{r}", &own)).await;
        trial.refused(ask).await;
        trial.refused("DESCRIBE TABLE d.s.lent").await;
    }
    admin.run(&format!("GRANT ROLE {own} TO USER worker")).await;
    trial.worker.run(&format!("USE ROLE {own}")).await;
    // A result that was shown stays readable to its user; a view's owner reads no longer.
    for text in [
        "CREATE OR REPLACE VIEW d.s.lender AS SELECT a FROM d.s.lent".to_string(),
        format!("GRANT OWNERSHIP ON VIEW d.s.lender TO ROLE {own} REVOKE CURRENT GRANTS"),
    ] {
        admin.run(&text).await;
    }
    admin.run(&format!("GRANT SELECT ON TABLE d.s.lent TO ROLE {own}")).await;
    trial.worker.run("SELECT a FROM d.s.lender").await;
    admin.run(&format!("REVOKE SELECT ON TABLE d.s.lent FROM ROLE {own}")).await;
    trial.refused("SELECT a FROM d.s.lender").await;
    for text in ["DROP VIEW d.s.lender", "DROP TABLE d.s.lent", "DROP DATABASE ROLE d.lends"] {
        admin.run(text).await;
    }
}

/// A new owner sees what the policies show it, and no more; the old grants go on, or end.
pub async fn moved(
    world: &World,
    admin: &Client,
    worker: &Client,
    since: &[String],
) -> Vec<String> {
    let mut faults = Vec::new();
    for (table, owner) in [(0, 1), (1, 2), (2, 0)] {
        let name = format!("C{table}");
        let Some(found) = world.relations.iter().find(|relation| relation.name == name) else {
            continue;
        };
        let copies = table != 1;
        let kept = if copies { "COPY" } else { "REVOKE" };
        let owning = role(owner);
        admin
            .run(&format!(
                "GRANT OWNERSHIP ON TABLE d.s.{name} TO ROLE {owning} {kept} CURRENT GRANTS"
            ))
            .await;
        let mut now: Relation = found.clone();
        if !copies {
            now.granted.clear();
        }
        now.granted.insert(owner, Way::Direct);
        for number in 0..ROLES {
            worker.run(&format!("USE ROLE {}", role(number))).await;
            let mut trial = Trial {
                world,
                worker,
                role: number,
                secondary: None,
                since,
                random: StdRng::seed_from_u64(world.seed),
                faults: Vec::new(),
            };
            trial.relation(&now).await;
            if number == owner {
                let none = BTreeSet::new();
                for sql in [
                    format!("ALTER TABLE d.s.{name} DROP ALL ROW ACCESS POLICIES"),
                    format!("ALTER TABLE d.s.{name} ALTER COLUMN note UNSET MASKING POLICY"),
                ] {
                    let _ = trial.ask(&sql, &none).await;
                }
                trial.relation(&now).await;
            }
            faults.extend(trial.faults);
        }
    }
    faults
}

/// A disabled user's open sessions end for good.
pub async fn disabled(
    world: &World,
    account: &Account,
    admin: &Client,
    worker: &Client,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (disabled, answers) in [("FALSE", true), ("TRUE", false), ("FALSE", false)] {
        let sql = format!("ALTER USER worker SET DISABLED = {disabled}");
        admin.run(&sql).await;
        if account.engine.session_by_token(worker.token()).await.is_ok() != answers {
            faults.push(format!("seed {}: {sql}\n  the session answers: {}", world.seed, !answers));
        }
    }
    faults
}

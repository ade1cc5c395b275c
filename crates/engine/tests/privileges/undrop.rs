//! UNDROP takes OWNERSHIP of what was dropped and the right to create it anew; ALTER ACCOUNT and
//! resource monitors take ACCOUNTADMIN.

use super::{INSUFFICIENT, account};
use frazil_common::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undrop_takes_ownership_and_the_right_to_create() {
    let (_account, admin, worker) = account().await;
    for (number, (kind, name, other, create, privilege)) in [
        (
            "TABLE",
            "d.s.gone",
            "SELECT",
            "CREATE TABLE d.s.gone (a INT)",
            "CREATE TABLE ON SCHEMA d.s",
        ),
        ("SCHEMA", "d.gone", "MONITOR", "CREATE SCHEMA d.gone", "CREATE SCHEMA ON DATABASE d"),
        ("DATABASE", "gone", "MONITOR", "CREATE DATABASE gone", "CREATE DATABASE ON ACCOUNT"),
        ("TAG", "d.s.gone", "APPLY", "CREATE TAG d.s.gone", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let sql = format!("UNDROP {kind} {name}");
        let [owner, reader, stranger] =
            ["owner", "reader", "stranger"].map(|role| format!("{role}{number}"));
        admin.run(create).await;
        for role in [&owner, &reader, &stranger] {
            admin.run(&format!("CREATE ROLE {role}")).await;
            admin.run(&format!("GRANT ROLE {role} TO USER worker")).await;
            admin.run(&format!("GRANT ROLE {role} TO ROLE accountadmin")).await;
            admin.run(&format!("GRANT USAGE ON DATABASE d TO ROLE {role}")).await;
            admin.run(&format!("GRANT USAGE ON SCHEMA d.s TO ROLE {role}")).await;
        }
        let give = format!("GRANT OWNERSHIP ON {kind} {name} TO ROLE {owner}");
        admin.run(&give).await;
        admin.run(&format!("GRANT {other} ON {kind} {name} TO ROLE {reader}")).await;
        for role in [&reader, &stranger].into_iter().filter(|_| !privilege.is_empty()) {
            admin.run(&format!("GRANT {privilege} TO ROLE {role}")).await;
        }
        admin.run(&format!("DROP {kind} {name}")).await;
        for (role, expected) in [
            (&stranger, Code::ObjectNotFound.number()),
            (&reader, INSUFFICIENT),
            (&owner, INSUFFICIENT),
        ] {
            if *role == owner && privilege.is_empty() {
                // A tag's owner needs nothing else.
                continue;
            }
            worker.run(&format!("USE ROLE {role}")).await;
            let error = worker.try_run(&sql).await.unwrap_err();
            assert_eq!(error.code.number(), expected, "{sql} as {role}: {error}");
        }
        // A stranger is told no more of it than of one that never was.
        worker.run(&format!("USE ROLE {stranger}")).await;
        let hidden = worker.try_run(&sql).await.unwrap_err().message;
        let absent = worker.try_run(&sql.replace("gone", "nope")).await.unwrap_err().message;
        assert_eq!(hidden, absent.replace("NOPE", "GONE"));
        if !privilege.is_empty() {
            admin.run(&format!("GRANT {privilege} TO ROLE {owner}")).await;
        }
        worker.run(&format!("USE ROLE {owner}")).await;
        worker.run(&sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_is_altered_by_its_administrators_alone() {
    let (_account, admin, worker) = account().await;
    admin.run("GRANT ROLE sysadmin TO USER worker").await;
    admin.run("GRANT ROLE securityadmin TO USER worker").await;
    admin.run("CREATE WAREHOUSE w").await;
    admin.run("GRANT OWNERSHIP ON WAREHOUSE w TO ROLE sysadmin").await;
    for sql in [
        "ALTER ACCOUNT SET DATA_RETENTION_TIME_IN_DAYS = 2",
        "CREATE RESOURCE MONITOR m",
        "ALTER ACCOUNT SET RESOURCE_MONITOR = m",
        "ALTER WAREHOUSE w SET RESOURCE_MONITOR = m",
        "ALTER WAREHOUSE w UNSET RESOURCE_MONITOR",
    ] {
        for role in ["public", "sysadmin", "securityadmin"] {
            if role != "sysadmin" && sql.starts_with("ALTER WAREHOUSE") {
                continue;
            }
            worker.run(&format!("USE ROLE {role}")).await;
            let error = worker.try_run(sql).await.unwrap_err();
            assert_eq!(error.code.number(), INSUFFICIENT, "{sql} as {role}: {error}");
        }
        admin.run(sql).await;
    }
}

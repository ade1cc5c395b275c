//! Resource monitors stop warehouses whose credits are used up.
//!
//! A resume costs a minute at once: 8.53 credits for the largest size.

use std::time::{Duration, Instant};

use frazil_common::Code;
use frazil_engine::Limits;

use crate::account::{Account, Client, ENDLESS};

const COUNT: &str = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))";
const LARGEST: &str = "WAREHOUSE_SIZE = '6X-LARGE' INITIALLY_SUSPENDED = TRUE";

async fn shown(client: &Client, what: &str, column: &str) -> String {
    client.run(&format!("SHOW {what}")).await;
    client.value(&format!("SELECT \"{column}\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))")).await
}

async fn until_suspended(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while shown(client, "WAREHOUSES LIKE 'w'", "state").await != "SUSPENDED" {
        assert!(Instant::now() < deadline, "it runs on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn clients(account: &Account, monitor: &str, warehouse: &str) -> (Client, Client) {
    let admin = account.client().await;
    admin.run(&format!("CREATE RESOURCE MONITOR m WITH {monitor}")).await;
    let user = account.client().await;
    user.run(&format!("CREATE WAREHOUSE w {LARGEST} {warehouse}")).await;
    (admin, user)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_lets_what_runs_end_and_starts_nothing() {
    let account = Account::open(Limits::default()).await;
    let monitor = "CREDIT_QUOTA = 5 TRIGGERS ON 50 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND";
    let (admin, user) = clients(&account, monitor, "RESOURCE_MONITOR = m").await;
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "used_credits").await, "0.00");
    let running = user.start("SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 3))");
    let deadline = Instant::now() + Duration::from_secs(60);
    while shown(&admin, "RESOURCE MONITORS", "used_credits").await != "8.53" {
        assert!(Instant::now() < deadline, "it does not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until_suspended(&admin).await;
    let message = user.fails(COUNT, Code::QuotaExceeded).await;
    assert_eq!(
        message,
        "Warehouse 'W' cannot be resumed because resource monitor 'M' has exceeded its quota."
    );
    admin.fails("ALTER WAREHOUSE w RESUME", Code::QuotaExceeded).await;
    running.succeeds().await;
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "used_credits").await, "8.53");
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "remaining_credits").await, "0.00");
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "level").await, "WAREHOUSE");
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "notify_at").await, "50%");
    let told = "SELECT MESSAGE_SOURCE, MESSAGE_SOURCE_INFO:resourceMonitorName::VARCHAR,
                MESSAGE_SOURCE_INFO:percent::INT, MESSAGE_SOURCE_INFO:usedCredits > 5
                FROM TABLE(d.INFORMATION_SCHEMA.NOTIFICATION_HISTORY())";
    assert_eq!(admin.run(told).await, [["RESOURCE_MONITOR", "M", "100", "TRUE"]]);
    assert_eq!(account.engine.gauges().monitor_notifications, 1);
    assert_eq!(shown(&admin, "WAREHOUSES", "resource_monitor").await, "M");
    // Others compute, and more credits let the warehouse go on.
    assert_eq!(admin.value(COUNT).await, "10");
    admin.run("ALTER RESOURCE MONITOR m SET CREDIT_QUOTA = 1000").await;
    assert_eq!(user.value(COUNT).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_immediate_cancels_queries_and_trainings() {
    let account = Account::open(Limits::default()).await;
    let monitor = "CREDIT_QUOTA = 5 TRIGGERS ON 100 PERCENT DO SUSPEND_IMMEDIATE";
    let (admin, user) = clients(&account, monitor, "").await;
    let other = account.client().await;
    other.run("USE WAREHOUSE w").await;
    let query = user.start(ENDLESS);
    let training = other.start(
        "CREATE MODEL t USING LINEAR TARGET y AS
         SELECT COUNT(*)::FLOAT AS a, 1.0 AS y FROM TABLE(GENERATOR(TIMELIMIT => 600))",
    );
    account.until(2, 0).await;
    admin.run("ALTER WAREHOUSE w SET RESOURCE_MONITOR = m").await;
    for stopped in [query, training] {
        let error = stopped.fails().await;
        assert_eq!(error.code, Code::Cancelled);
        for told in ["resource monitor 'M'", "quota of 5 credits", "warehouse 'W'"] {
            assert!(error.message.contains(told), "{}", error.message);
        }
    }
    until_suspended(&admin).await;
    user.fails(COUNT, Code::QuotaExceeded).await;
    admin.run("ALTER WAREHOUSE w UNSET RESOURCE_MONITOR").await;
    assert_eq!(user.value(COUNT).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_of_the_account_watches_all_warehouses() {
    let account = Account::open(Limits::default()).await;
    let monitor = "CREDIT_QUOTA = 5 TRIGGERS ON 100 PERCENT DO SUSPEND";
    let (admin, user) = clients(&account, monitor, "").await;
    let other = account.client().await;
    other.run("CREATE WAREHOUSE other INITIALLY_SUSPENDED = TRUE").await;
    admin.run("ALTER ACCOUNT SET RESOURCE_MONITOR = m").await;
    assert_eq!(user.value(COUNT).await, "10");
    until_suspended(&admin).await;
    user.fails(COUNT, Code::QuotaExceeded).await;
    other.fails(COUNT, Code::QuotaExceeded).await;
    admin.fails("CREATE WAREHOUSE third", Code::QuotaExceeded).await;
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "level").await, "ACCOUNT");
    // Credits are counted on after a restart.
    drop((admin, user, other));
    let account = account.reopen().await;
    let admin = account.client().await;
    admin.fails("ALTER WAREHOUSE w RESUME", Code::QuotaExceeded).await;
    admin.run("DROP RESOURCE MONITOR m").await;
    admin.run("ALTER WAREHOUSE w RESUME").await;
    assert!(admin.run("SHOW RESOURCE MONITORS").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_monitor_can_not_be_is_refused() {
    let account = Account::open(Limits::default()).await;
    let admin = account.client().await;
    for (sql, code) in [
        ("CREATE RESOURCE MONITOR m WITH CREDIT_QUOTA = 0", Code::InvalidArgument),
        ("CREATE RESOURCE MONITOR m WITH FREQUENCY = HOURLY", Code::InvalidArgument),
        (
            "CREATE RESOURCE MONITOR m WITH FREQUENCY = DAILY START_TIMESTAMP = '2020-01-01'",
            Code::StartTimePassed,
        ),
        ("CREATE RESOURCE MONITOR m WITH END_TIMESTAMP = '2020-01-01'", Code::InvalidArgument),
        ("CREATE RESOURCE MONITOR m WITH NOTIFY_USERS = (nobody)", Code::ObjectNotFound),
        (
            "CREATE RESOURCE MONITOR m TRIGGERS ON 5 PERCENT DO SUSPEND ON 6 PERCENT DO SUSPEND",
            Code::InvalidArgument,
        ),
        ("CREATE RESOURCE MONITOR m WITH FREQUENCY = DAILY", Code::InvalidArgument),
        ("CREATE RESOURCE MONITOR m WITH START_TIMESTAMP = IMMEDIATELY", Code::InvalidArgument),
        ("CREATE RESOURCE MONITOR m TRIGGERS ON 0 PERCENT DO NOTIFY", Code::InvalidArgument),
        ("ALTER RESOURCE MONITOR m SET CREDIT_QUOTA = 5", Code::ObjectNotFound),
        ("ALTER ACCOUNT SET RESOURCE_MONITOR = m", Code::ObjectNotFound),
    ] {
        admin.fails(sql, code).await;
    }
    admin.run("CREATE RESOURCE MONITOR m WITH FREQUENCY = DAILY START_TIMESTAMP = '2099-01-01' NOTIFY_USERS = (admin)").await;
    admin.fails("CREATE RESOURCE MONITOR m", Code::ObjectExists).await;
    assert_eq!(shown(&admin, "RESOURCE MONITORS", "frequency").await, "DAILY");
    admin.fails("ALTER ACCOUNT SET RESOURCE_MONITOR = m", Code::InvalidArgument).await;
    // The present day is no passed start, and times are in UTC whatever the session's zone.
    let day = admin.value("SELECT SYSDATE()::DATE").await;
    let schedule = format!("FREQUENCY = DAILY START_TIMESTAMP = '{day}'");
    admin.run(&format!("CREATE RESOURCE MONITOR n WITH {schedule}")).await;
    admin.run("ALTER SESSION SET TIMEZONE = 'Pacific/Kiritimati'").await;
    let soon = admin.value("SELECT DATEADD('minute', 10, SYSDATE())::TEXT").await;
    let hours = format!("ALTER RESOURCE MONITOR n SET END_TIMESTAMP = '{soon}'");
    admin.run(&hours).await;
    let passed = admin.value("SELECT DATEADD('minute', -10, SYSDATE())::TEXT").await;
    let passed = format!("ALTER RESOURCE MONITOR n SET END_TIMESTAMP = '{passed}'");
    admin.fails(&passed, Code::InvalidArgument).await;
}

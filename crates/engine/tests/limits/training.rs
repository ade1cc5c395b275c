//! Training on more rows than the memory takes.

use frazil_common::Code;
use frazil_engine::Limits;

use crate::account::Account;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_set_beyond_the_memory_is_refused_while_it_is_read() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    let text = "CREATE MODEL m USING LINEAR TARGET y AS
                SELECT SEQ8()::FLOAT AS x, SEQ8()::FLOAT AS y
                FROM TABLE(GENERATOR(ROWCOUNT => 100000000))";
    let message = client.fails(text, Code::ResourceLimit).await;
    let said = message.split_once("query take ").and_then(|(_, rest)| rest.split_once(" MiB"));
    let read: u64 = said.unwrap_or_else(|| panic!("{message}")).0.parse().unwrap();
    assert!(read <= 65, "{read} MiB of the limit of 64 were read: {message}");
    assert!(message.contains("--memory-limit"), "{message}");
    account.until_empty().await;
    // What it reserved is free again.
    let text = "CREATE MODEL m USING LINEAR TARGET y AS
                SELECT SEQ8()::FLOAT AS x, SEQ8()::FLOAT AS y
                FROM TABLE(GENERATOR(ROWCOUNT => 1000))";
    client.run(text).await;
    account.until_empty().await;
}

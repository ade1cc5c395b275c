//! Runs .slt files and prints every record that fails.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use frazil_testkit::{TestEngine, rows, run};
use sqllogictest::{DBOutput, DefaultColumnType};
struct C(std::sync::Arc<frazil_engine::Session>);
#[derive(Debug)]
struct E(String);
impl std::fmt::Display for E {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for E {}
#[async_trait::async_trait]
impl sqllogictest::AsyncDB for C {
    type Error = E;
    type ColumnType = DefaultColumnType;
    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, E> {
        let r = run(&self.0, sql)
            .await
            .map_err(|e| E(format!("{:06}: {}", e.code.number(), e.message)))?;
        let v = rows(&r).map_err(|e| E(e.to_string()))?;
        let types = r.columns.iter().map(|_| DefaultColumnType::Any).collect();
        if std::env::var("TYPES").is_ok() {
            println!(
                "   {:?}",
                r.columns.iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect::<Vec<_>>()
            );
        }
        Ok(DBOutput::Rows {
            types,
            rows: v
                .into_iter()
                .map(|row| {
                    row.into_iter()
                        .map(|x| match x {
                            None => "NULL".into(),
                            Some(t) if t.is_empty() => "(empty)".into(),
                            Some(t) => t.replace('\n', "\\n"),
                        })
                        .collect()
                })
                .collect(),
        })
    }
    async fn shutdown(&mut self) {}
    fn engine_name(&self) -> &str {
        "frazil"
    }
}
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    for path in std::env::args().skip(1) {
        let path = std::path::PathBuf::from(path);
        rt.block_on(async {
            let test = TestEngine::open().await.unwrap();
            let session = test.session().await.unwrap();
            run(&session, "CREATE DATABASE test").await.unwrap();
            let records = match sqllogictest::parse_file::<DefaultColumnType>(&path) {
                Ok(r) => r,
                Err(e) => {
                    println!("{path:?}: {e}");
                    return;
                }
            };
            let mut runner = sqllogictest::Runner::new(move || {
                let s = session.clone();
                async move { Ok(C(s)) }
            });
            runner.with_column_validator(|_, _| true);
            let (mut n, mut bad) = (0, 0);
            for record in records {
                if matches!(
                    record,
                    sqllogictest::Record::Statement { .. } | sqllogictest::Record::Query { .. }
                ) {
                    n += 1;
                }
                if let Err(e) = runner.run_async(record).await {
                    bad += 1;
                    println!("FAIL {}\n", e.display(false));
                }
            }
            println!("== {}: {bad} of {n} fail", path.display());
            test.engine.shutdown().await;
        });
    }
}

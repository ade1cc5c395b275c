//! Statements whose answers nobody needs, sent to the database together.
//!
//! The driver runs each connection on a thread of its own, so that every call waits for two switches
//! between threads. For a commit of few rows these take longer than the work.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use crate::error::Result;

/// Statements in the order in which they are to run.
#[derive(Default)]
pub struct Batch {
    text: String,
    arguments: SqliteArguments,
    /// The text will not come again.
    once: bool,
    fault: Option<sqlx::error::BoxDynError>,
}

impl Batch {
    /// Adds a statement; its values follow by [`Batch::bind`].
    pub fn statement(&mut self, sql: &str) -> &mut Batch {
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        self.text.push_str(sql);
        self
    }

    /// The value of the next `?`.
    pub fn bind<'t, T>(&mut self, value: T) -> &mut Batch
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        if let Err(fault) = self.arguments.add(value) {
            self.fault.get_or_insert(fault);
        }
        self
    }

    /// Keeps the text out of the cache of prepared statements.
    pub fn once(&mut self) -> &mut Batch {
        self.once = true;
        self
    }

    /// Runs what is there and empties the batch. The first error ends it: what comes after has not
    /// run.
    pub async fn run(&mut self, connection: &mut SqliteConnection) -> Result<()> {
        let Batch { text, arguments, once, fault } = std::mem::take(self);
        if let Some(fault) = fault {
            return Err(sqlx::Error::Encode(fault).into());
        }
        if text.is_empty() {
            return Ok(());
        }
        sqlx::query_with(AssertSqlSafe(text), arguments)
            .persistent(!once)
            .execute(connection)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sqlx::{Connection, SqliteConnection};

    use super::Batch;

    #[tokio::test]
    async fn each_statement_takes_its_own_values() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut batch = Batch::default();
        batch.run(&mut connection).await.unwrap();
        batch.statement("CREATE TABLE t (a BIGINT, b TEXT)").once();
        batch.run(&mut connection).await.unwrap();
        for round in 0..3_i64 {
            batch.statement("INSERT INTO t VALUES (?, ?), (?, NULL)");
            batch.bind(round).bind("it's; here").bind(10 + round);
            batch.statement("UPDATE t SET b = ? WHERE a = ?").bind(None::<String>).bind(round - 1);
            batch.run(&mut connection).await.unwrap();
        }
        let rows: Vec<(i64, Option<String>)> = sqlx::query_as("SELECT a, b FROM t ORDER BY a")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let texts = [None, None, Some("it's; here".to_string()), None, None, None];
        let expected: Vec<_> = [0, 1, 2, 10, 11, 12].into_iter().zip(texts).collect();
        assert_eq!(rows, expected);
        batch.statement("DELETE FROM t").statement("DELETE FROM nowhere");
        assert!(batch.run(&mut connection).await.is_err());
    }
}

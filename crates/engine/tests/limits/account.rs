//! An engine with limits, and its clients.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil_common::{Code, UserError};
use frazil_engine::{
    Credential, Engine, EngineSettings, Limits, LoginRequest, Session, StatementRequest,
    StoredResult, cell_text,
};
use tokio_util::sync::CancellationToken;

/// Computes for ever on a place of its own.
pub const ENDLESS: &str = "SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 600))";

pub struct Account {
    pub engine: Arc<Engine>,
    pub directory: tempfile::TempDir,
}

impl Account {
    pub async fn open(limits: Limits) -> Account {
        let directory = tempfile::tempdir().unwrap();
        let engine = open_engine(directory.path(), limits).await;
        let account = Account { engine, directory };
        account.client().await.run("CREATE DATABASE d").await;
        account
    }

    /// Stops the engine and opens it again.
    pub async fn reopen(self) -> Account {
        self.engine.shutdown().await;
        drop(self.engine);
        let engine = open_engine(self.directory.path(), Limits::default()).await;
        Account { engine, directory: self.directory }
    }

    pub async fn login(&self, user: &str) -> Result<Client, UserError> {
        let request = LoginRequest {
            parameters: HashMap::from([("TIMEZONE".to_string(), "UTC".into())]),
            ..LoginRequest::new(user, Credential::Embedded)
        };
        Ok(Client { session: self.engine.login(request).await?.session })
    }

    pub async fn client(&self) -> Client {
        let client = self.login("admin").await.unwrap();
        // The first client comes before the schema.
        let _ = client.try_run("USE SCHEMA d.public").await;
        client
    }

    /// Waits until so many statements have a place, and so many wait for one.
    pub async fn until(&self, computing: usize, queued: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let gauges = self.engine.gauges();
            if (gauges.computing, gauges.queued) == (computing, queued) {
                return;
            }
            assert!(Instant::now() < deadline, "{gauges:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn open_engine(directory: &Path, limits: Limits) -> Arc<Engine> {
    let mut settings = EngineSettings::new(directory);
    settings.threads = Some(2);
    settings.memory_limit = Some(64 * 1024 * 1024);
    settings.bootstrap_password = Some("a long password".to_string());
    settings.limits = limits;
    Engine::open(settings).await.unwrap().0
}

impl Account {
    /// Waits until nothing is reserved or spilled any more: tasks that were broken off end by
    /// themselves.
    pub async fn until_empty(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let gauges = self.engine.gauges();
            if gauges.memory_used_bytes == 0 && gauges.spill_used_bytes == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{gauges:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[derive(Clone)]
pub struct Client {
    pub session: Arc<Session>,
}

/// A statement in a task of its own.
pub struct Started {
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<Arc<StoredResult>, UserError>>,
}

impl Started {
    pub async fn cancel(self) -> UserError {
        self.cancel.cancel();
        self.fails().await
    }

    pub async fn fails(self) -> UserError {
        self.task.await.unwrap().map(|_| ()).unwrap_err()
    }

    pub async fn succeeds(self) {
        self.task.await.unwrap().unwrap();
    }
}

impl Client {
    pub async fn try_run(&self, text: &str) -> Result<Vec<Vec<String>>, UserError> {
        let result = self.session.execute(StatementRequest::new(text)).await?;
        let mut rows = Vec::new();
        for batch in result.rows.read_all()? {
            for row in 0..batch.num_rows() {
                let cells = result.columns.iter().zip(batch.columns());
                let cell = |(column, array)| cell_text(column, array, row).unwrap_or_default();
                rows.push(cells.map(cell).collect());
            }
        }
        Ok(rows)
    }

    pub async fn run(&self, text: &str) -> Vec<Vec<String>> {
        self.try_run(text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The first value.
    pub async fn value(&self, text: &str) -> String {
        self.run(text).await[0][0].clone()
    }

    pub async fn fails(&self, text: &str, code: Code) -> String {
        match self.try_run(text).await {
            Err(error) if error.code == code => error.message,
            other => panic!("{text}: expected {code:?}, got {other:?}"),
        }
    }

    pub fn start(&self, text: &str) -> Started {
        let request = StatementRequest::new(text);
        let cancel = request.cancel.clone();
        let session = self.session.clone();
        Started { cancel, task: tokio::spawn(async move { session.execute(request).await }) }
    }
}

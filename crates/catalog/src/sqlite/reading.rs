//! Databases that are only read, also where nothing can be written beside them.

use std::path::{Path, PathBuf};

use frazil_common::{Code, UserError};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::error::{CatalogError, Result};

/// Opens a database to read it; another process may be writing it.
///
/// # Errors
/// Database errors; a directory that takes no file, where the last changes are not in the database yet.
pub async fn open(path: &Path, connections: u32) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(super::BUSY_TIMEOUT);
    let error = match connect(options.clone(), connections).await {
        Err(error) if needs_writing(&error) => error,
        other => return Ok(other?),
    };
    // Readers share an index of the log, which is a file beside it. Where none can be made, a database
    // without a log can be read all the same: whoever has it open to write has a log.
    let log = log_of(path);
    match std::fs::metadata(&log) {
        Ok(found) if found.len() > 0 => {
            tracing::debug!(%error, "the log cannot be read");
            let message = format!(
                "the last changes are still in {}, which can be read only where files can be made beside it: \
                 give write access to its directory and room on its disk, or copy all of the directory to \
                 where there are both",
                log.display()
            );
            Err(CatalogError::User(UserError::new(Code::InvalidArgument, message)))
        }
        _ => Ok(connect(options.immutable(true), connections).await?),
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_os_string();
    log.push("-wal");
    PathBuf::from(log)
}

async fn connect(options: SqliteConnectOptions, connections: u32) -> sqlx::Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await?;
    // The file is opened at the first read.
    sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_master").fetch_one(&pool).await?;
    Ok(pool)
}

/// Whether the disk refused to write: SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN.
fn needs_writing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 8 | 10 | 13 | 14))
}

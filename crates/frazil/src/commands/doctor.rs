//! `frazil doctor`.

use std::path::Path;

use frazil_engine::{Engine, EngineSettings};

use crate::cli::Doctor;
use crate::commands::CommandError;

/// Refuses a folder that is no data directory: opening one would make it.
pub fn check_directory(folder: &Path) -> Result<(), CommandError> {
    if folder.join("format").exists() {
        return Ok(());
    }
    Err(CommandError::Message(format!(
        "{} is not a data directory: it has no file named 'format'",
        folder.display()
    )))
}

pub async fn run(arguments: Doctor) -> Result<(), CommandError> {
    check_directory(&arguments.data_dir)?;
    let findings = if arguments.repair {
        let (engine, _) = Engine::open(EngineSettings::new(&arguments.data_dir)).await?;
        let (removed, findings) = engine.repair().await?;
        engine.shutdown().await;
        println!("{}: {removed} orphan files removed", arguments.data_dir.display());
        findings
    } else {
        frazil_engine::inspect(&arguments.data_dir).await?
    };
    if findings.is_empty() {
        println!("{}: no fault found", arguments.data_dir.display());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(CommandError::Message(format!("{} findings", findings.len())))
}

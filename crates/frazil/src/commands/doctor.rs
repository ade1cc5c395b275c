//! `frazil doctor`.

use frazil_engine::{Engine, EngineSettings};

use crate::cli::Doctor;
use crate::commands::CommandError;

pub async fn run(arguments: Doctor) -> Result<(), CommandError> {
    if !arguments.data_dir.join("format").exists() {
        return Err(CommandError::Message(format!(
            "{} is not a data directory: it has no file named 'format'",
            arguments.data_dir.display()
        )));
    }
    let (engine, _) = Engine::open(EngineSettings::new(&arguments.data_dir)).await?;
    let findings = engine.doctor().await?;
    engine.shutdown().await;
    if findings.is_empty() {
        println!("{}: no fault found", arguments.data_dir.display());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(CommandError::Message(format!("{} findings", findings.len())))
}

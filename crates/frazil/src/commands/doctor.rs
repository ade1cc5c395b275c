//! `frazil doctor`.

use std::path::Path;

use frazil_engine::{Engine, EngineSettings};

use crate::cli::Doctor;
use crate::commands::CommandError;

/// Refuses a folder that is no data directory: opening one would make it.
pub fn check_directory(folder: &Path) -> Result<(), CommandError> {
    if ["format", "catalog.sqlite"].iter().any(|name| folder.join(name).exists()) {
        return Ok(());
    }
    Err(CommandError::Message(format!(
        "{} is not a data directory: it has no file named 'format' or 'catalog.sqlite'",
        folder.display()
    )))
}

pub async fn run(arguments: Doctor) -> Result<(), CommandError> {
    let folder = &arguments.data_dir;
    check_directory(folder)?;
    let findings = if arguments.repair {
        if frazil_engine::repair_format(folder).await? {
            println!("{}: the file 'format' was written anew", folder.display());
        }
        let (engine, _) = Engine::open(EngineSettings::new(folder)).await?;
        let repair = engine.repair(arguments.purge_quarantine).await;
        engine.shutdown().await;
        let repair = repair?;
        println!(
            "{}: {} orphan files moved to quarantine, {} put back, {} unfinished removed",
            folder.display(),
            repair.set_aside,
            repair.put_back,
            repair.unfinished
        );
        if arguments.purge_quarantine {
            println!("{}: {} files removed from quarantine", folder.display(), repair.purged);
        }
        repair.findings
    } else {
        frazil_engine::inspect(folder).await?
    };
    if findings.is_empty() {
        println!("{}: no fault found", folder.display());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(CommandError::Message(format!("{} findings", findings.len())))
}

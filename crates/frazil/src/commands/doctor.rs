//! `frazil doctor`.

use std::path::Path;

use frazil_engine::{Engine, EngineSettings};

use crate::cli::Doctor;
use crate::commands::{CommandError, io};

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

/// Refuses a folder that holds something else than a data directory: only an empty or absent one
/// is made into one.
pub fn check_new_or_directory(folder: &Path) -> Result<(), CommandError> {
    if !folder.exists() {
        return Ok(());
    }
    if !folder.is_dir() {
        return Err(CommandError::Message(format!(
            "{} is a file, not a folder: --data-dir names a folder",
            folder.display()
        )));
    }
    let others = std::fs::read_dir(folder)
        .map_err(io(format!("cannot read {}", folder.display())))?
        .filter_map(Result::ok)
        // What a first start leaves that was broken off, and what file systems put at their root.
        .any(|entry| !FIRST.iter().any(|name| entry.file_name() == *name));
    if !others {
        return Ok(());
    }
    check_directory(folder).map_err(|error| {
        CommandError::Message(format!("{error}, and it is not empty. Name a new or empty folder"))
    })
}

/// Names that a folder may hold and still be made into a data directory.
const FIRST: [&str; 3] = ["lock", "format.writing", "lost+found"];

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_empty_folders_become_data_directories() {
        let folder = std::env::temp_dir().join(format!("frazil-check-{}", uuid::Uuid::now_v7()));
        assert!(check_new_or_directory(&folder).is_ok());
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(folder.join("lost+found")).unwrap();
        std::fs::write(folder.join("lock"), "").unwrap();
        assert!(check_new_or_directory(&folder).is_ok());
        std::fs::write(folder.join("letter.txt"), "dear").unwrap();
        let error = check_new_or_directory(&folder).unwrap_err().to_string();
        assert!(error.contains("not a data directory") && error.contains("empty"), "{error}");
        let error = check_new_or_directory(&folder.join("letter.txt")).unwrap_err().to_string();
        assert!(error.contains("is a file, not a folder"), "{error}");
        std::fs::write(folder.join("format"), "").unwrap();
        assert!(check_new_or_directory(&folder).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

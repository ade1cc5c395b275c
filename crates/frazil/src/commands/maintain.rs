//! `frazil maintain`.

use frazil_engine::{Engine, EngineSettings};

use crate::cli::Maintain;
use crate::commands::CommandError;
use crate::commands::doctor::check_directory;

pub async fn run(arguments: Maintain) -> Result<(), CommandError> {
    check_directory(&arguments.data_dir)?;
    let (engine, _) = Engine::open(EngineSettings::new(&arguments.data_dir)).await?;
    let done = engine.maintain().await;
    engine.shutdown().await;
    let done = done?;
    println!(
        "{} tables flushed, {} merged, {} files rid of deleted rows, {} snapshots expired, {} files \
         removed, {} orphans set aside",
        done.flushed_tables,
        done.merged_tables,
        done.reclaimed_files,
        done.expired_snapshots,
        done.removed_files,
        done.orphan_files
    );
    Ok(())
}

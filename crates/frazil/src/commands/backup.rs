//! `frazil backup` and `frazil restore`.

use frazil_common::UserError;
use frazil_engine::backup::{self, Manifest, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Backup, Restore};
use crate::commands::CommandError;
use crate::commands::doctor::check_directory;

/// A bar on a terminal; hidden elsewhere.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} files  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.files as u64);
    bar.set_position(progress.files_done as u64);
    bar.set_message(indicatif::HumanBytes(progress.bytes_copied).to_string());
}

fn line(manifest: &Manifest) -> String {
    format!("{}  snapshot {}  {} data files", manifest.name, manifest.snapshot, manifest.data_files)
}

pub async fn run(arguments: Backup) -> Result<(), CommandError> {
    if arguments.list {
        for manifest in backup::list(&arguments.to).map_err(UserError::from)? {
            println!("{}", line(&manifest));
        }
        return Ok(());
    }
    let Some(data_dir) = arguments.data_dir else {
        return Err(CommandError::Message("--data-dir says which directory to back up".into()));
    };
    check_directory(&data_dir)?;
    let bar = bar();
    let done = backup::backup(&data_dir, &arguments.to, &mut |progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    let done = done.map_err(UserError::from)?;
    println!(
        "{}: {} copied, {} of {} files were there",
        line(&done.manifest),
        indicatif::HumanBytes(done.progress.bytes_copied),
        done.progress.files_known,
        done.progress.files
    );
    Ok(())
}

pub async fn restore(arguments: Restore) -> Result<(), CommandError> {
    let bar = bar();
    let done = backup::restore(
        &arguments.from,
        arguments.backup.as_deref(),
        &arguments.data_dir,
        &mut |progress| show(&bar, progress),
    )
    .await;
    bar.finish_and_clear();
    let done = done.map_err(UserError::from)?;
    println!("{} restored to {}", line(&done.manifest), arguments.data_dir.display());
    Ok(())
}

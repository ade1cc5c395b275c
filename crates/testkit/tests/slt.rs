//! Runs every file below `tests/slt`, or those whose path holds one of the texts in `FRAZIL_SLT`
//! (separated by commas).

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

#[test]
fn sql_logic_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slt");
    let mut files = frazil_testkit::slt_files(&folder).unwrap();
    if let Ok(wanted) = std::env::var("FRAZIL_SLT") {
        let wanted: Vec<&str> = wanted.split(',').collect();
        files.retain(|file| wanted.iter().any(|part| file.to_string_lossy().contains(part)));
    }
    assert!(!files.is_empty(), "no .slt file was found");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut failures = Vec::new();
    for file in &files {
        if let Err(error) = runtime.block_on(frazil_testkit::run_slt(file)) {
            failures.push(format!("{}\n{error}", file.strip_prefix(&folder).unwrap().display()));
        }
    }
    println!("{} files, {} failures", files.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

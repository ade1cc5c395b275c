//! House rules that no compiler checks: crate edges, doors to state, file lengths, text that must not
//! appear.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::process::{output, root};

/// Longest source file, in lines.
const LINES_MAX: usize = 800;

/// Words of the database's driver, and the folder that may know which it is.
const DATABASE: [&str; 3] = ["sqlx", "rusqlite", "SqlitePool"];
const DATABASE_ROOM: &str = "crates/catalog/";
/// Tests that do what DuckDB does to the catalog, in SQL of their own.
const DATABASE_GUESTS: &str = "crates/lake/tests/";

/// Words for files of the machine. State goes through `CatalogStore` and `DurableStore` instead.
const LOCAL_FILES: [&str; 3] = ["std::fs", "tokio::fs", "LocalFileSystem"];
/// Who may use them all the same, and why: whole files, or folders where the name ends with a slash.
const LOCAL_FILES_ALLOWED: [(&str, &str); 24] = [
    ("crates/lake/src/local_disk.rs", "the local disk behind DurableStore"),
    ("crates/lake/src/durable.rs", "writes that last, for the data directory and backups"),
    ("crates/lake/src/directory.rs", "the files lock and format, the folders' making"),
    ("crates/lake/src/backup.rs", "copies from and to a backup's folder, without a server"),
    ("crates/engine/src/run/spool.rs", "results on their way out; they end with the process"),
    ("crates/engine/src/run/results.rs", "the same"),
    ("crates/engine/src/run/runtime.rs", "spilling; it ends with the statement"),
    ("crates/engine/src/health.rs", "looks whether a used directory's catalog is there"),
    ("crates/engine/src/local_transfer.rs", "PUT and GET: the client's own files"),
    ("crates/engine/src/engine.rs", "the machine's memory, from /proc"),
    ("crates/server/src/metrics.rs", "the process's memory, from /proc"),
    ("crates/frazil/", "the command line's own files"),
    ("crates/testkit/", "test files"),
    ("crates/planner/src/tests/", "reads the parser's source"),
    ("crates/catalog/src/account/tests.rs", "temporary folders of tests"),
    ("crates/catalog/src/sqlite/reading.rs", "looks whether a database has a log"),
    ("crates/catalog/src/sqlite/writer.rs", "temporary folders of tests"),
    ("crates/catalog/tests/", "temporary folders of tests"),
    ("crates/engine/tests/administration.rs", "tests damage files"),
    ("crates/engine/tests/privileges/users.rs", "looks for files of stages"),
    ("crates/lake/tests/", "tests damage files"),
    ("crates/models/tests/", "tests damage files"),
    ("tests/", "tests"),
    ("xtask/", "this tool"),
];

pub fn run() -> Result<(), String> {
    let mut faults = Vec::new();
    edges(&mut faults)?;
    let mut excused = BTreeSet::new();
    for path in tracked_files()? {
        if path.ends_with(".rs") || path.ends_with(".py") {
            file_rules(&path, &mut faults)?;
        }
        if path.ends_with(".rs") {
            doors(&path, &mut excused, &mut faults)?;
        }
    }
    for (place, _) in LOCAL_FILES_ALLOWED.iter().filter(|(place, _)| !excused.contains(place)) {
        faults.push(format!("{place} uses no local files: take it off the table in xtask's tidy"));
    }
    if faults.is_empty() {
        println!("tidy: ok");
        return Ok(());
    }
    faults.sort();
    Err(format!("tidy found {} faults:\n  {}", faults.len(), faults.join("\n  ")))
}

fn tracked_files() -> Result<Vec<String>, String> {
    let listed = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    Ok(listed.lines().filter(|path| root().join(path).is_file()).map(str::to_string).collect())
}

fn file_rules(path: &str, faults: &mut Vec<String>) -> Result<(), String> {
    let text = fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))?;
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{path}: {lines} lines, at most {LINES_MAX}: split it"));
    }
    // Spelled in two parts so that this file passes its own rule.
    for banned in [concat!("/home", "/"), concat!("/work", "/main"), concat!("/root", "/")] {
        if text.contains(banned) {
            faults.push(format!("{path}: names the absolute path {banned}"));
        }
    }
    let stem = Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if ["util", "utils", "helpers", "misc", "common_utils"].contains(&stem) {
        faults.push(format!("{path}: the name does not say the file's job"));
    }
    Ok(())
}

/// The database's driver and local files are used behind their doors alone.
fn doors(
    path: &str,
    excused: &mut BTreeSet<&'static str>,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    let text = fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))?;
    let named = |words: [&'static str; 3]| words.into_iter().find(|word| text.contains(word));
    let door =
        [DATABASE_ROOM, DATABASE_GUESTS, "xtask/src/tidy.rs"].iter().any(|at| path.starts_with(at));
    if let Some(word) = named(DATABASE).filter(|_| !door) {
        faults.push(format!("{path}: names {word}; the database is behind CatalogStore"));
    }
    let Some(word) = named(LOCAL_FILES).filter(|_| !path.contains("/examples/")) else {
        return Ok(());
    };
    let allowed = LOCAL_FILES_ALLOWED
        .iter()
        .find(|(place, _)| path == *place || place.ends_with('/') && path.starts_with(place));
    match allowed {
        Some((place, _)) => {
            excused.insert(*place);
        }
        None => faults.push(format!("{path}: names {word}; bytes go through DurableStore")),
    }
    Ok(())
}

/// The table in ARCHITECTURE.md under "Crate edges": `| crate | may use |`.
fn allowed_edges() -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).map_err(|e| e.to_string())?;
    let section = text
        .split("## Crate edges")
        .nth(1)
        .ok_or("ARCHITECTURE.md has no section 'Crate edges'")?
        .split("\n## ")
        .next()
        .unwrap_or_default();
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let name = cells.next().unwrap_or_default().trim_matches('`').to_string();
        let uses = cells.next().unwrap_or_default();
        let uses = uses
            .split(',')
            .map(|word| word.trim().trim_matches('`').to_string())
            .filter(|word| !word.is_empty() && word != "–")
            .collect();
        table.insert(name, uses);
    }
    Ok(table)
}

fn edges(faults: &mut Vec<String>) -> Result<(), String> {
    let allowed = allowed_edges()?;
    let metadata = output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let short = |name: &str| name.strip_prefix("frazil-").unwrap_or(name).to_string();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for package in &packages {
        let name = short(package["name"].as_str().unwrap_or_default());
        if name == "xtask" {
            continue;
        }
        seen.insert(name.clone());
        let Some(uses) = allowed.get(&name) else {
            faults.push(format!("crate {name} is missing in ARCHITECTURE.md, 'Crate edges'"));
            continue;
        };
        for dependency in package["dependencies"].as_array().cloned().unwrap_or_default() {
            let target = dependency["name"].as_str().unwrap_or_default();
            let development = dependency["kind"].as_str() == Some("dev");
            let testing = ["frazil-testkit", "frazil-syntax-tree"].contains(&target);
            if !target.starts_with("frazil-") || (development && testing) {
                continue;
            }
            if !uses.contains(&short(target)) {
                faults.push(format!("edge {name} → {} is not allowed", short(target)));
            }
        }
    }
    for name in allowed.keys().filter(|name| !seen.contains(*name)) {
        faults.push(format!("ARCHITECTURE.md lists crate {name}, which does not exist"));
    }
    Ok(())
}

//! House rules that no compiler checks: crate edges, file lengths, text that must not appear.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::process::{output, root};

/// Longest source file, in lines.
const LINES_MAX: usize = 800;

pub fn run() -> Result<(), String> {
    let mut faults = Vec::new();
    edges(&mut faults)?;
    for path in tracked_files()? {
        if path.ends_with(".rs") || path.ends_with(".py") {
            file_rules(&path, &mut faults)?;
        }
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

//! `cargo xtask bench`: speed as ratios to the peers, measured in one run.

use crate::process::{root, run, run_with, target_dir};
use crate::test::{bench_python, reference_python};

pub fn run_benchmarks(arguments: &[String]) -> Result<(), String> {
    run("cargo", &["build", "--release", "--bin", "frazil"])?;
    let python = bench_python()?;
    // DuckDB's ducklake extension belongs to the release the tests compare with.
    let ducklake = reference_python()?;
    let binary = target_dir().join("release").join("frazil");
    let script = root().join("benches/run.py");
    let mut command = vec![script.to_string_lossy().into_owned()];
    command.extend(arguments.iter().cloned());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    run_with(
        &python.to_string_lossy(),
        &command,
        &[
            ("FRAZIL_BIN", &binary.to_string_lossy()),
            ("FRAZIL_BENCH_DUCKLAKE_PYTHON", &ducklake.to_string_lossy()),
            ("OMP_WAIT_POLICY", "PASSIVE"),
        ],
    )
}

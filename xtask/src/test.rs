//! `cargo xtask test`: everything that can fail, with what it needs set up first.

use std::fs;
use std::path::PathBuf;

use crate::process::{root, run, run_with, target_dir};

/// A Python environment: its folder of requirements, and the test files it runs.
struct Environment {
    name: &'static str,
    folder: &'static str,
    files: &'static [&'static str],
}

/// Both connector generations run the same files; their dependencies conflict. The reference
/// libraries have an environment of their own.
const ENVIRONMENTS: &[Environment] = &[
    Environment { name: "connector4", folder: "tests/clients", files: &["tests/clients"] },
    Environment { name: "connector5", folder: "tests/clients", files: &["tests/clients"] },
    Environment { name: "reference", folder: "tests/reference", files: &["tests/reference"] },
];

pub fn run_tests(arguments: &[String]) -> Result<(), String> {
    let filter: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("cargo", &["build", "--workspace", "--bins", "--examples"])?;
    run("cargo", &["test", "--workspace"])?;
    for environment in ENVIRONMENTS {
        let python = ready(environment)?;
        let debug = target_dir().join("debug");
        let binary = debug.join("frazil");
        let binary = binary.to_string_lossy();
        let trees = debug.join("examples/gbt_cli");
        let estimators = debug.join("examples/estimator_cli");
        let mut command = vec!["-m", "pytest", "-q"];
        if !filter.is_empty() {
            command.push("-k");
            command.extend(&filter);
        }
        command.extend(environment.files.iter().filter(|file| root().join(file).exists()));
        println!("client tests under {}", environment.name);
        run_with(
            &python.to_string_lossy(),
            &command,
            &[
                ("FRAZIL_BIN", &binary),
                ("FRAZIL_GBT_CLI", &trees.to_string_lossy()),
                ("FRAZIL_ESTIMATOR_CLI", &estimators.to_string_lossy()),
                ("OMP_WAIT_POLICY", "PASSIVE"),
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ],
        )?;
    }
    Ok(())
}

/// Makes the virtual environment unless it is there with the same requirements.
fn ready(environment: &Environment) -> Result<PathBuf, String> {
    let requirements =
        root().join(environment.folder).join(format!("requirements-{}.txt", environment.name));
    let wanted = fs::read_to_string(&requirements)
        .map_err(|e| format!("{}: {e}", requirements.display()))?;
    let folder = target_dir().join("venvs").join(environment.name);
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(python);
    }
    println!(
        "setting up the Python environment '{}' under {} (once; packages come from PyPI)",
        environment.name,
        folder.display()
    );
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    run(&find_python()?, &["-m", "venv", &folder.to_string_lossy()])?;
    run(
        &python.to_string_lossy(),
        &["-m", "pip", "install", "--quiet", "-r", &requirements.to_string_lossy()],
    )?;
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(python)
}

fn find_python() -> Result<String, String> {
    for name in ["python3.11", "python3.12", "python3"] {
        let found = std::process::Command::new(name)
            .args(["-c", "import venv, sys; sys.exit(sys.version_info < (3, 10))"])
            .status()
            .is_ok_and(|status| status.success());
        if found {
            return Ok(name.to_string());
        }
    }
    Err("the client tests need Python 3.10 or newer with its venv module".to_string())
}

/// Lints the Python sources.
pub fn lint_python() -> Result<(), String> {
    let python = reference_python()?;
    run(&python.to_string_lossy(), &["-m", "ruff", "check", "tests", "benches", "examples"])
}

/// The environment of the reference libraries.
pub fn reference_python() -> Result<PathBuf, String> {
    let reference = ENVIRONMENTS.iter().find(|environment| environment.name == "reference");
    ready(reference.ok_or("there is no reference environment")?)
}

/// The benchmark environment, made the same way.
pub fn bench_python() -> Result<PathBuf, String> {
    ready(&Environment { name: "bench", folder: "benches", files: &[] })
}

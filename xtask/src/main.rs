//! Project tasks: `cargo xtask tidy | test | bench | ci`.

mod bench;
mod process;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <task>

  tidy             check crate edges, file lengths and text rules
  test [FILTER]    build, run the Rust tests, set up Python and run the client tests
  bench [NAME]     run the benchmarks against their peers and write docs/benchmarks.md
  ci               format, clippy, tidy, test: what .ci/run runs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("test") => test::run_tests(rest),
        Some("bench") => bench::run_benchmarks(rest),
        Some("ci") => ci(),
        _ => Err(USAGE.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn ci() -> Result<(), String> {
    process::run("cargo", &["fmt", "--all", "--check"])?;
    tidy::run()?;
    process::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    test::lint_python()?;
    test::run_tests(&[])
}

//! The `frazil` binary.

mod allocator;
mod cli;
mod commands;
mod display;
mod log;
mod quickstart;
mod remote;

use std::process::ExitCode;

use clap::Parser;

/// Deeply nested statements are parsed and planned recursively.
const STACK_BYTES: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    allocator::configure();
    let arguments = cli::Cli::parse();
    if let Err(error) = log::start(&arguments.command) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(commands::run(arguments));
    // Threads that wait for input or a cancelled computation must not hold the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

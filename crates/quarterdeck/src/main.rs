//! Quarterdeck: runs LLM agent crews in production.
//!
//! `main` parses, starts a runtime, runs one command and turns its outcome into the exit code. Commands are one file
//! each in `commands/`; `wire.rs` builds the server, once; `config.rs` is the one configuration.

mod ask;
mod cli;
mod client;
mod commands;
mod config;
mod crew_files;
mod exit;
mod follow;
mod input;
mod output;
mod pepper;
mod process_figures;
#[cfg(test)]
mod reference;
mod sse;
mod supervisor;
mod wire;

use std::pin::Pin;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap prints help and usage errors itself; its exit code for the latter is ours, too (2).
    let cli = cli::Cli::parse();
    qd_llm::install_crypto_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&anyhow::anyhow!("cannot start: {error}"));
            return exit::Exit::Failed.into();
        }
    };
    // Behind a pointer, or every command is compiled once for each of the runtime's schedulers.
    let command: Pin<Box<dyn Future<Output = _>>> = Box::pin(commands::run(cli));
    let outcome = runtime.block_on(command);
    // What still runs is a blocking read of the terminal at most.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if output::reader_went_away(&error) => exit::Exit::Ok.into(),
        Err(error) => {
            output::complain(&error);
            exit::of(&error).into()
        }
    }
}

//! `bmap`: the issuer and its commands.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A request's memory is often taken by one thread and freed by another, for which the system's allocator takes a lock.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Before anything else: a library that finds no provider, or two, would panic at its first use.
    bmap_server::install_crypto_providers();
    bmap_server::cli::main()
}

//! `bmap`: the issuer and its commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a library that finds no provider, or two, would panic at its first use.
    bmap_server::install_crypto_providers();
    bmap_server::cli::main()
}

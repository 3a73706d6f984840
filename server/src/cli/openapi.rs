//! `bmap openapi`: the document that a server answers with at `/openapi.json`.

use super::CliError;
use crate::openapi::document;
use crate::router::routes;

pub(super) fn run() -> Result<(), CliError> {
    println!("{}", document(&routes()).to_pretty_json().map_err(CliError::failed)?);
    Ok(())
}

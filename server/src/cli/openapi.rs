//! `bmap openapi`: the document that a server answers with at `/openapi.json`.

use crate::cli::error::CliError;
use crate::cli::output;
use crate::http::openapi::document::document;
use crate::router::routes;

pub(super) fn run() -> Result<(), CliError> {
    output::text(&document(&routes()).to_pretty_json().map_err(CliError::failed)?)
}

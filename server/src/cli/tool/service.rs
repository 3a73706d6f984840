//! Tools as the operator manages them.

use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::issuer::refusal::Refusal;
use crate::issuer::tools::ToolService;
use crate::model::clock::SystemClock;

pub(super) fn service(installation: &Installation) -> ToolService<'_> {
    ToolService::new(&installation.store, &installation.roots, &SystemClock)
}

pub(super) fn refused(refusal: Refusal) -> CliError {
    match refusal {
        Refusal::NotFound { what } => CliError::NotFound(format!("there is no such {what}")),
        Refusal::Invalid { field, hint } => CliError::Usage(format!("{field}: {hint}")),
        Refusal::InvalidState { hint } => CliError::Failed(hint.to_owned()),
        other => CliError::failed(other),
    }
}

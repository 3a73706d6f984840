//! Tools as the operator manages them.

use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use bmap_issuer::error::IssuerError;
use bmap_issuer::tools::ToolService;
use bmap_model::clock::MachineClock;

pub(super) fn service(installation: &Installation) -> ToolService<'_> {
    ToolService::new(&installation.store, &installation.roots, &MachineClock)
}

pub(super) fn refused(refusal: IssuerError) -> CliError {
    match refusal {
        IssuerError::NotFound { what } => CliError::NotFound(format!("there is no such {what}")),
        IssuerError::Invalid { field, hint } => CliError::Usage(format!("{field}: {hint}")),
        IssuerError::InvalidState { hint } => CliError::Failed(hint.to_owned()),
        other => CliError::failed(other),
    }
}

//! API keys as the operator manages them.

use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::manager::{Manager, Right};
use bmap_issuer::keys::service::KeyService;
use bmap_model::audit::Source;
use bmap_model::clock::MachineClock;
use bmap_model::rng::SystemRandom;

pub(super) fn service(installation: &Installation) -> KeyService<'_> {
    KeyService::new(&installation.store, &installation.roots, &MachineClock, &SystemRandom)
        .with_origin_rules(installation.config.origin_rules)
}

pub(super) fn operator() -> Manager {
    Manager { right: Right::Operator, source: Source::command_line() }
}

pub(super) fn refused(refusal: IssuerError) -> CliError {
    match refusal {
        IssuerError::NotFound { .. } => CliError::NotFound("there is no such API key".to_owned()),
        IssuerError::Invalid { field, hint } => CliError::Usage(format!("{field}: {hint}")),
        IssuerError::ToolsDenied { hint } => CliError::Failed(format!("{hint} (bmap tool grant USER TOOL)")),
        other => CliError::failed(other),
    }
}

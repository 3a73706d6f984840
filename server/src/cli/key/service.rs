//! API keys as the operator manages them.

use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::issuer::keys::manager::{Manager, Right};
use crate::issuer::keys::service::KeyService;
use crate::issuer::refusal::Refusal;
use crate::model::audit::Source;
use crate::model::clock::SystemClock;
use crate::model::rng::SystemRandom;

pub(super) fn service(installation: &Installation) -> KeyService<'_> {
    KeyService::new(&installation.store, &installation.roots, &SystemClock, &SystemRandom)
        .with_origin_rules(installation.config.origin_rules)
}

pub(super) fn operator() -> Manager {
    Manager { right: Right::Operator, source: Source::command_line() }
}

pub(super) fn refused(refusal: Refusal) -> CliError {
    match refusal {
        Refusal::NotFound { .. } => CliError::NotFound("there is no such API key".to_owned()),
        Refusal::Invalid { field, hint } => CliError::Usage(format!("{field}: {hint}")),
        Refusal::ToolsDenied { hint } => CliError::Failed(format!("{hint} (bmap tool grant USER TOOL)")),
        other => CliError::failed(other),
    }
}

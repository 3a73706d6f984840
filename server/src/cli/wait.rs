//! `--wait`: an act on the issuer's machine ends once it is in force at the verifiers with a live link.

use super::error::CliError;
use super::output;
use bmap_issuer::link::applied::{self, MAX_WAIT};
use bmap_store::Database;
use clap::Args;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Wait {
    /// Wait until it is in force at every verifier with a live link, at most so many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_WAIT))
    )]
    wait: Option<u32>,
}

impl Wait {
    /// Waits, where that was asked for. The act is done by then.
    ///
    /// # Errors
    /// [`CliError::Failed`] with the verifiers at which it is not in force yet.
    pub(super) async fn until_in_force(self, store: &Database) -> Result<(), CliError> {
        let Some(seconds) = self.wait else { return Ok(()) };
        let reached = applied::wait(store, Duration::from_secs(seconds.into())).await.map_err(CliError::failed)?;
        if reached.behind.is_empty() {
            return output::text(&format!("in force at verifiers with a live link: {}", reached.nodes));
        }
        let named: Vec<_> = reached
            .behind
            .iter()
            .map(|node| format!("{} {} (silent for {} s)", node.tool, node.node, node.silent))
            .collect();
        Err(CliError::Failed(format!(
            "it is done, but not in force yet at {} of {} verifiers: {}",
            named.len(),
            reached.nodes,
            named.join(", ")
        )))
    }
}

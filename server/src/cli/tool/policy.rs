//! `--policy FILE`: a tool's policy as JSON.

use crate::cli::error::CliError;
use bmap_model::tool_policy::MAX_POLICY;
use bmap_protocol::object::Object;
use bmap_protocol::tool_policy::ToolPolicy;
use std::fs::File;
use std::io::{self, Read};

/// Most bytes of a file, which may have white space.
const MAX_FILE: u64 = 4 * MAX_POLICY as u64;

/// Reads a policy from a file, from the standard input (`-`), or takes it away (`none`).
///
/// # Errors
/// [`CliError::Usage`] for a file that can't be read or holds none.
pub(super) fn read(name: &str) -> Result<ToolPolicy, CliError> {
    let fault = |why: String| CliError::Usage(format!("--policy {name}: {why}"));
    if name == "none" {
        return Ok(ToolPolicy::default());
    }
    let mut text = String::new();
    let read = match name {
        "-" => io::stdin().take(MAX_FILE.saturating_add(1)).read_to_string(&mut text),
        file => File::open(file).and_then(|file| file.take(MAX_FILE.saturating_add(1)).read_to_string(&mut text)),
    };
    let bytes = read.map_err(|error| fault(error.to_string()))?;
    if u64::try_from(bytes).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(fault(format!("it has more than {MAX_FILE} bytes")));
    }
    let policy: Object<ToolPolicy> = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    Ok(policy.0)
}

//! Runs the known answers of `bmap-1/` against the protocol and the verifier: the same code natively and in WebAssembly.
//!
//! `bmap-1/` was written by an independent implementation, `make_vectors.py` with the files beside it. It is this project's own and
//! under its licence. `BMAP_VECTORS` names another folder with the same files, for instance one that was made with another seed.
//!
//! The runner reads `keys.json`, `requests.json`, `refusals.json` and `capability.json`. What `hop.json`, `encryption.json` and `challenge.json`
//! describe (profile §8, §9, §11) is not implemented yet.

mod body;
mod capability;
mod cases;
mod keys;
mod report;
mod verify;

pub use cases::{CapabilityCase, Case, Keys};
pub use report::Report;

/// Runs everything: key schedule, API key and seal; each request is signed to the same bytes and accepted; each refusal
/// gets its code; each capability is minted to the same text, and accepted or refused.
///
/// # Errors
/// A file that is not what `make_vectors.py` writes.
pub fn run(keys: &str, requests: &str, refusals: &str, capabilities: &str) -> Result<Report, String> {
    let keys: Keys = serde_json::from_str(keys).map_err(|error| format!("keys.json: {error}"))?;
    let requests: Vec<Case> = serde_json::from_str(requests).map_err(|error| format!("requests.json: {error}"))?;
    let refusals: Vec<Case> = serde_json::from_str(refusals).map_err(|error| format!("refusals.json: {error}"))?;
    let capabilities: Vec<CapabilityCase> =
        serde_json::from_str(capabilities).map_err(|error| format!("capability.json: {error}"))?;
    let mut report = Report::default();
    keys::run(&keys, &mut report)?;
    for case in &requests {
        report.check(format!("sign {}", case.name), verify::sign(&keys, case));
        report.check(format!("accept {}", case.name), verify::expect(&keys, case, None));
    }
    for case in &refusals {
        report.check(format!("refuse {}", case.name), verify::expect(&keys, case, case.expect.as_deref()));
    }
    capability::run(&keys, &capabilities, &mut report);
    Ok(report)
}

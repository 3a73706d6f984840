//! A file at the tool that narrows the operator's policy: the same JSON as at the issuer (docs/policy.md).

use crate::allowed_ips::networks;
use crate::policy::Policy;
use bmap_protocol::object::Object;
use bmap_protocol::tool_policy::{PolicyFault, ToolPolicy};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The environment variable with the path of the tool's own policy.
pub const POLICY_FILE_VARIABLE: &str = "BMAP_POLICY_FILE";
/// Most bytes of the file.
const MAX_FILE: u64 = 64 << 10;

/// Why there is no policy, as a sentence.
///
/// ```
/// use bmap_verifier::Policy;
///
/// let error = Policy::of_file("nothing/policy.json").unwrap_err();
/// assert!(error.to_string().starts_with("BMAP_POLICY_FILE nothing/policy.json: "), "{error}");
/// ```
#[derive(thiserror::Error)]
pub enum PolicyFileError {
    /// It can't be read.
    #[error("{POLICY_FILE_VARIABLE} {}: {fault}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        fault: io::Error,
    },
    /// It holds no policy.
    #[error("{POLICY_FILE_VARIABLE} {}: {fault}", file.display())]
    Form {
        /// The file.
        file: PathBuf,
        /// Where it is wrong.
        fault: String,
    },
    /// The variable is set to nothing, or to bytes that are no text.
    #[error("{POLICY_FILE_VARIABLE} is set, but names no file")]
    Variable,
}

impl fmt::Debug for PolicyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Policy {
    /// The policy in the file that [`POLICY_FILE_VARIABLE`] names; the default one where it is not set. It only narrows the operator's, as each policy does that is
    /// handed to a verifier.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn from_env() -> Result<Self, PolicyFileError> {
        match std::env::var_os(POLICY_FILE_VARIABLE) {
            None => Ok(Self::default()),
            Some(file) if file.is_empty() => Err(PolicyFileError::Variable),
            Some(file) => Self::of_file(file),
        }
    }

    /// The policy in a file.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn of_file(file: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        let file = file.as_ref().to_owned();
        let mut text = String::new();
        let read = File::open(&file).and_then(|open| open.take(MAX_FILE.saturating_add(1)).read_to_string(&mut text));
        match read {
            Err(fault) => return Err(PolicyFileError::Read { file, fault }),
            Ok(bytes) if u64::try_from(bytes).unwrap_or(u64::MAX) > MAX_FILE => {
                return Err(PolicyFileError::Form { file, fault: format!("it has more than {MAX_FILE} bytes") });
            }
            Ok(_) => {}
        }
        Self::of_json(&text).map_err(|fault| PolicyFileError::Form { file, fault })
    }

    fn of_json(text: &str) -> Result<Self, String> {
        let Object(policy) = serde_json::from_str::<Object<ToolPolicy>>(text).map_err(|error| error.to_string())?;
        policy.check().map_err(|fault: PolicyFault| fault.to_string())?;
        if networks(&policy).is_none() {
            return Err("allowed_ips: give networks as 192.0.2.0/24 or 2001:db8::/32".to_owned());
        }
        // What a tool can't decide for itself is not left out in silence.
        if policy.max_staleness.is_some() {
            return Err("max_staleness: at a tool it is BMAP_LINK_MAX_STALENESS".to_owned());
        }
        if policy.capability_root {
            return Err("capability_root: the operator alone widens what a capability may be for".to_owned());
        }
        let proofs = policy.proofs.clone();
        Ok(Self { proofs, ..Self::default().with_tool_policy(&policy) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::tool_policy::Proof;

    #[test]
    fn a_file_narrows_and_what_it_does_not_say_is_the_operators() {
        let operator = Policy::default().with_tool_policy(
            &serde_json::from_str(
                r#"{"max_body":1000,"proofs":["capability"],"rates":{"user":{"per_second":9,"burst":9}}}"#,
            )
            .unwrap(),
        );
        let own = |text: &str| Policy::of_json(text).unwrap().within(&operator);
        let narrowed = own(
            r#"{"max_body":10,"rules":[{"path":"/a","scopes":["x"]}],"rates":{"user":{"per_second":1,"burst":20}}}"#,
        );
        assert_eq!((narrowed.max_body, narrowed.rules.len(), narrowed.takes(Proof::Capability)), (10, 1, true));
        assert_eq!(narrowed.rates.user.map(|rate| (rate.per_second, rate.burst)), Some((1, 9)));
        assert!(!own(r#"{"proofs":[]}"#).takes(Proof::Capability));
        assert!(!own(r#"{"proofs":["dpop"]}"#).takes(Proof::Dpop), "it does not widen");
        assert_eq!(own(r#"{"max_body":5000}"#).max_body, 1000);
    }

    #[test]
    fn a_file_that_is_no_policy_is_named_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        for (text, part) in [
            ("", "EOF"),
            ("[]", "expected an object"),
            ("{\"max_bodi\":1}", "unknown field"),
            ("{\"max_body\":0}", "max_body: give at least 1 byte"),
            ("{\"allowed_ips\":[\"x\"]}", "allowed_ips"),
            ("{\"max_staleness\":30}", "BMAP_LINK_MAX_STALENESS"),
            ("{\"capability_root\":true}", "capability_root"),
            (&" ".repeat(70_000), "more than 65536 bytes"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Policy::of_file(&file).unwrap_err();
            assert!(error.to_string().contains(part), "{text:.40}: {error}");
            assert_eq!(format!("{error:?}"), error.to_string());
        }
        std::fs::write(&file, [0xff]).unwrap();
        assert!(matches!(Policy::of_file(&file), Err(PolicyFileError::Read { .. })));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(Policy::of_file(&file).unwrap().proofs, None);
    }
}

//! A tool's policy in its row: one text, which the row's seal covers, and what it is held to before it is written.

use crate::scope::Scopes;
use bmap_protocol::object::Object;
use bmap_protocol::tool_policy::{PolicyFault, ToolPolicy};
use ipnet::IpNet;
use sha2::{Digest, Sha256};

/// Most bytes of a policy's text: each load of the tool reads it, and each credential has it.
pub const MAX_POLICY: usize = 16 << 10;

/// The policy's one text: JSON without white space and without members that ask for nothing; empty for an empty policy.
pub fn text(policy: &ToolPolicy) -> String {
    if policy.is_empty() {
        return String::new();
    }
    // A struct of texts and numbers serialises.
    serde_json::to_string(policy).unwrap_or_default()
}

/// The policy of that text; `None` for another text.
pub fn of_text(text: &str) -> Option<ToolPolicy> {
    let read = |text| Some(serde_json::from_str::<Object<ToolPolicy>>(text).ok()?.0);
    if text.is_empty() { Some(ToolPolicy::default()) } else { read(text) }
}

/// Whether it is one that verifiers can keep, and that some token of the tool can satisfy.
///
/// # Errors
/// [`PolicyFault`] for the first member that is not.
pub fn check(policy: &ToolPolicy, of_tool: &Scopes) -> Result<(), PolicyFault> {
    policy.check()?;
    for (number, network) in policy.allowed_ips.iter().enumerate() {
        let is_network = network.parse::<IpNet>().is_ok_and(|parsed| parsed.trunc().to_string() == *network);
        if !is_network {
            let why = "give a network as 192.0.2.0/24 or 2001:db8::/32, without bits behind its length";
            return Err(PolicyFault { member: format!("allowed_ips[{number}]"), why });
        }
    }
    for (number, rule) in policy.rules.iter().enumerate() {
        let is_of_tool = |scope: &String| of_tool.words().any(|own| own == scope);
        let are_of_tool = rule.scopes.iter().all(is_of_tool);
        if !are_of_tool {
            return Err(PolicyFault { member: format!("rules[{number}].scopes"), why: "give scopes of the tool" });
        }
    }
    if text(policy).len() > MAX_POLICY {
        return Err(PolicyFault { member: "rules".into(), why: "the whole policy has at most 16384 bytes" });
    }
    Ok(())
}

/// A name of the policy for the audit log: `none`, or SHA-256 of its text in lower-case hex.
pub fn digest(policy: &ToolPolicy) -> String {
    if policy.is_empty() {
        return "none".to_owned();
    }
    Sha256::digest(text(policy)).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_one_text_and_one_name() {
        let none = ToolPolicy::default();
        assert_eq!((text(&none), of_text(""), digest(&none)), (String::new(), Some(none), "none".to_owned()));
        let policy = of_text(r#"{ "max_body": 9, "rules": [], "capability_root": false }"#).unwrap();
        assert_eq!(text(&policy), r#"{"max_body":9}"#);
        assert_eq!(of_text(&text(&policy)), Some(policy.clone()));
        assert_eq!(digest(&policy).len(), 64);
        assert_eq!((of_text("[]"), of_text("null")), (None, None));
        assert_eq!((of_text("{"), of_text(r#"{"max_bodi":9}"#)), (None, None));
    }

    #[test]
    fn what_no_verifier_can_keep_or_no_token_satisfy_is_refused() {
        let scopes = Scopes::parse("read write").unwrap();
        let fault = |text: &str| check(&of_text(text).unwrap(), &scopes).map_err(|fault| fault.member);
        assert_eq!(
            fault(r#"{"allowed_ips":["10.0.0.0/8","2001:db8::/32"],"rules":[{"path":"/a","scopes":["read"]}]}"#),
            Ok(())
        );
        for (text, member) in [
            (r#"{"max_body":0}"#, "max_body"),
            (r#"{"allowed_ips":["10.0.0.0/8","10.0.0.1/8"]}"#, "allowed_ips[1]"),
            (r#"{"allowed_ips":["10.0.0.1"]}"#, "allowed_ips[0]"),
            (r#"{"allowed_ips":["2001:DB8::/32"]}"#, "allowed_ips[0]"),
            (r#"{"rules":[{"path":"/","scopes":["read"]},{"path":"/","scopes":["delete"]}]}"#, "rules[1].scopes"),
            (r#"{"rules":[{"path":"/","scopes":["read write"]}]}"#, "rules[0].scopes"),
            (r#"{"rules":[{"path":"/","scopes":["\u0000"]}]}"#, "rules[0].scopes"),
        ] {
            assert_eq!(fault(text), Err(member.to_owned()), "{text}");
        }
        let path = format!("/{}", "a".repeat(MAX_POLICY));
        let long = format!(r#"{{"rules":[{{"path":"{path}","scopes":["read"]}}]}}"#);
        assert!(fault(&long).is_err());
    }
}

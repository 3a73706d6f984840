//! Faults of a configuration that show without looking at anything else.

use super::findings::Findings;
use crate::config::{Config, readable_by_others};
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_store::address::Address;

/// Settings that work and are not safe, or that were forgotten.
pub(super) fn examine(config: &Config, found: &mut Findings) {
    if config.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        found.fault(
            "trusted_proxies",
            "every address is a trusted proxy, so every caller chooses the address that is believed",
            "name the proxies' own addresses",
        );
    }
    for file in config.secret_files() {
        if let Some(mode) = readable_by_others(&file) {
            let says = format!("{} holds a secret and has mode {mode:04o}", file.display());
            found.fault("secret file", says, "chmod 600: every user of this machine can read it");
        }
    }
    let is_for_others = !config.listen.ip().is_loopback();
    if config.database_url.as_ref().is_some_and(Address::is_in_the_clear) {
        found.warning(
            "database_url",
            "sslmode=disable: an attacker between here and the database reads and changes everything",
            "take sslmode out, and name the authority of the server's certificate (sslrootcert)",
        );
    }
    if config.development && is_for_others {
        found.fault(
            "development",
            format!("links that confirm an address go to the log of a server that listens on {}", config.listen),
            "take development out, or listen on 127.0.0.1",
        );
    } else if config.development {
        found.warning(
            "development",
            "links that confirm an address go to the log",
            "for a developer's own server only",
        );
    }
    let Some(issuer) = &config.issuer else {
        if is_for_others {
            let advice = "set issuer to the URL that the world calls";
            found.warning("issuer", "it is not set, so it follows from the address that is listened on", advice);
        }
        return;
    };
    if is_encrypted_or_local(issuer) {
        found.good("issuer", issuer.as_str());
    } else {
        found.fault(
            "issuer",
            format!("{} is not encrypted", issuer.as_str()),
            "secrets and tokens pass there: use https",
        );
    }
}

/// Whether what goes to an issuer is encrypted, or stays on this machine.
pub(in super::super) fn is_encrypted_or_local(issuer: &IssuerUrl) -> bool {
    let is_local = ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|local| {
        // Up to the port or the end: http://127.0.0.1.example is somewhere else.
        issuer.as_str().strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    issuer.as_str().starts_with("https://") || is_local
}

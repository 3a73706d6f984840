//! A provider as the configuration names it.

use bmap_model::openid::provider_name::ProviderName;
use bmap_outbound::Authorities;
use jsonwebtoken::Algorithm;
use std::fmt;
use url::{Host, Url};
use zeroize::Zeroizing;

/// A provider's issuer URL: compared byte for byte, and never brought into another spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderIssuer {
    text: String,
    is_loopback: bool,
}

impl ProviderIssuer {
    /// Parses it: https, or http on this machine's loopback; neither query nor fragment nor user (OpenID Connect Discovery §3).
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && has_no_user(&url);
        let fits = text.len() <= 512 && is_plain && (url.scheme() == "https" || is_loopback_http(&url));
        fits.then(|| Self { text: text.to_owned(), is_loopback: url.scheme() == "http" })
    }

    /// The URL as it stands in the configuration and has to stand in documents and tokens.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its discovery document is (OpenID Connect Discovery §4.1).
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.text.trim_end_matches('/'))
    }

    /// An endpoint that this provider names: https, or http on the loopback where the provider itself is there (T14).
    pub fn endpoint(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(has_no_user)?;
        let is_good = url.scheme() == "https" || (self.is_loopback && is_loopback_http(&url));
        (is_good && text.len() <= 2048 && url.fragment().is_none()).then_some(url)
    }
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

fn is_loopback_http(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

/// The secret that we show a provider's token endpoint. Redacted in `Debug`, no `Display`, wiped on drop.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// The secret.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the token endpoint.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// The algorithms that an ID token may be signed with, unless fewer are configured. None with a shared secret: where a
/// public key is taken for one, any attacker can make a token (R03).
pub const ALGORITHMS: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];

/// A provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in our paths.
    pub name: ProviderName,
    /// The text for a page's button.
    pub label: String,
    /// Its issuer URL.
    pub issuer: ProviderIssuer,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there; `None` for a public client, which has PKCE alone.
    pub client_secret: Option<ClientSecret>,
    /// The scopes that are asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// The algorithms that its ID tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Whether an unknown identity becomes a new user by signing in.
    pub sign_up: bool,
    /// Whose certificates are believed of it, if not those that the system believes.
    pub authorities: Option<Authorities>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_only_https_or_this_machine() {
        for good in [
            "https://a.example",
            "https://a.example/tenant/",
            "http://127.0.0.1:1",
            "http://[::1]:1/x",
            "http://localhost:3",
        ] {
            assert_eq!(ProviderIssuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "http://169.254.169.254",
            "http://localhost.evil.example",
            "ftp://a.example",
            "https://a.example?x=1",
            "https://a.example#x",
            "https://u:p@a.example",
            "file:///etc/passwd",
            "http://127.0.0.1.nip.io",
        ] {
            assert!(ProviderIssuer::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn t14_a_provider_elsewhere_names_no_endpoint_here() {
        let far = ProviderIssuer::parse("https://a.example/tenant/").unwrap();
        assert_eq!(far.discovery(), "https://a.example/tenant/.well-known/openid-configuration");
        assert!(far.endpoint("https://keys.a.example/jwks?x=1").is_some());
        for bad in [
            "http://a.example/jwks",
            "http://127.0.0.1/jwks",
            "http://localhost/x",
            "/jwks",
            "https://u@a.example/x",
            "https://a.example/#x",
        ] {
            assert!(far.endpoint(bad).is_none(), "{bad}");
        }
        let near = ProviderIssuer::parse("http://127.0.0.1:1").unwrap();
        assert!(near.endpoint("http://127.0.0.1:2/jwks").is_some() && near.endpoint("http://10.0.0.1/jwks").is_none());
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", ClientSecret::new("hunter2".to_owned().into())), "ClientSecret(…)");
    }
}

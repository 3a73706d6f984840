//! The mail server, from its URL: `smtps://` is TLS from the first byte (RFC 8314 §3.3), `smtp://` is STARTTLS or nothing
//! (RFC 3207). Unencrypted mail is possible to this machine alone, and only where the URL asks for it.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Port of submission with STARTTLS (RFC 6409), and of submission over TLS (RFC 8314).
const STARTTLS_PORT: u16 = 587;
const TLS_PORT: u16 = 465;

/// Where mail goes, and how.
#[derive(Clone)]
pub struct MailServer {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The protection of the connection.
    pub security: Security,
    /// The issuer's account there.
    pub credentials: Option<MailCredentials>,
}

/// The protection of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS; a server that does not offer it gets no mail.
    StartTls,
    /// Nothing: only to a loopback address.
    DangerousPlain,
}

/// User and password at the mail server. Redacted in `Debug`.
#[derive(Clone)]
pub struct MailCredentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl MailServer {
    /// Parses `smtp://` or `smtps://`, with user and password percent-encoded where there are any. `?tls=none` is understood
    /// for a loopback host alone.
    ///
    /// # Errors
    /// The fault, without any part of the URL: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        let (tls, port) = match url.scheme() {
            "smtps" => (Security::Tls, TLS_PORT),
            "smtp" => (Security::StartTls, STARTTLS_PORT),
            _ => return Err("neither smtp:// nor smtps://".to_owned()),
        };
        // Hosts of schemes that no browser knows are left as they were written.
        let host = url.host_str().ok_or("names no host")?;
        let host = Host::parse(host).map_err(|_| "names no host".to_owned())?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("has a path or a fragment".to_owned());
        }
        let security = match url.query() {
            None => tls,
            Some("tls=none") if tls == Security::StartTls && is_loopback(&host) => Security::DangerousPlain,
            Some("tls=none") => return Err("?tls=none is for smtp:// to a loopback address only".to_owned()),
            Some(_) => return Err("has a query that is not ?tls=none".to_owned()),
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| "user or password is not UTF-8")?;
            Ok::<_, String>(text.into_owned())
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return Err("has only one of user and password".to_owned()),
            (user, Some(password)) => {
                Some(MailCredentials { user: decoded(user)?, password: decoded(password)?.into() })
            }
        };
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port: url.port().unwrap_or(port), security, credentials })
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailServer({}:{}, {:?})", self.host, self.port, self.security)
    }
}

impl fmt::Debug for MailCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCredentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_what_a_url_means() {
        for (text, host, port, security) in [
            ("smtp://mail.example", "mail.example", 587, Security::StartTls),
            ("smtp://Mail.Example:2525/", "mail.example", 2525, Security::StartTls),
            ("smtps://mail.example", "mail.example", 465, Security::Tls),
            ("smtps://[2001:db8::1]:4650", "2001:db8::1", 4650, Security::Tls),
            ("smtp://127.0.0.1", "127.0.0.1", 587, Security::StartTls),
            ("smtp://127.0.0.1:25?tls=none", "127.0.0.1", 25, Security::DangerousPlain),
            ("smtp://localhost:25/?tls=none", "localhost", 25, Security::DangerousPlain),
            ("smtp://[::1]:25?tls=none", "::1", 25, Security::DangerousPlain),
        ] {
            let server = MailServer::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security), "{text}");
            assert!(server.credentials.is_none());
        }
    }

    #[test]
    fn plain_mail_to_another_machine_and_other_urls_are_refused_without_repeating_them() {
        for (text, problem) in [
            ("smtp://mail.example?tls=none", "loopback"),
            ("smtp://10.0.0.1?tls=none", "loopback"),
            ("smtp://localhost.example?tls=none", "loopback"),
            ("smtps://127.0.0.1?tls=none", "loopback"),
            ("smtp://127.0.0.1?tls=opportunistic", "query"),
            ("smtp://127.0.0.1?TLS=none", "query"),
            ("smtp://mail.example/hunter2", "path"),
            ("smtp://hunter2@mail.example", "only one"),
            ("smtp://:hunter2@mail.example", "only one"),
            ("smtp://u:%ffhunter2@mail.example", "UTF-8"),
            ("http://u:hunter2@mail.example", "neither"),
            ("smtp:hunter2", "host"),
            ("hunter2", "URL"),
            ("", "URL"),
        ] {
            let refused = MailServer::parse(text).unwrap_err();
            assert!(refused.contains(problem) && !refused.contains("hunter2"), "{text}: {refused}");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_not_shown() {
        let server = MailServer::parse("smtp://ana%40shop.example:h%2Funter%3A2@mail.example").unwrap();
        assert!(!format!("{server:?}").contains("unter"));
        let credentials = server.credentials.unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("ana@shop.example", "h/unter:2"));
        assert!(!format!("{credentials:?}").contains("unter"));
    }
}

//! The mail server: `mail_url`, `mail_from`, `mail_ca_file`.

use super::error::{ConfigError, SettingSource};
use super::layers::Layers;
use bmap_issuer::mail::mailer::{NoTransport, Smtp};
use bmap_issuer::mail::server::MailServer;
use bmap_protocol::ids::Issuer as IssuerUrl;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::Certificate;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// Where mail goes, and from whom.
#[derive(Clone)]
pub struct MailConfig {
    server: MailServer,
    from: Mailbox,
    extra_ca: Option<Certificate>,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailConfig({:?}, from {})", self.server, self.from)
    }
}

impl MailConfig {
    /// The mail server, to be sent to for an issuer. Connects to nothing.
    ///
    /// # Errors
    /// [`NoTransport`] where no certificate authority is at hand.
    pub fn smtp(&self, issuer: &IssuerUrl) -> Result<Smtp, NoTransport> {
        let host = Url::parse(issuer.as_str()).ok().and_then(|url| Some(url.host_str()?.to_owned()));
        Smtp::new(
            &self.server,
            self.from.clone(),
            self.extra_ca.clone(),
            host.unwrap_or_else(|| "localhost".to_owned()),
        )
    }
}

/// Reads the keys; `None` where no mail server is named.
pub(super) fn read(layers: &Layers) -> Result<Option<MailConfig>, ConfigError> {
    let from = layers.find("mail_from").map(|value| value.parse(mailbox)).transpose()?;
    let extra_ca = layers.find("mail_ca_file").map(|value| value.parse(certificate)).transpose()?;
    let Some(server) = layers.find("mail_url").map(|value| value.parse(MailServer::parse)).transpose()? else {
        return Ok(None);
    };
    let from = from.ok_or(ConfigError::Value {
        key: "mail_from",
        origin: SettingSource::Default,
        problem: "is needed where mail_url is set".to_owned(),
    })?;
    Ok(Some(MailConfig { server, from, extra_ca }))
}

/// An address, with or without a name before it. Its characters are plain: a header's value must not end the header.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    if text.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    text.parse().map_err(|_| "not an address like bmap <no-reply@auth.example>".to_owned())
}

fn certificate(path: &str) -> Result<Certificate, String> {
    let pem = std::fs::read(PathBuf::from(path)).map_err(|cause| format!("{path}: {cause}"))?;
    let holds_one = pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
    let certificate = if holds_one { Certificate::from_pem(&pem).ok() } else { None };
    certificate.ok_or_else(|| format!("{path} holds no certificate in PEM"))
}

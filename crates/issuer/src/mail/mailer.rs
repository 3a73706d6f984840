//! Delivery of a mail to its reader: SMTP (RFC 5321), or the log of a development server.

use super::email::Email;
use super::message::{self, MessageError};
use super::server::{MailServer, Security};
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::MailId;
use bmap_outbound::certificate;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::Code;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::fmt;
use std::time::Duration;

/// Longest that sending one mail may take, from the connection to the server's last word.
pub const SEND_DEADLINE: Duration = Duration::from_secs(45);
/// Longest wait for the server at one step of it.
const STEP_DEADLINE: Duration = Duration::from_secs(20);

/// How a mail gets to its reader.
#[derive(Debug)]
pub enum Mailer {
    /// Into the log: for development, where the log's reader is every recipient.
    Log,
    /// By a mail server.
    Smtp(Box<Smtp>),
}

/// A mail server at hand.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// The issuer's host, for `Message-ID`.
    issuer_host: String,
    deadline: Duration,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smtp(…)")
    }
}

/// Why a mail was not taken.
#[derive(Debug)]
pub enum NotCarried {
    /// It may be, later.
    Later(String),
    /// It never will be.
    Never(String),
}

/// Why a mail server can't be used.
#[derive(Debug)]
pub enum Unreached {
    /// Its certificate does not hold, or it offers no TLS.
    Tls(String),
    /// It does not take the credentials.
    Credentials(String),
    /// Anything else: it is not there, or does not want to talk.
    Server(String),
}

/// The mail server's TLS can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("mail: {0}")]
pub struct NoTransport(#[from] lettre::transport::smtp::Error);

impl Smtp {
    /// A mail server; `extra_ca` is trusted beside the system's authorities. Connects to nothing yet.
    ///
    /// # Errors
    /// [`NoTransport`] where no certificate authority is at hand.
    pub fn new(
        server: &MailServer,
        from: Mailbox,
        extra_ca: Option<Certificate>,
        issuer_host: String,
    ) -> Result<Self, NoTransport> {
        let parameters = || {
            let parameters = TlsParameters::builder(server.host.clone());
            match extra_ca {
                Some(certificate) => parameters.add_root_certificate(certificate).build(),
                None => parameters.build(),
            }
        };
        let tls = match server.security {
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
            Security::DangerousPlain => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port)
            .tls(tls)
            .timeout(Some(STEP_DEADLINE));
        if let Some(credentials) = &server.credentials {
            transport = transport
                .credentials(Credentials::new(credentials.user.clone(), credentials.password.as_str().to_owned()));
        }
        Ok(Self { transport: transport.build(), from, issuer_host, deadline: SEND_DEADLINE })
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Connects, shows the credentials where there are some, and goes.
    ///
    /// # Errors
    /// [`Unreached`], in the words of the server or of this machine.
    pub async fn greet(&self) -> Result<(), Unreached> {
        match tokio::time::timeout(self.deadline, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Unreached::Server("it greets, and goes".to_owned())),
            Ok(Err(error)) => Err(unreached(&error)),
            Err(_) => Err(Unreached::Server(format!("no end within {} s", self.deadline.as_secs()))),
        }
    }

    async fn carry(&self, mail: &Email, id: &MailId, now: UnixTime) -> Result<(), NotCarried> {
        let never = |error: MessageError| NotCarried::Never(error.to_string());
        let message = message::compose(mail, &self.from, id, &self.issuer_host, now).map_err(never)?;
        match tokio::time::timeout(self.deadline, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() && !is_ours(error.status()) => {
                Err(NotCarried::Never(error.to_string()))
            }
            Ok(Err(error)) => Err(NotCarried::Later(error.to_string())),
            Err(_) => Err(NotCarried::Later(format!("no end within {} s", self.deadline.as_secs()))),
        }
    }
}

impl Mailer {
    /// Brings it, or says why not.
    ///
    /// # Errors
    /// [`NotCarried`].
    pub async fn carry(&self, mail: &Email, id: &MailId, now: UnixTime) -> Result<(), NotCarried> {
        match self {
            Mailer::Smtp(smtp) => smtp.carry(mail, id, now).await,
            Mailer::Log => {
                let (email, subject) = (&mail.to, mail.subject);
                match &mail.link {
                    Some(link) => tracing::info!(%email, "development: {subject}: {}", **link),
                    None => tracing::info!(%email, "development: {subject}"),
                }
                Ok(())
            }
        }
    }
}

fn unreached(error: &lettre::transport::smtp::Error) -> Unreached {
    if let Some(fault) = certificate::fault(error) {
        return Unreached::Tls(format!("its certificate {fault}"));
    }
    match error {
        // That a server offers no STARTTLS is the client's own word.
        error if error.is_tls() || error.is_client() => Unreached::Tls(error.to_string()),
        error if is_ours(error.status()) => Unreached::Credentials(error.to_string()),
        error => Unreached::Server(error.to_string()),
    }
}

/// Whether a server that refuses for good speaks of us and not of the mail: wrong or missing credentials, or no TLS (RFC 4954
/// §6, RFC 3207 §4). An operator puts that right, and the mail is still wanted then.
fn is_ours(status: Option<Code>) -> bool {
    status.is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

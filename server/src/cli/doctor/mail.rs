//! Whether mail leaves: the mail server, and the mails that wait for it.

use super::findings::Findings;
use crate::config::Config;
use bmap_issuer::mail::mailer::Unreached;
use bmap_model::clock::UnixTime;
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_store::{Database, Result};

/// A mail that waits for longer was refused several times; the first tries are seconds apart.
const LONG_SECONDS: i64 = 15 * 60;

/// Connects to the mail server, shows it the credentials, and sends nothing.
pub(super) async fn server(config: &Config, found: &mut Findings) {
    let Some(mail) = &config.mail else {
        if !config.development {
            found.good("mail", "mail_url is not set: no user can register, and no link sets a password");
        }
        return;
    };
    // The issuer that mails would name does not matter here.
    let Ok(nobody) = IssuerUrl::parse("http://localhost") else { return };
    let smtp = match mail.smtp(config.issuer.as_ref().unwrap_or(&nobody)) {
        Ok(smtp) => smtp,
        Err(error) => return found.fault("mail", error, "see mail_ca_file, and the system's own authorities"),
    };
    match smtp.greet().await {
        Ok(()) => found.good("mail", format!("{mail:?} answers, and takes the credentials")),
        Err(Unreached::Tls(error)) => {
            found.fault("mail", error, "nothing is sent without TLS that holds: see mail_url, mail_ca_file");
        }
        Err(Unreached::Credentials(error)) => {
            found.fault("mail", error, "it refuses user or password: see mail_url");
        }
        Err(Unreached::Server(error)) => {
            found.fault("mail", error, "see that it runs, and that mail_url and the firewall are right");
        }
    }
}

/// Looks at the mails that wait.
pub(super) async fn outbox(store: &Database, config: &Config, now: UnixTime, found: &mut Findings) -> Result<()> {
    let waiting = store.mail_waiting().await?;
    let Some(oldest) = store.oldest_mail().await? else {
        if config.mail.is_some() {
            found.good("outbox", "no mail waits");
        }
        return Ok(());
    };
    let age = now.seconds().saturating_sub(oldest.seconds());
    let says = format!("{waiting} mails wait, the oldest for {} min", age.div_euclid(60));
    if age > LONG_SECONDS {
        found.warning("outbox", says, "the server's log says why they don't leave: look for \"mail not sent\"");
    } else {
        found.good("outbox", says);
    }
    Ok(())
}

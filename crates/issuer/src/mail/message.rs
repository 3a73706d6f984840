//! A mail as a message of RFC 5322: one part of plain text, and the headers that every program that mails by itself sends.

use super::email::Email;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::MailId;
use lettre::Message;
use lettre::address::AddressError;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, MessageBuilder};
use std::time::{Duration, UNIX_EPOCH};

/// The mail can't be written as a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The library does not take the address.
    #[error("the address can't be written to: {0}")]
    Address(#[from] AddressError),
    /// The library does not take the whole.
    #[error("not a message: {0}")]
    Message(#[from] lettre::error::Error),
}

/// Answered by no machine (RFC 3834 §5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Writes the mail. The same row gives the same `Message-ID` each time it is sent, so that a mail that had to be sent twice
/// can be known as one.
///
/// # Errors
/// [`MessageError`].
pub fn compose(
    mail: &Email,
    from: &Mailbox,
    id: &MailId,
    issuer_host: &str,
    now: UnixTime,
) -> Result<Message, MessageError> {
    // Parsed again by the library: an address is never pasted into a header.
    let to = mail.to.as_str().parse()?;
    let since_1970 = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    let message = MessageBuilder::new()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject)
        .date(UNIX_EPOCH.checked_add(since_1970).unwrap_or(UNIX_EPOCH))
        .message_id(Some(format!("<{}@{issuer_host}>", id.as_str())))
        .header(AutoSubmitted)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    // Letters are ASCII in lines far below 998 bytes. Left to itself the library would break a long link in two (RFC 2045 §6.7).
    let lines = mail.body.replace('\n', "\r\n").into_bytes();
    Ok(message.body(Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::account::email::EmailAddress;
    use bmap_model::account::opaque::{Kind, OpaqueToken};
    use bmap_protocol::ids::Issuer as IssuerUrl;

    #[test]
    fn a_message_has_the_headers_of_a_program_and_its_link_in_one_line() {
        let issuer = IssuerUrl::parse("https://auth.example").unwrap();
        let token = OpaqueToken::from_bytes(Kind::Confirmation, [1; 32]);
        let from: Mailbox = "Places <no-reply@auth.example>".parse().unwrap();
        let id = MailId::from_uuid([1; 16]);
        // Every character that an address may have.
        for to in ["ana@shop.example", "a!#$%&'*+-/=?^_`{|}~b@xn--bcher-kva.example", "root@localhost"] {
            let to = EmailAddress::parse(to).unwrap();
            let mail = Email::confirm_registration(&issuer, to.clone(), &token);
            let message = compose(&mail, &from, &id, "auth.example", UnixTime(1_795_000_000_000)).unwrap();
            let text = String::from_utf8(message.formatted()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            for line in [
                "From: Places <no-reply@auth.example>",
                "Subject: Confirm your email address",
                "Date: Wed, 18 Nov 2026 11:06:40 +0000",
                "Message-ID: <eml_01010101010101010101010101010101@auth.example>",
                "Auto-Submitted: auto-generated",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: 7bit",
                "MIME-Version: 1.0",
            ] {
                assert!(head.lines().any(|known| known == line), "{line} is not in {head}");
            }
            assert!(head.contains(&format!("To: {to}\r\n")), "{head}");
            assert!(body.contains(&format!("\r\n{}\r\n", **mail.link.as_ref().unwrap())), "{body}");
            assert_eq!(message.envelope().to().len(), 1);
        }
    }
}

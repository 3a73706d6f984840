//! The mails: every text that is mailed. Plain text, in lines of at most 76 characters but for links.
//!
//! Nothing in them was written by the caller that caused them, but for an address in its canonical spelling: no caller
//! can have the issuer mail a text of their own to another person.

use bmap_model::account::email::EmailAddress;
use bmap_model::account::key_review::{Given, GivenKey};
use bmap_model::account::opaque::OpaqueToken;
use bmap_model::mail::act::Notice;
use bmap_model::openid::provider_name::ProviderName;
use bmap_model::utc;
use bmap_protocol::ids::Issuer as IssuerUrl;
use std::fmt;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// A mail. Its body holds a secret where it has a link, so `Debug` shows neither.
pub struct Email {
    /// Whom to.
    pub to: EmailAddress,
    /// Its subject.
    pub subject: &'static str,
    /// Its text.
    pub body: Zeroizing<String>,
    /// Its link, for the log of a development server.
    pub link: Option<Zeroizing<String>>,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({:?} to {}, …)", self.subject, self.to)
    }
}

impl Email {
    /// To a registered address that has no account.
    pub fn confirm_registration(issuer: &IssuerUrl, to: EmailAddress, token: &OpaqueToken) -> Self {
        Self::with_link(to, "Confirm your email address", link(issuer, "/auth/confirm", token), |link| {
            format!(
                "This email address was used to register an account at\n\
                 {issuer}\n\n\
                 If it was you, open this link and enter the password that you chose:\n\n\
                 {link}\n\n\
                 The link works for 24 hours and once.\n\n\
                 If it was not you, there is nothing to do: without the link and that\n\
                 password no account begins.\n"
            )
        })
    }

    /// To the owner of an address that a caller wants to register, or to have for another account.
    pub fn address_has_account(issuer: &IssuerUrl, to: EmailAddress) -> Self {
        let body = format!(
            "An account with this email address was requested at\n\
             {issuer}\n\n\
             The address has an account already, and nothing was changed.\n\n\
             If it was you, sign in with the password that you have, or ask for a link\n\
             to set a new one.\n\n\
             If it was not you, there is nothing to do.\n"
        );
        Self { to, subject: "You have an account already", body: body.into(), link: None }
    }

    /// To the owner of an account whose password was forgotten.
    pub fn reset_password(issuer: &IssuerUrl, to: EmailAddress, token: &OpaqueToken) -> Self {
        Self::with_link(to, "Set a new password", link(issuer, "/auth/password/reset", token), |link| {
            format!(
                "A new password was requested for the account with this email\n\
                 address at\n\
                 {issuer}\n\n\
                 If it was you, open this link and choose one:\n\n\
                 {link}\n\n\
                 The link works for one hour and once. Every session of the account ends\n\
                 when the password is set.\n\n\
                 If it was not you, there is nothing to do: your password stays.\n"
            )
        })
    }

    /// To the address that an account is to have.
    pub fn confirm_new_address(issuer: &IssuerUrl, to: EmailAddress, token: &OpaqueToken) -> Self {
        Self::with_link(to, "Confirm your new email address", link(issuer, "/auth/email/confirm", token), |link| {
            format!(
                "This address was requested as the email address of an account at\n\
                 {issuer}\n\n\
                 If it was you, open this link and enter the password of the account:\n\n\
                 {link}\n\n\
                 The link works for 24 hours and once.\n\n\
                 If it was not you, there is nothing to do.\n"
            )
        })
    }

    /// To the address that an account has and is to lose.
    pub fn address_is_to_change(issuer: &IssuerUrl, to: EmailAddress, new: &EmailAddress) -> Self {
        let body = format!(
            "A person who is signed in to your account at\n\
             {issuer}\n\
             and knows its password asked for its email address to be\n\
             {new}\n\n\
             If it was you, open the link that was sent there.\n\n\
             If it was not you, change your password now: that ends the link, and every\n\
             other session.\n"
        );
        Self { to, subject: "Your email address is to change", body: body.into(), link: None }
    }

    /// To the address that an account had.
    pub fn address_has_changed(issuer: &IssuerUrl, to: EmailAddress, new: &EmailAddress) -> Self {
        let body = format!(
            "The email address of your account at\n\
             {issuer}\n\
             is from now on\n\
             {new}\n\n\
             If it was you, there is nothing to do. Mail about the account goes there.\n\n\
             If it was not you, another person knows your password: write at once to\n\
             the operator of that site. Nothing can be set by this address any more.\n"
        );
        Self { to, subject: "Your email address was changed", body: body.into(), link: None }
    }

    /// To the address of an account whose password is another one now.
    pub fn password_has_changed(issuer: &IssuerUrl, to: EmailAddress, keys: &[GivenKey]) -> Self {
        let keys = key_list(keys);
        let body = format!(
            "The password of your account at\n\
             {issuer}\n\
             was changed, and the other sessions of the account have ended.\n\n\
             {keys}\
             If it was you, there is nothing to do.\n\n\
             If it was not you, ask there for a link to set a new password: it comes\n\
             to this address, and ends what another person began.\n"
        );
        Self { to, subject: "Your password was changed", body: body.into(), link: None }
    }

    /// To the address of a user of whom, or by whom, something was done that outlives a session.
    pub fn act(issuer: &IssuerUrl, to: EmailAddress, notice: &Notice) -> Self {
        let (subject, what) = notice.act.told();
        let (at, from) = (utc::time(notice.at.0), from(notice.address));
        let body = format!(
            "At\n\
             {issuer}\n\
             {what}\n\n\
             when  {at}\n\
             from  {from}\n\n\
             It was done by a user who was signed in and had just entered the password\n\
             or signed in with a provider.\n\n\
             If you know of it, there is nothing to do.\n\n\
             If not, ask there for a link to set a new password: that ends every\n\
             session, and shows the API keys that were made, to be revoked. Without a\n\
             password, sign in and revoke the key.\n"
        );
        Self { to, subject, body: body.into(), link: None }
    }

    /// To an address that an admin invited.
    pub fn invitation(issuer: &IssuerUrl, to: EmailAddress, token: &OpaqueToken) -> Self {
        Self::with_link(to, "You are invited", link(issuer, "/auth/invitation", token), |link| {
            format!(
                "You are invited to have an account with this email address at\n\
                 {issuer}\n\n\
                 Open this link and choose a password:\n\n\
                 {link}\n\n\
                 The link works for seven days and once.\n\n\
                 If you do not want an account, there is nothing to do.\n"
            )
        })
    }

    /// To the address of an account that has one more way to sign in.
    pub fn provider_was_linked(issuer: &IssuerUrl, to: EmailAddress, provider: &ProviderName) -> Self {
        let provider = provider.as_str();
        let body = format!(
            "From now on your account at\n\
             {issuer}\n\
             can be signed in to with \"{provider}\" too.\n\n\
             If it was you, there is nothing to do.\n\n\
             If it was not you, sign in, take that link away, and change your password.\n"
        );
        Self { to, subject: "There is a new way to sign in", body: body.into(), link: None }
    }

    fn with_link(
        to: EmailAddress,
        subject: &'static str,
        link: Zeroizing<String>,
        body: impl FnOnce(&str) -> String,
    ) -> Self {
        Self { to, subject, body: body(&link).into(), link: Some(link) }
    }
}

/// The keys to look through. Their names are not in it: a thief chooses them.
fn key_list(keys: &[GivenKey]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let lines: String = keys
        .iter()
        .map(|key| {
            let how = match key.given {
                Given::Made => "made",
                Given::NewSecret => "given a new secret",
            };
            format!("{}\n  {how} {}\n  from {}\n", key.id, utc::time(key.at.0), from(key.address))
        })
        .collect();
    format!(
        "These API keys work on. They were made, or given a new secret, since this\n\
         mailbox last set the password, or since the account began. Revoke those\n\
         that you do not know:\n\n\
         {lines}\n"
    )
}

fn from(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "an address that is not known".to_owned(), |address| address.to_string())
}

fn link(issuer: &IssuerUrl, path: &str, token: &OpaqueToken) -> Zeroizing<String> {
    format!("{issuer}{path}?token={}", *token.reveal()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::account::opaque::Kind;
    use bmap_model::clock::UnixTime;
    use bmap_model::mail::act::Act;
    use bmap_model::role::Role;
    use bmap_model::user::UserName;
    use bmap_protocol::ids::{ApiKeyId, UserId};

    #[test]
    fn emails_are_plain_lines_and_name_their_issuer() {
        let issuer = IssuerUrl::parse("https://auth.example").unwrap();
        let to = || EmailAddress::parse("ana@shop.example").unwrap();
        let address = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().ok();
        let at = UnixTime(1_795_000_000_000);
        let notice = |act| Notice { act, at, address };
        let given = |given| GivenKey {
            id: ApiKeyId::from_uuid([1; 16]),
            name: UserName::parse("website").unwrap(),
            given,
            at,
            address,
        };
        let token = |kind| OpaqueToken::from_bytes(kind, [1; 32]);
        let mails = [
            Email::confirm_registration(&issuer, to(), &token(Kind::Confirmation)),
            Email::address_has_account(&issuer, to()),
            Email::reset_password(&issuer, to(), &token(Kind::PasswordReset)),
            Email::confirm_new_address(&issuer, to(), &token(Kind::EmailChange)),
            Email::address_is_to_change(&issuer, to(), &EmailAddress::parse("new@shop.example").unwrap()),
            Email::address_has_changed(&issuer, to(), &EmailAddress::parse("new@shop.example").unwrap()),
            Email::password_has_changed(&issuer, to(), &[]),
            Email::password_has_changed(&issuer, to(), &[given(Given::Made), given(Given::NewSecret)]),
            Email::invitation(&issuer, to(), &token(Kind::Invitation)),
            Email::act(&issuer, to(), &notice(Act::KeyMade(ApiKeyId::from_uuid([1; 16])))),
            Email::act(&issuer, to(), &notice(Act::RoleGiven { user: UserId::from_uuid([1; 16]), role: Role::Member })),
            Email::provider_was_linked(&issuer, to(), &ProviderName::parse("acme").unwrap()),
        ];
        for mail in mails {
            assert!(mail.body.is_ascii() && mail.body.contains("https://auth.example\n"), "{mail:?}");
            for line in mail.body.lines() {
                let is_link = mail.link.as_ref().is_some_and(|link| link.as_str() == line);
                assert!(is_link || line.len() <= 76, "{line}");
            }
            let links = mail.body.lines().filter(|line| line.contains("token=")).count();
            assert_eq!(links, usize::from(mail.link.is_some()), "{mail:?}");
            assert!(!format!("{mail:?}").contains("token="));
        }
    }
}

//! How often a caller may try (R32, T27): a rate per account and one per address, in tables that never grow.

use crate::error::IssuerError;
use crate::limits::{Allowance, Table};
use bmap_model::account::email::EmailAddress;
use bmap_model::clock::UnixTime;
use bmap_model::mail::budget::Budget;
use bmap_model::network::network;
use bmap_model::session::SessionId;
use std::net::IpAddr;

/// Guesses at one account's password from all networks without an earlier sign-in to it, together.
pub const SIGN_IN_PER_ACCOUNT: Allowance = Allowance { burst: 10, seconds: 30 };
/// Guesses at one account's password from one network, known or not, or in one session. The same for both, so that a caller sees no
/// difference until the budget above is used up from elsewhere.
pub const SIGN_IN_PER_ACCOUNT_AND_NETWORK: Allowance = SIGN_IN_PER_ACCOUNT;
/// Sign-ins from one address, at whatever account.
pub const SIGN_IN_PER_ADDRESS: Allowance = Allowance { burst: 50, seconds: 2 };
/// Mails of one budget to one email address that one network address asks for: fewer in an hour than [`Budget::Registration`] has, so that
/// a caller elsewhere has some left.
pub const MAIL_PER_ACCOUNT: Allowance = Allowance { burst: 3, seconds: 1800 };
/// Mails that are asked for from one address.
pub const MAIL_PER_ADDRESS: Allowance = Allowance { burst: 20, seconds: 60 };
/// Steps of signing in with an OpenID provider from one address; a sign-in has three.
pub const OPENID_PER_ADDRESS: Allowance = Allowance { burst: 150, seconds: 1 };

/// Every limit on accounts.
pub struct Limits {
    sign_in_account: Table,
    sign_in_pair: Table,
    sign_in_address: Table,
    mail_account: Table,
    mail_address: Table,
    openid_address: Table,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits(…)")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_account: Table::new(SIGN_IN_PER_ACCOUNT),
            sign_in_pair: Table::new(SIGN_IN_PER_ACCOUNT_AND_NETWORK),
            sign_in_address: Table::new(SIGN_IN_PER_ADDRESS),
            mail_account: Table::new(MAIL_PER_ACCOUNT),
            mail_address: Table::new(MAIL_PER_ADDRESS),
            openid_address: Table::new(OPENID_PER_ADDRESS),
        }
    }
}

impl Limits {
    /// A guess at the password of an account, whether or not there is one.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn sign_in(&self, email: &EmailAddress, address: IpAddr, now: UnixTime) -> Result<Guess, IssuerError> {
        let from = network(address);
        self.sign_in_address.take(&from, now)?;
        let pair = pair(email, &from);
        self.sign_in_pair.take(&pair, now)?;
        let strangers = self.sign_in_account.count(email.as_str().as_bytes(), now);
        Ok(Guess { pair, if_stranger: strangers.retry_after })
    }

    /// The guess is not looked at: its network is not known, and others have used up what strangers may try.
    pub fn not_looked_at(&self, guess: &Guess) {
        self.sign_in_pair.give_back(&guess.pair);
    }

    /// The guess was right: its caller knows the password and was not guessing. The guesses of strangers before still
    /// count.
    pub fn signed_in(&self, email: &EmailAddress, guess: &Guess) {
        self.sign_in_pair.forget(&guess.pair);
        if guess.if_stranger.is_none() {
            self.sign_in_account.give_back(email.as_str().as_bytes());
        }
    }

    /// A guess at the password of an account by a caller who is signed in to it. The session has a budget of its own: a stranger
    /// takes nothing from it.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn confirm(
        &self,
        email: &EmailAddress,
        session: &SessionId,
        address: IpAddr,
        now: UnixTime,
    ) -> Result<Guess, IssuerError> {
        self.sign_in_address.take(&network(address), now)?;
        let pair = pair(email, session.as_str().as_bytes());
        self.sign_in_pair.take(&pair, now)?;
        // The strangers' budget is not touched, and so not given back.
        Ok(Guess { pair, if_stranger: Some(0) })
    }

    /// A new password was set by a mailed link: earlier guesses were at another one.
    pub fn password_reset(&self, email: &EmailAddress) {
        self.sign_in_account.forget(email.as_str().as_bytes());
    }

    /// A step of signing in with an OpenID provider: each writes a row, or asks the provider something.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn openid(&self, address: IpAddr, now: UnixTime) -> Result<(), IssuerError> {
        self.openid_address.take(&network(address), now)
    }

    /// A registration, or whatever else sends a mail.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn mail(
        &self,
        budget: Budget,
        email: &EmailAddress,
        address: IpAddr,
        now: UnixTime,
    ) -> Result<(), IssuerError> {
        let from = network(address);
        self.mail_address.take(&from, now)?;
        // A budget's name ends where nothing of an address can begin, and networks have one length for each kind.
        self.mail_account.take(&[budget.name(), email.as_str().as_bytes(), b"\n", &from].concat(), now)
    }
}

/// A guess that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    pair: Vec<u8>,
    /// Where strangers have used up their budget: the seconds that one of them waits. A caller from a network that is known is
    /// let in nevertheless.
    pub if_stranger: Option<u32>,
}

/// An account and where it is tried from. No address holds a line end, and networks and session ids have one length each.
fn pair(email: &EmailAddress, from: &[u8]) -> Vec<u8> {
    [email.as_str().as_bytes(), b"\n", from].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_000_000_000);

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    /// The seconds that a caller from a network that is not known waits.
    fn limited(result: Result<Guess, IssuerError>) -> Option<u32> {
        match result {
            Ok(guess) => guess.if_stranger,
            Err(IssuerError::RateLimited { retry_after }) => Some(retry_after),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn r32_other_spellings_and_other_addresses_are_one_counter() {
        let limits = Limits::default();
        let spellings = ["alice@x.example", "Alice@X.example", " alice@x.example", "ａlice@x.example"];
        for attempt in 0..SIGN_IN_PER_ACCOUNT.burst {
            let spelling = spellings[usize::try_from(attempt).unwrap() % spellings.len()];
            let address = format!("2001:db8:{attempt:x}::1").parse().unwrap();
            assert_eq!(limited(limits.sign_in(&email(spelling), address, NOW)), None, "{attempt}");
        }
        let elsewhere = "203.0.113.9".parse().unwrap();
        assert_eq!(limited(limits.sign_in(&email("ALICE@x.example"), elsewhere, NOW)), Some(30));
        // A sign-in gives back its own share and not the strangers'.
        let later = NOW.plus_seconds(30);
        let good = limits.sign_in(&email("alice@X.example"), elsewhere, later).unwrap();
        limits.signed_in(&email("alice@X.example"), &good);
        assert_eq!(limited(limits.sign_in(&email("alice@x.example"), elsewhere, later)), None);
        assert_eq!(limited(limits.sign_in(&email("alice@x.example"), elsewhere, later)), Some(30));
        limits.password_reset(&email("alice@x.example"));
        assert_eq!(limited(limits.sign_in(&email("alice@x.example"), elsewhere, later)), None);
    }

    #[test]
    fn o13_one_network_and_one_session_have_a_bounded_number_of_guesses() {
        let limits = Limits::default();
        let (alice, here) = (email("alice@x.example"), "203.0.113.9".parse().unwrap());
        for _ in 0..SIGN_IN_PER_ACCOUNT_AND_NETWORK.burst {
            limits.sign_in(&alice, here, NOW).unwrap();
        }
        assert!(limits.sign_in(&alice, here, NOW).is_err(), "known or not: it looks alike from one network");
        let session = SessionId::from_uuid([7; 16]);
        for _ in 0..SIGN_IN_PER_ACCOUNT_AND_NETWORK.burst {
            limits.confirm(&alice, &session, here, NOW).unwrap();
        }
        assert!(limits.confirm(&alice, &session, here, NOW).is_err());
        // A stranger's refused guesses take nothing from a network that turns out not to be known.
        let elsewhere = "203.0.113.10".parse().unwrap();
        for _ in 0..SIGN_IN_PER_ACCOUNT_AND_NETWORK.burst + 1 {
            let guess = limits.sign_in(&alice, elsewhere, NOW).unwrap();
            assert_eq!(guess.if_stranger, Some(30));
            limits.not_looked_at(&guess);
        }
    }

    #[test]
    fn r32_a_network_of_64_bits_is_one_caller() {
        let limits = Limits::default();
        let guess = |number: u32, address: String| {
            limited(limits.sign_in(&email(&format!("a{number}@x.example")), address.parse().unwrap(), NOW))
        };
        for number in 0..SIGN_IN_PER_ADDRESS.burst {
            assert_eq!(guess(number, format!("2001:db8:0:7:{number:x}::1")), None);
        }
        assert_eq!(guess(100, "2001:db8:0:7:ffff::9".to_owned()), Some(2));
        assert_eq!(guess(101, "2001:db8:0:8::1".to_owned()), None);
        for number in 0..SIGN_IN_PER_ADDRESS.burst {
            assert_eq!(guess(200 + number, "203.0.113.9".to_owned()), None);
        }
        assert_eq!(guess(300, "::ffff:203.0.113.9".to_owned()), Some(2));
    }
}

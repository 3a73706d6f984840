//! How often somebody may try (R32, T27): a rate per account and one per address, in tables that never grow.

use super::email::EmailAddress;
use crate::clock::UnixMillis;
use crate::domain::limits::{Rate, Table, network};
use crate::domain::refusal::Refusal;
use crate::mail::budget::Budget;
use std::net::IpAddr;

/// Guesses at one account's password, from wherever.
pub const SIGN_IN_PER_ACCOUNT: Rate = Rate { burst: 10, seconds: 30 };
/// Sign-ins from one address, at whatever account.
pub const SIGN_IN_PER_ADDRESS: Rate = Rate { burst: 50, seconds: 2 };
/// Mails of one budget that are asked for to one address from one: nobody uses up what somebody elsewhere may ask for.
pub const MAIL_PER_ACCOUNT: Rate = Rate { burst: 3, seconds: 600 };
/// Mails that are asked for from one address.
pub const MAIL_PER_ADDRESS: Rate = Rate { burst: 20, seconds: 60 };
/// Steps of signing in with an OpenID provider from one address; a sign-in has three.
pub const OPENID_PER_ADDRESS: Rate = Rate { burst: 150, seconds: 1 };

/// Every limit on accounts.
pub struct Limits {
    sign_in_account: Table,
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
    /// [`Refusal::RateLimited`].
    pub fn sign_in(&self, email: &EmailAddress, address: IpAddr, now: UnixMillis) -> Result<(), Refusal> {
        self.sign_in_address.take(&network(address), now)?;
        self.sign_in_account.take(email.as_str().as_bytes(), now)
    }

    /// The guess was right: whoever knows the password has not been guessing.
    pub fn signed_in(&self, email: &EmailAddress) {
        self.sign_in_account.forget(email.as_str().as_bytes());
    }

    /// A step of signing in with an OpenID provider: each writes a row, or asks the provider something.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn openid(&self, address: IpAddr, now: UnixMillis) -> Result<(), Refusal> {
        self.openid_address.take(&network(address), now)
    }

    /// A registration, or whatever else sends a mail.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn mail(&self, budget: Budget, email: &EmailAddress, address: IpAddr, now: UnixMillis) -> Result<(), Refusal> {
        let from = network(address);
        self.mail_address.take(&from, now)?;
        // A budget's name ends where nothing of an address can begin, and networks have one length for each kind.
        self.mail_account.take(&[budget.name(), email.as_str().as_bytes(), b"\n", &from].concat(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn limited(result: Result<(), Refusal>) -> Option<u32> {
        match result {
            Ok(()) => None,
            Err(Refusal::RateLimited { retry_after }) => Some(retry_after),
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
        limits.signed_in(&email("alice@X.example"));
        assert_eq!(limited(limits.sign_in(&email("ALICE@x.example"), elsewhere, NOW)), None);
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

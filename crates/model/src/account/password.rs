//! Passwords: presented ones, stored ones, and the one function between them (Argon2id, RFC 9106).

use super::email::EmailAddress;
pub use super::plain_password::{MAX_PASSWORD, MIN_PASSWORD, PlainPassword};
use crate::roots::Roots;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, AssociatedData, Block, Params, ParamsBuilder, Version};
use bmap_protocol::keys::Pepper;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The work of computing a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB, while the hash is computed.
    pub memory: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes of it that could be filled at the same time.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// OWASP's choice for Argon2id: 19 MiB, two passes, one lane. No setting changes it; tests of other things take less.
    fn default() -> Self {
        Self { memory: 19_456, passes: 2, lanes: 1 }
    }
}

/// Length of a hash, in bytes.
const TAG: usize = 32;
/// The most that a stored hash may ask for, far above [`PasswordCost::default`]: a row that asks for more was edited (R41).
const MAX_COST: (u32, u32, u32) = (65_536, 10, 4);

/// Which form of a password a stored hash is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Of none: it is another password.
    No,
    /// Of the one form of new hashes.
    Usual,
    /// Of the text as it was typed, as hashes were before passwords had one form.
    AsTyped,
}

impl Match {
    /// Whether the password is the stored one.
    pub const fn holds(self) -> bool {
        !matches!(self, Match::No)
    }
}

/// A hash as it is stored: a PHC string, and the epoch of its pepper.
#[derive(Clone)]
pub struct StoredPassword {
    /// The PHC string.
    pub phc: String,
    /// The epoch of the root whose pepper was its secret.
    pub epoch: u32,
}

impl StoredPassword {
    /// The stored password of an account whose password was forgotten: no password matches it. `epoch` is that of its
    /// seal.
    pub const fn forgotten(epoch: u32) -> Self {
        Self { phc: String::new(), epoch }
    }

    /// Whether it was forgotten.
    pub const fn is_forgotten(&self) -> bool {
        self.phc.is_empty()
    }
}

/// A hash that can't be checked or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// The stored text is no Argon2id hash.
    #[error("the stored text is no Argon2id hash")]
    Form,
    /// The stored hash asks for more than any hash that was made here.
    #[error("the stored hash asks for more memory or time than any that was made here")]
    Cost,
    /// The stored hash is another account's.
    #[error("the stored hash was made for another address")]
    Owner,
    /// The stored hash's pepper is of another root.
    #[error("the stored hash needs the pepper of epoch {epoch}")]
    Epoch {
        /// That root's epoch.
        epoch: u32,
    },
    /// Hashing failed.
    #[error("hashing failed")]
    Hashing,
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredPassword(epoch {}, …)", self.epoch)
    }
}

/// The memory of one hash: 19 MiB, kept from hash to hash. Given back and asked for again each time, they would be left behind
/// in the allocator's arenas, once for every thread that ever hashed (R40).
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(…)")
    }
}

/// Hashes passwords with the pepper of the newest epoch, and checks them with the pepper of the epoch that they were hashed in.
#[derive(Debug)]
pub struct Hasher {
    roots: Roots,
    cost: PasswordCost,
}

impl Hasher {
    /// The hasher of the root secrets at hand.
    pub fn new(roots: impl Into<Roots>) -> Self {
        Self { roots: roots.into(), cost: PasswordCost::default() }
    }

    /// The same, for new hashes of another cost.
    #[must_use]
    pub fn with_cost(self, cost: PasswordCost) -> Self {
        Self { cost, ..self }
    }

    /// A hash to check a password against where there is no account, so that an unknown address costs what a known one
    /// costs (R31): a hash of no known password.
    ///
    /// # Errors
    /// [`PasswordFault::Hashing`].
    pub fn decoy(&self, email: &EmailAddress) -> Result<StoredPassword, PasswordFault> {
        let failed = |_| PasswordFault::Hashing;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params(email)?).map_err(|_| PasswordFault::Hashing)?,
            salt: Some(Salt::new(&[0; 16]).map_err(failed)?),
            hash: Some(Output::new(&[0; TAG]).map_err(failed)?),
        };
        Ok(StoredPassword { phc: hash.to_string(), epoch: self.roots.sealing().epoch() })
    }

    /// Whether a hash that was right differs from a new one: by another cost, or the pepper of an older epoch.
    pub fn is_outdated(&self, stored: &StoredPassword) -> bool {
        let hash = PasswordHash::new(&stored.phc).ok();
        let params = hash.and_then(|hash| Params::try_from(&hash).ok());
        let cost = params.map(|params| PasswordCost {
            memory: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        });
        cost != Some(self.cost) || stored.epoch != self.roots.sealing().epoch()
    }

    /// The parameters of a new hash.
    fn params(&self, email: &EmailAddress) -> Result<Params, PasswordFault> {
        let owner = AssociatedData::new(&owner(email)).map_err(|_| PasswordFault::Hashing)?;
        let mut params = ParamsBuilder::new();
        params.m_cost(self.cost.memory).t_cost(self.cost.passes).p_cost(self.cost.lanes).output_len(TAG).data(owner);
        params.build().map_err(|_| PasswordFault::Hashing)
    }

    /// Hashes the password of an address.
    ///
    /// # Errors
    /// [`PasswordFault::Hashing`].
    pub fn hash(
        &self,
        password: &PlainPassword,
        email: &EmailAddress,
        salt: &[u8; 16],
        memory: &mut Memory,
    ) -> Result<StoredPassword, PasswordFault> {
        let params = self.params(email)?;
        let epoch = self.roots.sealing();
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|_| PasswordFault::Hashing)?,
            salt: Some(Salt::new(salt).map_err(|_| PasswordFault::Hashing)?),
            hash: Some(compute(&epoch.pepper(), password, salt, params, memory)?),
        };
        Ok(StoredPassword { phc: hash.to_string(), epoch: epoch.epoch() })
    }

    /// Whether the password is the one stored for the address, in its one form or else as it was typed. Whether a second hash is computed
    /// follows from the typed text alone, so it says nothing about the account (R31). The cost that the row asks for is checked before any of it
    /// is paid (R41), and a hash that an attacker copied from their own row does not match for this address (T13).
    ///
    /// # Errors
    /// [`PasswordFault`] for a row that was not written here.
    pub fn matches(
        &self,
        password: &PlainPassword,
        email: &EmailAddress,
        stored: &StoredPassword,
        memory: &mut Memory,
    ) -> Result<Match, PasswordFault> {
        if stored.is_forgotten() {
            // It costs what another one costs (R31).
            self.matches(password, email, &self.decoy(email)?, memory)?;
            return Ok(Match::No);
        }
        if self.is_of(password, email, stored, memory)? {
            return Ok(Match::Usual);
        }
        match password.as_typed() {
            Some(typed) if self.is_of(&typed, email, stored, memory)? => Ok(Match::AsTyped),
            _ => Ok(Match::No),
        }
    }

    fn is_of(
        &self,
        password: &PlainPassword,
        email: &EmailAddress,
        stored: &StoredPassword,
        memory: &mut Memory,
    ) -> Result<bool, PasswordFault> {
        let epoch = self.roots.of(stored.epoch).ok_or(PasswordFault::Epoch { epoch: stored.epoch })?;
        let hash = PasswordHash::new(&stored.phc).map_err(|_| PasswordFault::Form)?;
        let is_ours = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
        let (true, Some(salt), Some(tag)) = (is_ours, hash.salt, hash.hash) else { return Err(PasswordFault::Form) };
        if tag.len() != TAG {
            return Err(PasswordFault::Form);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordFault::Form)?;
        if params.m_cost() > MAX_COST.0 || params.t_cost() > MAX_COST.1 || params.p_cost() > MAX_COST.2 {
            return Err(PasswordFault::Cost);
        }
        if params.data() != owner(email) {
            return Err(PasswordFault::Owner);
        }
        // Outputs are compared in constant time.
        Ok(compute(&epoch.pepper(), password, salt.as_ref(), params, memory)? == tag)
    }
}

fn compute(
    pepper: &Pepper,
    password: &PlainPassword,
    salt: &[u8],
    params: Params,
    memory: &mut Memory,
) -> Result<Output, PasswordFault> {
    let failed = |_| PasswordFault::Hashing;
    memory.0.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new_with_secret(pepper.expose(), Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = Zeroizing::new([0; TAG]);
    let computed = argon2.map_err(failed)?.hash_password_into_with_memory(
        password.bytes(),
        salt,
        tag.as_mut_slice(),
        &mut memory.0,
    );
    computed.map_err(failed)?;
    Output::new(tag.as_slice()).map_err(|_| PasswordFault::Hashing)
}

/// Whose hash it is: Argon2's associated data, which goes into the hash and stands in its text.
fn owner(email: &EmailAddress) -> [u8; 32] {
    Sha256::new().chain_update(b"bmap/1/password-of\n").chain_update(email.as_str()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;
    use bmap_protocol::keys::RootSecret;

    fn plain(text: &str) -> PlainPassword {
        PlainPassword::presented(text.to_owned().into()).unwrap()
    }

    fn ana() -> EmailAddress {
        EmailAddress::parse("ana@shop.example").unwrap()
    }

    fn hasher(root: u8, epoch: u32) -> Hasher {
        Hasher::new(RootSecret::from_bytes([root; 32]).epoch(epoch))
    }

    #[test]
    fn t12_a_hash_needs_its_pepper() {
        let stored = hasher(7, 1).hash(&plain("correct horse"), &ana(), &[1; 16], &mut Memory::default()).unwrap();
        assert!(stored.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1,data="), "{}", stored.phc);
        assert!(
            hasher(7, 1).matches(&plain("correct horse"), &ana(), &stored, &mut Memory::default()).unwrap().holds()
        );
        assert!(
            !hasher(7, 1).matches(&plain("correct horsf"), &ana(), &stored, &mut Memory::default()).unwrap().holds()
        );
        assert!(
            !hasher(8, 1).matches(&plain("correct horse"), &ana(), &stored, &mut Memory::default()).unwrap().holds(),
            "another root, another pepper"
        );
        let other = hasher(7, 2).matches(&plain("correct horse"), &ana(), &stored, &mut Memory::default());
        assert_eq!(other, Err(PasswordFault::Epoch { epoch: 1 }));
        // Without any secret, as a thief of the database would try it; and with it, as the library itself does it.
        let parsed = PasswordHash::new(&stored.phc).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_err());
        let pepper = RootSecret::from_bytes([7; 32]).epoch(1).pepper();
        let library = Argon2::new_with_secret(pepper.expose(), Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
        library.unwrap().verify_password(b"correct horse", &parsed).unwrap();
        // Memory that was used before makes no difference.
        let mut memory = Memory::default();
        for _ in 0..2 {
            assert!(hasher(7, 1).matches(&plain("correct horse"), &ana(), &stored, &mut memory).unwrap().holds());
            assert!(!hasher(7, 1).matches(&plain("correct horsf"), &ana(), &stored, &mut memory).unwrap().holds());
        }
    }

    #[test]
    fn t13_a_hash_copied_to_another_account_is_not_its_own() {
        let mallory = EmailAddress::parse("mallory@x.example").unwrap();
        let stored = hasher(7, 1).hash(&plain("mallory's own"), &mallory, &[1; 16], &mut Memory::default()).unwrap();
        let copied = hasher(7, 1).matches(&plain("mallory's own"), &ana(), &stored, &mut Memory::default());
        assert_eq!(copied, Err(PasswordFault::Owner));
        // With the name of its owner edited too, it is another hash.
        let decoy = hasher(7, 1).decoy(&ana()).unwrap();
        let data = |phc: &str| phc.split("data=").nth(1).unwrap().split('$').next().unwrap().to_owned();
        let phc = stored.phc.replace(&data(&stored.phc), &data(&decoy.phc));
        let edited = StoredPassword { phc, epoch: 1 };
        assert_eq!(
            hasher(7, 1).matches(&plain("mallory's own"), &ana(), &edited, &mut Memory::default()),
            Ok(Match::No)
        );
    }

    #[test]
    fn r31_the_decoy_costs_what_a_new_hash_costs_and_is_nobodys() {
        let stored = hasher(7, 1).hash(&plain("correct horse"), &ana(), &[1; 16], &mut Memory::default()).unwrap();
        let params = |phc: &str| Params::try_from(&PasswordHash::new(phc).unwrap()).unwrap();
        let decoy = hasher(7, 1).decoy(&ana()).unwrap();
        assert_eq!(params(&stored.phc), params(&decoy.phc));
        assert_eq!(hasher(7, 1).matches(&plain(""), &ana(), &decoy, &mut Memory::default()), Ok(Match::No));
    }

    #[test]
    fn no_password_fits_one_that_was_forgotten() {
        let forgotten = StoredPassword::forgotten(1);
        assert!(forgotten.is_forgotten() && !hasher(7, 1).decoy(&ana()).unwrap().is_forgotten());
        for text in ["", "correct horse"] {
            assert_eq!(hasher(7, 2).matches(&plain(text), &ana(), &forgotten, &mut Memory::default()), Ok(Match::No));
        }
    }

    #[test]
    fn r41_a_stored_hash_is_looked_at_before_it_is_computed() {
        let stored = hasher(7, 1).hash(&plain("correct horse"), &ana(), &[1; 16], &mut Memory::default()).unwrap();
        let with = |cost: &str| stored.phc.replace("m=19456,t=2,p=1", cost);
        for (phc, fault) in [
            (with("m=4194304,t=2,p=1"), PasswordFault::Cost),
            (with("m=4294967295,t=1,p=1"), PasswordFault::Cost),
            (with("m=19456,t=4294967295,p=1"), PasswordFault::Cost),
            (with("m=19456,t=2,p=5"), PasswordFault::Cost),
            (stored.phc.replace("argon2id", "argon2d"), PasswordFault::Form),
            (stored.phc.replace("v=19", "v=16"), PasswordFault::Form),
            (stored.phc[..stored.phc.len() - 20].to_owned(), PasswordFault::Form),
            ("plaintext".to_owned(), PasswordFault::Form),
        ] {
            let row = StoredPassword { phc: phc.clone(), epoch: 1 };
            assert_eq!(
                hasher(7, 1).matches(&plain("correct horse"), &ana(), &row, &mut Memory::default()),
                Err(fault),
                "{phc}"
            );
        }
    }

    #[test]
    fn a_hash_of_another_cost_or_epoch_is_outdated() {
        let stored = hasher(7, 2).decoy(&ana()).unwrap();
        assert!(!hasher(7, 2).is_outdated(&stored));
        assert!(hasher(7, 3).is_outdated(&stored));
        let cheaper = StoredPassword { phc: stored.phc.replace("m=19456,t=2", "m=9728,t=1"), ..stored };
        assert!(hasher(7, 2).is_outdated(&cheaper));
    }

    #[test]
    fn lengths_and_strength() {
        assert!(PlainPassword::presented("x".repeat(256).into()).is_some());
        assert!(PlainPassword::presented("x".repeat(257).into()).is_none());
        // Composed it is what counts: 256 bytes, typed in 384.
        assert!(PlainPassword::presented("e\u{301}".repeat(128).into()).is_some());
        assert!(PlainPassword::presented("e\u{301}".repeat(129).into()).is_none());
        assert!(plain("tab\tbetween words").fit_to_set(&[]).unwrap_err().contains("control"));
        assert_eq!(plain("Xk3!pQz").fit_to_set(&[]).unwrap_err(), "Use at least 8 characters.");
        for weak in ["password", "12345678", "qwertyuiop", "aaaaaaaaaaaaaaaa", "ana@shop.example"] {
            let advice = plain(weak).fit_to_set(&["ana@shop.example"]).unwrap_err();
            assert!(advice.ends_with('.') && (weak == "password" || !advice.contains(weak)), "{weak}: {advice}");
        }
        for good in ["correct horse battery", "Tr0ub4dor&3-x", &"x7!Kq".repeat(50)] {
            assert_eq!(plain(good).fit_to_set(&["ana@shop.example"]), Ok(()), "{good}");
        }
        assert_eq!(format!("{:?}", plain("hunter2")), "PlainPassword(…)");
        assert!(!format!("{:?}", hasher(7, 1).decoy(&ana()).unwrap()).contains("argon2"));
    }

    #[test]
    fn u07_one_form_whichever_way_it_was_typed() {
        let composed = "caf\u{e9} au lait 49";
        let stored = hasher(7, 1).hash(&plain(composed), &ana(), &[1; 16], &mut Memory::default()).unwrap();
        let matches = |typed: &str, stored: &StoredPassword| {
            hasher(7, 1).matches(&plain(typed), &ana(), stored, &mut Memory::default()).unwrap()
        };
        for typed in [composed, "cafe\u{301} au lait 49", "caf\u{e9}\u{a0}au\u{3000}lait\u{2009}49"] {
            assert_eq!(matches(typed, &stored), Match::Usual, "{typed}");
        }
        for other in ["cafe au lait 49", "CAF\u{c9} au lait 49", "caf\u{e9}  au lait 49", "\u{ff43}af\u{e9} au lait 49"]
        {
            assert_eq!(matches(other, &stored), Match::No, "{other}");
        }
        // A password that was hashed as it was typed matches that spelling and no other.
        let decomposed = plain("cafe\u{301} au lait 49").as_typed().unwrap();
        let former = hasher(7, 1).hash(&decomposed, &ana(), &[1; 16], &mut Memory::default()).unwrap();
        assert_eq!(matches("cafe\u{301} au lait 49", &former), Match::AsTyped);
        assert_eq!(matches(composed, &former), Match::No);
        let with_tab = hasher(7, 1).hash(&plain("tab\tbetween"), &ana(), &[1; 16], &mut Memory::default()).unwrap();
        assert_eq!(matches("tab\tbetween", &with_tab), Match::Usual);
        assert!(plain(composed).as_typed().is_none());
    }
}

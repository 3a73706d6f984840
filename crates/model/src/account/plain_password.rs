//! Passwords as callers present them, in one form, and the rule for new ones.

use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Shortest password, in bytes.
pub const MIN_PASSWORD: usize = 8;
/// Longest password, in bytes: it bounds the work that a caller can cause (T27).
pub const MAX_PASSWORD: usize = 256;

/// Longest text that is looked at: composing shortens a text to a third at most.
const MAX_TYPED: usize = 3 * MAX_PASSWORD;

/// A password that a caller presents, in the one form that is hashed (RFC 8265 §4.2, OpaqueString): composed (NFC), with every space as
/// U+0020. A keyboard that types an accent as a character of its own so gives the same password. Redacted in `Debug`, wiped on drop.
pub struct PlainPassword {
    text: Zeroizing<String>,
    /// As it was typed, where that differs.
    typed: Option<Zeroizing<String>>,
}

impl PlainPassword {
    /// A password that a caller presents: anything up to the longest one. Whether it is long enough and may be set is asked when it is set.
    pub fn presented(typed: Zeroizing<String>) -> Option<Self> {
        if typed.len() > MAX_TYPED {
            return None;
        }
        // The space that it can need at most: it does not move, so no copy is left behind.
        let mut text = Zeroizing::new(String::with_capacity(typed.len().saturating_mul(3)));
        text.extend(typed.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc());
        let typed = (*typed != *text).then_some(typed);
        (text.len() <= MAX_PASSWORD).then_some(Self { text, typed })
    }

    /// The password as it was typed, where that is not its one form and could have been set before there was one.
    pub fn as_typed(&self) -> Option<Self> {
        let typed = self.typed.as_ref().filter(|typed| typed.len() <= MAX_PASSWORD)?;
        Some(Self { text: typed.clone(), typed: None })
    }

    /// Whether it may become a user's password: 8 bytes, no control characters (RFC 8265 §4.2.2), and not among the first that a guesser tries
    /// (a zxcvbn score of 2 or more; below that, fewer than 10^6 guesses). `known` are texts that a guesser knows too. Costs milliseconds: for
    /// [`pool`](bmap_issuer::account::pool).
    ///
    /// # Errors
    /// A sentence for the person who chose it; it holds no part of the password.
    pub fn fit_to_set(&self, known: &[&str]) -> Result<(), String> {
        if self.text.chars().any(char::is_control) {
            return Err("Use no control characters, such as tabs or line ends.".to_owned());
        }
        if self.text.len() < MIN_PASSWORD {
            return Err(format!("Use at least {MIN_PASSWORD} characters."));
        }
        let strength = zxcvbn::zxcvbn(&self.text, known);
        if strength.score() >= zxcvbn::Score::Two {
            return Ok(());
        }
        let feedback = strength.feedback();
        let warning = feedback.and_then(|feedback| feedback.warning()).map(|warning| warning.to_string());
        let advice = feedback.into_iter().flat_map(|feedback| feedback.suggestions()).map(|advice| advice.to_string());
        Err(warning.into_iter().chain(advice).collect::<Vec<_>>().join(" "))
    }

    /// The bytes that are hashed.
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword(…)")
    }
}

/// A space (Unicode category Zs).
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

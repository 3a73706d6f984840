//! Counts and measures of the use cases: tokens, password hashes, mails. The process that installs a recorder sees them; without one every
//! call here does nothing.

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use std::time::Duration;

const MAILS: &str = "bmap_mails_total";
const MAILS_QUEUED: &str = "bmap_mails_queued_total";
const PASSWORD_SECONDS: &str = "bmap_password_hash_duration_seconds";
const TOKENS: &str = "bmap_tokens_minted_total";

/// Describes them to the recorder of the process.
pub fn describe() {
    describe_counter!(TOKENS, "Tool tokens, by assurance.");
    describe_histogram!(PASSWORD_SECONDS, Unit::Seconds, "Time of hashing a password, without the wait for a worker.");
    describe_counter!(MAILS_QUEUED, "Mails that were written down to be sent.");
    describe_counter!(MAILS, "What became of mails, by outcome; each failed try is one \"retried\".");
}

/// A tool token was minted.
pub fn minted(assurance: &'static str) {
    counter!(TOKENS, "assurance" => assurance).increment(1);
}

/// A password was hashed.
pub fn hashed(took: Duration) {
    histogram!(PASSWORD_SECONDS).record(took.as_secs_f64());
}

/// A mail was written down.
pub fn mail_queued() {
    counter!(MAILS_QUEUED).increment(1);
}

/// The outcome of a mail, or of a try to send it.
pub fn mail(outcome: &'static str) {
    counter!(MAILS, "outcome" => outcome).increment(1);
}

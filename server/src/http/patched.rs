//! Members of a change: left out, `null`, or a value.

use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::invalid;
use serde::{Deserialize, Deserializer};

/// A member that is there, also as `null`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The value of a member that may be left out and may not be `null`.
///
/// # Errors
/// [`IssuerError::Invalid`] for `null`.
pub(crate) fn not_null<T>(field: &'static str, value: Option<Option<T>>) -> Result<Option<T>, IssuerError> {
    match value {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(invalid(field, "left out, or not null")),
    }
}

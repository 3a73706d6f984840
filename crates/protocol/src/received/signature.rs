//! The member of `Signature` that has the label of our `Signature-Input` member.

use super::fault::{MAX_SIGNATURE_HEADER, MAX_SIGNATURES, SignatureFault};
use crate::byte_members::ByteMembers;
use crate::fields::{Field, Fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Finds the signature of `label`; its length in `into`.
pub(super) fn of_label(
    fields: &Fields<'_>,
    label: &str,
    fast: bool,
    into: &mut [u8; 64],
) -> Result<usize, SignatureFault> {
    // The one form that our own SDK sends needs no dictionary parser and no heap.
    if fast
        && let Field::Once(line) = fields.signature
        && let Some(length) = single_signature(line.as_bytes(), label, into)
    {
        return Ok(length);
    }
    let (mut found, mut count, mut size) = (None, 0_usize, 0_usize);
    let mut members = ByteMembers::new(|name: &str, bytes: Vec<u8>| {
        count = count.saturating_add(1);
        if name == label {
            into.get_mut(..bytes.len()).ok_or(())?.copy_from_slice(&bytes);
            if found.replace(bytes.len()).is_some() {
                return Err(());
            }
        }
        if count > MAX_SIGNATURES { Err(()) } else { Ok(()) }
    });
    for line in fields.all().get_all("signature") {
        size = size.saturating_add(line.len());
        if size > MAX_SIGNATURE_HEADER {
            return Err(SignatureFault::TooLarge);
        }
        members.read(line.as_bytes()).map_err(|()| SignatureFault::NoSignature)?;
    }
    found.ok_or(SignatureFault::NoSignature)
}

/// `label=:…:` with 44 or 88 characters, as 32 and 64 bytes have them, and nothing else.
fn single_signature(line: &[u8], label: &str, into: &mut [u8; 64]) -> Option<usize> {
    let encoded = line.strip_prefix(label.as_bytes())?.strip_prefix(b"=:")?.strip_suffix(b":")?;
    if !matches!(encoded.len(), 44 | 88) {
        return None;
    }
    let mut decoded = [0; 66];
    let length = STANDARD.decode_slice(encoded, &mut decoded).ok()?;
    into.get_mut(..length)?.copy_from_slice(decoded.get(..length)?);
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn found(lines: &[&str], fast: bool) -> Result<Vec<u8>, SignatureFault> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("signature", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let mut into = [0; 64];
        of_label(&Fields::of(&headers), "b", fast, &mut into).map(|length| into[..length].to_vec())
    }

    #[test]
    fn the_one_form_of_our_own_sdk_is_read_without_the_dictionary() {
        for length in [32, 64] {
            let mut into = [0; 64];
            let line = format!("b=:{}:", STANDARD.encode(vec![7; length]));
            assert_eq!(single_signature(line.as_bytes(), "b", &mut into), Some(length));
            assert!(into[..length].iter().all(|byte| *byte == 7));
            for other in
                [line.replace("b=", "c="), format!("{line} "), line.replace("=:", ":"), format!("{line}, c=:AA==:")]
            {
                assert_eq!(single_signature(other.as_bytes(), "b", &mut into), None, "{other}");
            }
        }
        for length in [0, 30, 34, 63, 65] {
            let line = format!("b=:{}:", STANDARD.encode(vec![7; length]));
            assert_eq!(single_signature(line.as_bytes(), "b", &mut [0; 64]), None, "{length}");
        }
    }

    #[test]
    fn the_bounds_on_members_and_bytes_are_exact() {
        let ours = format!("b=:{}:", STANDARD.encode([7; 32]));
        let with =
            |others: usize| format!("{ours}{}", (0..others).map(|at| format!(", c{at}=:AA==:")).collect::<String>());
        for fast in [true, false] {
            assert_eq!(found(&[&with(MAX_SIGNATURES - 1)], fast).unwrap(), [7; 32]);
            assert_eq!(found(&[&with(MAX_SIGNATURES)], fast), Err(SignatureFault::NoSignature));
            let filled = |bytes: usize| format!("{}{ours}", " ".repeat(bytes - ours.len()));
            assert_eq!(found(&[&filled(MAX_SIGNATURE_HEADER)], fast).unwrap(), [7; 32]);
            assert_eq!(found(&[&filled(MAX_SIGNATURE_HEADER + 1)], fast), Err(SignatureFault::TooLarge));
            let half = " ".repeat(MAX_SIGNATURE_HEADER / 2);
            assert_eq!(found(&[&half, &half, &ours], fast), Err(SignatureFault::TooLarge));
            assert_eq!(found(&[&format!("{ours}, {ours}")], fast), Err(SignatureFault::NoSignature), "twice");
        }
    }
}

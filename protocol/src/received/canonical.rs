//! `label=("…" "…");created=…;nonce="…";keyid="…";tag="bmap-1"`: one member in RFC 9651's canonical spelling, as our own SDK
//! sends it, without a dictionary parser.
//!
//! Whatever is not exactly that is left to the dictionary parser, which also says what is wrong with it. Where this
//! reads a member, the dictionary parser reads the same one; `tests/properties/canonical.rs` compares them.

use super::Member;
use crate::TAG;
use crate::signature_base::Component;

/// Our one member, or `None`.
pub(super) fn member(line: &[u8]) -> Option<Member<'_>> {
    if line.len() > super::MAX_SIGNATURE_HEADER || !line.is_ascii() {
        return None;
    }
    let line = std::str::from_utf8(line).ok()?;
    let (label, params) = line.split_once('=')?;
    let (first, others) = label.as_bytes().split_first()?;
    if !first.is_ascii_lowercase() || !others.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return None;
    }
    let mut member = Member::new(label);
    member.params = params;
    let mut rest = params.strip_prefix("(\"")?;
    loop {
        let (name, after) = rest.split_once('"')?;
        member.push(Component::from_name(name)?)?;
        if let Some(after) = after.strip_prefix(" \"") {
            rest = after;
        } else {
            rest = after.strip_prefix(')')?;
            break;
        }
    }
    while !rest.is_empty() {
        let (name, value) = rest.strip_prefix(';')?.split_once('=')?;
        rest = match name {
            "created" => number(value, &mut member.created)?,
            "expires" => number(value, &mut member.expires)?,
            "nonce" => text(value, &mut member.nonce)?,
            "keyid" => text(value, &mut member.key_id)?,
            "tag" if !member.ours => {
                let mut tag = None;
                let rest = text(value, &mut tag)?;
                member.ours = tag == Some(TAG);
                rest
            }
            _ => return None,
        };
    }
    member.ours.then_some(member)
}

/// At most 15 digits without a leading zero, once; what comes after them.
fn number<'a>(value: &'a str, into: &mut Option<i64>) -> Option<&'a str> {
    let end = value.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
    let (digits, rest) = value.split_at_checked(end)?;
    if !(1..=15).contains(&digits.len())
        || (digits.starts_with('0') && digits.len() > 1)
        || !matches!(rest.as_bytes(), [] | [b';', ..])
    {
        return None;
    }
    into.replace(digits.parse().ok()?).is_none().then_some(rest)
}

/// A string without escapes, once; what comes after it.
fn text<'a>(value: &'a str, into: &mut Option<&'a str>) -> Option<&'a str> {
    let (text, rest) = value.strip_prefix('"')?.split_once('"')?;
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\') {
        return None;
    }
    into.replace(text).is_none().then_some(rest)
}

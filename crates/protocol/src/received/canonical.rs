//! `label=("…" "…");created=…;nonce="…";keyid="…";tag="bmap-1"`: one member in RFC 9651's canonical spelling, as our own SDK
//! sends it, without a dictionary parser.
//!
//! Whatever is not exactly that is left to the dictionary parser, which also says what is wrong with it. Where this
//! reads a member, the dictionary parser reads the same one; `tests/properties/canonical.rs` compares them.

use super::covered::Covered;
use super::fault::MAX_SIGNATURE_HEADER;
use super::member::{KEY_ID_LENGTH, Member, is_key_id_byte};
use crate::TAG;
use crate::signature_base::Component;

/// Our one member, or `None`.
pub(super) fn member(line: &[u8]) -> Option<Member<'_>> {
    if line.len() > MAX_SIGNATURE_HEADER {
        return None;
    }
    let line = std::str::from_utf8(line).ok()?;
    let end = line.bytes().position(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit()))?;
    let (label, params) = line.split_at_checked(end)?;
    let params = params.strip_prefix('=')?;
    if !label.as_bytes().first()?.is_ascii_lowercase() {
        return None;
    }
    let mut member = Member::new(label, TAG);
    member.params = params;
    let mut rest = components(params, &mut member.covered)?;
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(';')?;
        rest = if let Some(value) = parameter.strip_prefix("created=") {
            number(value, &mut member.created)?
        } else if let Some(value) = parameter.strip_prefix("expires=") {
            number(value, &mut member.expires)?
        } else if let Some(value) = parameter.strip_prefix("nonce=") {
            text(value, &mut member.nonce)?
        } else if let Some(value) = parameter.strip_prefix("keyid=") {
            text(value, &mut member.key_id)?
        } else {
            let after = parameter.strip_prefix("tag=\"")?.strip_prefix(TAG)?.strip_prefix('"')?;
            if std::mem::replace(&mut member.ours, true) {
                return None;
            }
            after
        };
    }
    member.ours.then_some(member)
}

/// The lists that our own SDK signs, and those of the profile's example; each with its places in [`super::covered::NAMED`].
static LISTS: [(&str, Covered); 4] = [
    (r#"("authorization" "@method" "@authority" "@path" "@query")"#, Covered::named(&[4, 0, 1, 2, 3])),
    (
        r#"("authorization" "@method" "@authority" "@path" "@query" "content-type" "content-digest")"#,
        Covered::named(&[4, 0, 1, 2, 3, 5, 6]),
    ),
    (r#"("@method" "@authority" "@path" "@query" "authorization")"#, Covered::named(&[0, 1, 2, 3, 4])),
    (
        r#"("@method" "@authority" "@path" "@query" "authorization" "content-type" "content-digest")"#,
        Covered::named(&[0, 1, 2, 3, 4, 5, 6]),
    ),
];

/// The list of covered components, and the rest after it.
fn components<'a>(params: &'a str, covered: &mut Covered) -> Option<&'a str> {
    for (list, known) in &LISTS {
        if let Some(rest) = params.strip_prefix(list) {
            *covered = *known;
            return Some(rest);
        }
    }
    let mut rest = params.strip_prefix('(')?;
    loop {
        let (name, after) = string(rest)?;
        let start = params.len().checked_sub(rest.len())?.checked_add(1)?;
        covered.push(Component::from_name(name)?, start)?;
        match after.strip_prefix(' ') {
            Some(next) => rest = next,
            None => return after.strip_prefix(')'),
        }
    }
}

/// At most 15 digits without a leading zero, once, and the rest after them.
fn number<'a>(value: &'a str, into: &mut Option<i64>) -> Option<&'a str> {
    let (mut number, mut end) = (0_i64, 0_usize);
    for byte in value.bytes().take_while(u8::is_ascii_digit).take(16) {
        number = number.saturating_mul(10).saturating_add((byte & 0x0f).into());
        end = end.saturating_add(1);
    }
    let (digits, rest) = value.split_at_checked(end)?;
    if !(1..=15).contains(&end) || (digits.starts_with('0') && end > 1) || !matches!(rest.as_bytes(), [] | [b';', ..]) {
        return None;
    }
    into.replace(number).is_none().then_some(rest)
}

/// A string in the grammar of a key id, which a nonce is in too, once, and the rest after it.
fn text<'a>(value: &'a str, into: &mut Option<&'a str>) -> Option<&'a str> {
    let value = value.strip_prefix('"')?;
    let end = value.bytes().position(|b| !is_key_id_byte(b))?;
    let (text, rest) = value.split_at_checked(end).filter(|(text, _)| KEY_ID_LENGTH.contains(&text.len()))?;
    into.replace(text).is_none().then_some(rest.strip_prefix('"')?)
}

/// A string without escapes, and the rest after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.bytes().position(|b| matches!(b, b'"' | b'\\' | 0..b' ' | 0x7f..))?;
    let (inside, rest) = text.split_at_checked(end)?;
    Some((inside, rest.strip_prefix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &str = r#"("@method" "@path");created=1751500000;expires=7;nonce="n-_";keyid="k.1";tag="bmap-1""#;

    #[test]
    fn a_member_in_the_canonical_spelling_is_read() {
        let line = format!("b2={PARAMS}");
        let read = member(line.as_bytes()).unwrap();
        assert_eq!((read.label, read.params, read.ours), ("b2", PARAMS, true));
        assert_eq!((read.created, read.expires), (Some(1_751_500_000), Some(7)));
        assert_eq!((read.nonce, read.key_id), (Some("n-_"), Some("k.1")));
        assert!(read.covered.components(PARAMS).eq([Component::Method, Component::Path]));
    }

    #[test]
    fn what_is_not_exactly_canonical_is_left_to_the_dictionary() {
        for line in [
            format!("2b={PARAMS}"),
            format!("={PARAMS}"),
            format!("B={PARAMS}"),
            format!("b-={PARAMS}"),
            format!("b ={PARAMS}"),
            format!("b={PARAMS} "),
            format!("b={PARAMS};tag=\"bmap-1\""),
            format!("b={PARAMS};created=1"),
            format!("b={PARAMS};other"),
            format!("b={}", PARAMS.replace("bmap-1", "bmap-2")),
            format!("b={}", PARAMS.replace(";tag=\"bmap-1\"", "")),
            format!("b={}", PARAMS.replace("=7", "=07")),
            format!("b={}", PARAMS.replace("=7", "=7.0")),
            format!("b={}", PARAMS.replace("=7", "=-7")),
            format!("b={}", PARAMS.replace("=7", "=")),
            format!("b={}", PARAMS.replace("=7", "=1234567890123456")),
            format!("b={}", PARAMS.replace("k.1", "")),
            format!("b={}", PARAMS.replace("k.1", "k 1")),
            format!("b={}", PARAMS.replace("k.1", &"k".repeat(81))),
            format!("b={}", PARAMS.replace("@path", "@pa\\\"th")),
            "b".to_owned(),
            String::new(),
        ] {
            assert!(member(line.as_bytes()).is_none(), "{line}");
        }
        for (from, to) in [("=7", "=0"), ("=7", "=123456789012345"), ("k.1", &"k".repeat(80))] {
            assert!(member(format!("b={}", PARAMS.replace(from, to)).as_bytes()).is_some(), "{to}");
        }
    }

    #[test]
    fn the_bound_on_length_is_exact() {
        let of = |length: usize| {
            let line = format!("={PARAMS}");
            format!("{}{line}", "b".repeat(length - line.len()))
        };
        assert!(member(of(MAX_SIGNATURE_HEADER).as_bytes()).is_some());
        assert!(member(of(MAX_SIGNATURE_HEADER + 1).as_bytes()).is_none());
        assert!(member(of(MAX_SIGNATURE_HEADER + 2).as_bytes()).is_none());
    }

    #[test]
    fn the_lists_known_by_heart_are_what_they_say() {
        for (list, _) in &LISTS {
            let (mut known, mut read) = (Covered::NONE, Covered::NONE);
            assert_eq!(components(list, &mut known), Some(""));
            let mut after = list.strip_prefix('(').unwrap();
            while let Some((name, next)) = string(after) {
                read.push(Component::from_name(name).unwrap(), 0).unwrap();
                after = next.strip_prefix(' ').unwrap_or(next);
            }
            assert!(known.components(list).eq(read.components(list)), "{list}");
            assert!(known.components(list).all(|component| known.contains(component, list)));
        }
    }
}

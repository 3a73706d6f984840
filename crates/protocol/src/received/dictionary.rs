//! `Signature-Input` by the grammar of `sfv`: every spelling that RFC 9651 allows, and what is wrong with any other.

use super::fault::{MAX_SIGNATURE_HEADER, MAX_SIGNATURES, SignatureFault};
use super::member::Member;
use crate::fields::Fields;
use crate::refusal::Refusal;
use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};
use std::convert::Infallible;

/// The one member with this tag; `None` where no member has it.
pub(super) fn member<'a>(fields: &Fields<'a>, tag: &'static str) -> Result<Option<Member<'a>>, Refusal> {
    let mut members = Members { tag, ..Members::default() };
    let mut size: usize = 0;
    for line in fields.all().get_all("signature-input") {
        let line = line.as_bytes();
        size = size.saturating_add(line.len());
        if size > MAX_SIGNATURE_HEADER {
            return Err(SignatureFault::TooLarge.into());
        }
        Parser::new(line)
            .parse_dictionary_with_visitor(Line { members: &mut members, line })
            .map_err(|_| SignatureFault::Dictionary)?;
    }
    if let Some(fault) = members.fault {
        return Err(fault.into());
    }
    Ok(members.ours)
}

/// All members of all lines.
#[derive(Default)]
struct Members<'a> {
    tag: &'static str,
    current: Option<Member<'a>>,
    ours: Option<Member<'a>>,
    labels: [&'a str; MAX_SIGNATURES],
    count: usize,
    fault: Option<SignatureFault>,
}

/// The members of one line.
struct Line<'s, 'a> {
    members: &'s mut Members<'a>,
    line: &'a [u8],
}

impl<'a> Members<'a> {
    /// Closes the member being read: its value ends before the comma that stands before `end`.
    fn close(&mut self, line: &'a [u8], end: usize) {
        let Some(mut member) = self.current.take() else { return };
        if !member.ours {
            return;
        }
        let start = offset(line, member.label).saturating_add(member.label.len()).saturating_add(1);
        let value = line.get(start..end).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
        let value = value.trim_end_matches([' ', '\t']);
        let value = if end < line.len() { value.strip_suffix(',').unwrap_or_default() } else { value };
        member.params = value.trim_end_matches([' ', '\t']);
        if self.ours.replace(member).is_some() {
            self.fault = Some(SignatureFault::SecondSignature);
        }
    }
}

/// Where `part`, a piece of `line`, begins in it.
fn offset(line: &[u8], part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(line.as_ptr().addr())
}

impl<'a> DictionaryVisitor<'a> for Line<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        let label = key.as_str();
        self.members.close(self.line, offset(self.line, label));
        let seen = self.members.labels.get(..self.members.count).unwrap_or_default().contains(&label);
        if seen {
            self.members.fault = Some(SignatureFault::Dictionary);
        }
        match self.members.labels.get_mut(self.members.count) {
            Some(free) => *free = label,
            None => self.members.fault = Some(SignatureFault::TooLarge),
        }
        self.members.count = self.members.count.saturating_add(1);
        Ok(self.members.current.insert(Member::new(label, self.members.tag)))
    }

    fn finish(self) -> Result<(), Infallible> {
        self.members.close(self.line, self.line.len());
        Ok(())
    }
}

impl<'a> EntryVisitor<'a> for &mut Member<'a> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'a>, Infallible> {
        self.spoil(SignatureFault::Dictionary);
        Ok(NotAList(self))
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Infallible> {
        Ok(self)
    }
}

/// A member that is an item and not a list: no signature, but its tag counts.
struct NotAList<'s, 'a>(&'s mut Member<'a>);

impl<'a> ItemVisitor<'a> for NotAList<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, _: BareItemFromInput<'a>) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        Ok(self.0)
    }
}

impl<'a> InnerListVisitor<'a> for &mut Member<'a> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'a>, Infallible> {
        Ok(CoveredItem(self))
    }

    fn finish(self) -> Result<impl ParameterVisitor<'a>, Infallible> {
        Ok(self)
    }
}

/// One covered component.
struct CoveredItem<'s, 'a>(&'s mut Member<'a>);

impl<'a> ItemVisitor<'a> for CoveredItem<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'a>) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        self.0.cover(&item);
        Ok(self)
    }
}

impl<'a> ParameterVisitor<'a> for CoveredItem<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, _: &'a KeyRef, _: BareItemFromInput<'a>) -> Result<(), Infallible> {
        self.0.spoil(SignatureFault::Component);
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<'a> ParameterVisitor<'a> for &mut Member<'a> {
    type Out = ();
    type Error = Infallible;

    fn parameter(&mut self, name: &'a KeyRef, value: BareItemFromInput<'a>) -> Result<(), Infallible> {
        Member::parameter(self, name.as_str(), &value);
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    const OURS: &str = r#"("@method");created=1;nonce="n";keyid="k";tag="bmap-1""#;
    const FOREIGN: &str = r#"("@path");tag="other""#;

    /// Our member's parameters in these lines.
    fn params(lines: &[&str]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("signature-input", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        member(&Fields::of(&headers), crate::TAG).map(|found| found.map(|member| member.params.to_owned()))
    }

    #[test]
    fn our_members_own_bytes_are_cut_out_wherever_it_stands() {
        for line in [
            format!("b={OURS}"),
            format!("b={OURS}, f={FOREIGN}"),
            format!("f={FOREIGN}, b={OURS}"),
            format!("f={FOREIGN},\tb={OURS}\t, g={FOREIGN}"),
        ] {
            assert_eq!(params(&[&line]), Ok(Some(OURS.to_owned())), "{line}");
        }
        let (foreign, ours) = (format!("f={FOREIGN}"), format!("b={OURS}"));
        assert_eq!(params(&[&foreign, &ours]), Ok(Some(OURS.to_owned())));
        assert_eq!(params(&[&foreign]), Ok(None));
    }

    #[test]
    fn the_bound_on_bytes_is_exact_and_counts_all_lines() {
        let ours = format!("b={OURS}");
        let filled = |bytes: usize| format!("{}{ours}", " ".repeat(bytes - ours.len()));
        assert_eq!(params(&[&filled(MAX_SIGNATURE_HEADER)]), Ok(Some(OURS.to_owned())));
        assert_eq!(params(&[&filled(MAX_SIGNATURE_HEADER + 1)]), Err(SignatureFault::TooLarge.into()));
        assert_eq!(params(&[&filled(MAX_SIGNATURE_HEADER + 2)]), Err(SignatureFault::TooLarge.into()));
        let half = format!("f={FOREIGN}{}", " ".repeat(MAX_SIGNATURE_HEADER - FOREIGN.len() - 2));
        assert_eq!(params(&[&half, &ours]), Err(SignatureFault::TooLarge.into()));
    }
}

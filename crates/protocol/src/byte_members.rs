//! Dictionaries of byte sequences (RFC 9651 §3.2, §3.3.5), as `Signature` and `Content-Digest` are.

use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};
use std::convert::Infallible;

/// A dictionary of byte sequences, as `Signature` and `Content-Digest` are: hands each member to `take`, which may refuse.
pub(crate) struct ByteMembers<F>(F);

impl<F: FnMut(&str, Vec<u8>) -> Result<(), ()>> ByteMembers<F> {
    pub(crate) fn new(take: F) -> Self {
        Self(take)
    }

    pub(crate) fn read(&mut self, line: &[u8]) -> Result<(), ()> {
        let mut refused = false;
        let visitor = ByteLine { take: &mut self.0, refused: &mut refused };
        Parser::new(line).parse_dictionary_with_visitor(visitor).map_err(|_| ())?;
        if refused { Err(()) } else { Ok(()) }
    }
}

struct ByteLine<'s, F> {
    take: &'s mut F,
    refused: &'s mut bool,
}

struct ByteMember<'s, 'a, F> {
    take: &'s mut F,
    refused: &'s mut bool,
    label: &'a str,
}

impl<'a, F: FnMut(&str, Vec<u8>) -> Result<(), ()>> DictionaryVisitor<'a> for ByteLine<'_, F> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        Ok(ByteMember { take: &mut *self.take, refused: &mut *self.refused, label: key.as_str() })
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<'a, F: FnMut(&str, Vec<u8>) -> Result<(), ()>> EntryVisitor<'a> for ByteMember<'_, 'a, F> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'a>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Infallible> {
        *self.refused = true;
        Ok(Ignored)
    }
}

impl<'a, F: FnMut(&str, Vec<u8>) -> Result<(), ()>> ItemVisitor<'a> for ByteMember<'_, 'a, F> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(self, item: BareItemFromInput<'a>) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        let taken = match item {
            BareItemFromInput::ByteSequence(bytes) => (self.take)(self.label, bytes),
            _ => Err(()),
        };
        *self.refused |= taken.is_err();
        Ok(Ignored)
    }
}

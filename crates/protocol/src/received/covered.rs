//! The covered components, in the sender's order.
//!
//! A few bytes for each and not a slice of text, so that a signature that waits for a look-up stays small.

use crate::signature_base::Component;

/// Most components that one signature may cover.
pub const MAX_COMPONENTS: usize = 16;

/// The components that the profile names (§4). The order is this file's own.
pub(super) const NAMED: [Component<'static>; 11] = [
    Component::Method,
    Component::Authority,
    Component::Path,
    Component::Query,
    Component::Header("authorization"),
    Component::Header("content-type"),
    Component::Header("content-digest"),
    Component::Header("content-encoding"),
    Component::Scheme,
    Component::TargetUri,
    Component::RequestTarget,
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    places: [Place; MAX_COMPONENTS],
    count: usize,
    /// A bit for each of [`NAMED`].
    named: u16,
}

/// One component.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Its index in [`NAMED`].
    Named(u8),
    /// Another header: where its name stands in `@signature-params`.
    Other { start: u16, length: u16 },
}

impl Covered {
    pub(super) const NONE: Self = Self { places: [Place::Named(0); MAX_COMPONENTS], count: 0, named: 0 };

    /// Those of [`NAMED`] with these indices.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "for constants: a fault would not compile"
    )]
    pub(super) const fn named(indices: &[u8]) -> Self {
        let mut covered = Self::NONE;
        while covered.count < indices.len() {
            let index = indices[covered.count];
            covered.places[covered.count] = Place::Named(index);
            covered.named |= 1 << index;
            covered.count += 1;
        }
        covered
    }

    /// Adds a component whose name begins at `start`; `None` where there is no room.
    pub(super) fn push(&mut self, component: Component<'_>, start: usize) -> Option<()> {
        let place = match position(component) {
            Some(index) => {
                self.named |= 1_u16.unbounded_shl(index.into());
                Place::Named(index)
            }
            None => Place::Other { start: start.try_into().ok()?, length: component.name().len().try_into().ok()? },
        };
        *self.places.get_mut(self.count)? = place;
        self.count = self.count.saturating_add(1);
        Some(())
    }

    /// Whether a component is covered.
    #[inline(always)] // as above it, in `UnverifiedSignature::covers`
    pub(super) fn contains(&self, component: Component<'_>, params: &str) -> bool {
        match position(component) {
            Some(index) => self.named & 1_u16.unbounded_shl(index.into()) != 0,
            None => self.components(params).any(|covered| covered == component),
        }
    }

    /// Whether each component stands once (RFC 9421 §2).
    pub(super) fn distinct(&self, params: &str) -> bool {
        if usize::try_from(self.named.count_ones()).ok() == Some(self.count) {
            return true;
        }
        let mut components = self.components(params);
        while let Some(component) = components.next() {
            if components.clone().any(|other| other == component) {
                return false;
            }
        }
        true
    }

    /// The components, their names out of the text that they stand in.
    pub(super) fn components<'a>(&self, params: &'a str) -> impl Iterator<Item = Component<'a>> + Clone {
        // A name that is not there is one that no request can have covered.
        let component = move |place| match place {
            Place::Named(index) => NAMED.get(usize::from(index)).copied().unwrap_or(Component::Header("")),
            Place::Other { start, length } => {
                let start = usize::from(start);
                Component::Header(params.get(start..start.saturating_add(length.into())).unwrap_or_default())
            }
        };
        self.places.into_iter().take(self.count).map(component)
    }
}

/// The index in [`NAMED`]. Written out, so that nothing is left of it where the component is known.
#[inline(always)]
fn position(component: Component<'_>) -> Option<u8> {
    Some(match component {
        Component::Method => 0,
        Component::Authority => 1,
        Component::Path => 2,
        Component::Query => 3,
        Component::Header("authorization") => 4,
        Component::Header("content-type") => 5,
        Component::Header("content-digest") => 6,
        Component::Header("content-encoding") => 7,
        Component::Scheme => 8,
        Component::TargetUri => 9,
        Component::RequestTarget => 10,
        Component::Header(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_list() {
        for (index, component) in NAMED.into_iter().enumerate() {
            assert_eq!(position(component).map(usize::from), Some(index));
        }
        assert_eq!(position(Component::Header("date")), None);
    }
}

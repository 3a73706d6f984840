//! Step 5: the components that a signature must cover (profile §4).

use crate::fields::{Fields, override_header};
use crate::received::UnverifiedSignature;
use crate::refusal::Refusal;
use crate::signature_base::Component;

/// Step 5: every required component is covered. `has_body` is the knowledge of the body so far.
///
/// # Errors
/// [`Refusal::Uncovered`] with the first component that is missing, [`Refusal::UncoveredOverride`] for a header that gives the request
/// another meaning and is not covered.
pub fn coverage(
    signature: &UnverifiedSignature<'_>,
    fields: &Fields<'_>,
    has_token: bool,
    has_body: bool,
) -> Result<(), Refusal> {
    covered(signature, "@method", Component::Method)?;
    covered(signature, "@authority", Component::Authority)?;
    covered(signature, "@path", Component::Path)?;
    covered(signature, "@query", Component::Query)?;
    if has_token {
        covered(signature, "authorization", Component::Header("authorization"))?;
    }
    if fields.has_override {
        override_coverage(signature, fields)?;
    }
    if has_body { body_coverage(signature, fields) } else { Ok(()) }
}

/// Step 5 for the body: the components that must be covered where there is one.
///
/// # Errors
/// [`Refusal::Uncovered`].
pub fn body_coverage(signature: &UnverifiedSignature<'_>, fields: &Fields<'_>) -> Result<(), Refusal> {
    covered(signature, "content-digest", Component::Header("content-digest"))?;
    if fields.content_type.is_present() {
        covered(signature, "content-type", Component::Header("content-type"))?;
    }
    if fields.content_encoding.is_present() {
        covered(signature, "content-encoding", Component::Header("content-encoding"))?;
    }
    Ok(())
}

/// Some frameworks take the method or the path from a header: the request then does something else than what its signature says,
/// unless that header is covered in the spelling in which it came (O11).
#[cold]
fn override_coverage(signature: &UnverifiedSignature<'_>, fields: &Fields<'_>) -> Result<(), Refusal> {
    for name in fields.all().keys() {
        if let Some(header) = override_header(name.as_str())
            && !signature.covers(Component::Header(name.as_str()))
        {
            return Err(Refusal::UncoveredOverride { header });
        }
    }
    Ok(())
}

#[inline(always)] // so that nothing but a bit is left of a component of the profile
fn covered(signature: &UnverifiedSignature<'_>, name: &'static str, component: Component<'_>) -> Result<(), Refusal> {
    if signature.covers(component) { Ok(()) } else { Err(Refusal::Uncovered { component: name }) }
}

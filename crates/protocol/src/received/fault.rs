//! Why signature headers are outside the profile, and the bounds on them.

/// Most members of `Signature-Input`: ours and three foreign ones.
pub const MAX_SIGNATURES: usize = 4;
/// Most bytes of all `Signature-Input` lines, and of all `Signature` lines.
pub const MAX_SIGNATURE_HEADER: usize = 4096;

/// Why the signature headers are outside the profile.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Over [`MAX_SIGNATURE_HEADER`] bytes or [`MAX_SIGNATURES`] members.
    #[error("too large, or too many signatures")]
    TooLarge,
    /// Not a dictionary of the right members (RFC 9651 §3.2), or a repeated label.
    #[error("not a dictionary of signatures")]
    Dictionary,
    /// More than one member has our tag.
    #[error("more than one signature with our tag")]
    SecondSignature,
    /// `Signature` has no byte sequence of at most 64 bytes for our label.
    #[error("no usable signature for our label")]
    NoSignature,
    /// A covered component that is repeated, has parameters, or is not in the profile.
    #[error("a covered component is outside the profile")]
    Component,
    /// A parameter that is missing, repeated, of another type, or outside its grammar.
    #[error("parameter {0} is missing, repeated or outside its grammar")]
    Parameter(&'static str),
    /// `alg` is refused: the key says the algorithm.
    #[error("the alg parameter is refused")]
    Algorithm,
}

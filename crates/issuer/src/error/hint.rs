//! What a refusal says to a person beside its code.

use super::IssuerError;
use crate::field_hint::field_hint;
use bmap_store::StoreError;

/// The mode of registration where nothing brings a link to its reader.
const WITHOUT_MAIL: &str = "without mail";

impl IssuerError {
    /// Whether the same call can't succeed later with nothing changed, although its code says so of others.
    pub const fn is_lasting(&self) -> bool {
        matches!(self, IssuerError::NoLinkDelivery)
    }

    /// The refusal of a registration: one without mail is closed, and no outage.
    #[must_use]
    pub fn of_registration(self) -> Self {
        match self {
            IssuerError::NoLinkDelivery => IssuerError::RegistrationClosed { mode: WITHOUT_MAIL },
            refusal => refusal,
        }
    }

    /// A hint for a person beside the code: where a form is wrong, and what would be right.
    pub fn hint(&self) -> Option<&str> {
        match self {
            IssuerError::WeakPassword { hint, .. }
            | IssuerError::Invalid { hint, .. }
            | IssuerError::ToolsDenied { hint } => Some(hint),
            IssuerError::InvalidState { hint }
            | IssuerError::LimitReached { hint }
            | IssuerError::InvalidResource { hint } => Some(hint),
            IssuerError::StepUpRequired | IssuerError::Store(StoreError::StepUp) => {
                Some("POST /auth/step-up, and send its step_up in the header Bmap-Step-Up")
            }
            IssuerError::SignedInAdminOnly => Some("sign in as an admin (POST /auth/login): no API key may do this"),
            IssuerError::OtherClient => Some("a token that was issued to the client that asks"),
            IssuerError::UnsupportedTokenType => {
                Some("the refresh token beside it: a user's access token ends with its session")
            }
            IssuerError::NotOwner => Some("only its owner is given its secret; you may revoke it"),
            IssuerError::RegistrationClosed { mode: "invited" } => {
                Some("ask the operator of this issuer for an invitation")
            }
            IssuerError::RegistrationClosed { mode: WITHOUT_MAIL } => {
                Some("accounts begin with a mailed link, and this issuer sends no mail: its operator sets mail_url")
            }
            IssuerError::NoLinkDelivery => Some("this issuer sends no mail: its operator sets mail_url"),
            IssuerError::RegistrationClosed { .. } => Some("this issuer takes no registrations"),
            refusal => refusal.field().map(|field| field_hint(field).unwrap_or("once, and as the route describes it")),
        }
    }
}

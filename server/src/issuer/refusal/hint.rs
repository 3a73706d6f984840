//! What a refusal says to a person beside its code.

use super::Refusal;
use crate::issuer::field_hint::field_hint;
use crate::store::StoreError;

/// The mode of registration where nothing brings a link to its reader.
const WITHOUT_MAIL: &str = "without mail";

impl Refusal {
    /// Whether the same call can't succeed later with nothing changed, although its code says so of others.
    pub const fn is_lasting(&self) -> bool {
        matches!(self, Refusal::NoLinkDelivery)
    }

    /// The refusal of a registration: one without mail is closed, and no outage.
    #[must_use]
    pub fn of_registration(self) -> Self {
        match self {
            Refusal::NoLinkDelivery => Refusal::RegistrationClosed { mode: WITHOUT_MAIL },
            refusal => refusal,
        }
    }

    /// A hint for a person beside the code: where a form is wrong, and what would be right.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Refusal::WeakPassword { hint, .. } | Refusal::Invalid { hint, .. } | Refusal::ToolsDenied { hint } => {
                Some(hint)
            }
            Refusal::InvalidState { hint } | Refusal::LimitReached { hint } => Some(hint),
            Refusal::StepUpRequired | Refusal::Store(StoreError::StepUp) => {
                Some("POST /auth/step-up, and send its step_up in the header Bmap-Step-Up")
            }
            Refusal::SignedInAdminOnly => Some("sign in as an admin (POST /auth/login): no API key may do this"),
            Refusal::NotOwner => Some("only its owner is given its secret; you may revoke it"),
            Refusal::RegistrationClosed { mode: "invited" } => {
                Some("ask the operator of this issuer for an invitation")
            }
            Refusal::RegistrationClosed { mode: WITHOUT_MAIL } => {
                Some("accounts begin with a mailed link, and this issuer sends no mail: its operator sets mail_url")
            }
            Refusal::NoLinkDelivery => Some("this issuer sends no mail: its operator sets mail_url"),
            Refusal::RegistrationClosed { .. } => Some("this issuer takes no registrations"),
            refusal => refusal.field().map(|field| field_hint(field).unwrap_or("once, and as the route describes it")),
        }
    }
}

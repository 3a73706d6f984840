//! The refusals that follow from errors of the model and the store.

use super::Refusal;
use super::lack::ToolLack;
use crate::model::account::password::PasswordFault;
use crate::model::account::refresh::NotDerived;
use crate::model::account::sealed::SealedRowError;
use crate::model::idempotency::IdempotencyError;
use crate::model::openid::flow::FlowError;
use crate::model::rng::NoRandomness;
use crate::model::row_seal::RowFault;
use crate::model::tool_grant::GrantError;
use crate::store::KeyNotAdded;

impl Refusal {
    /// A sealed row that is not as it was written: an alarm. The caller is told what `like` tells.
    pub const fn edited(what: &'static str, fault: RowFault, like: &'static Refusal) -> Self {
        Refusal::Edited { what, fault, like }
    }
}

impl From<SealedRowError> for Refusal {
    fn from(error: SealedRowError) -> Self {
        match error {
            SealedRowError::Epoch { epoch } => Refusal::BrokenPassword(PasswordFault::Epoch { epoch }),
            SealedRowError::Edited(fault) => Refusal::EditedRow(fault),
            SealedRowError::OtherLink { what } => {
                Refusal::edited(what, RowFault::Edited, &Refusal::UnknownConfirmation)
            }
            SealedRowError::NoRandomness => Refusal::Random(NoRandomness),
            SealedRowError::NotSealed => Refusal::Signing,
        }
    }
}

impl From<NotDerived> for Refusal {
    fn from(NotDerived: NotDerived) -> Self {
        Refusal::Signing
    }
}

impl From<FlowError> for Refusal {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotSealed => Refusal::Signing,
            FlowError::DoesNotOpen => Refusal::UnknownSignIn,
        }
    }
}

impl From<IdempotencyError> for Refusal {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::KeyReused => Refusal::IdempotencyKeyReused,
            IdempotencyError::InProgress => Refusal::RequestInProgress,
            IdempotencyError::OtherSession => Refusal::StepUpRequired,
            IdempotencyError::Edited => Refusal::BrokenAnswer,
            IdempotencyError::NoRandomness => Refusal::Random(NoRandomness),
            IdempotencyError::NotSealed => Refusal::Signing,
        }
    }
}

impl From<GrantError> for Refusal {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NoSuchTool => Refusal::ToolDenied(ToolLack::Tool),
            GrantError::Denied => Refusal::ToolDenied(ToolLack::OwnersGrant),
            GrantError::Edited(fault) => Refusal::edited("a grant", fault, &Refusal::ToolDenied(ToolLack::Edited)),
            GrantError::TwoEnds { hint } => Refusal::Invalid { field: "scopes", hint },
        }
    }
}

impl From<KeyNotAdded> for Refusal {
    fn from(error: KeyNotAdded) -> Self {
        match error {
            KeyNotAdded::Grant(error) => error.into(),
            KeyNotAdded::Store(error) => error.into(),
        }
    }
}

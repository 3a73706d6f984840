//! The refusals that follow from errors of the model and the store.

use super::IssuerError;
use super::lack::ToolLack;
use bmap_model::account::password::PasswordFault;
use bmap_model::account::refresh::NotDerived;
use bmap_model::account::sealed::SealedRowError;
use bmap_model::idempotency::IdempotencyError;
use bmap_model::openid::flow::FlowError;
use bmap_model::rng::NoRandomness;
use bmap_model::row_seal::RowFault;
use bmap_model::tool_grant::GrantError;
use bmap_store::KeyNotAdded;

impl IssuerError {
    /// A sealed row that is not as it was written: an alarm. The caller is told what `like` tells.
    pub const fn edited(what: &'static str, fault: RowFault, like: &'static IssuerError) -> Self {
        IssuerError::Edited { what, fault, like }
    }
}

impl From<SealedRowError> for IssuerError {
    fn from(error: SealedRowError) -> Self {
        match error {
            SealedRowError::Epoch { epoch } => IssuerError::BrokenPassword(PasswordFault::Epoch { epoch }),
            SealedRowError::Edited(fault) => IssuerError::EditedRow(fault),
            SealedRowError::OtherLink { what } => {
                IssuerError::edited(what, RowFault::Edited, &IssuerError::UnknownConfirmation)
            }
            SealedRowError::NoRandomness => IssuerError::Random(NoRandomness),
            SealedRowError::NotSealed => IssuerError::Signing,
        }
    }
}

impl From<NotDerived> for IssuerError {
    fn from(NotDerived: NotDerived) -> Self {
        IssuerError::Signing
    }
}

impl From<FlowError> for IssuerError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotSealed => IssuerError::Signing,
            FlowError::DoesNotOpen => IssuerError::UnknownSignIn,
        }
    }
}

impl From<IdempotencyError> for IssuerError {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::KeyReused => IssuerError::IdempotencyKeyReused,
            IdempotencyError::InProgress => IssuerError::RequestInProgress,
            IdempotencyError::OtherSession => IssuerError::StepUpRequired,
            IdempotencyError::Edited => IssuerError::BrokenAnswer,
            IdempotencyError::NoRandomness => IssuerError::Random(NoRandomness),
            IdempotencyError::NotSealed => IssuerError::Signing,
        }
    }
}

impl From<GrantError> for IssuerError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NoSuchTool => IssuerError::ToolDenied(ToolLack::Tool),
            GrantError::Denied => IssuerError::ToolDenied(ToolLack::OwnersGrant),
            GrantError::Edited(fault) => {
                IssuerError::edited("a grant", fault, &IssuerError::ToolDenied(ToolLack::Edited))
            }
            GrantError::TwoEnds { hint } => IssuerError::Invalid { field: "scopes", hint },
        }
    }
}

impl From<KeyNotAdded> for IssuerError {
    fn from(error: KeyNotAdded) -> Self {
        match error {
            KeyNotAdded::Grant(error) => error.into(),
            KeyNotAdded::Store(error) => error.into(),
        }
    }
}

//! Why the issuer says no: one enum, grouped by whose fault it is, and its one map to the codes of the wire. The fields
//! are for the log.

mod from;
mod hint;
pub mod lack;
#[cfg(test)]
mod tests;

use crate::field_hint::field_of_signed;
use crate::openid::fault::ProviderFault;
use bmap_model::account::password::PasswordFault;
use bmap_model::api_key::BrokenRow;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::job::MailJobError;
use bmap_model::problem_code::ProblemCode;
use bmap_model::rng::NoRandomness;
use bmap_model::row_seal::RowFault;
use bmap_protocol::code::Code;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::seal::SealError;
use bmap_store::StoreError;
use lack::{ScopeLack, ToolLack};

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    // The caller's form.
    /// A field is missing, repeated or outside its grammar.
    #[error("field {field} is missing, repeated or outside its grammar")]
    Malformed {
        /// The field.
        field: &'static str,
    },
    /// A field of a signed-in user's request, and what is wrong with it.
    #[error("field {field}: {hint}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// For a person; never with a secret in it.
        hint: String,
    },
    /// The address of a tool that is not one, or several of them (RFC 8707 §2).
    #[error("resource: {hint}")]
    InvalidResource {
        /// What would be right.
        hint: &'static str,
    },
    /// A grant that the token endpoint doesn't know.
    #[error("unknown grant")]
    UnknownGrant,
    /// A body over the limit.
    #[error("body over the limit")]
    TooLarge,
    /// A body that took too long, or came too slowly.
    #[error("the body took too long")]
    SlowBody,

    /// The path has other methods.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The body is of another media type than the route reads, or says none.
    #[error("the body is of another media type")]
    MediaType,
    /// More header lines than the limit.
    #[error("too many headers")]
    HeadersTooLarge,

    /// A password that a guesser would try early.
    #[error("password too weak")]
    WeakPassword {
        /// The field that it stands in.
        field: &'static str,
        /// Advice for the user who chose it, without any part of it.
        hint: String,
    },

    // The caller's proof.
    /// No credential at all.
    #[error("no credential")]
    NoCredential,
    /// More than one kind of credential.
    #[error("more than one kind of credential")]
    SeveralCredentials,
    /// A malformed credential.
    #[error("not a credential")]
    BadCredential,
    /// There is no such API key.
    #[error("no such API key")]
    UnknownKey,
    /// The secret is another one.
    #[error("wrong secret")]
    WrongSecret,
    /// The key's row is not as it was written: the database was edited by hand.
    #[error("ALARM: the row of an API key does not open: {0}")]
    BrokenRow(#[from] BrokenRow),
    /// The key's life is over.
    #[error("the API key has ended")]
    KeyOver,
    /// At the token endpoint: the ticket, refresh token or subject token does not hold, for the reason inside.
    #[error("grant: {0}")]
    Grant(Box<IssuerError>),
    /// The ticket was never made, was used, or has ended.
    #[error("no such ticket, or used")]
    UnknownTicket,
    /// The signed request was refused.
    #[error("signed request: {0}")]
    Signed(#[from] Refusal),
    /// The subject token is not the one that the request was signed with.
    #[error("the subject token is not the token of the signature")]
    OtherSubject,
    /// The token that is to be revoked was issued to another client.
    #[error("the token was issued to another client")]
    OtherClient,
    /// A token of a kind that is not revoked by itself.
    #[error("a user's access token is not revoked by itself")]
    UnsupportedTokenType,
    /// The token has no session, so there is nothing to renew it in.
    #[error("the token has no session")]
    NoSession,

    /// No account of that address, or another password, or its user is not active.
    #[error("wrong address or password, or the user is not active")]
    WrongPassword,
    /// The account's stored password is not as it was written: the database was edited by hand.
    #[error("ALARM: the stored password of an account can't be used: {0}")]
    BrokenPassword(#[from] PasswordFault),
    /// The row of an account, or of one of its links, is not as it was written: the database was edited by hand.
    #[error("ALARM: the row of an account or of its link does not open: {0}")]
    EditedRow(SealError),
    /// A sealed row is not as it was written: the database was edited by hand. The caller is told what `like` tells.
    #[error("ALARM: the row of {what} is not as it was written: {fault}")]
    Edited {
        /// Whose row.
        what: &'static str,
        /// Its fault.
        fault: RowFault,
        /// The refusal of a caller that shows an unknown credential of this kind.
        like: &'static IssuerError,
    },
    /// The link was never made, was used, or has ended.
    #[error("no such link, or used")]
    UnknownConfirmation,
    /// This browser began no such sign-in with this provider, or came back before.
    #[error("no such sign-in of this browser, or used")]
    UnknownSignIn,
    /// The page's code was never made, was used, has ended, or was for another page or another purpose.
    #[error("no such sign-in code, or used, or with another verifier")]
    UnknownSignInCode,
    /// The user, asked by the provider, said no.
    #[error("denied at the provider")]
    ProviderDenied,
    /// The provider sent the browser back with an error, or with nothing.
    #[error("the provider sent an error, or no code")]
    ProviderError,
    /// The browser came back from another provider than it was sent to.
    #[error("ALARM: `iss` is not the provider that the browser was sent to")]
    MixedUp,
    /// No access token of this issuer.
    #[error("not an access token of this issuer")]
    BadAccessToken,
    /// The access token's time is over.
    #[error("the access token has ended")]
    AccessTokenOver,
    /// There is no such refresh token.
    #[error("no such refresh token")]
    UnknownRefreshToken,
    /// A used refresh token came back after the grace.
    #[error("ALARM: a used refresh token came back; its session is ended")]
    RefreshReused,
    /// The user's session was ended or is over.
    #[error("the user's session was ended or is over")]
    UserSessionOver,

    // Acts that the caller may not do.
    /// The key was revoked.
    #[error("the API key was revoked")]
    KeyRevoked,
    /// The user is not active.
    #[error("the user is not active")]
    UserInactive,
    /// The key may not be used from this address.
    #[error("the API key may not be used from this address")]
    AddressDenied,
    /// No such tool, or not for this key, or not the one that the ticket was made for.
    #[error("not for this tool: {0}")]
    ToolDenied(ToolLack),
    /// A key is to be for a tool that its owner may not have.
    #[error("not for these tools: {hint}")]
    ToolsDenied {
        /// Which one.
        hint: String,
    },
    /// The page's origin is not registered, or not the one that the ticket was made for.
    #[error("not from this origin")]
    OriginDenied,
    /// The tool doesn't know the scope, or it is not the key's, its owner's or the subject's to have.
    #[error("not with this scope: {0}")]
    ScopeDenied(ScopeLack),
    /// The tool asks for more than a signed-in user.
    #[error("the tool asks for more assurance")]
    AssuranceTooLow,
    /// The session was revoked or is over.
    #[error("the session was revoked or is over")]
    SessionOver,
    /// No new user is made by signing in with that provider.
    #[error("the identity is linked to no user, and its provider makes none")]
    SignUpOff,

    /// Only an admin may.
    #[error("the user is no admin")]
    NotAdmin,
    /// Only an admin who is signed in may: the caller showed an API key, which no step-up and no capability helps.
    #[error("only an admin who is signed in may; an API key may not")]
    SignedInAdminOnly,
    /// The act needs a step-up, and none that is good was shown.
    #[error("no step-up, or one that was used, has ended, or is of another session")]
    StepUpRequired,
    /// Only the owner of the key may: no one receives another user's secret.
    #[error("the API key is another user's")]
    NotOwner,
    /// This issuer takes no registrations, or invited addresses only.
    #[error("registration is {mode}")]
    RegistrationClosed {
        /// The setting.
        mode: &'static str,
    },

    // The present state does not allow it.
    /// No such thing, or not this caller's.
    #[error("no such {what}, or not this caller's")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
    },
    /// Changes behind this cursor are not kept, or it is not of this database.
    #[error("the cursor is gone")]
    CursorGone,
    /// It was changed while this request was at work.
    #[error("changed meanwhile")]
    Conflict,
    /// Its state does not allow this.
    #[error("not in this state: {hint}")]
    InvalidState {
        /// For a person.
        hint: &'static str,
    },
    /// There are as many as there may be.
    #[error("limit reached: {hint}")]
    LimitReached {
        /// For a person.
        hint: &'static str,
    },
    /// The first request with this idempotency key is not answered yet.
    #[error("the first request with this idempotency key is in progress")]
    RequestInProgress,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,

    /// A kept answer is not as it was written: the database was edited by hand.
    #[error("ALARM: a kept answer does not open")]
    BrokenAnswer,

    // Limits.
    /// Too many attempts.
    #[error("too many attempts; again in {retry_after} s")]
    RateLimited {
        /// When to come back, seconds.
        retry_after: u32,
    },
    /// As many requests are at work as there may be.
    #[error("as many requests are at work as there may be")]
    Busy,
    /// Every worker that hashes passwords is busy, and enough callers wait.
    #[error("the password workers are busy")]
    PoolFull,

    // Ours.
    /// Nothing is configured that would bring a confirmation link to its reader.
    #[error("registration is not configured: there is no mail server (`mail_url`), and `development` is not set")]
    NoLinkDelivery,
    /// More callers wait for their entry in the audit log than there may be.
    #[error("too many wait for the audit log")]
    AuditFull,
    /// The audit log did not take the entry, so the act is not done.
    #[error("the audit log was not written")]
    AuditUnwritten,
    /// Mail can't be written down.
    #[error("mail: {0}")]
    Mail(#[from] MailJobError),
    /// An OpenID provider did not do what it should.
    #[error("an OpenID provider: {0}")]
    Provider(#[from] ProviderFault),
    /// Storage failed.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A token could not be signed.
    #[error("the token could not be signed")]
    Signing,
    /// A handler panicked: a fault of ours, answered and logged.
    #[error("a handler panicked")]
    Panicked,
    /// It took too long.
    #[error("took too long")]
    Slow,
}

impl IssuerError {
    /// The refusal as the token endpoint says it about a grant (RFC 6749 §5.2): where the caller showed no client credential, a refusal
    /// that is 401 elsewhere is a grant that does not hold. A refused signature is a failed client authentication and stays one.
    #[must_use]
    pub fn of_grant(self) -> Self {
        match self {
            IssuerError::Signed(_) => self,
            refusal if refusal.code().status() == 401 => IssuerError::Grant(Box::new(refusal)),
            refusal => refusal,
        }
    }

    /// The field that is named to the caller.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            IssuerError::Invalid { field, .. } | IssuerError::WeakPassword { field, .. } => Some(field),
            IssuerError::Malformed { field } => Some(field),
            IssuerError::Grant(_) => Some("grant"),
            IssuerError::Signed(refusal) => field_of_signed(refusal),
            IssuerError::Edited { like, .. } => like.field(),
            IssuerError::ToolsDenied { .. } => Some("tools"),
            IssuerError::OtherClient | IssuerError::UnsupportedTokenType => Some("token"),
            IssuerError::InvalidResource { .. } => Some("resource"),
            IssuerError::UnknownGrant => Some("grant_type"),
            IssuerError::SeveralCredentials => Some("authorization"),
            _ => None,
        }
    }

    /// The code on the wire (profile §6, and the issuer's own), from which status, title and headers follow.
    pub const fn code(&self) -> ProblemCode {
        match self {
            IssuerError::Signed(refusal) => ProblemCode::Profile(refusal.code()),
            IssuerError::Edited { like, .. } => like.code(),

            IssuerError::NotAdmin => ProblemCode::Issuer(IssuerCode::AdminRequired),
            IssuerError::SignedInAdminOnly | IssuerError::StepUpRequired | IssuerError::Store(StoreError::StepUp) => {
                ProblemCode::Issuer(IssuerCode::StepUpRequired)
            }
            IssuerError::NotOwner => ProblemCode::Issuer(IssuerCode::OwnerRequired),
            IssuerError::RegistrationClosed { .. } => ProblemCode::Issuer(IssuerCode::RegistrationClosed),
            IssuerError::UnsupportedTokenType => ProblemCode::Issuer(IssuerCode::UnsupportedTokenType),
            IssuerError::NotFound { .. } => ProblemCode::Issuer(IssuerCode::NotFound),
            IssuerError::MethodNotAllowed => ProblemCode::Issuer(IssuerCode::MethodNotAllowed),
            IssuerError::MediaType => ProblemCode::Issuer(IssuerCode::UnsupportedMediaType),
            IssuerError::HeadersTooLarge => ProblemCode::Issuer(IssuerCode::HeadersTooLarge),
            IssuerError::CursorGone => ProblemCode::Issuer(IssuerCode::CursorGone),
            IssuerError::Conflict => ProblemCode::Issuer(IssuerCode::Conflict),
            IssuerError::InvalidState { .. } => ProblemCode::Issuer(IssuerCode::InvalidState),
            IssuerError::LimitReached { .. } => ProblemCode::Issuer(IssuerCode::LimitReached),
            IssuerError::RequestInProgress => ProblemCode::Issuer(IssuerCode::RequestInProgress),
            IssuerError::IdempotencyKeyReused => ProblemCode::Issuer(IssuerCode::IdempotencyKeyReused),

            IssuerError::Malformed { .. }
            | IssuerError::Invalid { .. }
            | IssuerError::WeakPassword { .. }
            | IssuerError::InvalidResource { .. }
            | IssuerError::UnknownGrant
            | IssuerError::SeveralCredentials => ProblemCode::Profile(Code::MalformedRequest),
            IssuerError::SlowBody => ProblemCode::Profile(Code::BodyTimeout),
            IssuerError::TooLarge => ProblemCode::Profile(Code::TooLarge),

            IssuerError::NoCredential => ProblemCode::Profile(Code::MissingSignature),
            IssuerError::BadCredential
            | IssuerError::UnknownKey
            | IssuerError::WrongSecret
            | IssuerError::BrokenRow(_)
            | IssuerError::KeyOver
            | IssuerError::UnknownTicket
            | IssuerError::WrongPassword
            | IssuerError::BrokenPassword(_)
            | IssuerError::EditedRow(_)
            | IssuerError::UnknownConfirmation
            | IssuerError::UnknownSignIn
            | IssuerError::UnknownSignInCode
            | IssuerError::ProviderDenied
            | IssuerError::ProviderError
            | IssuerError::MixedUp
            | IssuerError::Provider(ProviderFault::CodeRefused | ProviderFault::IdToken(_))
            | IssuerError::SignUpOff => ProblemCode::Profile(Code::InvalidCredentials),
            IssuerError::Grant(_) | IssuerError::OtherClient => ProblemCode::Profile(Code::InvalidGrant),
            IssuerError::OtherSubject
            | IssuerError::NoSession
            | IssuerError::BadAccessToken
            | IssuerError::UnknownRefreshToken
            | IssuerError::RefreshReused
            | IssuerError::UserSessionOver => ProblemCode::Profile(Code::InvalidToken),
            IssuerError::AccessTokenOver => ProblemCode::Profile(Code::TokenExpired),

            IssuerError::KeyRevoked => ProblemCode::Profile(Code::KeyRevoked),
            IssuerError::UserInactive => ProblemCode::Profile(Code::UserInactive),
            IssuerError::AddressDenied => ProblemCode::Profile(Code::IpDenied),
            IssuerError::ToolDenied(_) | IssuerError::ToolsDenied { .. } => ProblemCode::Profile(Code::ToolDenied),
            IssuerError::OriginDenied => ProblemCode::Profile(Code::OriginDenied),
            IssuerError::ScopeDenied(_) => ProblemCode::Profile(Code::ScopeDenied),
            IssuerError::AssuranceTooLow => ProblemCode::Profile(Code::AssuranceTooLow),
            IssuerError::SessionOver => ProblemCode::Profile(Code::TokenRevoked),

            IssuerError::RateLimited { .. } => ProblemCode::Profile(Code::RateLimited),

            IssuerError::AuditUnwritten
            | IssuerError::BrokenAnswer
            | IssuerError::NoLinkDelivery
            | IssuerError::Mail(_)
            | IssuerError::Provider(_)
            | IssuerError::Store(_)
            | IssuerError::Random(_)
            | IssuerError::Signing
            | IssuerError::Panicked => ProblemCode::Profile(Code::IssuerUnavailable),
            IssuerError::Busy | IssuerError::PoolFull | IssuerError::AuditFull | IssuerError::Slow => {
                ProblemCode::Profile(Code::Overloaded)
            }
        }
    }

    /// Seconds after which the caller may try again, where the refusal itself knows them.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            IssuerError::Signed(refusal) => refusal.retry_after(),
            IssuerError::RateLimited { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

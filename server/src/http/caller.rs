//! Who may call a route, as the first argument of its handler.
//!
//! Each type names the act that the route asks for ([`Does`]), so that a refusal is recorded under it.

use super::access::Access;
use super::action::Does;
use super::app::App;
use super::argument::Argument;
use super::body;
use super::client::source;
use super::credentials::{self, Credential};
use super::openapi::doc::Doc;
use super::problem::RouteError;
use axum::extract::FromRequestParts;
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::authenticate::Caller;
use bmap_issuer::error::IssuerError;
use bmap_issuer::grant::Renewable;
use bmap_issuer::link::caller::LinkCaller;
use bmap_issuer::token::introspect::Viewer;
use bmap_issuer::users::Admin;
use bmap_model::audit::{Action, Source};
use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::token::Claims;
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use std::convert::Infallible;
use std::marker::PhantomData;

/// The first argument of a handler: it proves the caller, or says that there is no caller to prove. This file has all of these types.
#[diagnostic::on_unimplemented(
    message = "a handler's first argument says who may call its route, and `{Self}` does not",
    note = "use `Open` for a route that asks for nothing"
)]
pub trait Authenticates: Argument + sealed::Sealed {
    /// Who may call the route.
    const ACCESS: Access;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! authenticates {
    ($($name:ident $(<$act:ident>)? => $access:ident;)*) => {$(
        impl$(<$act: Does>)? sealed::Sealed for $name$(<$act>)? {}

        impl$(<$act: Does>)? Authenticates for $name$(<$act>)? {
            const ACCESS: Access = Access::$access;
        }
    )*};
}

authenticates! {
    Open => Open;
    OwnProof<A> => OwnProof;
    KeyCaller<A> => Credential;
    ByForm => Credential;
    UserCaller<A> => User;
    AdminCaller<A> => Admin;
    SignedInAdmin<A> => Admin;
    LinkedVerifier => Verifier;
}

/// Any caller: the route tells nothing that is not public and changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl FromRequestParts<App> for Open {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Argument for Open {}

/// Any caller, whose own fields decide. The act [`Request`](super::action::Request) leaves the act to the handler.
pub struct OwnProof<A> {
    /// Where the request comes from.
    pub source: Source,
    act: PhantomData<A>,
}

impl<A: Does> FromRequestParts<App> for OwnProof<A> {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let unnamed = head.extensions.get::<Source>().cloned().filter(|_| A::ACTION == Action::Request);
        Ok(Self { source: unnamed.unwrap_or_else(|| source(head, A::ACTION)), act: PhantomData })
    }
}

impl<A: Does> Argument for OwnProof<A> {}

/// A caller with an API key, in any of the four ways. A signature covers the body, so it is read before.
pub struct KeyCaller<A> {
    /// The key and its user.
    pub caller: Caller,
    act: PhantomData<A>,
}

impl<A: Does> FromRequestParts<App> for KeyCaller<A> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let body = body::bytes(head).await?;
        Ok(Self { caller: app.caller(head, &body, A::ACTION).await?, act: PhantomData })
    }
}

impl<A: Does> Argument for KeyCaller<A> {}

/// A user, by their access token. The body is not yet read.
pub struct UserCaller<A> {
    /// The user and the session.
    pub signed_in: SignedIn,
    act: PhantomData<A>,
}

impl<A: Does> FromRequestParts<App> for UserCaller<A> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        Ok(Self { signed_in: app.signed_in(head, A::ACTION).await?, act: PhantomData })
    }
}

impl<A: Does> Argument for UserCaller<A> {}

/// An admin: signed in, or with an API key of its own that administers.
pub struct AdminCaller<A> {
    /// The admin.
    pub admin: Admin,
    /// The session of one who is signed in.
    pub signed_in: Option<SignedIn>,
    act: PhantomData<A>,
}

impl<A: Does> FromRequestParts<App> for AdminCaller<A> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let body = body::bytes(head).await?;
        let (admin, signed_in) = app.admin(head, &body, A::ACTION).await?;
        Ok(Self { admin, signed_in, act: PhantomData })
    }
}

impl<A: Does> Argument for AdminCaller<A> {}

/// An admin who is signed in, for an act that needs a step-up. An API key, which never has one, is refused
/// ([`IssuerError::SignedInAdminOnly`]).
pub struct SignedInAdmin<A> {
    /// The admin.
    pub admin: Admin,
    /// Their session.
    pub signed_in: SignedIn,
    act: PhantomData<A>,
}

impl<A: Does> FromRequestParts<App> for SignedInAdmin<A> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let AdminCaller { admin, signed_in, act } = AdminCaller::from_request_parts(head, app).await?;
        Ok(Self { admin, signed_in: signed_in.ok_or(IssuerError::SignedInAdminOnly)?, act })
    }
}

impl<A: Does> Argument for SignedInAdmin<A> {}

/// A request to an OAuth endpoint, with its body read: which proof it needs, and for which act, its form says. Every method that proves a caller
/// does so before the handler has anything to work with.
pub struct ByForm {
    app: App,
    /// The head.
    pub head: Parts,
    /// The whole body.
    pub body: Bytes,
}

impl FromRequestParts<App> for ByForm {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let body = body::bytes(head).await?;
        Ok(Self { app: app.clone(), head: head.clone(), body })
    }
}

impl Argument for ByForm {
    fn describe(doc: Doc) -> Doc {
        doc.or_without_credential()
    }
}

impl ByForm {
    /// Where the request comes from, where the proof is a field of its form.
    pub fn source(&self, action: Action) -> Source {
        source(&self.head, action)
    }

    /// The caller with an API key; `in_form` are the id and the secret that its form has, if any.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn caller(&self, in_form: Option<(&str, &str)>, action: Action) -> Result<Caller, IssuerError> {
        self.app.caller_with_form(&self.head, &self.body, in_form, action).await
    }

    /// Who asks about a token: a caller with an API key, or a tool's verifier.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn viewer(&self, in_form: Option<(&str, &str)>, action: Action) -> Result<Viewer, IssuerError> {
        if !is_link_signed(&self.head.headers) {
            return Ok(Viewer::Client(self.caller(in_form, action).await?.key.id));
        }
        let source = source(&self.head, action);
        match credentials::find_with_form(&self.head.headers, in_form)? {
            Credential::Signature if !is_signed(&self.head.headers) => {
                let caller = self.app.linked_verifier(&self.head, &self.body).await?;
                source.is_about(&caller.tool.id);
                Ok(Viewer::Verifier(caller.tool.id))
            }
            _ => Err(IssuerError::SeveralCredentials),
        }
    }

    /// For a proof that is a field of the form. Another credential beside it would be ignored, so it is refused.
    ///
    /// # Errors
    /// [`IssuerError::SeveralCredentials`].
    pub fn no_credential(&self, in_form: Option<(&str, &str)>) -> Result<(), IssuerError> {
        match credentials::find_with_form(&self.head.headers, in_form) {
            Err(IssuerError::NoCredential) => Ok(()),
            _ => Err(IssuerError::SeveralCredentials),
        }
    }

    /// The user of the access token that a field of the form holds.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn user_of(&self, token: &str, source: &Source) -> Result<SignedIn, IssuerError> {
        self.app.user_of_access_token(token, source).await
    }

    /// The claims of the verified token that the request was signed with.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn tool_token(&self, source: &Source) -> Result<Claims, IssuerError> {
        self.app.tool_token(&self.head, &self.body, source).await
    }

    /// The same, of the token that is to be renewed, which must be `subject`: what is carried over.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn renewable(&self, subject: &str, source: &Source) -> Result<Renewable, IssuerError> {
        self.app.renewable(&self.head, &self.body, subject, source).await
    }
}

/// Whether the head has a signature under a link key, good or bad.
fn is_link_signed(headers: &HeaderMap) -> bool {
    !matches!(UnverifiedSignature::parse_link(&Fields::of(headers)), Err(Refusal::Unsigned))
}

/// Whether it has one of the profile's other signatures (§4), good or bad.
fn is_signed(headers: &HeaderMap) -> bool {
    !matches!(UnverifiedSignature::parse(&Fields::of(headers)), Err(Refusal::Unsigned))
}

/// A verifier of a tool, by its link key (profile §13). A signature covers the body, so it is read before.
pub struct LinkedVerifier(pub LinkCaller);

impl FromRequestParts<App> for LinkedVerifier {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, RouteError> {
        let body = body::bytes(head).await?;
        Ok(Self(app.linked_verifier(head, &body).await?))
    }
}

impl Argument for LinkedVerifier {}

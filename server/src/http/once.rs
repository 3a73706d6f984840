//! Creating routes that take an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent twice is
//! done once.

use super::app::App;
use super::argument::Argument;
use super::body;
use super::openapi::doc::Doc;
use super::problem::RouteError;
use super::step_up::ShownStepUp;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::service::SignedIn;
use bmap_issuer::error::IssuerError;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::idempotency::{Answer, Attempt, IdempotencyKey, MAX_KEPT, SealedAnswer, Turn};
use bmap_model::issuer_code::IssuerCode;
use bmap_store::{ANSWER, StoreError};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use zeroize::Zeroizing;

/// The header.
const HEADER: &str = "idempotency-key";
/// Its description in the document.
const ABOUT_HEADER: &str = "Names this request, 1 to 64 of `A-Z a-z 0-9 . _ : -`: sent again within a day it is not done \
                            again, and gets the same answer";

/// Its grammar.
const PATTERN: &str = r#"^("[A-Za-z0-9._:-]{1,64}"|[A-Za-z0-9._:-]{1,64})$"#;

/// A request that may have an idempotency key: what has to be the same when it is sent again. A malformed key is refused when the request
/// [begins](Once::begin).
pub struct Repeatable {
    key: Option<Result<IdempotencyKey, MalformedKey>>,
    method: Method,
    target: String,
    body: Bytes,
}

struct MalformedKey;

impl FromRequestParts<App> for Repeatable {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let body = body::bytes(head).await?;
        let mut values = head.headers.get_all(HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(value.to_str().ok().and_then(IdempotencyKey::parse)),
            (Some(_), Some(_)) => Some(None),
        };
        let target = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self { key: key.map(|key| key.ok_or(MalformedKey)), method: head.method.clone(), target, body })
    }
}

impl Argument for Repeatable {
    fn describe(doc: Doc) -> Doc {
        doc.reads_header(HEADER, PATTERN, ABOUT_HEADER)
            .refuses(IssuerCode::Conflict)
            .refuses(IssuerCode::LimitReached)
            .refuses(IssuerCode::RequestInProgress)
            .refuses(IssuerCode::IdempotencyKeyReused)
    }
}

/// One request of a known caller, at its only time or at its first.
pub struct Once {
    app: App,
    attempt: Option<(Attempt, Turn)>,
}

/// A request that begins.
pub enum Begun {
    /// The first of its key, or one without a key: it is to be done.
    First(Once),
    /// One that was done before: this was its answer.
    Again(Response),
}

/// A request that begins, of a user whose act needs a step-up.
pub enum BegunAct {
    /// The first of its key, or one without a key: it is to be done, with the step-up that was shown.
    First(Once, SteppedUp),
    /// One that was done before: this was its answer. It needs no second step-up.
    Again(Response),
}

impl Once {
    /// Begins a request whose act needs a step-up.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and [`IssuerError::StepUpRequired`].
    pub async fn begin_act(
        app: &App,
        signed_in: &SignedIn,
        shown: &ShownStepUp,
        request: Repeatable,
    ) -> Result<BegunAct, IssuerError> {
        let stepped_up = shown.demand(app, signed_in).await;
        let session = Some((signed_in.session.id.as_str(), stepped_up.is_ok()));
        let once = match Self::begin_in(app, signed_in.user.id.as_str(), session, request).await? {
            Begun::First(once) => once,
            Begun::Again(answer) => return Ok(BegunAct::Again(answer)),
        };
        match stepped_up {
            Ok(stepped_up) => Ok(BegunAct::First(once, stepped_up)),
            // Another process may have done this very request with it, since its answer was looked for.
            Err(refusal) => Ok(BegunAct::Again(once.kept(false).await?.ok_or(refusal)?)),
        }
    }

    async fn kept(&self, is_stepped_up: bool) -> Result<Option<Response>, IssuerError> {
        let Some((attempt, _)) = &self.attempt else { return Ok(None) };
        let issuer = &self.app.issuer;
        let kept = issuer.store.kept_answer(attempt, issuer.clock.now()).await?;
        kept.map(|kept| Ok(response(&attempt.answer(&kept, &issuer.roots, is_stepped_up)?))).transpose()
    }

    /// Begins a request. Everything that the caller may not is refused before; `caller` is an id.
    ///
    /// # Errors
    /// [`IssuerError`]: a malformed header, another request with the same key, the same request in progress, too many kept.
    pub async fn begin(app: &App, caller: &str, request: Repeatable) -> Result<Begun, IssuerError> {
        Self::begin_in(app, caller, None, request).await
    }

    /// `session`: that of a user, and whether it showed a good step-up.
    async fn begin_in(
        app: &App,
        caller: &str,
        session: Option<(&str, bool)>,
        request: Repeatable,
    ) -> Result<Begun, IssuerError> {
        let Repeatable { key, method, target, body } = request;
        let Some(key) = key else { return Ok(Begun::First(Self { app: app.clone(), attempt: None })) };
        let key = key.map_err(|MalformedKey| IssuerError::Invalid {
            field: HEADER,
            hint: "once, 1 to 64 of A-Z a-z 0-9 . _ : -, best a random UUID".to_owned(),
        })?;
        let attempt = Attempt::new(caller, &key, method.as_str(), &target, &body);
        let (attempt, is_stepped_up) = match session {
            Some((session, is_stepped_up)) => (attempt.in_session(session), is_stepped_up),
            None => (attempt, false),
        };
        // The turn first: the request that had it before has stored its answer by now.
        let turn = app.in_progress.turn(&attempt)?;
        let now = app.issuer.clock.now();
        if let Some(kept) = app.issuer.store.kept_answer(&attempt, now).await? {
            return Ok(Begun::Again(response(&attempt.answer(&kept, &app.issuer.roots, is_stepped_up)?)));
        }
        if !app.issuer.store.has_room_for_answer(caller, MAX_KEPT, now).await? {
            return Err(IssuerError::LimitReached {
                hint: "10000 answers are kept for a day: send fewer idempotency keys",
            });
        }
        Ok(Begun::First(Self { app: app.clone(), attempt: Some((attempt, turn)) }))
    }

    /// The answer as it is to be kept; `None` for a request without a key.
    ///
    /// # Errors
    /// [`IssuerError`] without randomness.
    pub fn seal(&self, answer: &Answer) -> Result<Option<SealedAnswer>, IssuerError> {
        let issuer = &self.app.issuer;
        let seal =
            |(attempt, _): &(Attempt, Turn)| attempt.seal(answer, &issuer.roots, &*issuer.random, issuer.clock.now());
        Ok(self.attempt.as_ref().map(seal).transpose()?)
    }

    /// The answer, after the change and its answer were written; where another process was first with the same request, that
    /// one's.
    ///
    /// # Errors
    /// [`RouteError`], as the change was.
    pub async fn answer(self, answer: Answer, written: Result<(), IssuerError>) -> Result<Response, RouteError> {
        match written {
            Ok(()) => Ok(response(&answer)),
            Err(IssuerError::Store(StoreError::Taken { what: ANSWER })) => {
                Ok(self.kept(true).await?.ok_or(IssuerError::Conflict)?)
            }
            Err(IssuerError::Store(StoreError::StepUp)) => {
                Ok(self.kept(true).await?.ok_or(IssuerError::StepUpRequired)?)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// An answer of JSON.
pub fn json(status: StatusCode, location: Option<String>, body: &impl Serialize) -> Answer {
    // Texts and numbers: nothing in it can fail to serialise.
    let body = Zeroizing::new(serde_json::to_string(body).unwrap_or_default());
    Answer { status: status.as_u16(), location, body, session: None }
}

fn response(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "application/json")];
    let mut response = (status, headers, answer.body.as_str().to_owned()).into_response();
    if let Some(location) = answer.location.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

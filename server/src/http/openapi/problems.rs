//! Which problems a route answers with, beyond what its author says: what follows from who may call it, from its body, and from
//! the layers around every route.

use super::doc::{Doc, text_header};
use crate::http::access::Access;
use crate::http::problem::{JSON, OAUTH_ENDPOINTS, ProblemBody};
use bmap_model::issuer_code::IssuerCode;
use bmap_model::problem_code::ProblemCode;
use bmap_protocol::code::Code;
use bmap_verifier::problem::MEDIA_TYPE;
use utoipa::ToSchema;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr};

/// Every route: the layers around it.
const LAYERS: [ProblemCode; 5] = [
    ProblemCode::Profile(Code::MalformedRequest),
    ProblemCode::Profile(Code::RateLimited),
    ProblemCode::Issuer(IssuerCode::HeadersTooLarge),
    ProblemCode::Profile(Code::IssuerUnavailable),
    ProblemCode::Profile(Code::Overloaded),
];

/// Routes that take a body.
const BODY: [ProblemCode; 3] = [
    ProblemCode::Profile(Code::BodyTimeout),
    ProblemCode::Profile(Code::TooLarge),
    ProblemCode::Issuer(IssuerCode::UnsupportedMediaType),
];

/// Routes for API keys: any of the four ways may be wrong in its own manner.
const CREDENTIAL: [Code; 16] = [
    Code::MalformedRequest,
    Code::MalformedSignature,
    Code::MissingSignature,
    Code::InsufficientCoverage,
    Code::InvalidSignature,
    Code::ClockSkew,
    Code::Replayed,
    Code::DigestMismatch,
    Code::InvalidToken,
    Code::TokenExpired,
    Code::InvalidCredentials,
    Code::KeyRevoked,
    Code::UserInactive,
    Code::IpDenied,
    Code::ReplayStoreUnavailable,
    Code::ClockUnreliable,
];

/// Routes for users.
const USER: [Code; 3] = [Code::InvalidToken, Code::TokenExpired, Code::UserInactive];

/// Routes for verifiers of tools.
const VERIFIER: [Code; 10] = [
    Code::MalformedSignature,
    Code::MissingSignature,
    Code::InsufficientCoverage,
    Code::InvalidSignature,
    Code::ClockSkew,
    Code::Replayed,
    Code::DigestMismatch,
    Code::ToolDenied,
    Code::ReplayStoreUnavailable,
    Code::ClockUnreliable,
];

/// Every code that a route may answer with, each once, by status.
pub(super) fn of(access: Access, doc: &Doc) -> Vec<ProblemCode> {
    let mut codes: Vec<ProblemCode> = doc.refusals.clone();
    match access {
        Access::Credential => codes.extend(CREDENTIAL.map(ProblemCode::Profile)),
        Access::User => codes.extend(USER.map(ProblemCode::Profile)),
        Access::Admin => {
            codes.extend(CREDENTIAL.into_iter().chain(USER).map(ProblemCode::Profile));
            codes.push(IssuerCode::AdminRequired.into());
        }
        Access::Verifier => codes.extend(VERIFIER.map(ProblemCode::Profile)),
        Access::Open | Access::OwnProof => {}
    }
    if doc.body.is_some() {
        codes.extend(BODY);
    }
    codes.extend(LAYERS);
    let mut unique: Vec<ProblemCode> = ProblemCode::all().filter(|code| codes.contains(code)).collect();
    unique.sort_by_key(|code| code.status());
    unique
}

/// The answer of one status with these codes, at one route.
pub(super) fn answer(status: u16, codes: &[ProblemCode], route: &str) -> Response {
    let names = codes.iter().map(|code| code.as_str());
    let titles: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title())).collect();
    let code = Object::builder().schema_type(SchemaType::new(Type::String)).enum_values(Some(names));
    let these = ObjectBuilder::new().property("code", code);
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(ProblemBody::name())).item(these).build();
    let mut response = Response::new(titles.join("; "));
    let content = Content::new(Some(Schema::AllOf(schema)));
    if OAUTH_ENDPOINTS.contains(&route) {
        response.content.insert(JSON.to_owned(), RefOr::T(content.clone()));
    }
    response.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(content));
    let mut header = |name: &str, text: &str| response.headers.insert(name.to_owned(), RefOr::T(text_header(text)));
    match status {
        401 => drop(header(
            "WWW-Authenticate",
            "The scheme that the route takes: `HTTPSig`, `Bearer` or `Basic`, with `error=\"<code>\"`",
        )),
        429 | 503 => drop(header("Retry-After", "Seconds until the next try may succeed")),
        _ => {}
    }
    response
}

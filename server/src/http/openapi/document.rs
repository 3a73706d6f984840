//! The OpenAPI 3.1 document, made from the routes and the types that their handlers read and write.
//!
//! A route's method and path stand in the list of `router.rs`; security, forms, parameters and most problems follow from the arguments of its
//! handler; its author adds a [`Doc`](super::doc::Doc) with what only the handler knows. So the document has every route and no other.

use super::doc::{Alternative, text_header, text_parameter};
use super::{problems, security};
use crate::http::access::Access;
use crate::http::layers::wait;
use crate::http::problem::ProblemBody;
use crate::http::route::Route;
use bmap_verifier::problem::REQUEST_ID;
use http::Method;
use std::collections::BTreeMap;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, Paths, RefOr, Required};

/// The document of these routes.
pub fn document(routes: &[Route]) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new().schema_from::<ProblemBody>();
    for route in routes {
        let operation = operation(route);
        let item = PathItem::new(method(route.method), operation);
        // A wildcard is written `{*name}` in a route, and is a part like others in the document.
        let path = route.path.replace("{*", "{");
        match paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => drop(paths.paths.insert(path, item)),
        }
        components = components.schemas_from_iter(route.doc.schemas.clone());
    }
    for (name, scheme) in security::schemes() {
        components = components.security_scheme(name, scheme);
    }
    let info = InfoBuilder::new()
        .title("bmap issuer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Accounts, API keys, tools, tickets and tokens. Times are milliseconds since 1970 unless a name ends in `_in` \
             (seconds). Errors are problem documents (RFC 9457); `code` is what to branch on.",
        ))
        .build();
    utoipa::openapi::OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn operation(route: &Route) -> Operation {
    let doc = &route.doc;
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .tag(doc.tag.unwrap_or_else(|| first_part(route.path)))
        .summary(Some(doc.summary))
        .description(doc.description)
        .request_body(doc.body.clone())
        .securities(Some(securities(route)));
    let named =
        |name: &str| doc.parameters.iter().any(|known| known.parameter_in == ParameterIn::Path && known.name == name);
    for name in path_parts(route.path).filter(|name| !named(name)) {
        operation = operation.parameter(text_parameter(name, ParameterIn::Path, Required::True, ""));
    }
    let (of_path, others): (Vec<_>, Vec<_>) =
        doc.parameters.iter().cloned().partition(|parameter| parameter.parameter_in == ParameterIn::Path);
    for parameter in of_path.into_iter().chain(others) {
        operation = operation.parameter(parameter);
    }
    let mut answers: BTreeMap<u16, Response> = doc.answers.iter().cloned().collect();
    for codes in problems::of(route.access, doc).chunk_by(|one, other| one.status() == other.status()) {
        let Some(status) = codes.first().map(|code| code.status()) else { continue };
        let problem = problems::answer(status, codes, route.path);
        match answers.get_mut(&status) {
            // Some statuses are an answer as well as a problem: `/readyz` and 503.
            Some(answer) => {
                answer.content.extend(problem.content);
                answer.headers.extend(problem.headers);
            }
            None => drop(answers.insert(status, problem)),
        }
    }
    for (status, mut answer) in answers {
        let id = text_header("Finds the request in the log; the caller's own where it sent a plain one");
        answer.headers.insert(REQUEST_ID.to_string(), RefOr::T(id));
        // Open routes name their limit only where nothing is left of it.
        if route.access != Access::Open || status == 429 {
            let policy =
                "The limit that counts here: an API key's, a user's or an address's, with its quota and window";
            answer.headers.insert("RateLimit-Policy".to_owned(), RefOr::T(text_header(policy)));
            let left = "What is left of it, and the seconds until it is whole again";
            answer.headers.insert("RateLimit".to_owned(), RefOr::T(text_header(left)));
        }
        if wait::is_act(route.access, &Method::from_bytes(route.method.as_bytes()).unwrap_or_default())
            && (200..300).contains(&status)
        {
            for (name, about) in wait::ANSWERED {
                answer.headers.insert(name.to_string(), RefOr::T(text_header(about)));
            }
        }
        operation = operation.response(status.to_string(), answer);
    }
    operation.build()
}

fn securities(route: &Route) -> Vec<utoipa::openapi::SecurityRequirement> {
    let mut all = security::of(route.access);
    all.extend(route.doc.alternatives.iter().map(|alternative| match alternative {
        Alternative::Nothing => security::nothing(),
        Alternative::ToolToken => security::tool_token(),
        Alternative::LinkKey => security::link_key(),
    }));
    all
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// `post_auth_login` for `POST /auth/login`; a folder's own page is its index.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.chain(route.path.ends_with('/').then_some("index")).collect();
    format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"))
}

fn first_part(path: &str) -> &str {
    path.split('/').find(|part| !part.is_empty()).unwrap_or("/")
}

/// The names in `/api-keys/{id}`.
fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

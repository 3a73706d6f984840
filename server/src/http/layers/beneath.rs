//! An issuer with a path (`https://host.example/auth`): its routes are beneath that path and nowhere else (U09).
//!
//! A proxy in front passes the path on as it is: a signature covers it.

use axum::Router;
use axum::extract::Request;
use http::Uri;
use http::uri::PathAndQuery;
use std::convert::Infallible;
use tower::{ServiceExt, service_fn};

/// Where the metadata of an issuer with a path is: between host and path (RFC 8414 §3.1).
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Routes for those who look after the process: they reach the listener and know no public URL.
const OF_THE_LISTENER: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The URI that a request was sent to, where the routes see another one.
#[derive(Clone, Debug)]
pub struct SentTo(pub Uri);

/// The routes beneath a path. `none` answers requests that are not beneath it.
pub fn routes(path: &str, routes: Router, none: Router) -> Router {
    if path.is_empty() {
        return routes;
    }
    let path = path.to_owned();
    Router::new().fallback_service(service_fn(move |mut request: Request| {
        let inner = inner_path(&path, request.uri().path()).and_then(|inner| with_path(request.uri(), inner));
        let service = match inner {
            Some(uri) => {
                let sent_to = std::mem::replace(request.uri_mut(), uri);
                request.extensions_mut().insert(SentTo(sent_to));
                routes.clone()
            }
            None => none.clone(),
        };
        async move { Ok::<_, Infallible>(service.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    }))
}

/// The path of a route, for the path that was sent.
fn inner_path<'a>(path: &str, sent: &'a str) -> Option<&'a str> {
    if sent.strip_prefix(METADATA) == Some(path) {
        return Some(METADATA);
    }
    if OF_THE_LISTENER.contains(&sent) {
        return Some(sent);
    }
    sent.strip_prefix(path).filter(|inner| inner.starts_with('/'))
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u09_what_is_beneath_a_path() {
        for (sent, inner) in [
            ("/auth/oauth/token", Some("/oauth/token")),
            ("/auth/", Some("/")),
            ("/auth/auth/login", Some("/auth/login")),
            ("/.well-known/oauth-authorization-server/auth", Some(METADATA)),
            ("/auth/.well-known/jwks.json", Some("/.well-known/jwks.json")),
            ("/readyz", Some("/readyz")),
            ("/auth", None),
            ("/oauth/token", None),
            ("/authentic/login", None),
            ("/AUTH/oauth/token", None),
            ("/.well-known/oauth-authorization-server", None),
            ("/.well-known/oauth-authorization-server/auth/", None),
        ] {
            assert_eq!(inner_path("/auth", sent), inner, "{sent}");
        }
        let uri = with_path(&"http://a.example/auth/x?y=%2f".parse().unwrap(), "/x").unwrap();
        assert_eq!(uri.to_string(), "http://a.example/x?y=%2f");
    }
}

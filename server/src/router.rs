//! Every route, in one list, and the layers around them.

use crate::http::access::{Access, AccessOfRoutes};
use crate::http::app::App;
use crate::http::caller::Open;
use crate::http::layers::at_once::{MAX_AT_ONCE, bounded_number};
use crate::http::layers::{beneath, middleware};
use crate::http::openapi::document::document as openapi_document;
use crate::http::route::{Route, delete, get, patch, post, put};
#[cfg(feature = "docs-ui")]
use crate::routes::docs;
use crate::routes::{
    api_keys, audit, auth, health, invitations, link, oauth, openapi, tickets, tools, users, well_known,
};
use axum::Router;
use axum::middleware::from_fn_with_state;
use bmap_model::issuer_path::path_of;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Every route. Tests walk this list: one without a credential is on purpose (R24). `/openapi.json` is made of it.
pub fn routes() -> Vec<Route> {
    #[cfg_attr(not(feature = "docs-ui"), expect(unused_mut, reason = "the page's routes are added below"))]
    let mut all = vec![
        get("/livez", health::live, health::live_doc()),
        get("/readyz", health::ready, health::ready_doc()),
        get("/healthz", health::ready, health::ready_doc()),
        get("/openapi.json", async |_: Open| openapi::answer(document()), openapi::get_doc()),
        get("/.well-known/jwks.json", well_known::jwks::get, well_known::jwks::get_doc()),
        get(
            "/.well-known/oauth-authorization-server",
            well_known::oauth_authorization_server::get,
            well_known::oauth_authorization_server::get_doc(),
        ),
        post("/oauth/token", oauth::token::post, oauth::token::post_doc()),
        post("/oauth/introspect", oauth::introspect::post, oauth::introspect::post_doc()),
        post("/oauth/revoke", oauth::revoke::post, oauth::revoke::post_doc()),
        post("/tickets", tickets::post, tickets::post_doc()),
        post("/auth/register", auth::register::post, auth::register::post_doc()),
        get("/auth/confirm", auth::confirm::page, auth::confirm::page_doc()),
        post("/auth/confirm", auth::confirm::post, auth::confirm::post_doc()),
        post("/auth/login", auth::login::post, auth::login::post_doc()),
        post("/auth/refresh", auth::refresh::post, auth::refresh::post_doc()),
        post("/auth/logout", auth::logout::post, auth::logout::post_doc()),
        post("/auth/step-up", auth::step_up::post, auth::step_up::post_doc()),
        get("/auth/invitation", auth::invitation::page, auth::invitation::page_doc()),
        post("/auth/invitation", auth::invitation::post, auth::invitation::post_doc()),
        post("/api-keys/revoke", api_keys::revoke::post, api_keys::revoke::post_doc()),
        get("/api-keys", api_keys::get, api_keys::get_doc()),
        post("/api-keys", api_keys::post, api_keys::post_doc()),
        get("/api-keys/{id}", api_keys::id::get, api_keys::id::get_doc()),
        patch("/api-keys/{id}", api_keys::id::patch, api_keys::id::patch_doc()),
        delete("/api-keys/{id}", api_keys::id::delete, api_keys::id::delete_doc()),
        post("/api-keys/{id}/regenerate", api_keys::id::regenerate::post, api_keys::id::regenerate::post_doc()),
        get("/auth/openid", auth::openid::get, auth::openid::get_doc()),
        get("/auth/openid/{provider}", auth::openid::provider::get, auth::openid::provider::get_doc()),
        get(
            "/auth/openid/{provider}/callback",
            auth::openid::provider::callback::get,
            auth::openid::provider::callback::get_doc(),
        ),
        post("/auth/openid/token", auth::openid::token::post, auth::openid::token::post_doc()),
        post(
            "/auth/openid/{provider}/link",
            auth::openid::provider::link::post,
            auth::openid::provider::link::post_doc(),
        ),
        delete("/auth/openid/{provider}", auth::openid::provider::delete, auth::openid::provider::delete_doc()),
        post(
            "/auth/openid/{provider}/password",
            auth::openid::provider::password::post,
            auth::openid::provider::password::post_doc(),
        ),
        post(
            "/auth/openid/{provider}/deactivate",
            auth::openid::provider::deactivate::post,
            auth::openid::provider::deactivate::post_doc(),
        ),
        get("/auth/me", auth::me::get, auth::me::get_doc()),
        get("/auth/me/tools", auth::me::tools::get, auth::me::tools::get_doc()),
        post("/auth/password", auth::password::post, auth::password::post_doc()),
        post("/auth/deactivate", auth::deactivate::post, auth::deactivate::post_doc()),
        get("/auth/sessions", auth::sessions::get, auth::sessions::get_doc()),
        delete("/auth/sessions", auth::sessions::delete_others, auth::sessions::delete_others_doc()),
        delete("/auth/sessions/{id}", auth::sessions::id::delete, auth::sessions::id::delete_doc()),
        post("/auth/password/reset", auth::password::reset::ask, auth::password::reset::ask_doc()),
        get("/auth/password/reset", auth::password::reset::page, auth::password::reset::page_doc()),
        post(
            "/auth/password/reset/confirm",
            auth::password::reset::confirm::post,
            auth::password::reset::confirm::post_doc(),
        ),
        post("/auth/email", auth::email::post, auth::email::post_doc()),
        get("/auth/email/confirm", auth::email::confirm::page, auth::email::confirm::page_doc()),
        post("/auth/email/confirm", auth::email::confirm::post, auth::email::confirm::post_doc()),
        get("/auth/audit", auth::audit::get, auth::audit::get_doc()),
        get("/audit", audit::get, audit::get_doc()),
        post("/invitations", invitations::post, invitations::post_doc()),
        get("/users", users::get, users::get_doc()),
        get("/users/{id}", users::id::get, users::id::get_doc()),
        post("/users/{id}/deactivate", users::id::deactivate::post, users::id::deactivate::post_doc()),
        post("/users/{id}/activate", users::id::activate::post, users::id::activate::post_doc()),
        put("/users/{id}/role", users::id::role::put, users::id::role::put_doc()),
        get("/tools", tools::get, tools::get_doc()),
        post("/tools", tools::post, tools::post_doc()),
        get("/tools/{id}", tools::id::get, tools::id::get_doc()),
        patch("/tools/{id}", tools::id::patch, tools::id::patch_doc()),
        get("/tools/{id}/grants", tools::id::grants::get, tools::id::grants::get_doc()),
        post("/tools/{id}/grants", tools::id::grants::post, tools::id::grants::post_doc()),
        delete("/tools/{id}/grants/{user}", tools::id::grants::delete, tools::id::grants::delete_doc()),
        get("/link/state", link::state::get, link::state::get_doc()),
        get("/link/feed", link::feed::get, link::feed::get_doc()),
        post("/link/applied", link::applied::post, link::applied::post_doc()),
    ];
    #[cfg(feature = "docs-ui")]
    all.extend([
        get("/docs", docs::redirect, docs::redirect_doc()),
        get("/docs/", docs::page, docs::page_doc()),
        get("/docs/{file}", docs::asset, docs::asset_doc()),
    ]);
    all
}

/// The OpenAPI document of [`routes`], made once.
fn document() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| Bytes::from(openapi_document(&routes()).to_json().unwrap_or_default())).clone()
}

impl App {
    /// The routes with their middleware.
    pub fn router(&self) -> Router {
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        let router = routes().into_iter().fold(Router::new(), |router, route| match route.access {
            Access::Open => router.route(route.path, route.handler),
            _ => {
                let bounded = from_fn_with_state(Arc::clone(&places), bounded_number);
                router.route(route.path, route.handler.layer(bounded))
            }
        });
        let around = |router| middleware::around(router, self, access_of_routes()).with_state(self.clone());
        beneath::routes(path_of(&self.issuer.url), around(router), around(Router::new()))
    }
}

fn access_of_routes() -> AccessOfRoutes {
    AccessOfRoutes::new(routes().into_iter().map(|route| ((route.path, route.method), route.access)))
}

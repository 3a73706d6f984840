//! How tools and grants are shown, and the words that stand in forms.

use bmap_model::clock::UnixTime;
use bmap_model::roots::Roots;
use bmap_model::tool::{Access, CallerKind, Tool};
use bmap_model::tool_grant::ToolGrant;
use bmap_protocol::token::Assurance;
use bmap_protocol::tool_policy::ToolPolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident for $kind:ident: $($(#[$about:meta])* $word:ident,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub(in crate::routes) enum $name {
            $($(#[$about])* $word,)*
        }

        impl From<$name> for $kind {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$word => $kind::$word,)*
                }
            }
        }
    };
}

words! {
    /// Which users may have a tool.
    AccessWord for Access:
    /// Every user.
    Open,
    /// Users with a grant.
    Granted,
}

words! {
    /// A kind of caller.
    CallerWord for CallerKind:
    /// A page, by a ticket of its backend.
    Page,
    /// A backend, by its own API key.
    Direct,
    /// A signed-in user, on a page.
    User,
    /// A page whose visitor proved nothing.
    Public,
}

words! {
    /// How sure the issuer is of a token's subject.
    AssuranceWord for Assurance:
    /// Of the page only.
    Origin,
    /// Of a signed-in user.
    User,
    /// Of a backend's word.
    Server,
}

/// A tool. Scopes have a space between them.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolView {
    id: String,
    base_url: String,
    /// Pages that may use it; `*` is every page that an API key registered.
    origins: Vec<String>,
    /// `origin`, `user` or `server`.
    min_assurance: &'static str,
    scopes: String,
    required_scopes: String,
    /// `open` or `granted`.
    access: &'static str,
    /// Of `page`, `direct`, `user` and `public`.
    callers: Vec<&'static str>,
    /// While it is open: the scopes that a user without a grant may have.
    open_scopes: String,
    #[schema(value_type = super::policy::PolicySchema)]
    policy: ToolPolicy,
    /// Whether its row is as it was written; one that is not gets no tokens.
    usable: bool,
    created_at: i64,
}

/// One tool.
#[derive(Serialize, ToSchema)]
pub(super) struct OneToolAnswer {
    #[serde(flatten)]
    pub(super) tool: ToolView,
    pub(super) server_time: i64,
}

impl ToolView {
    pub(super) fn of(tool: &Tool, roots: &Roots) -> Self {
        Self {
            id: tool.id.to_string(),
            base_url: tool.base_url.to_string(),
            origins: tool.origins.to_list(),
            min_assurance: tool.min_assurance.as_str(),
            scopes: tool.scopes.to_string(),
            required_scopes: tool.required_scopes.to_string(),
            access: tool.access.as_str(),
            callers: tool.callers.words().collect(),
            open_scopes: tool.open_scopes.to_string(),
            policy: tool.policy.clone(),
            usable: tool.check_seal(roots).is_ok(),
            created_at: tool.created_at.0,
        }
    }
}

/// A grant. Scopes have a space between them.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantView {
    tool: String,
    user: String,
    scopes: String,
    #[schema(required)]
    ends_at: Option<i64>,
    /// Whether it gives anything now: it has not ended, and its row is as it was written.
    in_force: bool,
    /// `operator`, `upgrade`, or the id of the admin who gave it.
    given_by: String,
    given_at: i64,
}

impl GrantView {
    pub(super) fn of(grant: &ToolGrant, roots: &Roots, now: UnixTime) -> Self {
        Self {
            tool: grant.tool.to_string(),
            user: grant.user.to_string(),
            scopes: grant.scopes.to_string(),
            ends_at: grant.ends_at.map(|end| end.0),
            in_force: grant.is_in_force(now) && grant.check_seal(roots).is_ok(),
            given_by: grant.given_by.to_string(),
            given_at: grant.given_at.0,
        }
    }
}

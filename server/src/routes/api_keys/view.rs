//! How a key is shown. There is no field for a secret in [`KeyView`].

use crate::http::app::App;
use bmap_model::api_key::{KeyScope, KeyState, ToolSet};
use bmap_model::clock::UnixTime;
use bmap_model::keys::ManagedKey;
use serde::Serialize;
use utoipa::ToSchema;

/// A key. Times are milliseconds since 1970.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    id: String,
    /// Whose it is.
    user: String,
    name: String,
    /// `hmac-sha256` or `ed25519`.
    signing: &'static str,
    /// `active`, `expired`, `revoked`, or `unusable` for a row that does not open.
    state: &'static str,
    /// Tools that it may get tokens for; `*` is every tool.
    tools: Vec<String>,
    /// Pages that it may make tickets for.
    origins: Vec<String>,
    /// Networks that it may be used from; none means any.
    cidrs: Vec<String>,
    #[schema(required)]
    expires_at: Option<i64>,
    /// Scopes that its tokens may have at most; null for whatever its user may have.
    #[schema(required)]
    scopes: Option<String>,
    /// Whether it administers this installation.
    administer: bool,
    created_at: i64,
    #[schema(required)]
    revoked_at: Option<i64>,
    /// The secret before this one, while it works.
    #[schema(required)]
    former: Option<FormerView>,
    /// As far as is known.
    #[schema(required)]
    last_used: Option<LastUseView>,
}

/// The secret that a key had before.
#[derive(Serialize, ToSchema)]
struct FormerView {
    /// The end of its grace.
    expires_at: i64,
}

/// The last use of a key.
#[derive(Serialize, ToSchema)]
struct LastUseView {
    at: i64,
    address: String,
    /// `headers`, `apikey`, `basic` or `signature`.
    way: &'static str,
}

/// A key with its secret: the answer that makes it.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyWithSecret<'a> {
    #[serde(flatten)]
    pub(super) key: KeyView,
    /// `bms_…`: shown this once.
    pub(super) secret: &'a str,
    /// Whether the grace of an earlier change was ended by this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) former_ended: Option<bool>,
    pub(super) server_time: i64,
}

impl KeyView {
    pub(super) fn of(app: &App, key: &ManagedKey, now: UnixTime) -> Self {
        let roots = &app.issuer.roots;
        let current = &key.rows.current;
        // Of a row that does not open nothing is shown that it says of itself.
        let scope = key.rows.scope(roots).unwrap_or_default();
        let last_used = app.last_uses.newest(&current.id, key.last_use);
        let KeyScope { tools, origins, cidrs, expires_at, scopes, administer } = scope;
        Self {
            id: current.id.to_string(),
            user: current.owner.to_string(),
            name: current.name.to_string(),
            signing: current.signing.as_str(),
            state: key.rows.standing(roots, now).as_str(),
            tools: match tools {
                ToolSet::Any => vec!["*".to_owned()],
                ToolSet::Only(tools) => tools.iter().map(ToString::to_string).collect(),
            },
            origins: origins.iter().map(ToString::to_string).collect(),
            cidrs: cidrs.iter().map(ToString::to_string).collect(),
            expires_at: expires_at.map(millis),
            scopes: scopes.map(|scopes| scopes.to_string()),
            administer,
            created_at: current.created_at.0,
            revoked_at: match current.state {
                KeyState::Active => None,
                KeyState::Revoked { at } => Some(at.0),
            },
            former: key.rows.former_end(roots, now).map(|end| FormerView { expires_at: millis(end) }),
            last_used: last_used.map(|last_use| LastUseView {
                at: last_use.at.0,
                address: last_use.address.to_string(),
                way: last_use.way.as_str(),
            }),
        }
    }
}

const fn millis(seconds: i64) -> i64 {
    UnixTime(0).plus_seconds(seconds).0
}

//! A tool as JSON.

use bmap_model::tool::Tool;
use serde_json::{Value, json};

/// What the commands print of a tool.
pub(super) fn describe(tool: &Tool) -> Value {
    json!({
        "id": tool.id.as_str(), "base_url": tool.base_url.as_str(), "origins": tool.origins.to_list(),
        "min_assurance": tool.min_assurance.as_str(), "scopes": tool.scopes.words().collect::<Vec<_>>(),
        "required_scopes": tool.required_scopes.words().collect::<Vec<_>>(), "access": tool.access.as_str(),
        "callers": tool.callers.words().collect::<Vec<_>>(),
        "open_scopes": tool.open_scopes.words().collect::<Vec<_>>(), "policy": tool.policy,
        "created_at": tool.created_at.0,
    })
}

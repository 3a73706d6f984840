//! What a caller lacks where a tool or a scope is denied: for the operator's log. The caller is told `tool_denied` or `scope_denied` and no
//! more, alike for a tool that does not exist (profile §7).

use bmap_model::scope::Scopes;

/// Why a tool is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolLack {
    /// No tool has that name.
    #[error("there is no such tool")]
    Tool,
    /// The API key is not for it.
    #[error("the API key is not for this tool (bmap key edit --tool)")]
    Key,
    /// The tool does not take callers of that kind: of its word.
    #[error("the tool takes no callers of the kind {0} (bmap tool edit --callers)")]
    Callers(&'static str),
    /// The user whom the key belongs to has no grant in force.
    #[error("the API key's owner has no grant of this tool in force (bmap tool grant)")]
    OwnersGrant,
    /// The signed-in user has none.
    #[error("the signed-in user has no grant of this tool in force (bmap tool grant)")]
    SubjectsGrant,
    /// The ticket, or the token that is to be renewed, is for another one.
    #[error("the ticket or the subject token is for another tool")]
    OtherTool,
    /// No tool has the address that was asked for, or the one that was named by its id has another address.
    #[error("no tool has the address that was asked for, or another one than was named (bmap tool list)")]
    Address,
    /// Several tools have the address that was asked for.
    #[error(
        "several tools have the address that was asked for: the caller names one by `audience` too (bmap tool list)"
    )]
    SharedAddress,
    /// The tool's policy does not list that proof.
    #[error("the tool takes no capabilities (bmap tool edit --policy, proofs)")]
    Capabilities,
    /// The row of the tool or of the grant was edited.
    #[error("its row is not as it was written")]
    Edited,
}

/// Why a scope is denied. Scopes that are named are the tool's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeLack {
    /// The tool does not know one that was asked for. It is a caller's text, which may be a secret in the wrong field, and not named (R33).
    #[error("the tool does not know a scope that was asked for (bmap tool edit --scopes)")]
    Tool,
    /// The key does not have these.
    #[error("the API key does not have the scope {0} (bmap key edit --scopes)")]
    Key(Scopes),
    /// No grant of the key's owner, or of the signed-in user, has these.
    #[error("no grant of the key's owner, or of the signed-in user, has the scope {0} (bmap tool grant --scopes)")]
    Grant(Scopes),
    /// The ticket, or the token that is to be renewed, does not have one that was asked for: a caller's text too.
    #[error("the ticket or the subject token does not have a scope that was asked for")]
    Subject,
}

//! All that a verifier has to know, at one cursor.

use crate::error::IssuerError;
use crate::issuer::Issuer;
use bmap_model::link::{denies, word};
use bmap_model::tool::{Tool, ToolOrigins};
use bmap_protocol::link::{Change, ChangeKind, LinkedTool, PublicKey, State};
use std::collections::HashMap;

impl Issuer {
    /// The state of one tool's verifiers.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn link_state(&self, tool: &Tool) -> Result<State, IssuerError> {
        // First the cursor: a change that comes behind it is in the feed, and may be in what is read now too.
        let cursor = self.store.link_cursor().await?;
        let now = self.clock.now();
        let changes = self.store.live_link_changes(now.seconds()).await?;
        // Read behind the cursor, for the same reason.
        let tool = self.store.tool(&tool.id).await?.ok_or(IssuerError::NotFound { what: "tool" })?;
        self.check_linked(&tool)?;
        let public = self.public_keys.iter().map(|key| PublicKey { kid: key.kid.clone(), x: key.public_key.clone() });
        Ok(State {
            cursor,
            server_time: now.0,
            issuer: self.url.to_string(),
            issuer_keys: public.collect(),
            denials: standing(changes).into_iter().filter(|change| touches(change, tool.id.as_str())).collect(),
            tools: vec![self.linked(&tool)?],
        })
    }

    fn linked(&self, tool: &Tool) -> Result<LinkedTool, IssuerError> {
        let base_url = tool.base_url.origin().ok_or(IssuerError::InvalidState {
            hint: "the tool's base URL is in a former spelling: bmap doctor names it",
        })?;
        let origins = match &tool.origins {
            ToolOrigins::AnyRegistered => vec!["*".to_owned()],
            // One in a former spelling is sent by no browser.
            ToolOrigins::Only(listed) => {
                listed.iter().filter_map(|origin| origin.origin()).map(ToString::to_string).collect()
            }
        };
        Ok(LinkedTool {
            id: tool.id.to_string(),
            epochs: self.roots.all().iter().map(|epoch| epoch.epoch()).collect(),
            base_urls: vec![base_url.to_string()],
            origins,
            min_assurance: tool.min_assurance,
            scopes: tool.required_scopes.words().map(str::to_owned).collect(),
            policy: tool.policy.clone(),
        })
    }
}

/// Whether a change can touch tokens of a tool, or what its verifiers hold. Which tools a user's or a key's tokens were for is not stored, so
/// these go to all.
pub(crate) fn touches(change: &Change, tool: &str) -> bool {
    change.tool.as_deref().is_none_or(|limited| limited == tool)
}

/// The denials that stand after changes in their order: one that was lifted is left out, and each is there once.
fn standing(changes: Vec<Change>) -> Vec<Change> {
    let mut standing: HashMap<_, Change> = HashMap::with_capacity(changes.len());
    for mut change in changes {
        let about = |kind, of_all: bool| (word(kind), change.id.clone(), change.tool.clone(), of_all);
        let ended = if change.kind == ChangeKind::Lift { change.of } else { None };
        if let Some(ended) = ended {
            standing.remove(&about(ended, true));
        } else if denies(change.kind) {
            let about = about(change.kind, change.issued_until.is_none());
            // Issuers' clocks differ: the later second of issue counts.
            if let Some(former) = standing.get(&about) {
                change.issued_until = change.issued_until.max(former.issued_until);
                change.until = change.until.max(former.until);
            }
            standing.insert(about, change);
        }
    }
    let mut standing: Vec<Change> = standing.into_values().collect();
    standing.sort_by(|a, b| (a.cursor, word(a.kind), &a.id).cmp(&(b.cursor, word(b.kind), &b.id)));
    standing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(cursor: i64, kind: ChangeKind, id: &str, of: Option<ChangeKind>) -> Change {
        Change { cursor, kind, id: id.into(), until: 9, tool: None, of, issued_until: None }
    }

    #[test]
    fn the_latest_word_on_a_user_counts() {
        let (deny, lift) = (ChangeKind::User, Some(ChangeKind::User));
        let changes = vec![
            change(1, deny, "ana", None),
            change(2, deny, "bo", None),
            change(3, ChangeKind::Lift, "ana", lift),
            change(4, ChangeKind::Lift, "bo", Some(ChangeKind::Grant)),
            change(5, ChangeKind::Policy, "geo", None),
            change(6, deny, "cy", None),
            change(7, ChangeKind::Lift, "cy", lift),
            change(8, deny, "cy", None),
        ];
        let left: Vec<_> = standing(changes).into_iter().map(|change| (change.cursor, change.id)).collect();
        assert_eq!(left, [(2, "bo".to_owned()), (8, "cy".to_owned())]);
    }

    #[test]
    fn t25_a_denial_up_to_a_second_of_issue_stands_beside_the_users_and_is_not_lifted() {
        let user = |cursor, issued_until| Change { issued_until, ..change(cursor, ChangeKind::User, "ana", None) };
        let lift = change(9, ChangeKind::Lift, "ana", Some(ChangeKind::User));
        let left = standing(vec![user(1, Some(70)), user(2, None), user(3, Some(60))]);
        assert_eq!(left, [user(2, None), user(3, Some(70))]);
        assert_eq!(standing(vec![user(1, Some(70)), user(2, None), lift]), [user(1, Some(70))]);
    }
}

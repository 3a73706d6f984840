//! The audit log of keys: each change once, in its own transaction, and no secret.

use crate::key_owner::form;
use crate::storage::audit::follow;
use crate::world::World;
use bmap_model::audit::chain::Row;
use serde_json::json;

/// The entries about keys: action, outcome, actor, key.
fn about_keys(rows: &[Row]) -> Vec<(String, String)> {
    let entries = rows.iter().map(|row| &row.content).filter(|content| content.action.starts_with("api_key."));
    entries.map(|content| (content.action.clone(), content.outcome.clone())).collect()
}

#[tokio::test]
async fn r33_each_change_of_a_key_has_one_entry_without_a_secret() {
    let world = World::start().await;
    let (ana, eve) = (world.key_owner("ana@shop.example").await, world.key_owner("eve@shop.example").await);
    let make =
        ana.call("POST", "/api-keys").header("idempotency-key", "one").body("application/json", form().to_string());
    let made = ana.stepped_up(make.clone()).await;
    assert_eq!(make.send(world.address).await.body, made.body, "made once, recorded once");
    let old = ana.holder(&made);
    ana.change(&old, json!({ "name": "shop", "cidrs": ["127.0.0.0/8"] })).await;
    let new = ana.holder(&ana.regenerate(&old, 60).await);
    eve.regenerate(&old, 0).await.assert_refused("not_found");
    for _ in 0..2 {
        assert_eq!(ana.revoke(&new).await.status, 204);
    }
    ana.regenerate(&new, 0).await.assert_refused("key_revoked");
    world.issuer.audit.settle().await;
    let rows = follow(&world.issuer.store).await;
    let entries = about_keys(&rows);
    let done: Vec<&str> =
        entries.iter().filter(|(_, outcome)| outcome == "done").map(|(action, _)| action.as_str()).collect();
    assert_eq!(done, ["api_key.create", "api_key.update", "api_key.regenerate", "api_key.revoke"]);
    let mut refused: Vec<&str> =
        entries.iter().filter(|(_, outcome)| outcome != "done").map(|(_, outcome)| outcome.as_str()).collect();
    refused.sort_unstable();
    assert_eq!(refused, ["key_revoked", "not_found"]);
    let changed = rows.iter().find(|row| row.content.action == "api_key.update").unwrap();
    let target = (changed.content.target_id.as_deref(), changed.content.target_user.as_deref());
    assert_eq!(target, (Some(old.id.as_str()), Some(ana.user.as_str())));
    assert_eq!(changed.content.actor_user.as_deref(), Some(ana.user.as_str()));
    let text = format!("{rows:?}");
    assert!(text.contains("shop") && text.contains("127.0.0.0/8") && text.contains("grace_seconds"));
    for key in [&old, &new] {
        assert!(!text.contains(&key.secret.reveal()[4..47]));
    }
}

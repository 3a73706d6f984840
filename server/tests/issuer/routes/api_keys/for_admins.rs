use crate::key_owner::form;
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn an_admin_manages_everybodys_keys() {
    let world = World::start().await;
    let (ana, root) = (world.key_owner("ana@shop.example").await, world.key_owner("root@shop.example").await);
    let key = ana.make().await;
    let whose = format!("/api-keys?user={}", ana.user);
    root.get(&whose).await.assert_refused("admin_required");
    root.become_admin().await;
    assert_eq!(root.get("/api-keys").await.granted()["api_keys"], json!([]), "one's own without a name");
    assert_eq!(root.get(&whose).await.granted()["api_keys"][0]["id"], key.id.as_str());
    root.get("/api-keys?user=ana").await.assert_refused("malformed_request");
    ana.get(&format!("/api-keys?user={}", root.user)).await.assert_refused("admin_required");
    assert_eq!(ana.get(&whose).await.granted()["api_keys"][0]["id"], key.id.as_str());

    assert_eq!(root.show(&key).await["user"], ana.user.as_str());
    assert_eq!(root.change(&key, json!({ "name": "theirs" })).await["user"], ana.user.as_str(), "it stays whose it is");
    key.works().await;
    assert_eq!(root.revoke(&key).await.status, 204);
    key.is_refused("key_revoked", "key_revoked").await;
}

#[tokio::test]
async fn o07_over_http_an_admin_is_given_no_secret_of_another_user() {
    let world = World::start().await;
    let (ana, root) = (world.key_owner("ana@shop.example").await, world.key_owner("root@shop.example").await);
    root.become_admin().await;
    let key = ana.make().await;
    let refused = root.regenerate(&key, 60).await;
    refused.assert_refused("owner_required");
    assert!(refused.json()["hint"].as_str().unwrap().contains("revoke"));
    key.works().await;
    assert_eq!(ana.show(&key).await["former"], json!(null), "nothing was changed");
    // Of a key of its own it is.
    let own = root.make().await;
    root.holder(&root.regenerate(&own, 60).await).works().await;
}

#[tokio::test]
async fn a_key_for_every_tool_is_an_admins() {
    let world = World::start().await;
    let root = world.key_owner("root@shop.example").await;
    let mut every = form();
    every["tools"] = json!(["*"]);
    root.send("POST", "/api-keys", &every).await.assert_refused("malformed_request");
    root.become_admin().await;
    let key = root.make_with(every).await;
    key.works().await;
    assert_eq!(root.show(&key).await["tools"], json!(["*"]));
}

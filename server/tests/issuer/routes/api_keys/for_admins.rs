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
    let answer = root.regenerate(&key, 60).await;
    let new = ana.holder(&answer);
    key.works().await;
    new.works().await;
    assert_eq!(root.revoke(&new).await.status, 204);
    new.is_refused("key_revoked", "key_revoked").await;
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

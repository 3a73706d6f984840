mod regenerate;

use crate::actors::exchange;
use crate::http_client::Call;
use crate::key_owner::form;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World};
use serde_json::{Value, json};

const NOBODYS: &str = "bmk_00000000000000000000000000000000";

#[tokio::test]
async fn somebody_elses_key_is_answered_like_one_that_there_is_not() {
    let world = World::start().await;
    let (ana, eve) = (world.key_owner("ana@shop.example").await, world.key_owner("eve@shop.example").await);
    let key = ana.make().await;
    let without_id = |answer: crate::http_client::Answer| {
        let mut problem = answer.json();
        problem["request_id"] = Value::Null;
        problem
    };
    for (method, end, body) in [
        ("GET", "", None),
        ("PATCH", "", Some(json!({ "name": "mine" }))),
        ("DELETE", "", None),
        ("POST", "/regenerate", Some(json!({ "grace_seconds": 0 }))),
    ] {
        let send = async |id: &str| {
            let call = eve.call(method, &format!("/api-keys/{id}{end}"));
            let call = match &body {
                Some(body) => call.body("application/json", body.to_string()),
                None => call,
            };
            call.send(world.address).await
        };
        let (theirs, nobodys) = (send(key.id.as_str()).await, send(NOBODYS).await);
        theirs.assert_refused("not_found");
        nobodys.assert_refused("not_found");
        assert_eq!(without_id(theirs), without_id(nobodys), "{method}");
        for other in ["x", "bmk_", "%62mk_00000000000000000000000000000000", "' OR 1=1--"] {
            send(&other.replace(' ', "%20")).await.assert_refused("not_found");
        }
    }
    assert_eq!(eve.get("/api-keys").await.granted()["api_keys"], json!([]));
    key.works().await;
    assert_eq!(ana.show(&key).await["name"], "website");
}

#[tokio::test]
async fn a_changed_tool_counts_for_the_next_request() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    let ticket = key.ticket().await;
    let page = key.page_token().await;
    let changed = ana.change(&key, json!({ "tools": [OTHER_TOOL], "name": "other" })).await;
    assert_eq!(
        (&changed["tools"], &changed["name"], &changed["origins"]),
        (&json!([OTHER_TOOL]), &json!("other"), &json!([PAGE]))
    );
    key.is_refused("tool_denied", "tool_denied").await;
    exchange(&ticket).send(world.address).await.assert_refused("tool_denied");
    page.renew().await.assert_refused("tool_denied");
    ana.change(&key, json!({ "tools": [OTHER_TOOL, TOOL] })).await;
    key.works().await;
    page.renew().await.granted();
}

#[tokio::test]
async fn changed_origins_count_at_once_for_tickets_tokens_and_cors() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    let (ticket, page) = (key.ticket().await, key.page_token().await);
    let preflight = async |origin: &str| {
        let call = Call::new("OPTIONS", "/oauth/token").header("origin", origin);
        call.header("access-control-request-method", "POST").send(world.address).await.status
    };
    assert_eq!((preflight(PAGE).await, preflight("https://new.example").await), (204, 403));
    ana.change(&key, json!({ "origins": ["https://new.example", "https://new.example"] })).await;
    assert_eq!((preflight(PAGE).await, preflight("https://new.example").await), (403, 204));
    key.send(key.ticket_call()).await.assert_refused("origin_denied");
    exchange(&ticket).send(world.address).await.assert_refused("origin_denied");
    page.renew().await.assert_refused("origin_denied");
    let new = json!({ "tool": TOOL, "origin": "https://new.example" });
    key.send(Call::json("/tickets", &new)).await.granted();
    // The end of a key is the end of its origins' CORS.
    let ends = world.issuer.clock.now().plus_seconds(60).0;
    ana.change(&key, json!({ "expires_at": ends })).await;
    world.clock.advance_seconds(60);
    assert_eq!(preflight("https://new.example").await, 403);
}

#[tokio::test]
async fn t5_networks_and_the_end_of_a_key_count_at_once() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    for signing in ["hmac-sha256", "ed25519"] {
        let mut form = form();
        form["signing"] = json!(signing);
        let key = ana.make_with(form).await;
        key.works().await;
        ana.change(&key, json!({ "cidrs": ["10.0.0.0/8", "2001:db8::/32"] })).await;
        key.is_refused("ip_denied", "ip_denied").await;
        ana.change(&key, json!({ "cidrs": ["127.0.0.1/32"] })).await;
        key.works().await;
        ana.change(&key, json!({ "expires_at": world.issuer.clock.now().plus_seconds(5).0 })).await;
        key.works().await;
        world.clock.advance_seconds(5);
        key.is_refused("invalid_credentials", "invalid_credentials").await;
        assert_eq!(ana.show(&key).await["state"], "expired");
        ana.send("POST", &format!("/api-keys/{}/regenerate", key.id), &json!({})).await.assert_refused("invalid_state");
        // Its owner may give it a longer life.
        assert_eq!(ana.change(&key, json!({ "expires_at": null, "cidrs": [] })).await["state"], "active");
        key.works().await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_over_for_good_with_all_that_it_began() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    let former = key;
    let key = ana.holder(&ana.regenerate(&former, 3600).await);
    let (ticket, page) = (key.ticket().await, key.page_token().await);
    for _ in 0..2 {
        let answer = ana.revoke(&key).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(ana.show(&key).await["revoked_at"], world.issuer.clock.now().0, "the first time counts");
    }
    key.is_refused("key_revoked", "key_revoked").await;
    // Of the former secret nothing is left to prove.
    former.is_refused("invalid_credentials", "invalid_signature").await;
    exchange(&ticket).send(world.address).await.assert_refused("key_revoked");
    page.renew().await.assert_refused("key_revoked");
    ana.send("PATCH", &format!("/api-keys/{}", key.id), &json!({ "name": "again" }))
        .await
        .assert_refused("key_revoked");
    ana.regenerate(&key, 0).await.assert_refused("key_revoked");
    let shown = ana.show(&key).await;
    assert_eq!((&shown["state"], &shown["former"]), (&json!("revoked"), &Value::Null));
}

#[tokio::test]
async fn what_may_not_be_changed_is_named() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    for (change, field) in [
        (json!({ "name": null }), "name"),
        (json!({ "tools": null }), "tools"),
        (json!({ "origins": null }), "origins"),
        (json!({ "cidrs": null }), "cidrs"),
        (json!({ "tools": ["*"] }), "tools"),
        (json!({ "scopes": "a\"b" }), "scopes"),
        (json!({ "administer": true }), "body"),
        (json!({ "origins": ["https://Shop.example"] }), "origins"),
        (json!({ "cidrs": ["10.1.0.0/8"] }), "cidrs"),
        (json!({ "expires_at": 1 }), "expires_at"),
        (json!({ "signing": "ed25519" }), "body"),
        (json!({ "state": "active" }), "body"),
        (json!({ "user": "x" }), "body"),
    ] {
        let answer = ana.send("PATCH", &format!("/api-keys/{}", key.id), &change).await;
        answer.assert_refused("malformed_request");
        assert_eq!(answer.json()["field"], field, "{change}");
    }
    key.works().await;
    // A name that alone is changed leaves the rest.
    let (before, after) = (ana.show(&key).await, ana.change(&key, json!({ "name": "Škoda" })).await);
    assert_eq!(
        (&after["name"], &after["tools"], &after["origins"]),
        (&json!("Škoda"), &before["tools"], &before["origins"])
    );
    assert_eq!(ana.change(&key, json!({})).await["name"], "Škoda");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_both_are_made() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    for round in 0..10 {
        let name = format!("round {round}");
        let cidr = format!("127.0.0.{round}/32");
        let path = format!("/api-keys/{}", key.id);
        let changes = [json!({ "name": name }), json!({ "cidrs": [cidr, "127.0.0.1/32"] }), json!({ "tools": [TOOL] })];
        let sent = changes.iter().map(|change| ana.send("PATCH", &path, change));
        for answer in futures_util::future::join_all(sent).await {
            answer.granted();
        }
        let shown = ana.show(&key).await;
        assert_eq!(shown["name"], json!(name));
        assert!(shown["cidrs"].as_array().unwrap().contains(&json!(cidr)), "{shown}");
        key.works().await;
    }
}

#[tokio::test]
async fn r31_another_users_key_and_an_unknown_one_get_the_same_answer() {
    let world = World::start().await;
    let (ana, ben) = (world.key_owner("ana@shop.example").await, world.key_owner("ben@shop.example").await);
    let bens = ben.make().await;
    let unknown = bmap_protocol::ids::ApiKeyId::from_uuid([9; 16]);
    for (method, after) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/regenerate")] {
        let mut answers = Vec::new();
        for id in [bens.id.as_str(), unknown.as_str()] {
            let answer = ana.send(method, &format!("/api-keys/{id}{after}"), &json!({})).await;
            answer.assert_refused("not_found");
            answers.push(crate::cors::seen(&answer));
        }
        assert_eq!(answers[0], answers[1], "{method}");
    }
}

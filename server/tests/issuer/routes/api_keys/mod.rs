mod edited;
mod for_admins;
mod id;
mod recorded;
mod revoke;

use crate::http_client::Call;
use crate::key_owner::form;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, event};
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_is_made_and_its_secret_shown_once() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let ends = (i64::try_from(world.now()).unwrap() + 60) * 1000;
    let form = json!({
        "name": "website", "tools": [OTHER_TOOL, TOOL], "origins": [PAGE], "cidrs": ["127.0.0.0/8"],
        "expires_at": ends + 999, "signing": "ed25519",
    });
    let answer = ana.send("POST", "/api-keys", &form).await;
    let made = answer.json();
    let id = made["id"].as_str().unwrap();
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    assert_eq!(answer.header("location"), Some(format!("/api-keys/{id}").as_str()));
    assert!(made["secret"].as_str().unwrap().starts_with("bms_") && made["server_time"].is_i64());
    ana.holder(&answer).works().await;

    let shown = ana.get(&format!("/api-keys/{id}")).await.granted();
    let expected = json!({
        "id": id, "user": ana.user.as_str(), "name": "website", "signing": "ed25519", "state": "active",
        "tools": [TOOL, OTHER_TOOL], "origins": [PAGE], "cidrs": ["127.0.0.0/8"], "expires_at": ends,
        "created_at": world.issuer.clock.now().0, "revoked_at": null, "former": null,
        "scopes": null, "administer": false,
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!((&shown[member], &made[member]), (value, value), "{member}");
    }
    let members = shown.as_object().unwrap().len();
    assert_eq!(members, expected.as_object().unwrap().len() + 2, "and last_used and server_time: {shown}");
    assert_eq!(ana.get("/api-keys").await.granted()["api_keys"][0]["id"], id);
    for answer in [ana.get("/api-keys").await, ana.get(&format!("/api-keys/{id}")).await] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("bms_"), "a secret is shown once");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn r50_whatever_may_not_stand_in_a_key_is_named() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let now = world.issuer.clock.now().0;
    let many: Vec<String> = (0..65).map(|number| format!("https://s{number}.example")).collect();
    for (member, value, field, hint) in [
        ("name", Value::Null, "name", "what you call"),
        ("name", json!(""), "name", "1 to 64"),
        ("name", json!("a\nb"), "name", "control"),
        ("tools", Value::Null, "tools", "the tools"),
        ("tools", json!(["Places"]), "tools", "entry 1"),
        ("tools", json!(["*"]), "tools", "administrator"),
        ("tools", json!(["*", TOOL]), "tools", "goes with no other"),
        ("tools", json!(TOOL), "body", "expected a sequence"),
        ("origins", json!(["null"]), "origins", "entry 1"),
        ("origins", json!([PAGE, "HTTPS://shop.example"]), "origins", "entry 2: "),
        ("origins", json!(["https://shop.example:443"]), "origins", "did you mean https://shop.example?"),
        ("origins", json!(["https://shop.example."]), "origins", "did you mean https://shop.example?"),
        ("origins", json!(["https://shop.example/"]), "origins", "did you mean https://shop.example?"),
        ("origins", json!(["http://shop.example"]), "origins", "https"),
        ("origins", json!(["*"]), "origins", "entry 1"),
        ("origins", json!(many), "origins", "at most 64"),
        ("cidrs", json!(["10.0.0.1/8"]), "cidrs", "did you mean 10.0.0.0/8?"),
        ("cidrs", json!(["10.0.0.0/33"]), "cidrs", "entry 1"),
        ("cidrs", json!(["10.0.0.1"]), "cidrs", "did you mean 10.0.0.1/32?"),
        ("expires_at", json!(now), "expires_at", "future"),
        ("expires_at", json!(now / 1000 + 3600), "expires_at", "milliseconds"),
        ("expires_at", json!(i64::MAX), "expires_at", "10000"),
        ("expires_at", json!("tomorrow"), "body", "invalid type"),
        ("scopes", json!("a\"b"), "scopes", "a scope is"),
        ("scopes", json!(["search"]), "body", "expected a string"),
        ("administer", json!(true), "body", "unknown field `administer`"),
        ("signing", json!("none"), "signing", "hmac-sha256 or ed25519"),
        ("secret", json!("mine"), "body", "unknown field `secret`"),
        ("user", json!("usr_00000000000000000000000000000000"), "body", "unknown field `user`"),
    ] {
        let mut form = form();
        form[member] = value.clone();
        let answer = ana.send("POST", "/api-keys", &form).await;
        answer.assert_refused("malformed_request");
        let problem = answer.json();
        assert_eq!(problem["field"], field, "{member} {value}: {problem}");
        assert!(problem["hint"].as_str().unwrap().contains(hint), "{member} {value}: {problem}");
    }
    for bad in ["", "[]", "{", "\"x\"", "{\"name\":\"a\",\"name\":\"b\",\"tools\":[]}"] {
        let call = ana.call("POST", "/api-keys").body("application/json", bad);
        call.send(world.address).await.assert_refused("malformed_request");
    }
    let as_form = ana.call("POST", "/api-keys").body("application/x-www-form-urlencoded", "name=a");
    as_form.send(world.address).await.assert_refused("unsupported_media_type");
    assert_eq!(ana.get("/api-keys").await.granted()["api_keys"], json!([]));
}

#[tokio::test]
async fn t33_what_a_form_should_not_hold_gets_into_no_line_of_the_log() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let made = ana.make().await;
    let secret = made.secret.reveal();
    let mut forged = form();
    forged["x\n2026-11-22T00:00:00Z ERROR forged: \u{1b}[31m\u{202e}"] = json!(1);
    let mut misplaced = form();
    misplaced["expires_at"] = json!(*secret);
    for form in [forged, misplaced] {
        let answer = ana.send("POST", "/api-keys", &form).await;
        answer.assert_refused("malformed_request");
        assert_eq!(answer.json()["field"], "body");
    }
    let log = crate::log::text();
    assert!(log.contains("forged: "), "the refusals were logged");
    assert!(!log.lines().any(|line| line.starts_with("2026-11-22T00:00:00Z ERROR forged")), "a line of its own");
    assert!(!log.contains(['\u{1b}', '\u{202e}']) && !log.contains(secret.as_str()));
}

#[tokio::test]
async fn keys_are_for_whoever_is_signed_in_and_active() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    Call::json("/api-keys", &form()).send(world.address).await.assert_refused("invalid_token");
    // A key makes no keys, and shows none.
    key.send(Call::json("/api-keys", &form())).await.assert_refused("invalid_token");
    key.send(Call::new("GET", "/api-keys")).await.assert_refused("invalid_token");
    world.issuer.store.set_deactivated(&ana.user, Some(world.issuer.clock.now()), &event()).await.unwrap();
    ana.send("POST", "/api-keys", &form()).await.assert_refused("user_inactive");
    key.is_refused("user_inactive", "user_inactive").await;
    world.issuer.store.set_deactivated(&ana.user, None, &event()).await.unwrap();
    key.works().await;
}

#[tokio::test]
async fn a_user_has_a_hundred_keys_that_are_not_revoked() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let first = ana.make().await;
    for _ in 1..100 {
        world.clock.advance_seconds(1);
        ana.make().await;
    }
    let answer = ana.send("POST", "/api-keys", &form()).await;
    answer.assert_refused("limit_reached");
    assert!(answer.json()["hint"].as_str().unwrap().contains("revoke one"));
    world.key_owner("bob@shop.example").await.make().await;
    assert_eq!(ana.revoke(&first).await.status, 204);
    ana.make().await;

    // And the list comes in pages, oldest first, each key once.
    let mut path = "/api-keys?limit=40".to_owned();
    let (mut seen, mut pages) = (Vec::new(), Vec::new());
    loop {
        let page = ana.get(&path).await.granted();
        let keys = page["api_keys"].as_array().unwrap();
        pages.push(keys.len());
        seen.extend(keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/api-keys?limit=40&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [40, 40, 21]);
    assert!(seen.is_sorted() && seen.len() == 101 && seen[0] == first.id.as_str());
    assert_eq!(ana.get("/api-keys").await.granted()["api_keys"].as_array().unwrap().len(), 100);
    for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x", "limit=1&limit=2", "offset=3", "cursor="] {
        ana.get(&format!("/api-keys?{query}")).await.assert_refused("malformed_request");
    }
}

#[tokio::test]
async fn the_last_use_says_when_from_where_and_how() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    assert_eq!(ana.show(&key).await["last_used"], Value::Null);
    for (way, call) in key.four_ways(&key.direct_call()) {
        world.clock.advance_seconds(1);
        // Signed again: time has gone on.
        let call = if way == "signature" { key.signed(key.direct_call()) } else { call };
        call.send(world.address).await.granted();
        let used = json!({ "at": world.issuer.clock.now().0, "address": "127.0.0.1", "way": way });
        assert_eq!(ana.show(&key).await["last_used"], used);
        world.app.last_uses.write(&world.issuer.store).await.unwrap();
        assert_eq!(ana.show(&key).await["last_used"], used, "written");
    }
    // RouteError uses are none.
    let before = ana.show(&key).await["last_used"].clone();
    world.clock.advance_seconds(1);
    let wrong = crate::actors::Host { secret: bmap_protocol::api_key::ApiSecret::from_bytes([9; 32]), ..key };
    wrong.is_refused("invalid_credentials", "invalid_signature").await;
    assert_eq!(ana.show(&wrong).await["last_used"], before);
}

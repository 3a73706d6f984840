//! The entries of the real operations, over HTTP and from the command line.

use crate::actors::exchange;
use crate::http_client::Call;
use crate::operator::Operator;
use crate::person::{Pair, change_password, login, logout};
use crate::storage::audit::follow;
use crate::world::{PAGE, TOOL, World, event};
use base64ct::{Base64, Encoding};
use bmap_model::audit::Action;
use bmap_model::audit::chain::Row;
use bmap_model::clock::WallClock;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::seal::SigningKind;
use serde_json::json;

/// Every entry so far, after the chain was followed.
pub(crate) async fn entries(world: &World) -> Vec<Row> {
    world.issuer.audit.settle().await;
    follow(&world.issuer.store).await
}

/// The entries after so many: action, outcome, kind of actor, kind of target.
async fn after(world: &World, before: usize) -> Vec<String> {
    let say = |row: &Row| {
        let it = &row.content;
        format!("{} {} {} {}", it.action, it.outcome, it.actor, it.target.as_deref().unwrap_or("-"))
    };
    entries(world).await[before..].iter().map(say).collect()
}

#[tokio::test]
async fn what_people_do_is_recorded() {
    let world = World::start().await;
    let before = entries(&world).await.len();
    let ana = world.person("ana@shop.example").await;
    let pair = ana.sign_in().await;
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    world.refresh(&pair.refresh).await.granted(); // within the grace: nothing is done
    let new = "copper-lantern-12-frost";
    change_password(&next.access, crate::person::PASSWORD, new).send(world.address).await.granted();
    assert_eq!(logout(&next.refresh).send(world.address).await.status, 204);
    assert_eq!(logout(&next.refresh).send(world.address).await.status, 204);
    assert_eq!(
        after(&world, before).await,
        [
            "user.register done anonymous -",
            "user.confirm done user user",
            "user.sign_in done user session",
            "session.refresh done user session",
            "password.change done user user",
            "user.sign_out done user session",
        ]
    );
    let rows = entries(&world).await;
    let sign_in = &rows[before + 2].content;
    assert_eq!(sign_in.actor_id.as_deref(), Some(pair.user().as_str()));
    assert_eq!(sign_in.target_user, sign_in.actor_id);
    assert_eq!(sign_in.address.as_deref(), Some("127.0.0.1"));
    assert!(sign_in.request_id.as_deref().is_some_and(|id| !id.is_empty()));
    // A used token that comes back after the grace ends the session, and says why.
    let pair = Pair::of(&login("ana@shop.example", new).send(world.address).await);
    world.refresh(&pair.refresh).await.granted();
    let before = rows.len() + 2;
    world.clock.advance_seconds(11);
    world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    let ended = after(&world, before).await;
    assert_eq!(ended, ["session.revoke done system session", "session.refresh invalid_token anonymous session"]);
}

#[tokio::test]
async fn what_is_granted_to_a_host_and_its_page_is_recorded_before_it_is_answered() {
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    let page = host.page_token().await;
    let renewed = page.renew().await.granted();
    let direct = host.send(host.direct_call()).await.granted();
    host.signed(host.direct_call()).send(world.address).await.granted();
    // No settling: what was answered is there.
    let rows = follow(&world.issuer.store).await;
    let say = |row: &Row| format!("{} {} {}", row.content.action, row.content.outcome, row.content.actor);
    let said: Vec<String> = rows[before..].iter().map(say).collect();
    let by_key = |action: &str| format!("{action} done api_key");
    assert_eq!(said, ["ticket.create", "token.grant", "token.renew", "token.grant", "token.grant"].map(by_key));
    for row in &rows[before..] {
        assert_eq!(row.content.actor_id.as_deref(), Some(host.id.as_str()));
        assert_eq!(row.content.actor_user.as_deref(), Some(host.user.as_str()));
        assert_eq!(row.content.target_id.as_deref(), Some(TOOL));
    }
    for (row, answer) in [(1, &page.answer), (2, &renewed), (3, &direct)] {
        let detail: serde_json::Value = serde_json::from_str(&rows[before + row].content.detail).unwrap();
        assert_eq!(detail["token"], answer["key_id"]);
    }
    assert!(rows[before + 1].content.detail.contains(PAGE));
}

#[tokio::test]
async fn what_admins_do_is_recorded_as_theirs() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await.user();
    let before = entries(&world).await.len();
    for call in [
        Call::new("POST", &format!("/users/{ben}/deactivate")),
        Call::new("POST", &format!("/users/{ben}/activate")),
        Call { method: "PUT", ..Call::json(&format!("/users/{ben}/role"), &json!({ "role": "admin" })) },
    ] {
        admin.send_stepped_up(&world, call).await.granted();
    }
    assert_eq!(
        after(&world, before).await,
        ["user.deactivate", "user.activate", "user.role"].map(|it| format!("{it} done user user"))
    );
    let rows = entries(&world).await;
    for row in &rows[before..] {
        assert_eq!(row.content.actor_id.as_deref(), Some(admin.user().as_str()));
        assert_eq!(row.content.target_id.as_deref(), Some(ben.as_str()));
    }
    assert_eq!(rows[before + 2].content.detail, "{\"role\":\"admin\"}");
}

#[tokio::test]
async fn refusals_of_somebody_known_name_them() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.person("ana@shop.example").await.sign_in().await.user();
    let before = entries(&world).await.len();
    login("ana@shop.example", "not the password").send(world.address).await.assert_refused("invalid_credentials");
    let wrong = crate::actors::Host {
        world: &world,
        user: host.user.clone(),
        id: host.id.clone(),
        secret: ApiSecret::from_bytes([9; 32]),
        signing: host.signing,
    };
    wrong.send(wrong.direct_call()).await.assert_refused("invalid_credentials");
    let elsewhere = Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "elsewhere")]);
    host.send(elsewhere).await.assert_refused("tool_denied");
    let evil = Call::json("/tickets", &json!({ "tool": TOOL, "origin": "https://evil.example" }));
    host.send(evil).await.assert_refused("origin_denied");
    host.send(Call::new("GET", "/users")).await.assert_refused("admin_required");
    world.issuer.store.set_deactivated(&host.user, Some(world.clock.now()), &event()).await.unwrap();
    host.send(host.direct_call()).await.assert_refused("user_inactive");
    // Refusals are written by the log's own writer: what is changed meanwhile may come before them.
    let mut said = after(&world, before).await;
    said.sort_unstable();
    let mut expected = [
        "user.sign_in invalid_credentials anonymous user",
        "token.grant invalid_credentials anonymous api_key",
        "token.grant tool_denied api_key api_key",
        "ticket.create origin_denied api_key api_key",
        "request admin_required api_key api_key",
        "request done system -",
        "token.grant user_inactive api_key api_key",
    ];
    expected.sort_unstable();
    assert_eq!(said, expected);
    let rows = entries(&world).await;
    let refused = |action: &str| {
        let is_it = |row: &&Row| row.content.action == action && row.content.outcome == "invalid_credentials";
        rows[before..].iter().find(is_it).unwrap()
    };
    assert_eq!(refused("user.sign_in").content.target_id.as_deref(), Some(ana.as_str()));
    assert_eq!(refused("token.grant").content.target_id.as_deref(), Some(host.id.as_str()));
    assert_eq!(refused("user.sign_in").content.address.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn t33_a_signature_that_does_not_hold_names_the_key_and_never_as_its_author() {
    let world = World::start().await;
    for signing in [SigningKind::HmacSha256, SigningKind::Ed25519] {
        let host = world.host_with(signing, World::scope()).await;
        let thief = |id: &ApiKeyId| crate::actors::Host {
            world: &world,
            user: host.user.clone(),
            id: id.clone(),
            secret: ApiSecret::from_bytes([9; 32]),
            signing,
        };
        let before = entries(&world).await.len();
        for _ in 0..20 {
            let thief = thief(&host.id);
            thief.signed(thief.direct_call()).send(world.address).await.assert_refused("invalid_signature");
        }
        let nobody = thief(&ApiKeyId::from_uuid([9; 16]));
        nobody.signed(nobody.direct_call()).send(world.address).await.assert_refused("invalid_signature");
        // However many there are: the first, and one number a minute. An unknown id names no key.
        let mut said = after(&world, before).await;
        said.sort_unstable();
        let refused = |of: &str| format!("token.grant invalid_signature anonymous {of}");
        assert_eq!(said, ["-", "api_key", "api_key"].map(refused));
        for row in &entries(&world).await[before..] {
            let it = &row.content;
            assert_eq!((it.actor_id.as_deref(), it.actor_user.as_deref()), (None, None));
            if it.target.is_some() {
                assert_eq!(it.target_id.as_deref(), Some(host.id.as_str()));
                assert_eq!(it.target_user.as_deref(), Some(host.user.as_str()));
            }
        }
        // A fault that is found before the signature was checked names no key.
        let before = entries(&world).await.len();
        let call = host.signed(host.direct_call());
        world.clock.advance_seconds(3600);
        call.send(world.address).await.assert_refused("clock_skew");
        assert_eq!(after(&world, before).await, ["token.grant clock_skew anonymous -"]);
    }
}

#[tokio::test]
async fn a_flood_of_garbage_is_a_number_for_each_minute() {
    let world = World::start().await;
    world.host().await;
    world.person("ana@shop.example").await;
    let before = entries(&world).await.len();
    for number in 0..60 {
        // Unknown callers, and nothing of what they sent; the ids are never the same.
        let id = format!("bmk_{number:032x}");
        let secret = ApiSecret::from_bytes([9; 32]).reveal().to_string();
        let basic = format!("Basic {}", Base64::encode_string(format!("{id}:{secret}").as_bytes()));
        let form = [("grant_type", "client_credentials"), ("audience", TOOL)];
        Call::form("/oauth/token", &form).header("authorization", &basic).send(world.address).await;
        exchange(&format!("bmt_{number:043}")).send(world.address).await;
    }
    for _ in 0..5 {
        login("ana@shop.example", "not the password").send(world.address).await;
        login("unknown@shop.example", "not the password").send(world.address).await;
    }
    let said = after(&world, before).await;
    let mut sorted = said.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "token.grant invalid_credentials anonymous -",
            "token.grant invalid_grant anonymous -",
            "user.sign_in invalid_credentials anonymous -",
            "user.sign_in invalid_credentials anonymous user",
            "user.sign_in invalid_credentials anonymous user",
        ]
    );
    let rows = entries(&world).await;
    let count = |action: &str, target: Option<&str>| {
        let row = rows[before..]
            .iter()
            .rev()
            .find(|row| row.content.action == action && row.content.target.as_deref() == target);
        serde_json::from_str::<serde_json::Value>(&row.unwrap().content.detail).unwrap()["count"].clone()
    };
    assert_eq!(count("token.grant", None), "60", "of each code");
    assert_eq!(count("user.sign_in", None), "5");
    assert_eq!(count("user.sign_in", Some("user")), "4", "the first has an entry of its own");
}

#[test]
fn what_the_command_line_does_is_recorded_and_checked() {
    let operator = Operator::new();
    let user = operator.json(&["user", "add", "ana"])["id"].as_str().unwrap().to_owned();
    operator.json(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    let key = operator.json(&["key", "add", "--user", &user, "--name", "shop", "--tool", "places"]);
    operator.out(&["key", "revoke", key["id"].as_str().unwrap()]);
    operator.out(&["key", "revoke", key["id"].as_str().unwrap()]);
    operator.out(&["tool", "edit", "places", "--callers", "direct"]);
    operator.out(&["tool", "grant", "ana", "places"]);
    operator.out(&["tool", "revoke-grant", "ana", "places"]);
    operator.out(&["tool", "credential", "places"]);
    operator.out(&["tool", "remove", "places"]);
    operator.out(&["user", "deactivate", "ana"]);
    operator.out(&["user", "activate", "ana"]);
    operator.out(&["user", "role", "ana", "admin"]);
    let listed = operator.out(&["audit", "list", "--actor", "command_line", "--json"]);
    let entries: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = entries.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "user.create",
            "tool.create",
            "tool.grant",
            "api_key.create",
            "api_key.revoke",
            "tool.update",
            "tool.grant",
            "tool.revoke_grant",
            "tool.credential",
            "tool.remove",
            "user.deactivate",
            "user.activate",
            "user.role",
        ]
    );
    assert!(!listed.contains("bms_") && !listed.contains("bmap-tool-1."));
    let only = operator.out(&["audit", "list", "--target", &user, "--action", "user.role"]);
    assert!(only.lines().count() == 2 && only.contains("user.role"), "{only}");
    assert_eq!(operator.fails(&["audit", "list", "--action", "user.frobnicate"]).0, 2);
    // By name: a user, a key, a tool; a tool that was removed; a name that there never was.
    operator.out(&["user", "add", "zoe"]);
    operator.out(&["tool", "add", "maps", "--url", "https://maps.example"]);
    operator.out(&["key", "add", "--user", "zoe", "--name", "website", "--tool", "maps"]);
    let lines = |target: &str| operator.out(&["audit", "list", "--target", target, "--json"]).lines().count();
    assert_eq!((lines("website"), lines("maps"), lines("nothing")), (1, 1, 0));
    assert!(lines("zoe") >= 3, "its own, its key's and its grant's");
    operator.out(&["tool", "remove", "maps"]);
    assert_eq!(lines("maps"), 2);
    operator.out(&["key", "add", "--user", "zoe", "--name", "website"]);
    let (code, error) = operator.fails(&["audit", "list", "--target", "website"]);
    assert!(code == 2 && error.contains("give the id: bmk_"), "{error}");

    let checked = operator.json(&["audit", "verify"]);
    let head = checked["head"].as_str().unwrap().to_owned();
    assert_eq!((&checked["ok"], head.split(':').next()), (&json!(true), Some(checked["entries"].to_string().as_str())));
    operator.out(&["user", "deactivate", "ana"]);
    assert!(operator.out(&["audit", "verify", "--expect", &head]).contains("entries hold"));
    let other = format!("2:{}", "A".repeat(43));
    let (code, error) = operator.fails(&["audit", "verify", "--expect", &other]);
    assert!(code == 1 && error.contains("entry 2"), "{error}");
    let beyond = format!("99:{}", "A".repeat(43));
    assert!(operator.fails(&["audit", "verify", "--expect", &beyond]).1.contains("missing"));
}

#[test]
fn the_page_on_the_log_names_every_action_and_no_other() {
    let page = include_str!("../../../../docs/audit.md");
    let documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .filter(|name| name.contains('.') || *name == "request")
        .collect();
    for action in Action::ALL {
        assert!(documented.contains(&action.as_str()), "docs/audit.md has no row for {}", action.as_str());
    }
    for name in &documented {
        assert!(Action::from_name(name).is_some(), "docs/audit.md has a row for {name}, which there is not");
    }
}

//! Rows with origins in a spelling that was taken formerly and that no browser sends: they are read, named and mended, and let no page in.

use crate::actors::{Host, exchange};
use crate::http_client::Call;
use crate::operator::Operator;
use crate::world::{TOOL, World, event, stored};
use bmap_issuer::issuer::{NewApiKey, new_api_key};
use bmap_model::api_key::{KeyScope, ToolSet};
use bmap_model::audit::chain::ChainKeys;
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::roots::Roots;
use bmap_model::tool::ToolOrigins;
use bmap_model::user::UserName;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::keys::RootSecret;
use bmap_protocol::seal::SigningKind;
use serde_json::{Value, json};

/// As it was stored, and as browsers send it.
const FORMER: &str = "https://[::ffff:192.0.2.1]";
const OF_BROWSERS: &str = "https://[::ffff:c000:201]";

fn scope() -> KeyScope {
    KeyScope {
        tools: ToolSet::Only(vec![ToolId::parse(TOOL).unwrap()]),
        origins: vec![stored(FORMER)],
        ..KeyScope::default()
    }
}

/// An installation whose tool and key were made under the former rule; the key's id.
async fn installation() -> (Operator, ApiKeyId) {
    let operator = Operator::new();
    drop(operator.serve());
    operator.out(&["tool", "add", "places", "--url", "https://places.example", "--origin", "https://shop.example"]);
    let user = operator.json(&["user", "add", "ana"])["id"].as_str().unwrap().parse().unwrap();
    let root: [u8; 32] = std::fs::read(operator.path("data/root.secret")).unwrap().try_into().unwrap();
    let roots = Roots::new(vec![RootSecret::from_bytes(root).epoch(1)]).unwrap();
    let store = crate::rows::root_rotation::open(&operator).await.recording(ChainKeys::new(roots.clone()));
    let before = store.tool(&ToolId::parse(TOOL).unwrap()).await.unwrap().unwrap();
    let after = bmap_model::tool::Tool {
        base_url: stored("https://127.1:8443"),
        origins: ToolOrigins::Only(vec![stored("https://shop.example"), stored(FORMER)]),
        ..before.clone()
    };
    let after = after.sealed(&roots.sealing());
    assert!(store.change_tool(&before, &after, &event()).await.unwrap());
    let (scope, name) = (scope(), UserName::parse("website").unwrap());
    let new = NewApiKey { owner: user, name, signing: SigningKind::HmacSha256, scope: &scope };
    let (key, _) = new_api_key(&roots, MachineClock.now(), &SystemRandom, new).unwrap();
    store.add_api_key(&key, &scope, &event()).await.unwrap();
    store.close().await;
    (operator, key.id)
}

fn findings(operator: &Operator) -> Vec<Value> {
    let output = operator.command(&["doctor", "--json"]).env("BMAP_LISTEN", "127.0.0.1:0").output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] != "ok").cloned().collect()
}

#[tokio::test]
async fn r50_rows_of_a_former_spelling_are_listed_named_and_mended_on_the_machine() {
    let (operator, key) = installation().await;
    let tools = operator.json(&["tool", "list"]);
    assert_eq!(
        (&tools[0]["base_url"], &tools[0]["origins"]),
        (&json!("https://127.1:8443"), &json!(["https://shop.example", FORMER]))
    );
    let shown = operator.json(&["key", "show", key.as_str()]);
    assert_eq!((&shown["state"], &shown["scope"]["origins"]), (&json!("active"), &json!([FORMER])));
    assert!(operator.out(&["key", "list"]).contains(FORMER));
    let named = findings(&operator);
    let says = |about: &str, says: &[&str]| {
        let found = named.iter().filter(|finding| finding["about"] == about);
        found.filter(|finding| says.iter().all(|part| finding["says"].as_str().unwrap().contains(part))).count()
    };
    assert_eq!(
        says("tool", &["places has a base URL", "https://127.1:8443", "https://127.0.0.1:8443"]),
        1,
        "{named:?}"
    );
    assert_eq!(says("tool", &["places has an origin", FORMER, OF_BROWSERS]), 1, "{named:?}");
    assert_eq!(says("API keys", &[key.as_str(), FORMER, OF_BROWSERS]), 1, "{named:?}");
    assert_eq!(named.len(), 3, "{named:?}");

    // A tool takes no credential with such a spelling.
    let (code, error) = operator.fails(&["tool", "credential", "places"]);
    assert!(
        code == 1 && error.contains("https://127.0.0.1:8443") && error.contains("bmap tool edit places"),
        "{error}"
    );
    let (code, error) = operator.fails(&["tool", "edit", "places", "--origin", FORMER]);
    assert!(code == 2 && error.contains(OF_BROWSERS), "{error}");
    // Byte for byte: what is not named stays, and its seal with it.
    operator.out(&["tool", "edit", "places", "--url", "https://127.0.0.1:8443", "--callers", "page"]);
    let edited = operator.json(&["tool", "list"]);
    assert_eq!(edited[0]["origins"], tools[0]["origins"]);
    let (_, error) = operator.fails(&["tool", "credential", "places"]);
    assert!(error.contains(OF_BROWSERS), "{error}");
    operator.out(&["tool", "edit", "places", "--origin", OF_BROWSERS]);
    operator.out(&["tool", "credential", "places"]);

    operator.out(&["key", "edit", key.as_str(), "--name", "other"]);
    assert_eq!(operator.json(&["key", "show", key.as_str()])["scope"], shown["scope"]);
    operator.out(&["key", "regenerate", key.as_str(), "--grace", "1h"]);
    assert_eq!(operator.json(&["key", "show", key.as_str()])["state"], "active");
    operator.out(&["key", "edit", key.as_str(), "--origin", OF_BROWSERS]);
    assert!(findings(&operator).is_empty(), "{:?}", findings(&operator));
}

/// What the page is told at the token endpoint, and its backend for a ticket.
async fn assert_no_page(world: &World, host: &Host<'_>) {
    for page in [OF_BROWSERS, FORMER] {
        let call = exchange("bmt_AAAA").without("origin").header("origin", page);
        call.send(world.address).await.assert_refused("origin_denied");
        let preflight = Call::new("OPTIONS", "/oauth/token").header("origin", page);
        let preflight = preflight.header("access-control-request-method", "POST").send(world.address).await;
        assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (403, None), "{page}");
    }
    let ticket = |page: &str| Call::json("/tickets", &json!({ "tool": TOOL, "origin": page }));
    host.send(ticket(OF_BROWSERS)).await.assert_refused("origin_denied");
    assert_eq!(host.send(ticket(FORMER)).await.status, 400);
}

#[tokio::test]
async fn r50_rows_of_a_former_spelling_let_no_page_in_and_are_mended_over_http() {
    let world = World::start().await;
    world
        .change_tool(TOOL, |tool| {
            tool.base_url = stored("https://127.1");
            tool.origins = ToolOrigins::Only(vec![stored(FORMER)]);
        })
        .await;
    let host = world.host_with(SigningKind::HmacSha256, scope()).await;
    assert_no_page(&world, &host).await;
    host.send(host.direct_call()).await.granted();

    let boss = world.key_owner("boss@shop.example").await;
    boss.become_admin().await;
    let listed = boss.get("/tools").await.granted();
    let of_tool = |tools: &Value| tools["tools"].as_array().unwrap().iter().find(|tool| tool["id"] == TOOL).cloned();
    let tool = of_tool(&listed).unwrap();
    assert_eq!((&tool["origins"], &tool["usable"]), (&json!([FORMER]), &json!(true)));
    let (of_tool, of_key) = (format!("/tools/{TOOL}"), format!("/api-keys/{}", host.id));
    let key = boss.get(&of_key).await.granted();
    assert_eq!((&key["origins"], &key["state"]), (&json!([FORMER]), &json!("active")));
    // New input is taken in the spelling of browsers alone.
    for (path, form) in [
        (of_tool.as_str(), json!({ "origins": [FORMER] })),
        (&of_tool, json!({ "base_url": "https://127.1" })),
        (&of_key, json!({ "origins": [FORMER] })),
    ] {
        let refused = boss.send("PATCH", path, &form).await;
        refused.assert_refused("malformed_request");
        assert!(refused.json()["hint"].as_str().unwrap().contains("did you mean"), "{}", refused.json());
    }
    // What is left out stays, and the other half alone lets no page in.
    let renamed = boss.send("PATCH", &of_key, &json!({ "name": "other" })).await.granted();
    assert_eq!(renamed["origins"], json!([FORMER]));
    boss.send("PATCH", &of_key, &json!({ "origins": [OF_BROWSERS] })).await.granted();
    let ticket = Call::json("/tickets", &json!({ "tool": TOOL, "origin": OF_BROWSERS }));
    host.send(ticket.clone()).await.assert_refused("origin_denied");
    let patched = boss.send("PATCH", &of_tool, &json!({ "callers": ["page"] })).await.granted();
    assert_eq!((&patched["base_url"], &patched["origins"]), (&json!("https://127.1"), &json!([FORMER])));
    boss.send("PATCH", &of_tool, &json!({ "origins": [OF_BROWSERS], "base_url": "https://127.0.0.1" })).await.granted();
    let ticket = host.send(ticket).await.granted()["ticket"].as_str().unwrap().to_owned();
    let call = exchange(&ticket).without("origin").header("origin", OF_BROWSERS);
    let token = call.send(world.address).await.granted();
    assert_eq!(token["tool"]["base_url"], "https://127.0.0.1");
}

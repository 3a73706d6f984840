//! `/tools…`: tools and grants, for admins.

use crate::audit::recorded::entries;
use crate::http_client::Call;
use crate::key_owner::KeyOwner;
use crate::linked::shown;
use crate::routes::link::newest;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World};
use bmap_model::clock::WallClock;
use bmap_model::role::Role;
use bmap_protocol::seal::SigningKind;
use serde_json::{Value, json};

async fn admin<'w>(world: &'w World) -> KeyOwner<'w> {
    let admin = world.key_owner("boss@shop.example").await;
    admin.become_admin().await;
    admin
}

fn grants(tool: &str) -> String {
    format!("/tools/{tool}/grants")
}

#[tokio::test]
async fn an_admin_adds_a_tool_looks_at_it_and_changes_it() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let form = json!({
        "id": "maps", "base_url": "https://maps.example", "origins": [PAGE], "scopes": "search route", "required_scopes": "search",
        "access": "open", "callers": ["user", "page"], "open_scopes": "search",
    });
    let made = boss.send("POST", "/tools", &form).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/tools/maps")), "{}", made.json());
    let expected = json!({
        "id": "maps", "base_url": "https://maps.example", "origins": [PAGE], "min_assurance": "origin", "scopes": "route search",
        "required_scopes": "search", "access": "open", "callers": ["page", "user"], "open_scopes": "search", "policy": {}, "usable": true,
        "created_at": world.clock.now().0, "server_time": world.clock.now().0,
    });
    assert_eq!(made.json(), expected);
    assert_eq!(boss.get("/tools/maps").await.granted(), expected);
    let listed = boss.get("/tools").await.granted();
    let ids: Vec<&str> = listed["tools"].as_array().unwrap().iter().map(|tool| tool["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["maps", TOOL, OTHER_TOOL]);
    let changed =
        boss.send("PATCH", "/tools/maps", &json!({ "access": "granted", "callers": ["direct"] })).await.granted();
    assert_eq!((&changed["access"], &changed["callers"]), (&json!("granted"), &json!(["direct"])));
    assert_eq!(
        (&changed["origins"], &changed["open_scopes"]),
        (&json!([PAGE]), &json!("search")),
        "what is left out stays"
    );
    let defaults = boss.send("POST", "/tools", &json!({ "id": "plain", "base_url": "https://a.example" })).await.json();
    assert_eq!((&defaults["access"], &defaults["callers"]), (&json!("granted"), &json!(["page", "direct"])));
    assert_eq!((&defaults["origins"], &defaults["open_scopes"]), (&json!(["*"]), &json!("")));
    boss.send("POST", "/tools", &form).await.assert_refused("invalid_state");
    boss.get("/tools/nothing").await.assert_refused("not_found");
    boss.send("PATCH", "/tools/nothing", &json!({})).await.assert_refused("not_found");
}

#[tokio::test]
async fn what_no_tool_can_be_is_named() {
    let world = World::start().await;
    let boss = admin(&world).await;
    for (change, field, hint) in [
        // An open tool gives what it requires to all.
        (json!({ "access": "open", "required_scopes": "search" }), "open_scopes", "requires"),
        (json!({ "access": "open", "required_scopes": "search", "open_scopes": "route" }), "open_scopes", "requires"),
        (json!({ "open_scopes": "write" }), "open_scopes", "among the tool's"),
        (json!({ "callers": [] }), "callers", "one or more"),
        (json!({ "callers": ["server"] }), "body", "unknown variant"),
        (json!({ "access": "closed" }), "body", "unknown variant"),
        (json!({ "origins": [] }), "origins", "1 to 64"),
        (json!({ "origins": ["*", PAGE] }), "origins", "no other"),
        (json!({ "origins": ["HTTPS://shop.example"] }), "origins", "entry 1"),
        (json!({ "base_url": "https://Maps.example/" }), "base_url", "did you mean"),
        (json!({ "scopes": "a\"b" }), "scopes", "a scope is"),
        (json!({ "seal": "x" }), "body", "unknown field"),
        (json!({ "policy": { "max_stalenes": 9 } }), "body", "unknown field `max_stalenes`"),
        (json!({ "policy": { "max_staleness": 4 } }), "policy", "max_staleness: give 5 to 86400 seconds"),
        (json!({ "policy": { "proofs": ["hop"] } }), "body", "unknown variant"),
        (json!({ "policy": { "allowed_ips": ["10.0.0.1"] } }), "policy", "allowed_ips[0]: give a network"),
        (json!({ "policy": { "rules": [{ "path": "v1", "scopes": ["search"] }] } }), "policy", "rules[0].path"),
        (
            json!({ "policy": { "rules": [{ "path": "/", "scopes": ["write"] }] } }),
            "policy",
            "rules[0].scopes: give scopes of the tool",
        ),
        (json!({ "policy": [] }), "body", "expected an object"),
        (json!({ "policy": { "rules": [["/"]] } }), "body", "expected an object"),
    ] {
        let mut form = json!({ "id": "maps", "base_url": "https://maps.example", "scopes": "search route" });
        form.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        for answer in [boss.send("POST", "/tools", &form).await, boss.send("PATCH", "/tools/places", &change).await] {
            answer.assert_refused("malformed_request");
            let problem = answer.json();
            assert_eq!(problem["field"], field, "{change}: {problem}");
            assert!(problem["hint"].as_str().unwrap().contains(hint), "{change}: {problem}");
        }
    }
    for (form, field) in [(json!({ "base_url": "https://a.example" }), "id"), (json!({ "id": "maps" }), "base_url")] {
        let answer = boss.send("POST", "/tools", &form).await;
        answer.assert_refused("malformed_request");
        assert_eq!(answer.json()["field"], field);
    }
    for null in [json!({ "access": null }), json!({ "policy": null })] {
        boss.send("PATCH", "/tools/places", &null).await.assert_refused("malformed_request");
    }
    assert_eq!(boss.get("/tools").await.granted()["tools"].as_array().unwrap().len(), 2, "nothing was made");
    assert_eq!(boss.get("/tools/places").await.granted()["access"], "granted");
}

#[tokio::test]
async fn a_policy_is_set_as_a_whole_told_to_verifiers_and_taken_away() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let policy = json!({
        "max_staleness": 30, "allowed_ips": ["10.0.0.0/8"], "max_body": 4096, "rates": { "user": { "per_second": 5, "burst": 9 } },
        "proofs": ["capability"], "rules": [{ "path": "/v1/admin", "methods": ["POST"], "min_assurance": "user", "scopes": ["route"] }],
    });
    let before = newest(&world).await;
    let changed = boss.send("PATCH", "/tools/places", &json!({ "policy": policy })).await.granted();
    assert_eq!((&changed["policy"], &changed["usable"]), (&policy, &json!(true)));
    let changes = world.issuer.store.link_changes(before).await.unwrap().unwrap();
    assert_eq!(changes.iter().map(shown).collect::<Vec<_>>(), ["policy places places"]);
    let [linked] = world.node('A').state().await.tools.try_into().unwrap();
    assert_eq!(serde_json::to_value(&linked.policy).unwrap(), policy);
    // A scope that a rule asks for can't be taken from the tool: no token would satisfy the rule.
    let refused = boss.send("PATCH", "/tools/places", &json!({ "scopes": "search" })).await;
    refused.assert_refused("malformed_request");
    assert_eq!(refused.json()["field"], "policy");
    let smaller = boss.send("PATCH", "/tools/places", &json!({ "policy": { "max_body": 9 } })).await.granted();
    assert_eq!(smaller["policy"], json!({ "max_body": 9 }));
    let none = boss.send("PATCH", "/tools/places", &json!({ "policy": {} })).await.granted();
    assert_eq!((&none["policy"], &none["usable"]), (&json!({}), &json!(true)));
    assert!(world.node('A').state().await.tools[0].policy.is_empty());
    let digests: Vec<_> = entries(&world)
        .await
        .iter()
        .filter(|entry| entry.content.action == "tool.update" && entry.content.outcome == "done")
        .map(|entry| {
            let detail: Value = serde_json::from_str(&entry.content.detail).unwrap();
            detail["policy"].as_str().unwrap().len()
        })
        .collect();
    assert_eq!(digests, [64, 64, 4]);
}

#[tokio::test]
async fn an_admin_gives_grants_and_takes_them_away() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let ends = world.clock.now().0 + 60_500;
    let form = json!({ "user": ana.user().as_str(), "scopes": "search", "ends_at": ends });
    let given = boss.send("POST", &grants(TOOL), &form).await;
    assert_eq!(given.status, 201);
    let now = world.clock.now().0;
    let expected = json!({
        "tool": TOOL, "user": ana.user().as_str(), "scopes": "search", "ends_at": ends, "in_force": true,
        "given_by": boss.user.as_str(), "given_at": now, "server_time": now,
    });
    assert_eq!(given.json(), expected);
    // In the place of the one that is there: all scopes, without end.
    let again = boss.send("POST", &grants(TOOL), &json!({ "user": ana.user().as_str() })).await;
    assert_eq!(
        (again.status, &again.json()["scopes"], &again.json()["ends_at"]),
        (200, &json!("route search"), &Value::Null)
    );
    let listed = boss.get(&format!("{}?limit=1", grants(TOOL))).await.granted();
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = boss.get(&format!("{}?cursor={cursor}", grants(TOOL))).await.granted();
    let users: Vec<&Value> = [&listed, &rest]
        .iter()
        .flat_map(|page| page["grants"].as_array().unwrap())
        .map(|grant| &grant["user"])
        .collect();
    let mut expected = [boss.user.to_string(), ana.user().to_string()];
    expected.sort();
    assert_eq!(
        (users, &rest["next_cursor"]),
        (expected.iter().map(|user| json!(user)).collect::<Vec<_>>().iter().collect(), &Value::Null)
    );

    let path = format!("{}/{}", grants(TOOL), ana.user());
    let gone = boss.stepped_up(boss.call("DELETE", &path)).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    boss.call("DELETE", &path).send(world.address).await.assert_refused("not_found");
    // Each is in the log, with its actor.
    for (action, number) in [("tool.grant", 2), ("tool.revoke_grant", 1)] {
        let found = boss.get(&format!("/audit?action={action}&outcome=done&actor={}", boss.user)).await.granted();
        assert_eq!(found["entries"].as_array().unwrap().len(), number, "{action}: {found}");
        assert_eq!(found["entries"][0]["detail"]["tool"], TOOL, "{found}");
    }
}

#[tokio::test]
async fn what_no_grant_can_be_is_named() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let nobody = "usr_00000000000000000000000000000000";
    let user = boss.user.as_str();
    for (form, field) in [
        (json!({}), "user"),
        (json!({ "user": "ana" }), "user"),
        (json!({ "user": user, "scopes": "write" }), "scopes"),
        (json!({ "user": user, "scopes": "a\"b" }), "scopes"),
        (json!({ "user": user, "ends_at": world.clock.now().0 }), "ends_at"),
        (json!({ "user": user, "ends_at": i64::MAX }), "ends_at"),
        (json!({ "user": user, "given_by": "operator" }), "body"),
    ] {
        let answer = boss.send("POST", &grants(OTHER_TOOL), &form).await;
        answer.assert_refused("malformed_request");
        assert_eq!(answer.json()["field"], field, "{form}");
    }
    boss.send("POST", &grants(TOOL), &json!({ "user": nobody })).await.assert_refused("not_found");
    boss.send("POST", &grants("nothing"), &json!({ "user": user })).await.assert_refused("not_found");
    boss.get(&grants("nothing")).await.assert_refused("not_found");
    boss.get(&format!("{}?limit=0", grants(TOOL))).await.assert_refused("malformed_request");
    boss.get(&format!("{}?cursor=x", grants(TOOL))).await.assert_refused("malformed_request");
    boss.call("DELETE", &format!("{}/x", grants(TOOL))).send(world.address).await.assert_refused("not_found");
    let before = boss.get(&grants(OTHER_TOOL)).await.granted();
    assert_eq!(before["grants"].as_array().unwrap().len(), 1, "what a key owner had");
}

#[tokio::test]
async fn who_is_no_admin_sees_and_changes_nothing_and_a_key_changes_no_grants() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let host = world.host_with(SigningKind::HmacSha256, World::scope()).await;
    let form = json!({ "user": ana.user.as_str() });
    let one = format!("{}/{}", grants(TOOL), ana.user);
    let calls = [
        ("GET", "/tools".to_owned(), json!({})),
        ("POST", "/tools".to_owned(), json!({ "id": "maps", "base_url": "https://maps.example" })),
        ("GET", "/tools/places".to_owned(), json!({})),
        ("PATCH", "/tools/places".to_owned(), json!({ "scopes": "search route" })),
        ("GET", grants(TOOL), json!({})),
        ("POST", grants(TOOL), form),
        ("DELETE", one, json!({})),
    ];
    let by_key = |method: &'static str, path: &str, body: &Value| match method {
        "GET" | "DELETE" => Call::new(method, path),
        _ => Call::new(method, path).body("application/json", body.to_string()),
    };
    for (method, path, body) in &calls {
        ana.send(method, path, body).await.assert_refused("admin_required");
        host.send(by_key(method, path, body)).await.assert_refused("admin_required");
        assert_eq!(by_key(method, path, body).send(world.address).await.status, 401);
    }
    // An admin's key that administers looks at tools and edits them; it adds none and changes no grants.
    world.issuer.set_role(&host.user, Role::Admin, None, &crate::world::source()).await.unwrap();
    for (method, path, body) in &calls {
        host.send(by_key(method, path, body)).await.assert_refused("admin_required");
    }
    world.administer(&host, true).await;
    for (method, path, body) in &calls {
        let answer = host.send(by_key(method, path, body)).await;
        match (*method, path.ends_with("places")) {
            ("GET", _) | ("PATCH", true) => drop(answer.granted()),
            _ => {
                answer.assert_refused("step_up_required");
                assert!(answer.json()["hint"].as_str().unwrap().contains("no API key may"), "{}", answer.json());
            }
        }
    }
    // To open a tool is to grant it to every user.
    for change in [json!({ "access": "open" }), json!({ "open_scopes": "search" })] {
        let answer = host.send(by_key("PATCH", "/tools/places", &change)).await;
        answer.assert_refused("step_up_required");
    }
    assert_eq!(ana.get("/api-keys").await.status, 200);
}

#[tokio::test]
async fn o17_a_stolen_access_token_of_an_admin_adds_and_changes_no_tool() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let new = json!({ "id": "maps", "base_url": "https://maps.example" });
    let edit = |change: Value| Call { method: "PATCH", ..Call::json("/tools/places", &change) };
    let edits = [
        json!({ "access": "open", "open_scopes": "search" }),
        json!({ "base_url": "https://evil.example" }),
        json!({ "callers": ["direct"] }),
    ];
    let calls: Vec<Call> = std::iter::once(Call::json("/tools", &new)).chain(edits.map(edit)).collect();
    for call in calls {
        let call = call.header("authorization", &format!("Bearer {}", boss.access));
        call.clone().send(world.address).await.assert_refused("step_up_required");
        let step_up = world.step_up(&boss.access).await;
        let call = call.header(crate::person::STEP_UP, &step_up);
        assert!([200, 201].contains(&call.send(world.address).await.status));
        let again = edit(json!({ "callers": ["page"] })).header("authorization", &format!("Bearer {}", boss.access));
        again.header(crate::person::STEP_UP, &step_up).send(world.address).await.assert_refused("step_up_required");
    }
    world.worker.deliver_due().await;
    let log = world.log();
    assert_eq!(log.matches("A tool was added email=boss@shop.example").count(), 1);
    assert_eq!(log.matches("A tool was changed email=boss@shop.example").count(), 3);
}

#[tokio::test]
async fn o17_a_stolen_access_token_of_an_admin_gives_and_takes_no_grant() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let ana = world.person("ana@shop.example").await.sign_in().await.user();
    let path = format!("{}/{ana}", grants(TOOL));
    let give = Call::json(&grants(TOOL), &json!({ "user": ana.as_str() }));
    for call in [give.clone(), Call::new("DELETE", &path)] {
        let call = call.header("authorization", &format!("Bearer {}", boss.access));
        call.send(world.address).await.assert_refused("step_up_required");
        // One step-up is for one of them, and its mail goes to both.
        let once = call.header(crate::person::STEP_UP, &world.step_up(&boss.access).await);
        assert!([201, 204].contains(&once.send(world.address).await.status));
    }
    world.worker.deliver_due().await;
    let log = world.log();
    for act in ["A user was granted a tool", "A grant of a tool was taken away"] {
        for to in ["boss@shop.example", "ana@shop.example"] {
            assert_eq!(log.matches(&format!("{act} email={to}")).count(), 1, "{act}: {to}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_admins_at_once_the_last_one_counts_whole() {
    let world = World::start().await;
    let boss = admin(&world).await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let user = ana.user();
    let path = format!("{}/{user}", grants(TOOL));
    for _ in 0..5 {
        let give = (0..8).map(|number| {
            let form = json!({ "user": user.as_str(), "scopes": if number % 2 == 0 { "search" } else { "route" } });
            let boss = &boss;
            async move { boss.send("POST", &grants(TOOL), &form).await.status }
        });
        let take = (0..4).map(|_| boss.stepped_up(boss.call("DELETE", &path)));
        let (given, taken) = tokio::join!(futures_util::future::join_all(give), futures_util::future::join_all(take));
        let (new, gone) = (
            given.iter().filter(|status| **status == 201).count(),
            taken.iter().filter(|one| one.status == 204).count(),
        );
        assert!(
            given.iter().all(|status| [200, 201].contains(status))
                && taken.iter().all(|one| [204, 404].contains(&one.status))
        );
        // Each that was new was taken away, or is there.
        let left = boss.get(&grants(TOOL)).await.granted()["grants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|grant| {
                assert_eq!(grant["in_force"], true, "whole: {grant}");
                grant["user"] == user.as_str()
            })
            .count();
        assert_eq!(new, gone + left);
        boss.stepped_up(boss.call("DELETE", &path)).await;
        // Changes of the tool at once are all made, or refused as such.
        let both = [json!({ "callers": ["page"] }), json!({ "min_assurance": "user" })];
        let changes = both.iter().map(|change| boss.send("PATCH", "/tools/places", change));
        for answer in futures_util::future::join_all(changes).await {
            answer.granted();
        }
        let tool = boss.get("/tools/places").await.granted();
        assert_eq!((&tool["callers"], &tool["min_assurance"]), (&json!(["page"]), &json!("user")));
        boss.send("PATCH", "/tools/places", &json!({ "callers": ["direct"], "min_assurance": "origin" }))
            .await
            .granted();
    }
}

use crate::database::is_postgres;
use crate::http_client::{Answer, Call};
use crate::person::{Pair, login};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use bmap_model::clock::WallClock;
use bmap_model::role::Role;
use bmap_model::user::UserState;
use serde_json::json;
use std::time::Duration;

fn post(id: &str, verb: &str) -> Call {
    Call::new("POST", &format!("/users/{id}/{verb}"))
}

fn role(id: &str, role: &str) -> Call {
    Call { method: "PUT", ..Call::json(&format!("/users/{id}/role"), &json!({ "role": role })) }
}

async fn users(world: &World, as_whom: &Pair, query: &str) -> Answer {
    as_whom.send(world, Call::new("GET", &format!("/users{query}"))).await
}

#[tokio::test]
async fn o07_an_admin_is_one_by_access_token_or_by_a_key_of_its_own_that_administers() {
    let world = World::start().await;
    let host = world.host().await;
    let admin = world.admin("ana@shop.example").await;
    users(&world, &admin, "").await.granted();
    let list = || Call::new("GET", "/users");
    host.send(list()).await.assert_refused("admin_required");
    host.signed(list()).send(world.address).await.assert_refused("admin_required");
    world.issuer.set_role(&host.user, Role::Admin, None, &crate::world::source()).await.unwrap();
    // An admin's key for its tools is no more than that.
    host.send(list()).await.assert_refused("admin_required");
    host.signed(list()).send(world.address).await.assert_refused("admin_required");
    world.administer(&host, true).await;
    host.send(list()).await.granted();
    host.signed(list()).send(world.address).await.granted();
    let member = world.person("ben@shop.example").await.sign_in().await;
    let refused = users(&world, &member, "").await;
    refused.assert_refused("admin_required");
    assert_eq!(refused.json()["error"], "access_denied");
    // A role that was taken away counts at once, and so does a key.
    world.issuer.set_role(&admin.user(), Role::Member, None, &crate::world::source()).await.unwrap();
    users(&world, &admin, "").await.assert_refused("admin_required");
    world.issuer.store.revoke_api_key(&host.id, world.clock.now(), &crate::world::event()).await.unwrap();
    host.send(list()).await.assert_refused("key_revoked");
}

#[tokio::test]
async fn o07_an_admins_key_for_one_tool_administers_nothing_and_one_that_does_gives_no_role() {
    let world = World::start().await;
    let host = world.host().await;
    let admin = world.admin("ana@shop.example").await;
    world.issuer.set_role(&host.user, Role::Admin, None, &crate::world::source()).await.unwrap();
    let id = admin.user();
    let acts = || {
        [
            Call::new("GET", "/users"),
            Call::new("GET", &format!("/users/{id}")),
            post(id.as_str(), "activate"),
            Call::new("GET", "/audit"),
        ]
    };
    let never = || [role(id.as_str(), "member"), Call::json("/invitations", &json!({ "email": "a@shop.example" }))];
    for call in acts().into_iter().chain(never()).chain([post(id.as_str(), "deactivate")]) {
        for (_, call) in host.four_ways(&call) {
            call.send(world.address).await.assert_refused("admin_required");
        }
    }
    world.administer(&host, true).await;
    for call in acts() {
        host.send(call).await.granted();
    }
    // Roles and invitations are for admins who are signed in, with a step-up; no key has one.
    for call in never() {
        host.send(call.clone()).await.assert_refused("step_up_required");
        let with_one = call.header(crate::person::STEP_UP, &world.step_up(&admin.access).await);
        host.send(with_one).await.assert_refused("step_up_required");
    }
    // The capability is its user's: it ends with the role, and on the machine.
    world.administer(&host, false).await;
    host.send(Call::new("GET", "/users")).await.assert_refused("admin_required");
    world.administer(&host, true).await;
    world.issuer.set_role(&host.user, Role::Member, None, &crate::world::source()).await.unwrap();
    host.send(Call::new("GET", "/users")).await.assert_refused("admin_required");
}

#[tokio::test]
async fn o07_no_one_gives_a_key_the_capability_over_http() {
    let world = World::start().await;
    let root = world.key_owner("root@shop.example").await;
    root.become_admin().await;
    let mut form = crate::key_owner::form();
    form["administer"] = json!(true);
    root.send("POST", "/api-keys", &form).await.assert_refused("malformed_request");
    let key = root.make().await;
    let change = root.send("PATCH", &format!("/api-keys/{}", key.id), &json!({ "administer": true })).await;
    change.assert_refused("malformed_request");
    assert_eq!(root.show(&key).await["administer"], json!(false));
    // A new secret of a key that administers is its owner's to have, and it still does.
    world.administer(&key, true).await;
    let new = root.holder(&root.regenerate(&key, 0).await);
    new.send(Call::new("GET", "/users")).await.granted();
}

#[tokio::test]
async fn t13_a_role_that_was_written_by_hand_makes_no_admin_and_is_said_aloud() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let mallory = world.person("mallory@shop.example").await.sign_in().await;
    let (ana, to) = (admin.user(), mallory.user());
    for sql in [
        format!("UPDATE users SET role = 'admin' WHERE id = '{to}'"),
        format!("UPDATE users SET role = 'admin', role_epoch = 1, role_mac = '{}' WHERE id = '{to}'", "A".repeat(43)),
        format!(
            "UPDATE users SET role = 'admin', role_epoch = 1, \
             role_mac = (SELECT role_mac FROM users WHERE id = '{ana}') WHERE id = '{to}'"
        ),
        format!("UPDATE users SET role = 'Admin' WHERE id = '{to}'"),
    ] {
        edit(&world, &sql).await;
        users(&world, &mallory, "").await.assert_refused("admin_required");
        let log = crate::log::text();
        assert!(log.lines().any(|line| line.contains("ALARM: the role") && line.contains(to.as_str())), "{sql}");
        let shown = admin.send(&world, Call::new("GET", &format!("/users/{to}"))).await.granted();
        assert_eq!(shown["role"], "member");
    }
    // It counts for nothing where the last admin is asked for, either.
    admin.send(&world, post(ana.as_str(), "deactivate")).await.assert_refused("invalid_state");
}

#[tokio::test]
async fn users_come_a_page_at_a_time() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    for _ in 0..4 {
        world.clock.advance_seconds(1);
        world.host().await;
    }
    let all = users(&world, &admin, "").await.granted();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&all).len(), &all["next_cursor"]), (5, &serde_json::Value::Null));
    assert_eq!(all["users"][0]["email"], "ana@shop.example");
    assert_eq!((all["users"][0]["role"].as_str(), all["users"][1]["role"].as_str()), (Some("admin"), Some("member")));
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = users(&world, &admin, &query).await.granted();
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(ids(&page).len(), 2);
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids(&all));
    assert_eq!(users(&world, &admin, "?limit=5").await.granted()["next_cursor"], serde_json::Value::Null);
    for query in ["?limit=0", "?limit=201", "?limit=x", "?cursor=x", "?cursor=%27%20OR%201=1--", "?page=2"] {
        users(&world, &admin, query).await.assert_refused("malformed_request");
    }
}

#[tokio::test]
async fn deactivating_ends_sessions_and_keys_and_activating_brings_back_no_session() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await;
    let pair = ben.sign_in().await;
    let id = pair.user();
    let answer = admin.send(&world, post(id.as_str(), "deactivate")).await;
    let user = answer.granted();
    assert_eq!(
        (user["state"].as_str(), user["deactivated_at"].as_i64()),
        (Some("deactivated"), Some(world.clock.now().0))
    );
    world.me(&pair.access).await.assert_refused("user_inactive");
    login("ben@shop.example", crate::person::PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let user = admin.send(&world, post(id.as_str(), "activate")).await.granted();
    assert_eq!((user["state"].as_str(), user["deactivated_at"].is_null()), (Some("active"), true));
    world.me(&pair.access).await.assert_refused("invalid_token");
    ben.sign_in().await;

    let host = world.host().await;
    admin.send(&world, post(host.user.as_str(), "deactivate")).await.granted();
    host.send(host.direct_call()).await.assert_refused("user_inactive");
}

#[tokio::test]
async fn the_last_active_admin_stays_one() {
    let world = World::start().await;
    let ana = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let (ana_id, ben_id) = (ana.user(), ben.user());
    for call in [post(ana_id.as_str(), "deactivate"), role(ana_id.as_str(), "member")] {
        ana.send_stepped_up(&world, call).await.assert_refused("invalid_state");
    }
    users(&world, &ana, "").await.granted();
    assert_eq!(ana.send_stepped_up(&world, role(ben_id.as_str(), "admin")).await.granted()["role"], "admin");
    // An admin who is not active is none.
    ben.send(&world, post(ana_id.as_str(), "deactivate")).await.granted();
    ben.send_stepped_up(&world, role(ben_id.as_str(), "member")).await.assert_refused("invalid_state");
    ben.send(&world, post(ana_id.as_str(), "activate")).await.granted();
    assert_eq!(ben.send_stepped_up(&world, role(ben_id.as_str(), "member")).await.granted()["role"], "member");
    users(&world, &ben, "").await.assert_refused("admin_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_last_two_admins_who_go_at_once_one_stays() {
    for step_down in [|id: &str| role(id, "member"), |id: &str| post(id, "deactivate")] {
        let world = World::start().await;
        let admins = [world.admin("ana@shop.example").await, world.admin("ben@shop.example").await];
        let calls = admins.each_ref().map(|admin| (admin.access.clone(), step_down(admin.user().as_str())));
        let step_ups = [world.step_up(&admins[0].access).await, world.step_up(&admins[1].access).await];
        let (writer, address) = (another_writes(&world).await, world.address);
        let going = calls.into_iter().zip(step_ups).map(|((access, call), step_up)| {
            let call = call.header("authorization", &format!("Bearer {access}"));
            tokio::spawn(async move { call.header(crate::person::STEP_UP, &step_up).send(address).await })
        });
        let going: Vec<_> = going.collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        writer.rollback().await.unwrap();
        let mut codes = Vec::new();
        for gone in going {
            let gone = gone.await.unwrap();
            codes.push((gone.status, gone.json()["code"].as_str().unwrap_or_default().to_owned()));
        }
        codes.sort();
        assert_eq!(codes, [(200, String::new()), (409, "invalid_state".to_owned())]);
        let active = world.issuer.store.users().await.unwrap();
        let active = active.iter().filter(|user| user.state == UserState::Active);
        assert_eq!(active.filter(|user| world.issuer.role(user) == Role::Admin).count(), 1);
    }
}

/// Another transaction that writes: others come as far as they can without writing an entry of the audit log.
async fn another_writes(world: &World) -> sqlx::Transaction<'static, sqlx::Any> {
    let pool = sqlx::AnyPool::connect(&world.database.url()).await.unwrap();
    let begin =
        if is_postgres() { "BEGIN; UPDATE audit_head SET sequence = sequence WHERE id = 1" } else { "BEGIN IMMEDIATE" };
    pool.begin_with(begin).await.unwrap()
}

#[tokio::test]
async fn other_ids_are_nobody_and_other_forms_malformed() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let id = admin.user();
    for other in ["usr_00000000000000000000000000000000", "usr_x", "%27%20OR%201=1--", "%ff", "..%2f"] {
        for call in [
            Call::new("GET", &format!("/users/{other}")),
            post(other, "deactivate"),
            post(other, "activate"),
            role(other, "admin"),
        ] {
            admin.send(&world, call).await.assert_refused("not_found");
        }
    }
    for body in [json!({}), json!({ "role": "root" }), json!({ "role": "admin", "x": 1 }), json!("admin")] {
        let call = Call { method: "PUT", ..Call::json(&format!("/users/{id}/role"), &body) };
        admin.send(&world, call).await.assert_refused("malformed_request");
    }
}

#[tokio::test]
async fn who_signs_in_while_they_are_deactivated_has_no_session_that_stays() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await;
    let user = ben.sign_in().await.user();
    // Another transaction writes: both come as far as they can without.
    let writer = another_writes(&world).await;
    let address = world.address;
    let signing_in =
        tokio::spawn(async move { login("ben@shop.example", crate::person::PASSWORD).send(address).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (deactivated, ()) = tokio::join!(admin.send(&world, post(user.as_str(), "deactivate")), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        writer.rollback().await.unwrap();
    });
    deactivated.granted();
    let signed_in = signing_in.await.unwrap();
    admin.send(&world, post(user.as_str(), "activate")).await.granted();
    // Where the sign-in came second there is none.
    if signed_in.status == 200 {
        world.me(&Pair::of(&signed_in).access).await.assert_refused("invalid_token");
    }
    assert!(world.issuer.store.live_sessions_of(&user, None, 9, world.clock.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_deactivated_twice_is_so_since_the_first_time() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let user = world.person("ben@shop.example").await.sign_in().await.user();
    let mut since = Vec::new();
    for _ in 0..2 {
        let answer = admin.send(&world, post(user.as_str(), "deactivate")).await;
        since.push(answer.granted()["deactivated_at"].as_i64().unwrap());
        world.clock.advance_seconds(60);
    }
    assert_eq!(since[0], since[1]);
    let active = admin.send(&world, post(user.as_str(), "activate")).await;
    assert!(active.granted()["deactivated_at"].is_null());
}

//! An attacker who can write the database, but has no root secret, gets nothing out of the rows of a key whose secret was
//! changed.

use crate::actors::Host;
use crate::key_owner::form;
use crate::rows::sealed_rows::edit;
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn t13_a_grace_can_not_be_made_longer_by_hand() {
    for sql in [
        "UPDATE api_key_former SET scope = replace(scope, '\"expires_at\":', '\"expires_at\":9')",
        "UPDATE api_key_former SET scope = replace(scope, '\"expires_at\":1', '\"expires_at\":2')",
        "UPDATE api_key_former SET scope = (SELECT scope FROM api_keys)",
        "UPDATE api_key_former SET scope = replace(scope, '\"places\"', '\"places\",\"postcards\"')",
        "UPDATE api_key_former SET epoch = 2",
        "UPDATE api_key_former SET sealed = (SELECT sealed FROM api_keys)",
        "UPDATE api_key_former SET sealed = 's1.AAAA'",
    ] {
        for signing in ["hmac-sha256", "ed25519"] {
            let world = World::start().await;
            let ana = world.key_owner("ana@shop.example").await;
            let mut form = form();
            form["signing"] = json!(signing);
            let old = ana.make_with(form).await;
            let new = ana.holder(&ana.regenerate(&old, 60).await);
            old.works().await;
            edit(&world, sql).await;
            old.is_refused("invalid_credentials", "invalid_signature").await;
            new.works().await;
            assert_eq!(ana.show(&new).await["former"], json!(null), "{sql}");
            world.clock.advance_seconds(60);
            old.is_refused("invalid_credentials", "invalid_signature").await;
            // A change does not seal again what was edited.
            ana.change(&new, json!({ "name": "changed" })).await;
            old.is_refused("invalid_credentials", "invalid_signature").await;
            new.works().await;
        }
    }
}

#[tokio::test]
async fn t13_a_former_secret_stays_the_former_secret_of_its_key() {
    let world = World::start().await;
    let (ana, eve) = (world.key_owner("ana@shop.example").await, world.key_owner("eve@shop.example").await);
    let key = ana.make().await;
    world.clock.advance_seconds(1);
    let eves = eve.make().await;
    let eves_new = eve.holder(&eve.regenerate(&eves, 3600).await);
    // Eve's former row, and then her current one, as Ana's former one.
    for sql in [
        "INSERT INTO api_key_former SELECT (SELECT id FROM api_keys ORDER BY id LIMIT 1), epoch, scope, stored_hash, sealed, \
         replaced_at FROM api_key_former",
        "DELETE FROM api_key_former WHERE key_id = (SELECT id FROM api_keys ORDER BY id LIMIT 1); \
         INSERT INTO api_key_former SELECT (SELECT id FROM api_keys ORDER BY id LIMIT 1), epoch, scope, stored_hash, sealed, 0 \
         FROM api_keys ORDER BY id DESC LIMIT 1",
    ] {
        edit(&world, sql).await;
        for eves in [&eves, &eves_new] {
            let (user, secret) = (ana.user.clone(), eves.secret.clone());
            let forged = Host { world: &world, user, id: key.id.clone(), secret, signing: eves.signing };
            forged.is_refused("invalid_credentials", "invalid_signature").await;
        }
        key.works().await;
        eves_new.works().await;
    }
}

#[tokio::test]
async fn t13_a_key_that_was_given_away_by_hand_works_for_nobody() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    world.clock.advance_seconds(1);
    let eve = world.key_owner("eve@shop.example").await;
    let old = ana.make().await;
    let key = ana.holder(&ana.regenerate(&old, 3600).await);
    edit(&world, "UPDATE api_keys SET user_id = (SELECT id FROM users ORDER BY id DESC LIMIT 1)").await;
    key.is_refused("invalid_credentials", "invalid_signature").await;
    old.is_refused("invalid_credentials", "invalid_signature").await;
    // Eve sees it now, as what it is, and can only revoke it.
    let shown = eve.show(&key).await;
    assert_eq!((&shown["state"], &shown["tools"], &shown["former"]), (&json!("unusable"), &json!([]), &json!(null)));
    eve.regenerate(&key, 0).await.assert_refused("invalid_state");
    let changed = eve.send("PATCH", &format!("/api-keys/{}", key.id), &json!({ "name": "mine" })).await;
    changed.assert_refused("invalid_state");
    assert_eq!(eve.revoke(&key).await.status, 204);
}

#[tokio::test]
async fn t12_no_secret_of_a_changed_key_is_in_the_database() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let answer = ana.call("POST", "/api-keys").header("idempotency-key", "canary-idempotency-key");
    let answer = ana.stepped_up(answer.body("application/json", form().to_string())).await;
    let old = ana.holder(&answer);
    let new = ana.holder(&ana.regenerate(&old, 3600).await);
    world.issuer.store.close().await;
    let dump = world.database.dump();
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(old.id.as_str().as_bytes()), "the dump is the right file");
    for key in [&old, &new] {
        let shown = key.secret.reveal();
        for secret in [&key.secret.expose()[..], &shown.as_bytes()[4..47], key.secret.signing_key(&key.id).expose()] {
            assert!(!holds(secret));
        }
    }
    assert!(!holds(b"canary-idempotency-key"));
}

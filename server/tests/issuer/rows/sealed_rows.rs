//! An attacker who can write the database, but has no root secret, gets nothing by it.

use crate::actors::exchange;
use crate::http_client::Call;
use crate::operator::Operator;
use crate::world::{PAGE, TOOL, World, source};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::tools::ToolChange;
use bmap_model::clock::WallClock;
use bmap_protocol::ids::ToolId;
use bmap_protocol::seal::SigningKind;
use bmap_protocol::tool_policy::ToolPolicy;
use bmap_verifier::ToolCredential;
use sha2::{Digest, Sha256};

/// Writes into the database behind the server's back.
pub(crate) async fn edit(world: &World, sql: &str) {
    world.database.edit(sql).await;
}

#[tokio::test]
async fn t13_a_row_edited_by_hand_does_not_work() {
    for signing in [SigningKind::HmacSha256, SigningKind::Ed25519] {
        for sql in [
            // Widened: another tool, another page, another network, a longer life.
            "UPDATE api_keys SET scope = replace(scope, '\"places\"', '\"places\",\"secrets\"')",
            "UPDATE api_keys SET scope = replace(scope, 'shop.example', 'evil.example')",
            "UPDATE api_keys SET scope = replace(scope, '\"cidrs\":[]', '\"cidrs\":[\"0.0.0.0/0\"]')",
            "UPDATE api_keys SET scope = replace(scope, '\"expires_at\":null', '\"expires_at\":99999999999')",
            "UPDATE api_keys SET scope = replace(scope, ',', ', ')",
            // Given to another user.
            "INSERT INTO users (id, name, created_at, deactivated_at) VALUES ('usr_00000000000000000000000000000000', 'mallory', 0, NULL); \
             UPDATE api_keys SET user_id = 'usr_00000000000000000000000000000000'",
            // Another epoch, another way to sign, damaged.
            "UPDATE api_keys SET epoch = 2",
            "UPDATE api_keys SET signing = CASE signing WHEN 'ed25519' THEN 'hmac-sha256' ELSE 'ed25519' END",
            "UPDATE api_keys SET sealed = 's1.AAAA'",
            "UPDATE api_keys SET sealed = ''",
        ] {
            let world = World::start().await;
            let host = world.host_with(signing, World::scope()).await;
            let page = host.page_token().await;
            let ticket = host.ticket().await;
            edit(&world, sql).await;
            host.send(host.direct_call()).await.assert_refused("invalid_credentials");
            host.send(host.ticket_call()).await.assert_refused("invalid_credentials");
            host.signed(host.direct_call()).send(world.address).await.assert_refused("invalid_signature");
            // The sessions that the key began do not go on either.
            page.renew().await.assert_refused("invalid_credentials");
            exchange(&ticket).send(world.address).await.assert_refused("invalid_grant");
        }
    }
}

#[tokio::test]
async fn t13_a_copied_hash_or_seal_opens_nothing() {
    let world = World::start().await;
    let (victim, mallory) = (world.host().await, world.host().await);
    // Mallory's own hash and seal in the victim's row: mallory's secret must not become the victim's.
    edit(
        &world,
        "UPDATE api_keys SET stored_hash = (SELECT stored_hash FROM api_keys WHERE name = 'host 1'), \
         sealed = (SELECT sealed FROM api_keys WHERE name = 'host 1')",
    )
    .await;
    mallory.send(mallory.direct_call()).await.granted();
    let forged = crate::actors::Host {
        world: &world,
        user: victim.user.clone(),
        id: victim.id.clone(),
        secret: mallory.secret.clone(),
        signing: mallory.signing,
    };
    forged.send(forged.direct_call()).await.assert_refused("invalid_credentials");
    forged.signed(forged.direct_call()).send(world.address).await.assert_refused("invalid_signature");
    victim.send(victim.direct_call()).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn t13_an_added_origin_gets_cors_and_no_token() {
    let world = World::start().await;
    let host = world.host().await;
    edit(&world, "INSERT INTO api_key_origins SELECT 'https://evil.example', id, NULL FROM api_keys").await;
    let call = Call::json("/tickets", &serde_json::json!({ "tool": "places", "origin": "https://evil.example" }));
    host.send(call).await.assert_refused("origin_denied");
    // A ticket that was moved to the other page is refused too.
    let ticket = host.ticket().await;
    edit(&world, "UPDATE tickets SET origin = 'https://evil.example'").await;
    let stolen = exchange(&ticket).without("origin").header("origin", "https://evil.example");
    stolen.send(world.address).await.assert_refused("invalid_grant");
    assert_ne!(PAGE, "https://evil.example");
}

#[tokio::test]
async fn t13_a_ticket_put_in_or_edited_by_hand_is_none() {
    let world = World::start().await;
    let (host, other) = (world.host().await, world.host().await);
    // A made-up one: its hash is easily had.
    let made_up = format!("bmt_{}", "A".repeat(43));
    let hash = Base64UrlUnpadded::encode_string(&Sha256::digest(made_up.as_bytes()));
    let ends = world.clock.now().plus_seconds(100).0;
    let insert = format!(
        "INSERT INTO tickets (hash, tool, origin, end_user, scope, key_id, user_id, expires_at) \
         VALUES ('{hash}', 'places', '{PAGE}', 'the owner', '', '{}', '{}', {ends})",
        host.id, host.user
    );
    edit(&world, &insert).await;
    exchange(&made_up).send(world.address).await.assert_refused("invalid_grant");
    for sql in [
        "UPDATE tickets SET end_user = 'the owner'",
        "UPDATE tickets SET end_user = NULL",
        "UPDATE tickets SET scope = 'route'",
        "UPDATE tickets SET embed_origin = 'https://shop.example'",
        "UPDATE tickets SET expires_at = expires_at + 1",
        &format!("UPDATE tickets SET key_id = '{}', user_id = '{}'", other.id, other.user),
        &format!("UPDATE tickets SET user_id = '{}'", other.user),
    ] {
        let ticket = host.ticket().await;
        edit(&world, sql).await;
        exchange(&ticket).send(world.address).await.assert_refused("invalid_grant");
    }
    assert!(crate::log::text().contains("ALARM: the row of a ticket"));
    exchange(&host.ticket().await).send(world.address).await.granted();
}

#[tokio::test]
async fn t13_an_issuer_key_put_in_by_hand_is_nobodys() {
    // A key of the insider's own beside the issuer's, older or newer, with a seal that was copied or made up.
    for (age, sealed) in [(-1000, "sealed"), (1000, "sealed"), (-1000, "'s1.AAAA'"), (1000, "''")] {
        let operator = Operator::new();
        drop(operator.serve());
        operator.out(&["tool", "add", "places", "--url", "https://tools.example"]);
        let insert = format!(
            "INSERT INTO issuer_keys (kid, epoch, public_key, sealed, created_at) \
             SELECT 'bj1.kPrK_qmxVWaYVA9w', epoch, '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', {sealed}, created_at + {age} \
             FROM issuer_keys"
        );
        operator.edit(&insert).await;
        let server = operator.serve();
        let keys = Call::new("GET", "/.well-known/jwks.json").send(server.address.parse().unwrap()).await.granted();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
        assert_ne!(keys["keys"][0]["kid"], "bj1.kPrK_qmxVWaYVA9w");
        let credential = ToolCredential::parse(&operator.out(&["tool", "credential", "places"])).unwrap();
        let kids: Vec<&str> = credential.issuer_keys.iter().map(|key| key.kid()).collect();
        assert_eq!(kids, [keys["keys"][0]["kid"].as_str().unwrap()]);
        let log = std::fs::read_to_string(operator.path("log")).unwrap();
        assert!(log.contains("ALARM"), "{log}");
    }
}

#[tokio::test]
async fn t13_a_tool_edited_by_hand_gets_no_tokens() {
    for sql in [
        // Where requests go, who may send them, what they have to have.
        "UPDATE tools SET base_url = 'https://evil.example' WHERE id = 'places'",
        "UPDATE tools SET origins = 'https://shop.example https://evil.example' WHERE id = 'places'",
        "UPDATE tools SET min_assurance = 'server' WHERE id = 'places'",
        "UPDATE tools SET scopes = 'route search write' WHERE id = 'places'",
        "UPDATE tools SET required_scopes = 'search' WHERE id = 'places'",
        "UPDATE tools SET access = 'open' WHERE id = 'places'",
        "UPDATE tools SET callers = 'page direct user public' WHERE id = 'places'",
        "UPDATE tools SET open_scopes = 'search' WHERE id = 'places'",
        "UPDATE tools SET policy = '{\"capability_root\":true}' WHERE id = 'places'",
        "UPDATE tools SET epoch = 2 WHERE id = 'places'",
        "UPDATE tools SET epoch = NULL, seal = NULL WHERE id = 'places'",
        // Another tool's row, with its seal.
        "DELETE FROM tools WHERE id = 'places'; UPDATE tools SET id = 'places' WHERE id = 'postcards'",
    ] {
        let world = World::start().await;
        let host = world.host().await;
        let page = host.page_token().await;
        let ticket = host.ticket().await;
        edit(&world, sql).await;
        host.send(host.direct_call()).await.assert_refused("tool_denied");
        host.send(host.ticket_call()).await.assert_refused("tool_denied");
        page.renew().await.assert_refused("tool_denied");
        crate::actors::exchange(&ticket).send(world.address).await.assert_refused("tool_denied");
        assert!(crate::log::text().contains("ALARM: the row of a tool is not as it was written"), "{sql}");
    }
}

#[tokio::test]
async fn t13_a_policy_taken_out_or_widened_by_hand_gets_no_tokens() {
    for sql in [
        "UPDATE tools SET policy = '' WHERE id = 'places'",
        "UPDATE tools SET policy = '{\"max_body\":99}' WHERE id = 'places'",
    ] {
        let world = World::start().await;
        let policy = ToolPolicy { max_body: Some(9), ..ToolPolicy::default() };
        let change = ToolChange { policy: Some(policy), ..ToolChange::default() };
        world.issuer.tools().change(&ToolId::parse(TOOL).unwrap(), &change, &source()).await.unwrap();
        let host = world.host().await;
        host.send(host.direct_call()).await.granted();
        edit(&world, sql).await;
        host.send(host.direct_call()).await.assert_refused("tool_denied");
    }
}

#[tokio::test]
async fn a_tool_without_a_seal_waits_for_an_operator_who_has_looked_at_it() {
    let operator = crate::operator::Operator::new();
    operator.out(&["tool", "add", "places", "--url", "https://places.example"]);
    operator.out(&["tool", "credential", "places"]);
    operator.edit("UPDATE tools SET base_url = 'https://evil.example'").await;
    let (code, error) = operator.fails(&["tool", "credential", "places"]);
    assert!(code == 1 && error.contains("bmap tool confirm places"), "{error}");
    let doctor = operator.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("the row of places is not as it was written"));
    operator.edit("UPDATE tools SET base_url = 'https://places.example', epoch = NULL, seal = NULL").await;
    let confirmed = operator.out(&["tool", "confirm", "places"]);
    assert!(confirmed.contains("https://places.example"), "{confirmed}");
    operator.out(&["tool", "credential", "places"]);
    assert_eq!(operator.out(&["audit", "list", "--action", "tool.confirm", "--json"]).lines().count(), 1);
    assert_eq!(operator.fails(&["tool", "confirm", "nothing"]).0, 3);
}

#[tokio::test]
async fn t12_a_dump_holds_no_secret() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let ticket = host.ticket().await;
    world.issuer.store.close().await;
    let dump = world.database.dump();
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(host.id.as_str().as_bytes()), "the dump is the right file");
    let shown = host.secret.reveal();
    for secret in [
        &host.secret.expose()[..],
        &shown.as_bytes()[4..47],
        host.secret.signing_key(&host.id).expose(),
        &ticket.as_bytes()[4..],
        page.token().as_bytes(),
        page.answer["signing_key"].as_str().unwrap().as_bytes(),
    ] {
        assert!(!holds(secret));
    }
}

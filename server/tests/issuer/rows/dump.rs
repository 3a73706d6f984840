//! An attacker who has the whole database, and no root secret, tries everything in it as everything that it could be.

use crate::actors::{Host, exchange, sign_call};
use crate::http_client::{Answer, Call};
use crate::world::World;
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::{ApiSecret, Ed25519Seed};
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::seal::SigningKind;
use bmap_protocol::sign::RequestKey;
use serde_json::json;
use sqlx::{AnyPool, Row};
use std::collections::BTreeSet;

/// Every text in every column of every table.
async fn texts(world: &World) -> BTreeSet<String> {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(&world.database.url()).await.unwrap();
    let tables = if crate::database::is_postgres() {
        "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables WHERE table_schema = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let tables = sqlx::query(tables).fetch_all(&pool).await.unwrap();
    let names: Vec<String> = tables.iter().map(|table| table.get("name")).collect();
    let mut texts = BTreeSet::new();
    // sqlx's own table has types that `Any` does not read, and nothing of ours.
    for name in names.iter().filter(|name| *name != "_sqlx_migrations") {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {name}"))).fetch_all(&pool).await.unwrap();
        for row in &rows {
            texts.extend((0..row.len()).filter_map(|column| row.try_get::<String, _>(column).ok()));
        }
    }
    pool.close().await;
    texts
}

/// Every run of 32 bytes that a text could stand for: itself decoded, and where there is more, its beginning and its end.
fn keys(texts: &BTreeSet<String>) -> BTreeSet<[u8; 32]> {
    let mut keys = BTreeSet::new();
    let words = texts.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-+/".contains(c))));
    for word in words {
        let decoded = [Base64UrlUnpadded::decode_vec(word).ok(), base64_of_phc(word)];
        for bytes in decoded.into_iter().flatten() {
            keys.extend(bytes.first_chunk::<32>());
            keys.extend(bytes.last_chunk::<32>());
            // A sealed value: version, epoch and nonce before the ciphertext.
            keys.extend(bytes.get(16..).and_then(|bytes| bytes.first_chunk::<32>()));
        }
    }
    keys
}

fn base64_of_phc(word: &str) -> Option<Vec<u8>> {
    base64ct::Base64Unpadded::decode_vec(word).ok()
}

/// Asserts that a request was refused, whatever the code.
#[track_caller]
fn assert_out(answer: &Answer, what: &str) {
    assert!(matches!(answer.status, 400 | 401), "{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
}

async fn present(world: &World, host: &Host<'_>, secret: &str) -> Answer {
    let basic = Base64::encode_string(format!("{}:{secret}", host.id).as_bytes());
    host.direct_call().header("authorization", &format!("Basic {basic}")).send(world.address).await
}

#[tokio::test]
async fn t12_a_dump_signs_nothing_and_presents_nothing() {
    let world = World::start().await;
    let hosts = [world.host().await, world.host_with(SigningKind::Ed25519, World::scope()).await];
    hosts[0].page_token().await;
    let ticket = hosts[0].ticket().await;
    let pair = world.admin("ana@shop.example").await;
    let texts = texts(&world).await;
    let keys = keys(&texts);
    assert!(texts.len() > 30 && keys.len() > 10, "{} texts, {} keys", texts.len(), keys.len());

    for key in &keys {
        let as_secret = ApiSecret::from_bytes(*key);
        for host in &hosts {
            assert_out(&present(&world, host, &as_secret.reveal()).await, "presented");
            let signers = [
                RequestKey::Hmac(MacKey::new(&SigningKey::from_bytes(*key))),
                RequestKey::Hmac(MacKey::new(&as_secret.signing_key(&host.id))),
                RequestKey::Ed25519(Box::new(Ed25519Seed::from_bytes(*key).signing_key())),
                RequestKey::Ed25519(Box::new(as_secret.ed25519_seed(&host.id).signing_key())),
            ];
            for signer in &signers {
                let signed = sign_call(&world, host.direct_call(), signer, host.id.as_str(), None);
                assert_out(&signed.send(world.address).await, "signed");
            }
        }
        let opaque = Base64UrlUnpadded::encode_string(key);
        let refresh = Call::json("/auth/refresh", &json!({ "refresh_token": format!("bmr_{opaque}") }));
        assert_out(&refresh.send(world.address).await, "as a refresh token");
        assert_out(&exchange(&format!("bmt_{opaque}")).send(world.address).await, "as a ticket");
        let confirm = json!({ "token": format!("bmc_{opaque}"), "password": "violet-kettle-49-marsh" });
        assert_out(&Call::json("/auth/confirm", &confirm).send(world.address).await, "as a link");
    }
    for text in &texts {
        for host in &hosts {
            assert_out(&present(&world, host, text).await, "a text as a secret");
        }
        let Ok(bearer) = http::HeaderValue::from_str(&format!("Bearer {text}")) else { continue };
        let me = Call::new("GET", "/auth/me").header("authorization", bearer.to_str().unwrap_or("Bearer x"));
        assert_out(&me.send(world.address).await, "as an access token");
    }
    // And the real credentials still work for their holders.
    for host in &hosts {
        host.send(host.direct_call()).await.granted();
    }
    exchange(&ticket).send(world.address).await.granted();
    drop(pair);
}

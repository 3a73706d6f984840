//! From one root secret to the next, beside a running server: nothing that was good is refused at any moment.

use crate::http_client::{Answer, Call};
use crate::operator::{Operator, Server};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bmap_store::Database;
use bmap_store::address::Address;
use bmap_store::schema::Pending;
use serde_json::{Value, json};
use std::time::Duration;

struct Key {
    id: String,
    secret: String,
}

/// An operator with a tool, and with an API key of each kind.
fn installation() -> (Operator, Vec<Key>) {
    let operator = Operator::new();
    operator.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    let user = operator.json(&["user", "add", "ana"])["id"].as_str().unwrap().to_owned();
    let key = |kind| {
        let key =
            operator.json(&["key", "add", "--user", &user, "--name", kind, "--tool", "places", "--signing", kind]);
        let text = |field: &str| key[field].as_str().unwrap().to_owned();
        Key { id: text("id"), secret: text("secret") }
    };
    let keys = vec![key("hmac-sha256"), key("ed25519")];
    (operator, keys)
}

async fn token(server: &Server, key: &Key) -> Answer {
    let basic = Base64::encode_string(format!("{}:{}", key.id, key.secret).as_bytes());
    let call = Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "places")]);
    call.header("authorization", &format!("Basic {basic}")).send(server.address.parse().unwrap()).await
}

/// The epoch that a token was minted in.
fn epoch(token: &Value) -> u64 {
    let claims = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(&claims).unwrap()).unwrap();
    claims["cnf"]["kid"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap()
}

fn epochs_of_credential(operator: &Operator) -> Vec<u64> {
    let text = operator.out(&["tool", "credential", "places"]);
    let json = Base64UrlUnpadded::decode_vec(text.trim().strip_prefix("bmap-tool-1.").unwrap()).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    json["epochs"].as_array().unwrap().iter().map(|epoch| epoch["epoch"].as_u64().unwrap()).collect()
}

pub(crate) async fn open(operator: &Operator) -> Database {
    Database::open(&Address::parse(&operator.database_url()).unwrap(), Pending::Apply).await.unwrap()
}

/// Makes `activate` a quarter of an hour old.
pub(crate) async fn time_passes(operator: &Operator) {
    let store = open(operator).await;
    let since: i64 = store.setting("token_epoch_since").await.unwrap().unwrap().parse().unwrap();
    store.set_setting("token_epoch_since", &(since - 900_000).to_string()).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_changed_beside_a_running_server() {
    let (operator, keys) = installation();
    let server = operator.serve();
    for key in &keys {
        assert_eq!(epoch(&token(&server, key).await.granted()), 1);
    }
    assert_eq!(epochs_of_credential(&operator), [1]);
    assert!(operator.fails(&["root", "retire", "1"]).1.contains("it is the one that seals"));
    assert_eq!(operator.fails(&["root", "retire", "9"]).0, 3);

    // One of them has a new secret, and its old one a grace.
    let changed = operator.json(&["key", "regenerate", &keys[0].id, "--grace", "1h"]);
    let new = Key { id: keys[0].id.clone(), secret: changed["secret"].as_str().unwrap().to_owned() };

    // Three keys with the admin's, a former secret, the tool, its grant, and the issuer's own key.
    let rotated = operator.json(&["root", "rotate"]);
    assert_eq!(rotated, json!({ "epoch": 2, "sealed": 8, "broken": [] }));
    token(&server, &new).await.granted();
    for key in &keys {
        // The server has not looked for the new root yet: the row that names it makes it look.
        assert_eq!(epoch(&token(&server, key).await.granted()), 1, "tools may have the former credential");
    }
    let mut both = epochs_of_credential(&operator);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    assert_eq!(operator.json(&["root", "rotate"])["sealed"], 0, "again, it goes on and does not begin another one");
    assert!(operator.fails(&["root", "retire", "1"]).1.contains("tokens are minted in it"));

    let activated = operator.json(&["root", "activate"]);
    assert_eq!((&activated["epoch"], &activated["changed"]), (&json!(2), &json!(true)));
    assert_eq!(operator.json(&["root", "activate"]), json!({ "epoch": 2, "changed": false }));
    let mut looks = 0;
    while epoch(&token(&server, &keys[0]).await.granted()) == 1 {
        looks += 1;
        assert!(looks < 150, "the server does not mint in the new epoch");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(operator.fails(&["root", "retire", "1"]).1.contains("may live for"));
    time_passes(&operator).await;
    let retired = operator.json(&["root", "retire", "1"]);
    assert_eq!((&retired["epoch"], &retired["passwords_forgotten"]), (&json!(1), &json!(0)));
    assert!(retired["deleted"].as_str().unwrap().ends_with("root.secret"), "{retired}");
    assert!(!operator.folder.path().join("data/root.secret").exists());
    assert_eq!(epochs_of_credential(&operator), [2]);
    assert_eq!(token(&server, &keys[1]).await.granted()["token_type"], "HTTPSig");

    // And from the start.
    drop(server);
    let server = operator.serve();
    for key in &keys {
        assert_eq!(epoch(&token(&server, key).await.granted()), 2);
    }
    assert_eq!(epoch(&token(&server, &new).await.granted()), 2);
    let status = operator.json(&["root", "status"]);
    assert_eq!(
        status,
        json!([{
            "epoch": 2, "at_hand": true, "seals": true, "mints": true,
            "rows": { "API keys": 3, "admins": 1, "audit keys": 1, "former secrets of API keys": 1, "grants": 1, "issuer keys": 1, "tools": 1 },
        }])
    );
    assert!(operator.out(&["root", "status"]).contains("seals, mints tokens"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_open_is_named_and_left_alone() {
    let (operator, keys) = installation();
    open(&operator).await.close().await;
    let pool = sqlx::AnyPool::connect(&operator.database_url()).await.unwrap();
    let edit = "UPDATE api_keys SET scope = replace(scope, 'places', 'secrets') WHERE id = $1";
    sqlx::query(edit).bind(&keys[0].id).execute(&pool).await.unwrap();
    pool.close().await;
    let (code, error) = operator.fails(&["root", "rotate"]);
    assert_eq!(code, 1);
    assert!(error.contains(&keys[0].id) && !error.contains(&keys[1].id), "{error}");
    operator.out(&["root", "activate"]);
    time_passes(&operator).await;
    assert!(operator.fails(&["root", "retire", "1"]).1.contains("it is needed by 1 API key"));
    let server = operator.serve();
    token(&server, &keys[0]).await.assert_refused("invalid_credentials");
    token(&server, &keys[1]).await.granted();
}

#[test]
fn a_lost_root_is_an_error_and_not_a_new_one() {
    let (operator, _) = installation();
    operator.serve();
    operator.out(&["root", "rotate"]);
    std::fs::rename(operator.path("data/root.secret.2"), operator.path("kept")).unwrap();
    let (code, error) = operator.fails(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(error.contains("no root secret of that epoch"), "{error}");
    let status = operator.json(&["root", "status"]);
    assert_eq!((&status[0]["at_hand"], &status[1]["at_hand"]), (&json!(true), &json!(false)), "{status}");
    std::fs::rename(operator.path("kept"), operator.path("data/root.secret.2")).unwrap();
    operator.serve();
}

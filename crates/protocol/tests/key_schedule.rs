//! The key schedule (profile §2) against the known answers of `vectors/bmap-1/keys.json`.

use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId};
use bmap_protocol::keys::{RootSecret, TokenDigest};
use serde_json::Value;

fn known() -> Value {
    serde_json::from_str(include_str!("../../../vectors/bmap-1/keys.json")).unwrap()
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

fn bytes(of: &Value, name: &str) -> [u8; 32] {
    let digits = text(of, &format!("{name}_hex"));
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

#[test]
fn keys_of_an_epoch_and_of_a_tool_are_the_known_ones() {
    let known = known();
    let root = RootSecret::from_bytes(bytes(&known, "root"));
    let (issuer, tool) = (Issuer::parse(text(&known, "issuer")).unwrap(), ToolId::parse(text(&known, "tool")).unwrap());
    let epoch = root.epoch(7);
    assert_eq!(*epoch.kek().expose(), bytes(&known, "kek"));
    assert_eq!(*epoch.pepper().expose(), bytes(&known, "pepper"));
    assert_eq!(*epoch.challenge_key().expose(), bytes(&known, "challenge_key"));
    let key = epoch.tool_key(&issuer, &tool);
    assert_eq!(*key.expose(), bytes(&known, "tool_key"));
    assert_eq!(*key.hop_key().expose(), bytes(&known, "hop_key"));
    assert_eq!(*key.hop_encrypt_key().expose(), bytes(&known, "hop_encrypt_key"));
    assert_eq!(*key.capability_key().expose(), bytes(&known, "capability_key"));
    assert_eq!(*key.link_key().expose(), bytes(&known, "link_key"));
    let token = TokenDigest::of(text(&known, "token").as_bytes());
    assert_eq!(token.0, bytes(&known, "token_sha256"));
    assert_eq!(*key.signing_key(&token).expose(), bytes(&known, "signing_key"));
    assert_eq!(*key.encryption_key(&token).expose(), bytes(&known, "encryption_key"));
}

#[test]
fn keys_of_an_api_key_are_the_known_ones() {
    let known = &known()["api_key"];
    let (id, secret) = (ApiKeyId::parse(text(known, "key_id")).unwrap(), ApiSecret::from_bytes(bytes(known, "secret")));
    assert_eq!(*secret.signing_key(&id).expose(), bytes(known, "signing_key"));
    assert_eq!(secret.stored_hash(&id).0, bytes(known, "stored_hash"));
    let seed = secret.ed25519_seed(&id);
    assert_eq!(seed.signing_key().to_bytes(), bytes(known, "ed25519_seed"));
    assert_eq!(seed.public_key(), bytes(known, "ed25519_public"));
}

//! Key schedule, API-key material and the seal against `keys.json`.

use crate::cases::{Keys, unhex, unhex32};
use crate::report::Report;
use bmap_protocol::api_key::{ApiSecret, StoredHash};
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::keys::{RootSecret, TokenDigest};
use bmap_protocol::seal::{ApiKeyRow, SigningKind};

pub(crate) fn run(keys: &Keys, report: &mut Report) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let issuer = Issuer::parse(&keys.issuer).map_err(|e| text(&e))?;
    let tool = ToolId::parse(&keys.tool).map_err(|e| text(&e))?;
    let router = ToolId::parse("router").map_err(|e| text(&e))?;
    let root = RootSecret::from_bytes(unhex32(&keys.root_hex)?);
    let epoch = root.epoch(keys.epoch);
    let tool_key = epoch.tool_key(&issuer, &tool);
    let digest = TokenDigest::of(keys.token.as_bytes());
    report.same("kek", epoch.kek().expose(), &keys.kek_hex);
    report.same("pepper", epoch.pepper().expose(), &keys.pepper_hex);
    report.same("tool key", tool_key.expose(), &keys.tool_key_hex);
    report.same("hop key", tool_key.hop_key().expose(), &keys.hop_key_hex);
    report.same("hop encryption key", tool_key.hop_encrypt_key().expose(), &keys.hop_encrypt_key_hex);
    report.same("capability key", tool_key.capability_key().expose(), &keys.capability_key_hex);
    report.same("challenge key", epoch.challenge_key().expose(), &keys.challenge_key_hex);
    report.same("link key", tool_key.link_key().expose(), &keys.link_key_hex);
    report.same("token digest", &digest.0, &keys.token_sha256_hex);
    report.same("signing key", tool_key.signing_key(&digest).expose(), &keys.signing_key_hex);
    report.same("encryption key", tool_key.encryption_key(&digest).expose(), &keys.encryption_key_hex);
    report.same("other tool key", epoch.tool_key(&issuer, &router).expose(), &keys.other_tool_key_hex);
    let next = root.epoch(keys.epoch + 1);
    report.same("other epoch key", next.tool_key(&issuer, &tool).expose(), &keys.other_epoch_key_hex);

    let key = &keys.api_key;
    let id = ApiKeyId::parse(&key.key_id).map_err(|e| text(&e))?;
    let secret = ApiSecret::from_bytes(unhex32(&key.secret_hex)?);
    let seed = secret.ed25519_seed(&id);
    let hash = StoredHash(secret.stored_hash(&id).0);
    report.same("api signing key", secret.signing_key(&id).expose(), &key.signing_key_hex);
    report.same("api ed25519 seed", seed.expose(), &key.ed25519_seed_hex);
    report.same("api ed25519 public key", &seed.public_key(), &key.ed25519_public_hex);
    report.same("api stored hash", &hash.0, &key.stored_hash_hex);

    let owner = UserId::parse(&key.owner).map_err(|e| text(&e))?;
    let row = ApiKeyRow {
        epoch: keys.epoch,
        key_id: &id,
        signing: SigningKind::HmacSha256,
        owner: &owner,
        scope: &key.canonical_scope,
        stored_hash: &hash,
    };
    report.same("seal associated data", &row.associated_data().map_err(|e| text(&e))?, &key.seal_aad_hex);
    let nonce = unhex(&key.seal_nonce_hex)?.try_into().map_err(|_| "seal nonce")?;
    let sealed = row.seal(&epoch.kek(), nonce, secret.signing_key(&id).expose()).map_err(|e| text(&e))?;
    report.check("seal", if sealed == key.sealed { Ok(()) } else { Err(sealed) });
    let opened = row.open(&epoch.kek(), &key.sealed).map_err(|e| text(&e))?;
    report.same("open", &opened, &key.signing_key_hex);
    Ok(())
}

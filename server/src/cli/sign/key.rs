//! The key that `bmap sign` signs with: a token response, or an API key. Secrets come from the environment, a file or
//! standard input, and never from a flag, where every process of the machine could read them.

use crate::cli::error::CliError;
use crate::config::Environment;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::sign::{RequestKey, authorization};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// A token response of POST /oauth/token to sign with; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_id", "secret_file"])]
    token: Option<PathBuf>,
    /// Id of the API key to sign with, where there is no --token [env: BMAP_KEY_ID]
    #[arg(long, value_name = "ID")]
    key_id: Option<ApiKeyId>,
    /// A file with the API key's secret; - for standard input [env: BMAP_KEY_SECRET, BMAP_KEY_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How the API key signs
    #[arg(long, value_enum, default_value_t = Signing::HmacSha256)]
    signing: Signing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Signing {
    HmacSha256,
    Ed25519,
}

/// The members of a token response that are needed.
#[derive(Deserialize)]
struct TokenResponse {
    access_token: Zeroizing<String>,
    signing_key: Zeroizing<String>,
    key_id: String,
}

/// A key that is ready to sign.
pub(super) struct Signer {
    pub(super) key: RequestKey,
    pub(super) key_id: String,
    /// `Authorization`, where a token is used.
    pub(super) authorization: Option<Zeroizing<String>>,
    /// The token's end, in seconds since 1970, where it has one that can be read.
    pub(super) ends_at: Option<u64>,
}

impl Signer {
    pub(super) fn load(arguments: &KeyArguments, environment: &Environment) -> Result<Self, CliError> {
        match &arguments.token {
            Some(path) => Self::of_token(&read(path, "--token")?),
            None => Self::of_api_key(arguments, environment),
        }
    }

    fn of_token(text: &str) -> Result<Self, CliError> {
        let response: TokenResponse = serde_json::from_str(text)
            .map_err(|_| CliError::Usage("--token: not an answer of POST /oauth/token".to_owned()))?;
        let mut key = Zeroizing::new([0; 32]);
        match Base64UrlUnpadded::decode(&response.signing_key, key.as_mut_slice()) {
            Ok(decoded) if decoded.len() == 32 => {}
            _ => return Err(CliError::Usage("--token: signing_key is not 32 bytes in base64url".to_owned())),
        }
        Ok(Self {
            key: RequestKey::Hmac(MacKey::new(&SigningKey::from_bytes(*key))),
            key_id: response.key_id,
            authorization: Some(Zeroizing::new(authorization(&response.access_token))),
            ends_at: end_of(&response.access_token),
        })
    }

    fn of_api_key(arguments: &KeyArguments, environment: &Environment) -> Result<Self, CliError> {
        let missing = "nothing to sign with: give --token, or an API key by BMAP_KEY_ID and BMAP_KEY_SECRET";
        let id = match (&arguments.key_id, environment.get("BMAP_KEY_ID")) {
            (Some(id), _) => id.clone(),
            (None, Some(text)) => {
                ApiKeyId::parse(text).map_err(|error| CliError::Usage(format!("BMAP_KEY_ID: {error}")))?
            }
            (None, None) => return Err(CliError::Usage(missing.to_owned())),
        };
        let text = match (&arguments.secret_file, environment.get("BMAP_KEY_SECRET")) {
            (Some(path), _) => read(path, "--secret-file")?,
            (None, Some(text)) => Zeroizing::new(text.to_owned()),
            (None, None) => match environment.get("BMAP_KEY_SECRET_FILE") {
                Some(path) => read(Path::new(path), "BMAP_KEY_SECRET_FILE")?,
                None => return Err(CliError::Usage(missing.to_owned())),
            },
        };
        let secret = ApiSecret::parse(text.trim()).map_err(|error| CliError::Usage(error.to_string()))?;
        let key = match arguments.signing {
            Signing::HmacSha256 => RequestKey::Hmac(MacKey::new(&secret.signing_key(&id))),
            Signing::Ed25519 => RequestKey::Ed25519(Box::new(secret.ed25519_seed(&id).signing_key())),
        };
        Ok(Self { key, key_id: id.to_string(), authorization: None, ends_at: None })
    }
}

/// The end of a token, as it says it: a token that is encrypted does not.
fn end_of(token: &str) -> Option<u64> {
    let payload = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<serde_json::Value>(&payload).ok()?.get("exp")?.as_u64()
}

/// A file, or standard input for `-`.
fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(64 * 1024).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(64 * 1024).read_to_string(&mut text)),
    };
    read.map_err(|error| CliError::Failed(format!("{what}: {}: {error}", path.display())))?;
    Ok(text)
}

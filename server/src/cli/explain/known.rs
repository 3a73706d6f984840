//! The key behind a signature, as far as this machine knows it: from a tool's credential, or from the data folder.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::raw_request::RawRequest;
use bmap_model::api_key::KeyMaterial;
use bmap_protocol::check;
use bmap_protocol::fields::Fields;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::{MacKey, TokenDigest, ToolKey};
use bmap_protocol::origin::Origin;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::token::UnverifiedToken;
use bmap_verifier::ToolCredential;
use bmap_verifier::credential::base_origin;

/// The keys that may have signed, and where requests are to come to.
#[derive(Default)]
pub(super) struct Known {
    pub(super) keys: Vec<MacKey>,
    public_key: Option<[u8; 32]>,
    own: Vec<Origin>,
    problem: Option<String>,
}

impl Known {
    pub(super) async fn load(context: &Context, request: &RawRequest) -> Result<Self, CliError> {
        let token = check::authorization(&Fields::of(&request.headers)).ok().flatten();
        if let Some(credential) = credential(context)? {
            return Ok(Self::of_credential(&credential, token.as_ref()));
        }
        if !context.names_data_dir() {
            return Ok(Self::default());
        }
        let installation = Installation::open_to_look(context).await?;
        match &token {
            Some(token) => Self::of_token(token, &installation).await,
            None => Self::of_api_key(request, &installation).await,
        }
    }

    /// Where requests are to come to; empty if that is not known.
    pub(super) fn own(&self) -> &[Origin] {
        &self.own
    }

    /// The key of an API key that signs with Ed25519.
    pub(super) fn public_key(&self) -> Option<&[u8; 32]> {
        self.public_key.as_ref()
    }

    /// The fault of the key itself.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn of_credential(credential: &ToolCredential, token: Option<&UnverifiedToken<'_>>) -> Self {
        let own = credential.own.clone();
        let Some(token) = token else {
            let problem = "there is no HTTPSig token, and a tool takes nothing else".to_owned();
            return Self { own, problem: Some(problem), ..Self::default() };
        };
        let other = token.unverified_audience().filter(|audience| *audience != credential.tool);
        Self {
            public_key: None,
            keys: credential.epochs.iter().map(|(_, key)| key_of(key, token)).collect(),
            own,
            problem: other
                .map(|audience| format!("the token is for tool {audience}, the credential for {}", credential.tool)),
        }
    }

    async fn of_token(token: &UnverifiedToken<'_>, installation: &Installation) -> Result<Self, CliError> {
        let issuer = installation.issuer().await?;
        let Some(audience) = token.unverified_audience() else {
            return Ok(Self { problem: Some("the token names no tool".to_owned()), ..Self::default() });
        };
        let roots = installation.roots.all();
        let tool = installation.store.tool(&audience).await.map_err(CliError::failed)?;
        Ok(Self {
            keys: roots.iter().map(|epoch| key_of(&epoch.tool_key(&issuer, &audience), token)).collect(),
            public_key: None,
            problem: tool.is_none().then(|| format!("there is no tool {audience}")),
            // A renewal comes to the issuer, everything else to the tool.
            own: tool
                .and_then(|tool| tool.base_url.origin().cloned())
                .into_iter()
                .chain(base_origin(issuer.as_str()))
                .collect(),
        })
    }

    async fn of_api_key(request: &RawRequest, installation: &Installation) -> Result<Self, CliError> {
        let own: Vec<Origin> = base_origin(installation.issuer().await?.as_str()).into_iter().collect();
        let problem = |text: String| Ok(Self { own: own.clone(), problem: Some(text), ..Self::default() });
        let Ok(signature) = UnverifiedSignature::parse(&Fields::of(&request.headers)) else {
            return Ok(Self::default());
        };
        let Ok(id) = ApiKeyId::parse(signature.key_id) else {
            return problem(format!("keyid {:?} is no API key, and there is no token", signature.key_id));
        };
        let Some(row) = installation.store.api_key(&id).await.map_err(CliError::failed)? else {
            return problem(format!("there is no API key {id}"));
        };
        match row.open(&installation.roots) {
            Ok(key) => match key.material {
                KeyMaterial::Hmac(key) => Ok(Self { keys: vec![MacKey::new(&key)], own, ..Self::default() }),
                KeyMaterial::Ed25519(public_key) => Ok(Self { public_key: Some(public_key), own, ..Self::default() }),
            },
            Err(error) => problem(format!("the row of the key can't be used: {error}")),
        }
    }
}

fn key_of(tool_key: &ToolKey, token: &UnverifiedToken<'_>) -> MacKey {
    MacKey::new(&tool_key.signing_key(&TokenDigest::of(token.compact().as_bytes())))
}

fn credential(context: &Context) -> Result<Option<ToolCredential>, CliError> {
    let file = context.environment.get("BMAP_TOOL_CREDENTIAL_FILE").map(std::fs::read_to_string).transpose();
    let file = file.map_err(|error| CliError::Failed(format!("BMAP_TOOL_CREDENTIAL_FILE: {error}")))?;
    let text = context.environment.get("BMAP_TOOL_CREDENTIAL").or(file.as_deref());
    text.map(ToolCredential::parse).transpose().map_err(|error| CliError::Usage(error.to_string()))
}

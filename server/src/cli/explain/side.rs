//! One end of a request: the signature base as that end has it.

use super::known::Known;
use crate::cli::raw_request::RawRequest;
use crate::cli::target_url::normal_authority;
use bmap_protocol::check::{self, Received};
use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;

/// A signature base, with the signature that came with it.
pub(super) struct Side {
    pub(super) base: Vec<u8>,
    /// The signature's bytes, where there was a request.
    pub(super) signature: Option<Vec<u8>>,
    /// Whether an Ed25519 signature holds, where the key is of that kind and there was a request.
    pub(super) ed25519: Option<bool>,
    /// Notes on unusual parts.
    pub(super) notes: Vec<String>,
}

/// A request that no base can be made of.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(Refusal);

impl Unreadable {
    pub(super) const fn code(&self) -> &'static str {
        self.0.code().as_str()
    }
}

impl Side {
    /// The base of a request: as a verifier makes it.
    pub(super) fn of_request(request: &RawRequest, known: &Known) -> Result<Self, Unreadable> {
        let mut notes = Vec::new();
        let fields = Fields::of(&request.headers);
        let signature = UnverifiedSignature::parse(&fields).map_err(Unreadable)?;
        let written = check::authority(request.authority.as_deref(), &fields).map_err(Unreadable)?;
        let (scheme, authority) = match check::own_origin(written, known.own()) {
            Ok(own) => (own.scheme(), own.authority().to_owned()),
            Err(_) => {
                if !known.own().is_empty() {
                    let own: Vec<&str> = known.own().iter().map(|origin| origin.authority()).collect();
                    notes.push(format!(
                        "the host {written:?} is not the one of the configured base URL ({}): a proxy rewrites Host, or the base \
                         URL is wrong",
                        own.join(", ")
                    ));
                }
                ("https", normal_authority(written))
            }
        };
        let received = Received {
            method: &request.method,
            scheme,
            authority: &authority,
            path: &request.path,
            query: request.query.as_deref(),
            fields: &fields,
        };
        let has_token = check::authorization(&fields).map_err(Unreadable)?.is_some();
        if let Err(refusal) = check::coverage(&signature, &fields, has_token, !request.body.is_empty()) {
            notes.push(format!("the signature covers too little ({}): {refusal}", refusal.code().as_str()));
        }
        let base = check::base(&received, &signature).map_err(Unreadable)?;
        let ed25519 = known.public_key().map(|key| check::ed25519(&received, &signature, key).is_ok());
        Ok(Self { base, signature: Some(signature.signature().to_vec()), ed25519, notes })
    }

    /// A base out of a file; an editor's line end at its end is not part of it.
    pub(super) fn of_base(bytes: &[u8]) -> Self {
        let base = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let base = base.strip_suffix(b"\r").unwrap_or(base);
        Self { base: base.to_vec(), signature: None, ed25519: None, notes: Vec::new() }
    }
}

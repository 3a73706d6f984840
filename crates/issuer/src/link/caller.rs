//! Which verifier asks: its request is signed under §4 with `K_link` of its tool.

use crate::error::IssuerError;
use crate::error::lack::ToolLack;
use crate::issuer::Issuer;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::tool::Tool;
use bmap_protocol::check::{self, Received, Window};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::MacKey;
use bmap_protocol::link::{self, NODE_LEN};
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::{Denial, Mismatch, Refusal};
use bmap_protocol::signature_base::Component;
use bmap_verifier::credential::base_origin;
use http::Method;
use http::request::Parts;
use sha2::{Digest, Sha256};

/// A proved verifier of a tool.
#[derive(Clone, Debug)]
pub struct LinkCaller {
    /// Its tool, as the row has it.
    pub tool: Tool,
    /// The epoch of the key that it holds.
    pub epoch: u32,
    /// The instance: 16 random bytes of its own choice, base64url.
    pub node: String,
}

impl Issuer {
    /// The verifier that sent a request. `head` has the target that was sent.
    ///
    /// A GET is not recorded in the replay store: sent again, it tells an attacker who can read it nothing that the first one did not.
    ///
    /// # Errors
    /// [`IssuerError::Signed`] for a signature that does not hold, [`Denial::Tool`] for a tool that is not there, [`IssuerError::Malformed`]
    /// for a node id outside its form.
    pub async fn link_caller(&self, head: &Parts, body: &[u8]) -> Result<LinkCaller, IssuerError> {
        let (tool, epoch) = self.proved_tool(head, body).await?;
        let node = node_of(head.uri.query()).ok_or(IssuerError::Malformed { field: "node" })?;
        let tool = self.store.tool(&tool).await?.ok_or(Refusal::Denied(Denial::Tool))?;
        self.check_linked(&tool)?;
        Ok(LinkCaller { tool, epoch, node })
    }

    /// A row that was edited by hand gives verifiers nothing (T13).
    pub(super) fn check_linked(&self, tool: &Tool) -> Result<(), IssuerError> {
        let edited = &IssuerError::ToolDenied(ToolLack::Edited);
        tool.check_seal(&self.roots).map_err(|fault| IssuerError::edited("a tool", fault, edited))
    }

    async fn proved_tool(&self, head: &Parts, body: &[u8]) -> Result<(bmap_protocol::ids::ToolId, u32), IssuerError> {
        let fields = Fields::of(&head.headers);
        let (path, query) = (head.uri.path(), head.uri.query());
        check::request_target(path, query)?;
        let signature = UnverifiedSignature::parse_link(&fields)?;
        let own = [base_origin(self.url.as_str()).ok_or(Refusal::InvalidSignature(Mismatch::Authority))?];
        let authority = check::authority(head.uri.authority().map(http::uri::Authority::as_str), &fields)?;
        let own = check::own_origin(authority, &own)?;
        let (method, scheme, authority) = (head.method.as_str(), own.scheme(), own.authority());
        let received = Received { method, scheme, authority, path, query, fields: &fields };
        check::time_window(&signature, self.unix_time().seconds(), Window::DEFAULT)?;
        check::coverage(&signature, &fields, false, !body.is_empty())?;

        let unknown = Refusal::InvalidSignature(Mismatch::UnknownKey);
        let (tool, epoch) = link::parse_key_id(signature.key_id).ok_or(unknown)?;
        let keys = self.roots.of(epoch).ok_or(unknown)?;
        // The key is derived, so a tool that is not there costs what another one does.
        let key = keys.tool_key(&self.url, &tool).link_key();
        check::mac(&received, &signature, &MacKey::from_key_bytes(key.expose()))?;

        if signature.covers(Component::Header("content-digest")) {
            check::content_digest(&fields, &BodyDigest::of(body))?;
        }
        if head.method != Method::GET {
            let digest = Sha256::digest(signature.key_id);
            let [id, ..] = digest.as_chunks::<16>().0 else { return Err(unknown.into()) };
            let until = Window::DEFAULT.record_until(signature.created);
            self.store.use_nonce(*id, signature.nonce, until).await?;
        }
        Ok((tool, epoch))
    }
}

/// The one `node` of a query, in its one spelling.
fn node_of(query: Option<&str>) -> Option<String> {
    let mut nodes = query?.split('&').filter_map(|pair| pair.strip_prefix("node="));
    let (node, None) = (nodes.next()?, nodes.next()) else { return None };
    let bytes = Base64UrlUnpadded::decode_vec(node).ok()?;
    (bytes.len() == NODE_LEN && Base64UrlUnpadded::encode_string(&bytes) == node).then(|| node.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_spelling() {
        let node = "AAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(node_of(Some(&format!("after=1&node={node}"))).as_deref(), Some(node));
        let twice = format!("node={node}&node={node}");
        for wrong in
            ["", "node=", "node=AAAA", "node=AAAAAAAAAAAAAAAAAAAAAB", "node=%41AAAAAAAAAAAAAAAAAAAAA", twice.as_str()]
        {
            assert_eq!(node_of(Some(wrong)), None, "{wrong}");
        }
        assert_eq!(node_of(None), None);
    }
}

//! The tool that a token is asked for: by its id (`audience`, RFC 8693 §2.1), by its address (`resource`, RFC 8707 §2), or by both, which
//! must agree. A tool that is not there is denied like one that the caller may not have.

use crate::error::IssuerError;
use crate::error::lack::ToolLack;
use crate::issuer::Issuer;
use bmap_model::tool::Tool;
use bmap_protocol::ids::ToolId;

/// Most bytes of a resource.
const MAX_RESOURCE: usize = 2048;

/// An address that a caller names a tool by: its base URL, with or without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(String);

/// The tool that a caller names; at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedTool {
    audience: Option<ToolId>,
    resource: Option<Resource>,
}

impl Resource {
    /// Reads an absolute URL of http or https.
    ///
    /// # Errors
    /// [`IssuerError::InvalidResource`] for another text, and for a URL with a fragment (RFC 8707 §2).
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let invalid = IssuerError::InvalidResource { hint: "a tool's base URL, like https://places.example" };
        let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
        let is_absolute = ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(has_host));
        let is_plain = text.len() <= MAX_RESOURCE && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_absolute && is_plain { Ok(Self(without_slash(text).to_owned())) } else { Err(invalid) }
    }

    fn is_of(&self, tool: &Tool) -> bool {
        self.0 == without_slash(tool.base_url.as_str())
    }
}

fn without_slash(url: &str) -> &str {
    url.strip_suffix('/').unwrap_or(url)
}

impl RequestedTool {
    /// What a caller named.
    ///
    /// # Errors
    /// [`IssuerError::Malformed`] for neither.
    pub fn new(audience: Option<ToolId>, resource: Option<Resource>) -> Result<Self, IssuerError> {
        if audience.is_none() && resource.is_none() {
            return Err(IssuerError::Malformed { field: "audience" });
        }
        Ok(Self { audience, resource })
    }

    /// Whether it can be that tool, as far as its id says.
    pub(crate) fn can_be(&self, tool: &ToolId) -> bool {
        self.audience.as_ref().is_none_or(|audience| audience == tool)
    }

    /// Whether it is that tool.
    pub(crate) fn is(&self, tool: &Tool) -> bool {
        self.can_be(&tool.id) && self.resource.as_ref().is_none_or(|resource| resource.is_of(tool))
    }
}

impl From<ToolId> for RequestedTool {
    fn from(tool: ToolId) -> Self {
        Self { audience: Some(tool), resource: None }
    }
}

impl Issuer {
    /// The tool's id. An address that several tools have names none of them: the caller names one by its id too.
    ///
    /// # Errors
    /// [`IssuerError::ToolDenied`].
    pub(crate) async fn requested(&self, wanted: &RequestedTool) -> Result<ToolId, IssuerError> {
        let found = match (&wanted.audience, &wanted.resource) {
            (Some(audience), None) => return Ok(audience.clone()),
            (_, Some(resource)) => self.store.tools_at(&resource.0).await?,
            // One of them is there.
            (None, None) => Vec::new(),
        };
        match found.into_iter().filter(|tool| wanted.is(tool)).collect::<Vec<_>>().as_slice() {
            [tool] => Ok(tool.id.clone()),
            [] => Err(IssuerError::ToolDenied(ToolLack::Address)),
            [..] => Err(IssuerError::ToolDenied(ToolLack::SharedAddress)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_url_without_a_fragment() {
        for (text, url) in [
            ("https://places.example", "https://places.example"),
            ("https://places.example/", "https://places.example"),
            ("http://127.0.0.1:4001/", "http://127.0.0.1:4001"),
        ] {
            assert_eq!(Resource::parse(text).unwrap(), Resource(url.to_owned()));
        }
        let long = format!("https://{}", "a".repeat(MAX_RESOURCE));
        for text in ["", "places", "https://", "https:///x", "/v1", "ftp://x", "https://x#", "https://x y", &long] {
            assert!(matches!(Resource::parse(text), Err(IssuerError::InvalidResource { .. })), "{text}");
        }
    }

    #[test]
    fn one_of_the_two_is_named() {
        assert!(matches!(RequestedTool::new(None, None), Err(IssuerError::Malformed { field: "audience" })));
    }
}

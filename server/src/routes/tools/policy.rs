//! A tool's policy in forms and answers.

use bmap_protocol::object::Object;
use bmap_protocol::tool_policy::ToolPolicy;
use utoipa::ToSchema;

/// A policy as it stands in a form: an object.
pub(super) type PolicyForm = Object<ToolPolicy>;

/// What is asked of a tool's requests beside pages, assurance and scopes; an empty object asks for nothing.
#[derive(ToSchema)]
#[schema(as = ToolPolicy)]
#[expect(dead_code, reason = "a schema: the policy's own type is read and written")]
pub(super) struct PolicySchema {
    /// Seconds without a word of the issuer after which a verifier with a live link refuses requests.
    #[schema(minimum = 5, maximum = 86_400)]
    max_staleness: Option<u32>,
    /// Networks that requests may come from, in CIDR notation; none: all.
    #[schema(max_items = 64)]
    allowed_ips: Option<Vec<String>>,
    /// Most bytes of a body.
    #[schema(minimum = 1)]
    max_body: Option<u32>,
    rates: Option<RatesSchema>,
    /// What a request may prove itself with beside a signature.
    proofs: Option<Vec<ProofSchema>>,
    /// Whether a capability may be for all paths.
    capability_root: Option<bool>,
    /// More demands on some requests; all that apply to a request count.
    #[schema(max_items = 64)]
    rules: Option<Vec<RuleSchema>>,
}

/// How often callers may ask.
#[derive(ToSchema)]
#[schema(as = ToolPolicyRates)]
#[expect(dead_code, reason = "a schema")]
struct RatesSchema {
    /// With one token, or one capability.
    token: Option<RateSchema>,
    /// One user, with all tokens.
    user: Option<RateSchema>,
    /// With the tokens of one API key.
    key: Option<RateSchema>,
    /// From pages of one origin.
    origin: Option<RateSchema>,
    /// From one IPv4 address, or the /64 of an IPv6 address.
    address: Option<RateSchema>,
}

/// A bucket.
#[derive(ToSchema)]
#[schema(as = ToolPolicyRate)]
#[expect(dead_code, reason = "a schema")]
struct RateSchema {
    /// Requests for each second.
    #[schema(minimum = 1)]
    per_second: u32,
    /// Requests at once.
    #[schema(minimum = 1)]
    burst: u32,
}

/// A proof that covers neither query nor body.
#[derive(ToSchema)]
#[schema(as = ToolPolicyProof, rename_all = "lowercase")]
#[expect(dead_code, reason = "a schema")]
enum ProofSchema {
    /// A capability URL.
    Capability,
    /// RFC 9449.
    Dpop,
}

/// What is asked of requests below a path: scopes, an assurance, or both.
#[derive(ToSchema)]
#[schema(as = ToolPolicyRule)]
#[expect(dead_code, reason = "a schema")]
struct RuleSchema {
    /// The path: itself, and everything below it by whole segments.
    #[schema(pattern = "^/")]
    path: String,
    /// Methods in upper case; none: all.
    #[schema(max_items = 64)]
    methods: Option<Vec<String>>,
    min_assurance: Option<super::view::AssuranceWord>,
    /// Scopes of the tool that a token must all have.
    #[schema(max_items = 64)]
    scopes: Option<Vec<String>>,
}

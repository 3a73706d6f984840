//! Grammars of texts, as far as JSON Schema can say them. The domain parses them; these types name them in the document.

use utoipa::ToSchema;

/// An email address. Its canonical spelling is meant: others of the same address are folded to it.
#[derive(ToSchema)]
#[schema(value_type = String, format = "email", max_length = 254, example = "ana@shop.example")]
pub struct EmailAddress(pub String);

/// A password that a caller presents: up to 256 bytes when it is composed (NFC).
#[derive(ToSchema)]
#[schema(value_type = String, format = "password", max_length = 256)]
pub struct Password(pub String);

/// A password that a user chooses: 8 to 256 bytes when it is composed (NFC), without control characters. One that is guessed early is refused,
/// with a `hint`.
#[derive(ToSchema)]
#[schema(value_type = String, format = "password", min_length = 8, max_length = 256)]
pub struct NewPassword(pub String);

/// A tool's id.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[a-z0-9-]{1,32}$", example = "places")]
pub struct ToolId(pub String);

/// A page's origin in the spelling that browsers send: lower case, the default port left out.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$",
    max_length = 255,
    example = "https://shop.example"
)]
pub struct Origin(pub String);

/// Scopes, with a space between them.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^([!#-\[\]-~]{1,64}( [!#-\[\]-~]{1,64})*)?$",
    max_length = 1024,
    example = "search route"
)]
pub struct Scope(pub String);

/// The token of a link that was mailed.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^bm[cpeg]_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
pub struct LinkToken(pub String);

/// A name that people choose.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$",
    example = "Shop"
)]
pub struct Name(pub String);

/// A tool that an API key is for: its id, or `*` alone for every tool.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = r"^(\*|[a-z0-9-]{1,32})$", example = "places")]
pub struct KeyTool(pub String);

/// A page that may use a tool: its origin, or `*` alone for every page that an API key registered.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^(\*|https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?)$",
    max_length = 255,
    example = "https://shop.example"
)]
pub struct ToolOrigin(pub String);

/// A user's id.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
pub struct UserId(pub String);

/// An API key's id.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^bmk_[0-9a-f]{32}$")]
pub struct KeyId(pub String);

/// How an API key signs.
#[derive(ToSchema)]
pub enum Signing {
    /// With HMAC-SHA-256, under a key from its secret.
    #[schema(rename = "hmac-sha256")]
    HmacSha256,
    /// With Ed25519: the issuer holds the public key only.
    #[schema(rename = "ed25519")]
    Ed25519,
}

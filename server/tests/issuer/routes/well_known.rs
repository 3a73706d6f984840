use crate::http_client::Call;
use crate::world::World;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::token::{IssuerKey, UnverifiedToken};

#[tokio::test]
async fn the_key_set_verifies_a_token() {
    let world = World::start().await;
    let host = world.host().await;
    let token = host.send(host.direct_call()).await.granted()["access_token"].as_str().unwrap().to_owned();
    let keys = Call::new("GET", "/.well-known/jwks.json").send(world.address).await.granted();
    let jwk = &keys["keys"][0];
    assert_eq!(
        (jwk["kty"].as_str(), jwk["crv"].as_str(), jwk["alg"].as_str()),
        (Some("OKP"), Some("Ed25519"), Some("EdDSA"))
    );
    assert!(jwk.get("d").is_none(), "a private key is not published");
    let mut x = [0; 32];
    Base64UrlUnpadded::decode(jwk["x"].as_str().unwrap(), &mut x).unwrap();
    let key = IssuerKey::new(jwk["kid"].as_str().unwrap(), &x).unwrap();
    assert!(UnverifiedToken::parse(&token).unwrap().verify(&[key]).is_ok());
}

#[tokio::test]
async fn the_metadata_names_the_endpoints() {
    let world = World::start().await;
    let metadata = Call::new("GET", "/.well-known/oauth-authorization-server").send(world.address).await.granted();
    let issuer = world.issuer.url.as_str();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(metadata["token_endpoint"], format!("{issuer}/oauth/token"));
    assert_eq!(metadata["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert_eq!(metadata["response_types_supported"], serde_json::json!([]));
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let grants = serde_json::json!(["client_credentials", "refresh_token", exchange, "urn:bmap:grant-type:capability"]);
    assert_eq!(metadata["grant_types_supported"], grants);
    let methods = serde_json::json!(["client_secret_basic", "client_secret_post", "none"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["introspection_endpoint"], format!("{issuer}/oauth/introspect"));
    let with_secret = serde_json::json!(["client_secret_basic", "client_secret_post"]);
    assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], with_secret);
    assert_eq!(metadata["revocation_endpoint"], format!("{issuer}/oauth/revoke"));
    assert_eq!(metadata["revocation_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["bmap_versions_supported"], serde_json::json!([bmap_protocol::TAG]));
}

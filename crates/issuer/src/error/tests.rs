//! Refusals on the wire.

use super::IssuerError;
use bmap_model::account::password::PasswordFault;
use bmap_protocol::refusal::Refusal;

#[test]
fn u06_what_is_no_401_of_a_grant_stays() {
    let code = |refusal: IssuerError| refusal.of_grant().code().as_str();
    for dead in
        [IssuerError::UnknownTicket, IssuerError::RefreshReused, IssuerError::AccessTokenOver, IssuerError::KeyOver]
    {
        assert_eq!(code(dead), "invalid_grant");
    }
    assert_eq!(code(IssuerError::KeyRevoked), "key_revoked");
    assert_eq!(code(IssuerError::Busy), "overloaded");
    assert_eq!(code(IssuerError::Signed(Refusal::Unsigned)), "missing_signature");
}

#[test]
fn r31_an_unknown_key_and_a_wrong_secret_look_alike() {
    let wire = |refusal: IssuerError| (refusal.code(), refusal.retry_after());
    assert_eq!(wire(IssuerError::UnknownKey), wire(IssuerError::WrongSecret));
    assert_eq!(wire(IssuerError::UnknownKey), wire(IssuerError::BadCredential));
    assert_eq!(wire(IssuerError::WrongPassword), wire(IssuerError::UnknownKey));
    assert_eq!(wire(IssuerError::BrokenPassword(PasswordFault::Cost)), wire(IssuerError::WrongPassword));
}

//! Refusals on the wire.

use super::Refusal;
use crate::model::account::password::PasswordFault;
use bmap_protocol::refusal::Refusal as SignedRefusal;

#[test]
fn u06_what_is_no_401_of_a_grant_stays() {
    let code = |refusal: Refusal| refusal.of_grant().code().as_str();
    for dead in [Refusal::UnknownTicket, Refusal::RefreshReused, Refusal::AccessTokenOver, Refusal::KeyOver] {
        assert_eq!(code(dead), "invalid_grant");
    }
    assert_eq!(code(Refusal::KeyRevoked), "key_revoked");
    assert_eq!(code(Refusal::Busy), "overloaded");
    assert_eq!(code(Refusal::Signed(SignedRefusal::Unsigned)), "missing_signature");
}

#[test]
fn r31_an_unknown_key_and_a_wrong_secret_look_alike() {
    let wire = |refusal: Refusal| (refusal.code(), refusal.retry_after());
    assert_eq!(wire(Refusal::UnknownKey), wire(Refusal::WrongSecret));
    assert_eq!(wire(Refusal::UnknownKey), wire(Refusal::BadCredential));
    assert_eq!(wire(Refusal::WrongPassword), wire(Refusal::UnknownKey));
    assert_eq!(wire(Refusal::BrokenPassword(PasswordFault::Cost)), wire(Refusal::WrongPassword));
}

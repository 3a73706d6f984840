//! Refusals on the wire.

use super::account::password::PasswordFault;
use super::refusal::Refusal;
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
    assert_eq!(Refusal::UnknownKey.for_the_wire(), Refusal::WrongSecret.for_the_wire());
    assert_eq!(Refusal::UnknownKey.for_the_wire(), Refusal::BadCredential.for_the_wire());
    assert_eq!(Refusal::WrongPassword.for_the_wire(), Refusal::UnknownKey.for_the_wire());
    assert_eq!(Refusal::BrokenPassword(PasswordFault::Cost).for_the_wire(), Refusal::WrongPassword.for_the_wire(),);
}

use std::marker::PhantomData;

/// Whether a type can be compared with `==`: an inherent constant comes before a trait's, and it is there only then.
struct Comparable<T>(PhantomData<T>);
trait Otherwise {
    const YES: bool = false;
}
impl<T> Otherwise for Comparable<T> {}
impl<T: PartialEq> Comparable<T> {
    const YES: bool = true;
}

#[test]
fn r34_secrets_can_only_be_compared_in_constant_time() {
    const { assert!(Comparable::<String>::YES, "the question can be answered with yes") };
    const { assert!(!Comparable::<bmap_protocol::api_key::ApiSecret>::YES) };
    const { assert!(!Comparable::<bmap_protocol::api_key::StoredHash>::YES) };
    const { assert!(!Comparable::<bmap_protocol::keys::SigningKey>::YES) };
    const { assert!(!Comparable::<bmap_protocol::keys::RootSecret>::YES) };
    const { assert!(!Comparable::<bmap_model::ticket::PlainTicket>::YES) };
    const { assert!(!Comparable::<bmap_model::account::opaque::OpaqueToken>::YES) };
    const { assert!(!Comparable::<bmap_model::account::password::PlainPassword>::YES) };
    const { assert!(!Comparable::<bmap_model::account::password::StoredPassword>::YES) };
    const { assert!(!Comparable::<bmap_server::config::SecretText>::YES) };
    const { assert!(!Comparable::<bmap_model::api_key::KeyMaterial>::YES) };
}

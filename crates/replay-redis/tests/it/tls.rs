//! The connection to a server elsewhere: its certificate is checked.

use crate::actors::{Page, tool};
use crate::world::{ONE_SERVER, Tool, WINDOW, documented, run};
use bmap_replay_redis::{Options, Servers, StartError, StoreFault};
use bmap_test_kit::folder::Folder;
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_test_kit::{port, redis as servers};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::time::Duration;

/// An authority, and a server's certificate and key.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

fn certificates() -> Certificates {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    Certificates { authority: authority.pem(), certificate: server.pem(), key: key.serialize_pem() }
}

#[test]
fn r33_a_server_behind_tls_is_believed_by_its_certificate_alone() {
    if !Flavor::Redis.is_here() {
        return;
    }
    run(async {
        let (ours, theirs) = (certificates(), certificates());
        let folder = Folder::new();
        let [certificate, key] =
            [("c.pem", &ours.certificate), ("k.pem", &ours.key)].map(|(name, pem)| folder.write(name, pem));
        let tls = port::free();
        let config = format!(
            "{}\ntls-port {tls}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no",
            documented(ONE_SERVER),
            certificate.display(),
            key.display(),
            folder.write("ca.pem", &ours.authority).display(),
        );
        let _server: servers::RedisServer = RedisServer::start(Flavor::Redis, &config);
        let options = |host: &str, authority: Option<&str>| {
            let mut options = Options::new(&format!("rediss://{host}:{tls}/"), tool(), WINDOW).unwrap();
            options.servers = Servers::Single;
            options.deadline = Duration::from_millis(500);
            options.root_certificates = authority.map(|pem| pem.as_bytes().to_vec());
            options
        };
        let started = Tool::try_start(options("localhost", Some(&ours.authority))).await.unwrap();
        started.past_the_rule().await;
        assert_eq!(started.decide(&Page::new().signs()).await, Ok(()));
        for wrong in [
            options("localhost", Some(&theirs.authority)),
            options("localhost", None),
            options("127.0.0.1", Some(&ours.authority)),
        ] {
            let error = Tool::try_start(wrong).await.err().unwrap();
            assert!(matches!(error, StartError::Store(StoreFault::Unreachable { .. })), "{error:?}");
        }
    });
}

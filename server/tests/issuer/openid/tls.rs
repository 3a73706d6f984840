//! A provider behind TLS whose certificate the system does not know: an operator's own.

use super::fake::{DISCOVERY, Fake, Journey, KEYS, TOKEN};
use super::{VERIFIER, code_in, provider, sign_in_fields, start, swap, world_with};
use crate::mail_server::Authority;
use crate::world::World;
use bmap_issuer::openid::provider::Provider;
use bmap_outbound::Authorities;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A provider at `https://127.0.0.1:PORT` that shows this certificate.
async fn behind_tls(shown: &Authority) -> Fake {
    bmap_server::install_crypto_providers();
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Fake::start_at(|behind| async move {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("https://{}", front.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = front.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), stream, behind));
            }
        });
        issuer
    })
    .await
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    // A client that does not believe the certificate hangs up here.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut behind = TcpStream::connect(behind).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
}

/// A server that has it as its one provider, and believes these authorities of it.
async fn world_trusting(fake: &Fake, authority: Option<&Authority>) -> World {
    let authorities = authority.map(|authority| Authorities::from_pem(authority.ca.as_bytes()).unwrap());
    world_with(vec![Provider { authorities, ..provider("fake", &fake.issuer) }]).await
}

#[tokio::test]
async fn somebody_signs_in_with_a_provider_of_an_authority_of_ones_own() {
    let authority = Authority::for_server("127.0.0.1");
    let fake = behind_tls(&authority).await;
    let world = world_trusting(&fake, Some(&authority)).await;
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    let code = code_in(journey.back().send(world.address).await.header("location").unwrap());
    swap(&code, VERIFIER).send(world.address).await.granted();
    // Each of the three went the same way.
    for path in [DISCOVERY, TOKEN, KEYS] {
        assert_eq!(fake.asked(path).len(), 1, "{path}");
    }
}

#[tokio::test]
async fn t3_a_provider_whose_certificate_does_not_hold_is_asked_nothing_and_the_log_says_why() {
    let right = Authority::for_server("127.0.0.1");
    let elsewhere = Authority::for_server("login.example");
    let ended = Authority::until("127.0.0.1", 2020);
    for (shown, trusted, why) in [
        (&right, None, "is of an authority that is not trusted"),
        (&Authority::for_server("127.0.0.1"), Some(&right), "is of an authority that is not trusted"),
        (&elsewhere, Some(&elsewhere), "is for another name"),
        (&ended, Some(&ended), "has ended"),
    ] {
        let fake = behind_tls(shown).await;
        let world = world_trusting(&fake, trusted).await;
        let before = crate::log::text().matches(why).count();
        start("fake", &sign_in_fields()).send(world.address).await.assert_refused("issuer_unavailable");
        assert!(fake.asked(DISCOVERY).is_empty(), "{why}");
        let log = crate::log::text();
        assert!(log.matches(why).count() > before, "{why}: {log}");
    }
}

#[tokio::test]
async fn t3_one_providers_authority_vouches_for_no_other_provider() {
    let authority = Authority::for_server("127.0.0.1");
    let (acme, other) = (behind_tls(&authority).await, behind_tls(&authority).await);
    let authorities = Authorities::from_pem(authority.ca.as_bytes());
    let acme_alone = Provider { authorities, ..provider("fake", &acme.issuer) };
    let world = world_with(vec![acme_alone, provider("other", &other.issuer)]).await;
    Journey::begin(&world).await;
    start("other", &sign_in_fields()).send(world.address).await.assert_refused("issuer_unavailable");
    assert!(other.asked(DISCOVERY).is_empty());
}

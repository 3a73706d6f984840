//! PostgreSQL over TLS, with certificates of a private authority: a server that can't prove its name is sent nothing.

use crate::call::{Call, PAGE};
use crate::postgres::{self, Cluster};
use crate::server::Installation;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Another host by its name, and this one by where it leads: the test needs no list of this machine's addresses.
const ELSEWHERE: &str = "0.0.0.0";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
}

/// A database server with TLS, and what its callers have.
struct Secured {
    cluster: Cluster,
    folder: TempDir,
    authority: Authority,
}

impl Secured {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let authority = authority();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("other.pem"), self::authority().pem()).unwrap();
        certify(folder.path(), "server", &authority, &["localhost", ELSEWHERE], 2100);
        let at = folder.path().display();
        let tls = format!("ssl=on\nssl_cert_file='{at}/server.pem'\nssl_key_file='{at}/server.key'\n");
        Self { cluster: Cluster::new(&format!("{tls}log_connections=on\n{settings}")), folder, authority }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The URL over a host, with these parameters; `CA` in them is the authority's file.
    fn url(&self, host: &str, parameters: &str) -> String {
        let parameters = parameters.replace("CA", &self.file("ca.pem"));
        format!("postgres://bmap@{host}:{}/postgres?{parameters}", self.cluster.port)
    }

    /// The server comes back with another certificate.
    fn restart_with(&self, authority: &Authority, names: &[&str], year: i32) {
        certify(self.folder.path(), "server", authority, names, year);
        tokio::task::block_in_place(|| {
            self.cluster.stop_immediately();
            assert!(self.cluster.start());
        });
    }

    /// The server's log lines of connections.
    fn connections(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.cluster.log).unwrap();
        log.lines().filter(|line| line.contains("connection authorized")).map(str::to_owned).collect()
    }

    /// Every command says why it does not go on, and the server let no client in.
    fn is_refused(&self, url: &str, why: &str) {
        let before = self.connections().len();
        let installation = Installation::new(Some(url.to_owned()));
        installation.prepare();
        for arguments in
            [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["migrate", "--check"], &["user", "add", "ana"]]
        {
            let output = installation.command(arguments).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{url} {arguments:?}: {error}");
            assert!(error.contains("no safe connection") && error.contains(why), "{url} {arguments:?}: {error}");
        }
        let doctor = installation.command(&["doctor"]).output().unwrap();
        let says = String::from_utf8(doctor.stdout).unwrap();
        let fault = says.lines().find(|line| line.starts_with("FAULT") && line.contains("database"));
        assert!(doctor.status.code() == Some(1) && fault.is_some_and(|line| line.contains(why)), "{url}: {says}");
        assert_eq!(self.connections().len(), before, "{url}: let in");
    }
}

/// A certificate and its key, `name.pem` and `name.key`, which the database server may read.
fn certify(folder: &Path, name: &str, authority: &Authority, names: &[&str], year: i32) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut certificate = CertificateParams::new(names).unwrap();
    certificate.distinguished_name.push(DnType::CommonName, "bmap");
    certificate.not_after = rcgen::date_time_ymd(year, 1, 1);
    let certificate = certificate.signed_by(&key, authority).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    let file = folder.join(format!("{name}.key"));
    fs::write(&file, key.serialize_pem()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    // Where this runs as root, PostgreSQL does not.
    if Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0" {
        assert!(Command::new("chown").arg("nobody").arg(&file).status().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_to_a_database_elsewhere_goes_tls_with_who_it_should_be_or_nothing() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let secured = Secured::new("");
    // Asked for, and to another host without being asked for.
    for url in
        [secured.url("localhost", "sslmode=verify-full&sslrootcert=CA"), secured.url(ELSEWHERE, "sslrootcert=CA")]
    {
        Installation::new(Some(url)).out(&["migrate"]);
    }
    let installation = Installation::new(Some(secured.url(ELSEWHERE, "sslrootcert=CA")));
    drop(installation.serve());
    installation.out(&["doctor"]);
    let connections = secured.connections();
    assert!(connections.len() > 4, "{connections:?}");
    assert!(connections.iter().all(|line| line.contains("SSL enabled (protocol=TLSv1.3")), "{connections:?}");

    // Each of these would be let in without TLS, or without looking.
    let other = secured.file("other.pem");
    for parameters in [String::new(), format!("sslrootcert={other}")] {
        secured.is_refused(&secured.url(ELSEWHERE, &parameters), "of an authority that is not trusted");
    }
    secured.is_refused(&secured.url("127.0.0.1", "sslmode=verify-full&sslrootcert=CA"), "is for another name");
    secured.is_refused(
        &secured.url(ELSEWHERE, "sslrootcert=/nowhere/ca.pem"),
        "sslrootcert /nowhere/ca.pem: No such file",
    );
    secured.restart_with(&secured.authority, &["localhost", ELSEWHERE], 2020);
    secured.is_refused(&secured.url(ELSEWHERE, "sslrootcert=CA"), "has ended");
    let plain = Cluster::new("log_connections=on\n");
    let plain = Secured { cluster: plain, ..secured };
    plain.is_refused(&plain.url(ELSEWHERE, "sslrootcert=CA"), "does not support TLS");
    plain.is_refused(&plain.url("localhost", "sslmode=verify-full&sslrootcert=CA"), "does not support TLS");
    // These modes check no certificate's name, so no operator may ask for them.
    for mode in ["prefer", "allow", "require", "verify-ca", "Prefer", "REQUIRE"] {
        let installation = Installation::new(Some(plain.url(ELSEWHERE, &format!("sslmode={mode}"))));
        let output = installation.command(&["migrate"]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && error.contains("sslmode is verify-full, or disable"),
            "{mode}: {error}"
        );
    }
    // In so many words, and said each time.
    let installation = Installation::new(Some(plain.url(ELSEWHERE, "sslmode=disable")));
    drop(installation.serve());
    assert!(installation.log().contains("sslmode=disable: an attacker between"), "{}", installation.log());
    let doctor = String::from_utf8(installation.command(&["doctor"]).output().unwrap().stdout).unwrap();
    assert!(doctor.contains("sslmode=disable: an attacker between"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_database_that_becomes_somebody_else_is_told_nothing() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let secured = Secured::new("");
    let installation = Installation::new(Some(secured.url(ELSEWHERE, "sslrootcert=CA")));
    installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    let server = installation.serve();
    assert_eq!(server.ask(&Call::new("GET", "/readyz")).await.status, 200);
    let origin = || Call::new("OPTIONS", "/oauth/token").header("origin", PAGE);
    secured.restart_with(&authority(), &["localhost", ELSEWHERE], 2100);
    let before = secured.connections().len();
    // A result of the check holds for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..3 {
        assert_eq!(server.ask(&Call::new("GET", "/readyz")).await.status, 503);
        let _ = server.ask(&origin()).await;
    }
    assert_eq!(secured.connections().len(), before, "let in");
    secured.restart_with(&secured.authority, &["localhost", ELSEWHERE], 2100);
    for look in 0.. {
        if server.ask(&Call::new("GET", "/readyz")).await.status == 200 {
            break;
        }
        assert!(look < 100, "not found again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_database_may_ask_for_a_certificate_of_its_own_authority() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let secured = Secured::new("");
    fs::write(format!("{}/pg_hba.conf", secured.cluster.data), "hostssl all bmap 127.0.0.1/32 cert\n").unwrap();
    let ca = format!("ssl_ca_file='{}'\n", secured.file("ca.pem"));
    let file = format!("{}/postgresql.auto.conf", secured.cluster.data);
    fs::write(&file, fs::read_to_string(&file).unwrap() + &ca).unwrap();
    secured.restart_with(&secured.authority, &["localhost", ELSEWHERE], 2100);
    certify(secured.folder.path(), "client", &secured.authority, &[], 2100);
    certify(secured.folder.path(), "stranger", &authority(), &[], 2100);
    let with = |name: &str| {
        format!("sslrootcert=CA&sslcert={0}/{name}.pem&sslkey={0}/{name}.key", secured.folder.path().display())
    };
    let installation = Installation::new(Some(secured.url(ELSEWHERE, &with("client"))));
    drop(installation.serve());
    assert!(secured.connections().iter().all(|line| line.contains("SSL enabled")));
    for (parameters, why) in [
        (with("stranger"), "does not take this one (sslcert, sslkey)"),
        ("sslrootcert=CA".to_owned(), "certificate"),
        ("sslrootcert=CA&sslcert=/nowhere.pem&sslkey=/nowhere.key".to_owned(), "sslcert /nowhere.pem: No such file"),
    ] {
        let output =
            Installation::new(Some(secured.url(ELSEWHERE, &parameters))).command(&["migrate"]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && error.contains(why), "{parameters}: {error}");
    }
}

//! Where the database is: an SQLite file, or a PostgreSQL server, to which a connection over a network is encrypted.

use super::data_dir::without_dots;
use std::fmt;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use url::Url;
use zeroize::Zeroizing;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// The parameters of a PostgreSQL URL that sqlx knows. It ignores others, and says them in the log with their values.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Those of them that name files.
const TLS_FILES: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// A database's address. It may hold a password, so it is not shown.
#[derive(Clone)]
pub struct Address {
    /// Which database it is.
    pub engine: Engine,
    url: Zeroizing<String>,
    /// The file, where its name needs no decoding.
    file: Option<PathBuf>,
}

/// A text that is no database's address; the text itself is in none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme.
    #[error("neither sqlite: nor postgres:")]
    Scheme,
    /// Not a URL.
    #[error("not a URL; a password's special characters are written as %XX")]
    Url,
    /// TLS only if the server likes, or with an unchecked certificate: an attacker in between decides what that means.
    #[error("on the way to another host sslmode is verify-full, or disable: the others don't check who answers")]
    Unchecked,
    /// No host: then the environment would say where the database is, and whether it is another host.
    #[error("no host; localhost, or ?host=/folder of a Unix socket")]
    Host,
    /// A parameter that means nothing here, and may be a misspelled one.
    #[error("a parameter that is not known; docs/storage.md has them")]
    Parameter,
    /// An unknown mode of TLS.
    #[error("sslmode is none of disable, allow, prefer, require, verify-ca, verify-full")]
    Mode,
}

/// The modes of TLS that sqlx knows.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl Address {
    /// The address of a file, which is made if there is none.
    pub fn file(path: &Path) -> Self {
        let path = without_dots(path);
        let url = format!("{}?mode=rwc", file_url(&path));
        Self { engine: Engine::Sqlite, url: url.into(), file: Some(path) }
    }

    /// Reads `sqlite:` and `postgres:` URLs. To another host the connection is TLS with a checked certificate
    /// (`sslmode=verify-full`) unless the URL says otherwise.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let mut url = text.to_owned();
            if !rest.contains("mode=") {
                url.push_str(if rest.contains('?') { "&mode=rwc" } else { "?mode=rwc" });
            }
            let path = rest.split('?').next().unwrap_or_default();
            let file = (!path.contains('%')).then(|| PathBuf::from(path.strip_prefix("//").unwrap_or(path)));
            let has_dots = |file: &&PathBuf| file.components().any(|part| part == Component::ParentDir);
            // A URL with `..` would be shortened on its way, and name another file.
            if let Some(file) = file.as_ref().filter(has_dots) {
                let file = without_dots(file);
                let parameters = url.split_once('?').map(|(_, parameters)| parameters).unwrap_or_default();
                let url = format!("{}?{parameters}", file_url(&file));
                return Ok(Self { engine: Engine::Sqlite, url: url.into(), file: Some(file) });
            }
            return Ok(Self { engine: Engine::Sqlite, url: url.into(), file });
        }
        if !text.starts_with("postgres:") && !text.starts_with("postgresql:") {
            return Err(AddressError::Scheme);
        }
        let mut url = Url::parse(text).map_err(|_| AddressError::Url)?;
        let is_known = |name: &str| PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'));
        if url.query_pairs().any(|(name, _)| !is_known(&name)) {
            return Err(AddressError::Parameter);
        }
        let host = host(&url);
        if host.is_empty() {
            return Err(AddressError::Host);
        }
        let mode = tls_mode(&url);
        if mode.as_deref().is_some_and(|mode| !MODES.contains(&mode)) {
            return Err(AddressError::Mode);
        }
        if !is_here(&host) {
            match mode.as_deref() {
                None => {
                    url.query_pairs_mut().append_pair("sslmode", "verify-full");
                }
                Some("verify-full" | "disable") => {}
                Some(_) => return Err(AddressError::Unchecked),
            }
        }
        Ok(Self { engine: Engine::Postgres, url: String::from(url).into(), file: None })
    }

    /// The URL, with everything that it holds.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// Whether it is a file that is not there.
    pub fn is_missing_file(&self) -> bool {
        self.missing_file().is_some()
    }

    /// The file that it names, where that is not there.
    pub fn missing_file(&self) -> Option<&Path> {
        self.file.as_deref().filter(|file| !file.exists())
    }

    /// The SQLite file, where its name needs no decoding.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The same, but a file that is not there is not made.
    #[must_use]
    pub fn as_it_is(&self) -> Self {
        Self { url: self.url.replace("mode=rwc", "mode=rw").into(), ..self.clone() }
    }

    /// Where it is, to be shown: without user, password and parameters.
    pub fn shown(&self) -> String {
        if self.engine == Engine::Sqlite {
            let path = self.url.split('?').next().unwrap_or_default();
            return self.file.as_ref().map_or_else(|| path.to_owned(), |file| format!("sqlite:{}", file.display()));
        }
        let Ok(url) = Url::parse(&self.url) else { return "postgres:".to_owned() };
        let port = parameter(&url, &["port"]).or_else(|| url.port().map(|port| port.to_string()));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let name = parameter(&url, &["dbname"]).unwrap_or_else(|| url.path().trim_start_matches('/').to_owned());
        format!("postgres://{}{port}/{name}", host(&url))
    }

    /// The files that TLS needs, by the name of their parameter.
    pub fn tls_files(&self) -> Vec<(String, PathBuf)> {
        let Ok(url) = Url::parse(&self.url) else { return Vec::new() };
        let named =
            url.query_pairs().filter(|(name, _)| TLS_FILES.contains(&&**name) && self.engine == Engine::Postgres);
        // A certificate may also stand in the URL itself.
        let files = named.filter(|(_, value)| !value.trim_start().starts_with("-----BEGIN"));
        files.map(|(name, value)| (name.into_owned(), PathBuf::from(value.into_owned()))).collect()
    }

    /// Whether this leads to another host by a connection that an attacker on the way can read and change.
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(url) = Url::parse(&self.url) else { return false };
        self.engine == Engine::Postgres && !is_here(&host(&url)) && tls_mode(&url).as_deref() == Some("disable")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?}, …)", self.engine)
    }
}

/// The URL of a file.
fn file_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => url.push(char::from(*byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

/// Where a PostgreSQL URL leads; the last of several parameters counts, as it does for sqlx.
fn host(url: &Url) -> String {
    let host = parameter(url, &["host", "hostaddr"]);
    host.or_else(|| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// In lower case, as sqlx reads it.
fn tls_mode(url: &Url) -> Option<String> {
    parameter(url, &["sslmode", "ssl-mode"]).map(|mode| mode.to_ascii_lowercase())
}

fn parameter(url: &Url, names: &[&str]) -> Option<String> {
    url.query_pairs().filter(|(name, _)| names.contains(&&**name)).last().map(|(_, value)| value.into_owned())
}

/// Whether a host is this machine: loopback, or a folder with a Unix socket.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_folder = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    host == "localhost" || is_folder || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        Address::parse(text).unwrap().expose().to_owned()
    }

    #[test]
    fn to_another_host_goes_tls_that_is_checked() {
        assert_eq!(url("postgres://u:p@db.example/bmap"), "postgres://u:p@db.example/bmap?sslmode=verify-full");
        assert_eq!(url("postgres:///bmap?host=db.example"), "postgres:///bmap?host=db.example&sslmode=verify-full");
        assert!(url("postgresql://u@[2001:db8::1]:5433/bmap?application_name=x").ends_with("&sslmode=verify-full"));
        for said in ["disable", "verify-full", "DISABLE", "Verify-Full"] {
            let text = format!("postgres://db.example/bmap?sslmode={said}");
            assert_eq!(url(&text), text);
            assert_eq!(Address::parse(&text).unwrap().is_in_the_clear(), said.eq_ignore_ascii_case("disable"));
        }
        for said in ["allow", "prefer", "require", "verify-ca", "Prefer", "REQUIRE"] {
            for text in [
                format!("postgres://db.example/bmap?sslmode={said}"),
                format!("postgres://db.example/bmap?sslmode=verify-full&ssl-mode={said}"),
                format!("postgres://localhost/bmap?sslmode={said}&host=db.example"),
            ] {
                assert_eq!(Address::parse(&text).unwrap_err(), AddressError::Unchecked, "{text}");
            }
        }
    }

    #[test]
    fn the_environment_does_not_say_where_the_database_is() {
        for text in ["postgres:///bmap", "postgres:bmap", "postgres://db.example/bmap?host="] {
            assert_eq!(Address::parse(text).unwrap_err(), AddressError::Host, "{text}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_credentials() {
        for (text, shown) in [
            ("postgres://u:p@db.example:5433/bmap?application_name=x", "postgres://db.example:5433/bmap"),
            ("postgres://db.example/other?user=u&password=p&dbname=bmap&port=1", "postgres://db.example:1/bmap"),
            ("postgres:///bmap?host=/run/postgresql&password=p", "postgres:///run/postgresql/bmap"),
            ("sqlite:///var/lib/bmap/x?cache=private", "sqlite:/var/lib/bmap/x"),
            ("sqlite:a%20b?mode=rw", "sqlite:a%20b"),
        ] {
            assert_eq!(Address::parse(text).unwrap().shown(), shown, "{text}");
        }
    }

    #[test]
    fn the_files_of_tls_are_known() {
        let text = "postgres://db.example/bmap?sslrootcert=/etc/a%20b/ca.pem&sslcert=c.pem&ssl-key=k.pem";
        let files = Address::parse(text).unwrap().tls_files();
        let files: Vec<_> = files.iter().map(|(name, file)| (name.as_str(), file.to_str().unwrap())).collect();
        assert_eq!(files, [("sslrootcert", "/etc/a b/ca.pem"), ("sslcert", "c.pem"), ("ssl-key", "k.pem")]);
        let inline = "postgres://db.example/bmap?sslrootcert=-----BEGIN%20CERTIFICATE-----%0A";
        assert!(Address::parse(inline).unwrap().tls_files().is_empty());
        assert!(Address::parse("sqlite:x?sslkey=/k.pem").unwrap().tls_files().is_empty());
    }

    #[test]
    fn on_this_machine_nothing_is_added() {
        for text in [
            "postgres://bmap@127.0.0.1:5432/bmap",
            "postgres://bmap@localhost/bmap",
            "postgres://bmap@[::1]/bmap",
            "postgres://%2Fvar%2Frun%2Fpostgresql/bmap",
            "postgres:///bmap?host=/var/run/postgresql",
            "postgres://bmap@localhost/bmap?sslmode=prefer",
        ] {
            assert_eq!(url(text), text);
            assert!(!Address::parse(text).unwrap().is_in_the_clear());
        }
    }

    #[test]
    fn a_file_is_made_unless_it_is_only_looked_at() {
        assert_eq!(Address::file(Path::new("/a b/c.sqlite")).expose(), "sqlite:///a%20b/c.sqlite?mode=rwc");
        assert_eq!(url("sqlite:/var/lib/bmap/x"), "sqlite:/var/lib/bmap/x?mode=rwc");
        assert_eq!(url("sqlite:x?cache=private"), "sqlite:x?cache=private&mode=rwc");
        assert_eq!(url("sqlite:x?mode=rw"), "sqlite:x?mode=rw");
        assert_eq!(url("sqlite:///none/../x/y?cache=private"), "sqlite:///x/y?cache=private&mode=rwc");
        let beside = Address::parse("sqlite://../../x").unwrap();
        assert!(!beside.expose().contains("..") && beside.sqlite_file().unwrap().is_absolute(), "{}", beside.expose());
        assert_eq!(Address::file(Path::new("/none/a/../../b/c")).expose(), "sqlite:///b/c?mode=rwc");
        assert_eq!(Address::parse("sqlite:x").unwrap().as_it_is().expose(), "sqlite:x?mode=rw");
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for (text, error) in [
            ("mysql://root:hunter2@db/x", AddressError::Scheme),
            ("", AddressError::Scheme),
            ("postgres://u:hunter2@db:port/x", AddressError::Url),
            ("postgres://u@db/x?passwort=hunter2", AddressError::Parameter),
            ("postgres://u@db/x?sslrootcrt=hunter2", AddressError::Parameter),
            ("postgres://u@localhost/x?sslmode=hunter2", AddressError::Mode),
            ("postgres://u@db/x?ssl-mode=", AddressError::Mode),
        ] {
            assert_eq!(Address::parse(text).unwrap_err(), error);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(format!("{:?}", Address::parse("postgres://u:hunter2@db/x").unwrap()), "Address(Postgres, …)");
    }
}

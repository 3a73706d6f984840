//! npm `oidc-provider` in a process of its own.

use super::browser::Browser;
use super::secret;
use crate::http_client::Answer;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use url::Url;

/// A provider; it ends with the test, also with one that is killed, because its input does.
pub(crate) struct RealProvider {
    pub(crate) issuer: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RealProvider {
    /// Starts one. It listens at once, and knows its clients once [`Self::serve`] tells it.
    pub(crate) fn start() -> Self {
        let mut command = Command::new("node");
        command.arg("provider.mjs").current_dir(installed()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Node.js is there");
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = output.next().expect("it starts").unwrap();
        let issuer = line.strip_prefix("issuer ").unwrap().to_owned();
        Self { issuer, child, input, output }
    }

    /// Tells it its clients.
    pub(crate) fn serve(&mut self, clients: &[Value]) {
        writeln!(self.input, "{}", json!({ "clients": clients })).unwrap();
        assert_eq!(self.output.next().unwrap().unwrap(), "ready");
    }
}

/// Our registration as a client at the provider `name`.
pub(super) fn client(name: &str, issuer: &str, algorithm: &str) -> Value {
    json!({
        "client_id": format!("bmap-at-{name}"),
        "client_secret": secret(name),
        "redirect_uris": [format!("{issuer}/auth/openid/{name}/callback")],
        "id_token_signed_response_alg": algorithm,
    })
}

/// A user at the provider's pages, from where a browser was sent there: signs in as `login`, agrees, and is back where
/// the redirects end.
pub(super) async fn sign_in_there(browser: &mut Browser, begin: &str, login: &str) -> Url {
    let (mut at, mut page) = browser.open(begin).await;
    for _ in 0..3 {
        let Some(answer) = page else { return at };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{at} {text}");
        let fields: &[(&str, &str)] = if text.contains("value=\"login\"") {
            &[("prompt", "login"), ("login", login), ("password", "x")]
        } else {
            assert!(text.contains("value=\"consent\""), "{at} {text}");
            &[("prompt", "consent")]
        };
        (at, page) = browser.submit(&at, fields).await;
    }
    assert!(page.is_none(), "{at}");
    at
}

/// The same, but on the provider's first page they cancel.
pub(super) async fn cancel_there(browser: &mut Browser, begin: &str) -> Url {
    let (at, page): (Url, Option<Answer>) = browser.open(begin).await;
    assert_eq!(page.unwrap().status, 200, "{at}");
    browser.open(&format!("{at}/abort")).await.0
}

/// The provider's folder, with `npm ci` done in it, as `cargo xtask setup` does it too. Tests come here at once.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/openid");
    let wanted = fs::read_to_string(folder.join("package-lock.json")).unwrap();
    let done = folder.join("node_modules/.bmap-lock");
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("openid.lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&done).is_ok_and(|known| known == wanted) {
        return folder;
    }
    let status = Command::new("npm").args(["ci", "--silent"]).current_dir(&folder).status().expect("npm is there");
    assert!(status.success());
    fs::write(done, wanted).unwrap();
    folder
}

//! A browser, as far as a redirect flow needs one: it follows redirects with GET, and keeps cookies by host and path, not by
//! port, as browsers do (RFC 6265 §8.5).

use crate::http_client::{Answer, Call};
use std::collections::BTreeMap;
use url::Url;

#[derive(Default)]
pub(super) struct Browser {
    /// Path and name, value.
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    /// Opens a URL and follows redirects until there is a page, or a host that is not this machine.
    pub(super) async fn open(&mut self, url: &str) -> (Url, Option<Answer>) {
        self.follow(Url::parse(url).unwrap(), Call::new("GET", "/")).await
    }

    /// Sends a form and follows redirects.
    pub(super) async fn submit(&mut self, url: &Url, fields: &[(&str, &str)]) -> (Url, Option<Answer>) {
        self.follow(url.clone(), Call::form("/", fields)).await
    }

    async fn follow(&mut self, mut url: Url, mut call: Call) -> (Url, Option<Answer>) {
        for _ in 0..20 {
            if url.host_str() != Some("127.0.0.1") {
                return (url, None);
            }
            call.path = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
            let answer = self.send(&url, call).await;
            let Some(location) = answer.header("location") else { return (url, Some(answer)) };
            assert!((302..=303).contains(&answer.status), "{}", answer.status);
            url = url.join(location).unwrap();
            call = Call::new("GET", "/");
        }
        panic!("no end of redirects");
    }

    async fn send(&mut self, url: &Url, mut call: Call) -> Answer {
        let fitting = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path.as_str()));
        let cookies: Vec<String> = fitting.map(|((_, name), value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            call = call.header("cookie", &cookies.join("; "));
        }
        let to = url.socket_addrs(|| None).unwrap()[0];
        // The provider's answers are in no document of ours.
        let answer = call.send_elsewhere(to).await;
        for line in answer.headers.get_all("set-cookie") {
            let mut parts = line.to_str().unwrap().split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let path = parts.find_map(|part| part.strip_prefix("path=").or(part.strip_prefix("Path="))).unwrap_or("/");
            self.cookies.insert((path.to_owned(), name.to_owned()), value.to_owned());
        }
        answer
    }
}

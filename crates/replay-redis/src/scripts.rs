//! The three scripts, and the keys that they work on.
//!
//! A script runs whole, and nothing runs beside it. Its clock is the server's.

use crate::fault::StoreFault;
use bmap_protocol::ids::ToolId;
use bmap_verifier::replay::Record;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, Script, ServerErrorKind, cmd};

/// A script's text, and the SHA-1 by which a server knows it.
#[derive(Debug)]
pub(crate) struct Lua {
    text: &'static str,
    sha1: String,
}

impl Lua {
    fn new(text: &'static str) -> Self {
        Self { text, sha1: Script::new(text).get_hash().to_owned() }
    }

    /// Runs it. A server that does not know it (after a restart, after `SCRIPT FLUSH`) has run nothing, and is sent the text. Nothing else is sent
    /// twice: an answer that is lost is an error.
    pub(crate) async fn run(
        &self,
        connection: &MultiplexedConnection,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<(i64, i64), RedisError> {
        let call = |command: &str, script: &str| {
            let mut call = cmd(command);
            call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            call
        };
        let mut connection = connection.clone();
        match call("EVALSHA", &self.sha1).query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                call("EVAL", self.text).query_async(&mut connection).await
            }
            answer => answer,
        }
    }
}

/// The scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    /// One use of a nonce.
    pub(crate) record: Lua,
    /// A new connection takes the marker as its own.
    pub(crate) adopt: Lua,
    /// Whether a record would be taken.
    pub(crate) probe: Lua,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            record: Lua::new(include_str!("scripts/record.lua")),
            adopt: Lua::new(include_str!("scripts/adopt.lua")),
            probe: Lua::new(include_str!("scripts/probe.lua")),
        }
    }
}

/// The keys of one tool. The braces keep all of them together where a server parts its keys by a hash.
#[derive(Debug)]
pub(crate) struct Names {
    prefix: String,
    pub(crate) marker: Vec<u8>,
}

impl Names {
    pub(crate) fn new(tool: &ToolId) -> Self {
        let prefix = format!("bmap:{{{}}}:", tool.as_str());
        Self { marker: format!("{prefix}marker").into_bytes(), prefix }
    }

    /// Of a request: the prefix and 32 bytes.
    pub(crate) fn record(&self, record: &Record) -> Vec<u8> {
        [self.prefix.as_bytes(), &record.key, &record.nonce].concat()
    }

    /// Of a key's count: the prefix and 16 bytes.
    pub(crate) fn count(&self, record: &Record) -> Vec<u8> {
        [self.prefix.as_bytes(), &record.key].concat()
    }
}

/// Why a command failed.
pub(crate) fn fault(error: &RedisError) -> StoreFault {
    match error.code() {
        Some("NOREPLICAS") => StoreFault::NoReplicas,
        Some("READONLY") => StoreFault::NotPrimary { role: "slave".to_owned() },
        Some(code) => {
            StoreFault::Refused { code: code.to_owned(), detail: error.detail().unwrap_or_default().to_owned() }
        }
        // Its text has no password: it is the system's, or one of the client's own words.
        None => StoreFault::Unreachable { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_records_counts_and_the_marker_differ_by_their_length() {
        let names = Names::new(&ToolId::parse("geo").unwrap());
        let record = Record { key: [1; 16], nonce: [2; 16], until: 0 };
        assert_eq!(names.marker, b"bmap:{geo}:marker");
        assert_eq!(names.record(&record).len(), 11 + 32);
        assert_eq!(names.count(&record).len(), 11 + 16);
        assert!(names.record(&record).starts_with(&names.count(&record)));
    }
}

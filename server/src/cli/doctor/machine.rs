//! Resources of the machine: room on the disk, and the port.

use super::super::healthcheck;
use super::findings::Findings;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Less room than this, in bytes, is soon none: SQLite needs some for its log, and a state or root file for itself.
const LEAST_ROOM: u64 = 32 * 1024 * 1024;
/// Less than this is said.
const LITTLE_ROOM: u64 = 512 * 1024 * 1024;
/// Longest wait for whatever listens at the port.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Whether there is room beside the data folder's files.
pub(super) fn disk(folder: &Path, found: &mut Findings) {
    // A folder that can't be looked at is reported by the checks that look into it.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    room(disk.f_bavail.saturating_mul(disk.f_frsize), found);
}

fn room(left: u64, found: &mut Findings) {
    let says = format!("{} MiB are left on the disk of the data folder", left / (1024 * 1024));
    if left < LEAST_ROOM {
        found.fault("disk", says, "make room: writes are refused when it is full");
    } else if left < LITTLE_ROOM {
        found.warning("disk", says, "make room before it is full");
    } else {
        found.good("disk", says);
    }
}

/// Whether the server can listen: nothing is at its port. Where a server of bmap is, its public keys, by which [`owner`] says whose it is.
pub(super) async fn port(listen: SocketAddr, found: &mut Findings) -> Option<String> {
    let advice = "end the other program, or set listen to another port";
    match TcpListener::bind(listen).await {
        Ok(_) => found.good("listen", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let asked = tokio::time::timeout(ANSWER_TIME, healthcheck::ask(healthcheck::reachable(listen), "/livez"));
            // Every answer of ours names its request.
            let is_ours = |head: &str| head.starts_with("HTTP/1.1 200") && head.contains("\r\nx-request-id: ");
            match asked.await {
                Ok(Ok(head)) if is_ours(&head) => {
                    let keys = healthcheck::ask(healthcheck::reachable(listen), "/.well-known/jwks.json");
                    let keys = tokio::time::timeout(ANSWER_TIME, keys).await;
                    return Some(keys.ok().and_then(Result::ok).unwrap_or_default());
                }
                _ => found.fault("listen", format!("another program listens on {listen}"), advice),
            }
        }
        Err(error) => found.fault("listen", format!("{listen}: {error}"), "name an address of this machine"),
    }
    None
}

/// Whose the server is that listens: it shows the issuer's public keys, whose ids the database has too.
pub(super) fn owner(listen: SocketAddr, server: &str, keys: Option<&[String]>, found: &mut Findings) {
    let shows = |kid: &String| server.contains(&format!("\"kid\":\"{kid}\""));
    match keys {
        Some(keys) if keys.iter().any(shows) => {
            found.good("listen", format!("the server of this installation listens on {listen}"));
        }
        Some(_) if server.contains("\"keys\"") => {
            let says = format!("the server of another installation listens on {listen}");
            found.fault("listen", says, "end it, set listen to another port, or name its data folder (--data-dir)");
        }
        _ => {
            let says = format!("a server of bmap listens on {listen}; whether it is this installation's is unknown");
            found.warning("listen", says, "see which data folder it was started with");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_by_its_keys() {
        let level = |server: &str, keys: Option<&[String]>| {
            let mut found = Findings::default();
            owner(([127, 0, 0, 1], 4000).into(), server, keys, &mut found);
            found.describe()["findings"][0]["level"].as_str().unwrap().to_owned()
        };
        let (own, keys) = (["k1".to_owned()], r#"{"keys":[{"kid":"k1"}]}"#);
        assert_eq!(level(keys, Some(&own)), "ok");
        assert_eq!(level(keys, Some(&["k".to_owned()])), "fault");
        assert_eq!(level(keys, None), "warning");
        assert_eq!(level("", Some(&own)), "warning");
    }

    #[test]
    fn a_full_disk_is_a_fault_and_a_nearly_full_one_a_warning() {
        let says = |left| {
            let mut found = Findings::default();
            room(left, &mut found);
            (found.faults(), found.describe()["findings"][0]["level"].as_str().unwrap().to_owned())
        };
        assert_eq!(says(0), (1, "fault".to_owned()));
        assert_eq!(says(LEAST_ROOM - 1), (1, "fault".to_owned()));
        assert_eq!(says(LITTLE_ROOM - 1), (0, "warning".to_owned()));
        assert_eq!(says(LITTLE_ROOM), (0, "ok".to_owned()));
    }
}

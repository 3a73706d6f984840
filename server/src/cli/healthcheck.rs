//! `bmap healthcheck`: for a container's health check, which has no other HTTP client.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// Address of the server; as configured if not given
    #[arg(long, value_name = "ADDR")]
    address: Option<SocketAddr>,
}

pub(super) async fn run(command: &Healthcheck, context: &Context) -> Result<(), CliError> {
    let address = reachable(match command.address {
        Some(address) => address,
        None => context.config()?.listen,
    });
    let asked = tokio::time::timeout(Duration::from_secs(5), ask(address, "/readyz")).await;
    let head = asked.map_err(|_| CliError::Failed(format!("{address} did not answer within 5 s")))?;
    let head = head.map_err(|error| CliError::Failed(format!("{address}: {error}")))?;
    match head.lines().next() {
        Some(line) if line.starts_with("HTTP/1.1 200") => {
            println!("ok");
            Ok(())
        }
        line => Err(CliError::Failed(format!("{address} answered {:?}", line.unwrap_or_default()))),
    }
}

/// Where a server that listens on an address is called: "every address" can be listened on, not called.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The beginning of a server's answer.
pub(super) async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(16 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

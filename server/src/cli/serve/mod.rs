//! `bmap serve`.

mod metrics;

use crate::cli::context::Context;
use crate::cli::doctor::{behind_by, is_encrypted_or_local};
use crate::cli::error::CliError;
use crate::cli::follow_roots;
use crate::cli::installation::{ISSUER_SETTING, IfNone, Installation};
use crate::config::{LogFormat, readable_by_others};
use crate::http::app::App;
use bmap_issuer::account::registration_mode::RegistrationMode;
use bmap_issuer::account::service::LinkDelivery;
use bmap_issuer::clean_up;
use bmap_issuer::issuer::{Issuer, first_credential};
use bmap_issuer::keys::last_use;
use bmap_issuer::mail::mailer::Mailer;
use bmap_issuer::mail::worker::MailWorker;
use bmap_issuer::openid::provider::Provider;
use bmap_issuer::openid::service::OpenidService;
use bmap_listener::{ConnectionLimits, Listener, REQUESTS_PER_ADDRESS};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::role::Role;
use bmap_model::user::UserState;
use bmap_outbound::Outbound;
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_store::Database;
use bmap_store::address::Address;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;

/// Longest wait for mail in hand when the process stops.
const LAST_MAIL: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port to listen on [env: BMAP_LISTEN] [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
}

pub(super) async fn run(context: &Context) -> Result<(), CliError> {
    let core_files = no_core_files();
    let Installation { config, roots, place, store, made, upgraded } =
        Installation::open(context, IfNone::MakeAndLog).await?;
    start_log(&config.log, config.log_format)?;
    if let Err(error) = core_files {
        tracing::warn!("a core file of this process, which holds its secrets, could not be forbidden: {error}");
    }
    if let Some(folder) = made {
        tracing::info!("made a new installation in {}", folder.display());
    }
    for note in upgraded {
        tracing::warn!("upgrade: {note}");
    }
    if config.database_url.as_ref().is_some_and(Address::is_in_the_clear) {
        tracing::warn!("sslmode=disable: an attacker between here and the database reads and changes everything");
    }
    let secret_files = config.secret_files();
    let limits = ConnectionLimits {
        total: config.max_connections,
        per_address: config.max_connections_per_address,
        requests_per_address: REQUESTS_PER_ADDRESS,
        exempt: config.trusted_proxies.clone(),
    };
    let listener = Listener::bind(config.listen, limits)
        .await
        .map_err(|error| CliError::Failed(format!("listen on {}: {error}", config.listen)))?
        .observed(crate::metrics::connection);
    let address = listener.local_address().map_err(CliError::failed)?;
    let url = config.issuer_for(address);
    if config.issuer.is_none() && address.ip().is_unspecified() {
        tracing::warn!("no issuer is configured: {url} is what tokens will say, and no client can call that address");
    }
    warnings(&url, &secret_files, &store).await;
    remember_issuer(&store, &url).await?;
    let issuer =
        Issuer::open(url.clone(), store.clone(), roots, Arc::new(MachineClock), Arc::new(SystemRandom), config.lives)
            .await
            .map_err(CliError::failed)?;
    let issuer = issuer.with_origin_rules(config.origin_rules);
    issuer.self_test().map_err(CliError::failed)?;
    let issuer = Arc::new(issuer);
    let app =
        App::new(Arc::clone(&issuer), config.trusted_proxies).map_err(|error| CliError::Usage(error.to_string()))?;
    let app = app.with_rates(config.rates);
    let outbound = Outbound::new().map_err(CliError::failed)?;
    // Where not everyone may register, no provider makes users either.
    let takes_newcomers = config.registration == RegistrationMode::Open;
    let provider = |provider: Provider| Provider { sign_up: provider.sign_up && takes_newcomers, ..provider };
    let providers = config.openid.into_iter().map(provider).collect();
    let openid = OpenidService::new(Arc::clone(&issuer), &outbound, providers, config.sign_in_origins);
    let app = app.with_openid(openid.map_err(|error| CliError::Usage(error.to_string()))?);
    let (app, mailer) = match (&config.mail, config.development) {
        (Some(mail), _) => {
            let smtp = mail.smtp(&url).map_err(|error| CliError::Usage(error.to_string()))?;
            (app.with_accounts(LinkDelivery::Mail, config.registration), Some(Mailer::Smtp(Box::new(smtp))))
        }
        (None, true) => {
            tracing::warn!(
                "development: links that would be mailed go to this log, so its readers can register any address and set any password"
            );
            (app.with_accounts(LinkDelivery::Log, config.registration), Some(Mailer::Log))
        }
        (None, false) => (app.with_accounts(LinkDelivery::None, config.registration), None),
    };
    let mail = mailer.map(|mailer| Mail::start(MailWorker::new(Arc::clone(&issuer), mailer, app.accounts.mail())));

    let first = first_credential(&issuer.store, &issuer.roots, MachineClock.now(), &SystemRandom).await;
    if let Some((key, secret)) = first.map_err(CliError::failed)? {
        println!("First start: user \"admin\" and an API key for every tool were made. The secret is shown this once.");
        println!("  key id  {}\n  secret  {}", key.id, *secret.reveal());
        println!(
            "Next: a tool (bmap tool add ID --url URL) and who may have it (bmap tool grant admin ID). \"admin\" has no password: a \
             person who signs in is invited (bmap user invite EMAIL) and made an admin (bmap user role EMAIL admin)."
        );
    }
    let users = store.users().await.map_err(CliError::failed)?;
    if !users.iter().any(|user| user.state == UserState::Active && issuer.role(user) == Role::Admin) {
        println!(
            "No active user is an admin: `bmap user role USER admin` makes one, who may administer users over HTTP."
        );
    }
    let metrics = match config.metrics_listen {
        Some(listen) => Some(metrics::start(listen, &store).await?),
        None => None,
    };
    if let Some(metrics) = &metrics {
        println!("metrics for Prometheus on http://{}/metrics", metrics.address);
    }
    println!("bmap {} listens on {address}, issuer {url}", env!("CARGO_PKG_VERSION"));

    let following = tokio::spawn(follow_roots::follow(place, Arc::clone(&issuer)));
    let cleaning = tokio::spawn(clean_up(Arc::clone(&issuer)));
    let noting = tokio::spawn(write_last_uses(app.clone()));
    let stop = {
        let app = app.clone();
        async move {
            stop_signal().await;
            app.stop();
        }
    };
    let last_uses = Arc::clone(&app.last_uses);
    listener.serve(app.router(), stop).await;
    drop(metrics);
    following.abort();
    cleaning.abort();
    if let Some(mail) = mail {
        mail.stop().await;
    }
    noting.abort();
    // Cut short in the middle, a batch is rolled back and gone: a few seconds of what decides nothing.
    if let Err(error) = last_uses.write(&store).await {
        tracing::warn!("last uses of API keys: {error}");
    }
    issuer.audit.settle().await;
    store.close().await;
    Ok(())
}

/// Says in the log what works and is not safe; `bmap doctor` says more.
async fn warnings(issuer: &IssuerUrl, secret_files: &[PathBuf], store: &Database) {
    if !is_encrypted_or_local(issuer) {
        tracing::warn!(
            "the issuer's URL {issuer} is not encrypted: every machine on the way can read secrets and tokens, use https"
        );
    }
    for file in secret_files {
        if let Some(mode) = readable_by_others(file) {
            let file = file.display();
            tracing::warn!(
                "{file} holds a secret and has mode {mode:04o}: every user of this machine can read it (chmod 600)"
            );
        }
    }
    match behind_by(store, MachineClock.now()).await {
        Ok(None) => {}
        Ok(Some(seconds)) => tracing::warn!(
            seconds,
            "this machine's clock is behind the newest row of the database: what has ended may be good again, and signatures are refused; \
             set the clock"
        ),
        Err(error) => tracing::warn!("the clock was not held against the database: {error}"),
    }
}

/// The system is not to write the process's memory, which holds the root secret, into a file when it crashes (R33).
#[cfg(unix)]
fn no_core_files() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

#[cfg(not(unix))]
fn no_core_files() -> std::io::Result<()> {
    Ok(())
}

fn start_log(filter: &str, format: LogFormat) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| CliError::Usage(format!("log: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        // Each value once: an event beside its span, and no list of spans with the same fields again.
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).try_init(),
    };
    started.map_err(CliError::failed)
}

/// Notes the issuer's URL, from which commands make tools' credentials.
async fn remember_issuer(store: &Database, url: &IssuerUrl) -> Result<(), CliError> {
    let before = store.setting(ISSUER_SETTING).await.map_err(CliError::failed)?;
    if before.as_deref().is_some_and(|before| before != url.as_str()) {
        tracing::warn!(
            "the issuer was {} and is {url} now: every tool needs a new credential",
            before.unwrap_or_default()
        );
    }
    store.set_setting(ISSUER_SETTING, url.as_str()).await.map_err(CliError::failed)
}

/// Completes at SIGTERM or SIGINT.
async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be listened for; stop this process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
}

/// Writes when and from where keys were used, every few seconds.
async fn write_last_uses(app: App) {
    loop {
        tokio::time::sleep(last_use::INTERVAL).await;
        if let Err(error) = app.last_uses.write(&app.issuer.store).await {
            tracing::warn!("last uses of API keys: {error}");
        }
    }
}

/// The mail worker at work, beside the listener.
struct Mail {
    stop: oneshot::Sender<()>,
    working: JoinHandle<()>,
}

impl Mail {
    fn start(worker: MailWorker) -> Self {
        let (stop, stopped) = oneshot::channel();
        let working = tokio::spawn(async move {
            worker
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self { stop, working }
    }

    /// Waits for the mail in hand, but not for a mail server that hangs: a mail that is not sent by then stays leased, and is
    /// sent after the lease.
    async fn stop(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(LAST_MAIL, &mut self.working).await.is_err() {
            tracing::warn!("a mail server took too long; the mail in hand is sent by the next process");
            self.working.abort();
        }
    }
}

/// Deletes rows that have ended, every minute.
async fn clean_up(issuer: Arc<Issuer>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        for (what, deleted) in clean_up::delete_ended(&issuer.store, issuer.clock.now()).await {
            if let Err(error) = deleted {
                tracing::warn!("clean-up of {what}: {error}");
            }
        }
    }
}

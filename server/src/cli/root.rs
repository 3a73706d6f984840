//! `bmap root status|rotate|activate|retire`: the change from one root secret to the next, without a moment in which anything
//! that was good is refused.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfNone, Installation};
use crate::cli::output;
use bmap_issuer::account::forget::{Forgotten, forget_passwords};
use bmap_issuer::audit::kept;
use bmap_issuer::mint::MAX_TOKEN_SECONDS;
use bmap_issuer::reseal::{Resealed, reseal};
use bmap_issuer::root_check::{self, ForeignRoot};
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::roots::{TOKEN_EPOCH_SETTING, TOKEN_EPOCH_SINCE_SETTING};
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use bmap_store::EpochUse;
use clap::Subcommand;
use serde_json::json;

/// How long after `activate` the former root is kept: the longest life of a token, and what clocks may differ.
const KEEP_SECONDS: i64 = MAX_TOKEN_SECONDS + 60;

#[derive(Debug, Subcommand)]
pub(super) enum RootCommand {
    /// Which root secrets are at hand, what each does, and what still needs it
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the next root secret and seal everything in it; run again, it goes on where it was
    Rotate {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Mint tokens in the newest epoch: once every tool has a credential that was printed after `rotate`
    Activate {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete the root secret of an epoch that nothing needs any more
    Retire {
        /// The epoch
        epoch: u32,
        /// Forget the passwords that still need it: those people set a new one by a mailed link
        #[arg(long)]
        forget_passwords: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: RootCommand, context: &Context) -> Result<(), CliError> {
    let installation = match command {
        // It says which root secrets are missing.
        RootCommand::Status { .. } => Installation::open_to_look(context).await?,
        _ => Installation::open(context, IfNone::Refuse).await?,
    };
    match command {
        RootCommand::Status { json } => status(&installation, json).await?,
        RootCommand::Rotate { json } => rotate(&installation, json).await?,
        RootCommand::Activate { json } => activate(&installation, json).await?,
        RootCommand::Retire { epoch, forget_passwords, json } => {
            retire(&installation, epoch, forget_passwords, json).await?;
        }
    }
    installation.store.close().await;
    Ok(())
}

async fn status(installation: &Installation, json: bool) -> Result<(), CliError> {
    let uses = installation.store.epochs_in_use().await.map_err(CliError::failed)?;
    let roots = &installation.roots;
    // Another installation's root secret does nothing here.
    let fits = root_check::check(&installation.store, roots).await.map_err(CliError::failed)?;
    if let Err(foreign) = fits {
        eprintln!("bmap: {foreign}: it seals nothing here and mints no token");
    }
    let is_other = matches!(fits, Err(ForeignRoot::Other { .. }));
    let (sealing, minting) = (roots.sealing().epoch(), roots.minting().epoch());
    let at_hand: Vec<u32> = roots.all().iter().map(EpochKeys::epoch).collect();
    let mut epochs: Vec<u32> = at_hand.iter().copied().chain(uses.iter().map(|one| one.epoch)).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let of = |epoch: u32| uses.iter().filter(move |one| one.epoch == epoch);
    if json {
        let describe = |epoch: &u32| {
            let rows: serde_json::Map<_, _> = of(*epoch).map(|one| (one.what.clone(), one.rows.into())).collect();
            json!({
                "epoch": epoch, "at_hand": !is_other && at_hand.contains(epoch), "seals": !is_other && *epoch == sealing,
                "mints": !is_other && *epoch == minting, "rows": rows,
            })
        };
        return output::json(&epochs.iter().map(describe).collect::<Vec<_>>());
    }
    let heading = ["epoch", "root secret", "does", "is needed by"].map(str::to_owned).to_vec();
    let row = |epoch: &u32| {
        let does = [(sealing, "seals"), (minting, "mints tokens")].into_iter();
        let does = does.filter(|(which, _)| !is_other && which == epoch);
        let needed: Vec<String> = of(*epoch).map(EpochUse::counted).collect();
        vec![
            epoch.to_string(),
            match at_hand.contains(epoch) {
                true if is_other => "ANOTHER ONE",
                true => "at hand",
                false => "MISSING",
            }
            .to_owned(),
            does.map(|(_, what)| what).collect::<Vec<_>>().join(", "),
            if needed.is_empty() { "nothing".to_owned() } else { needed.join(", ") },
        ]
    };
    output::table(&std::iter::once(heading).chain(epochs.iter().map(row)).collect::<Vec<_>>())
}

async fn rotate(installation: &Installation, json: bool) -> Result<(), CliError> {
    let roots = &installation.roots;
    let newest = roots.sealing().epoch();
    if roots.minting().epoch() == newest {
        let next = newest.checked_add(1).ok_or_else(|| CliError::Failed("there is no later epoch".to_owned()))?;
        let file = installation.place.create(next, &SystemRandom).map_err(CliError::failed)?;
        roots.replace(installation.place.read().map_err(CliError::failed)?).map_err(CliError::failed)?;
        eprintln!("bmap: the root secret of epoch {next} is {}; back it up as you do the others", file.display());
    } else {
        eprintln!("bmap: going on with the change to epoch {newest}, which mints no tokens yet");
    }
    let progress = |so_far: &Resealed| eprintln!("bmap: {} rows sealed", so_far.done);
    let resealed = reseal(&installation.store, roots, &SystemRandom, progress).await.map_err(CliError::failed)?;
    let epoch = roots.sealing().epoch();
    recorded(installation, Action::RootRotate, epoch).await?;
    if json {
        output::json(&json!({ "epoch": epoch, "sealed": resealed.done, "broken": resealed.broken }))?;
    } else {
        output::text(&format!(
            "Sealed in epoch {epoch}: {} rows.\n\
             Next: give every tool a new credential (bmap tool credential ID), then run bmap root activate.",
            resealed.done
        ))?;
    }
    if resealed.broken.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(format!("these rows do not open and stay as they are: {}", resealed.broken.join(", "))))
}

async fn activate(installation: &Installation, json: bool) -> Result<(), CliError> {
    let epoch = installation.roots.sealing().epoch();
    if installation.roots.minting().epoch() == epoch {
        return if json {
            output::json(&json!({ "epoch": epoch, "changed": false }))
        } else {
            output::text(&format!("Tokens are minted in epoch {epoch} already."))
        };
    }
    let now = MachineClock.now().0.to_string();
    // The time first: stopped between the two, the former root is kept longer and not shorter.
    for (name, value) in [(TOKEN_EPOCH_SINCE_SETTING, now), (TOKEN_EPOCH_SETTING, epoch.to_string())] {
        installation.store.set_setting(name, &value).await.map_err(CliError::failed)?;
    }
    recorded(installation, Action::RootActivate, epoch).await?;
    let within = super::follow_roots::EVERY.as_secs();
    if json {
        return output::json(&json!({
            "epoch": epoch, "changed": true, "minted_within_seconds": within, "former_kept_seconds": KEEP_SECONDS,
        }));
    }
    output::text(&format!(
        "Running servers mint tokens in epoch {epoch} within {within} s.\n\
         In {} minutes the former root can go: bmap root status, bmap root retire EPOCH.",
        KEEP_SECONDS / 60 + 1
    ))
}

/// Records the change of an epoch's root in the audit log.
async fn recorded(installation: &Installation, action: Action, epoch: u32) -> Result<(), CliError> {
    let event = Event::done(action, &Source::command_line(), MachineClock.now()).with("epoch", i64::from(epoch));
    installation.store.append(&[event]).await.map_err(CliError::failed)
}

async fn retire(installation: &Installation, epoch: u32, forget_passwords: bool, json: bool) -> Result<(), CliError> {
    let refused = |why: String| Err(CliError::Failed(format!("epoch {epoch} is kept: {why}")));
    let roots = &installation.roots;
    if roots.of(epoch).is_none() {
        return Err(CliError::NotFound(format!("there is no root secret of epoch {epoch}")));
    }
    if epoch == roots.sealing().epoch() {
        return refused("it is the one that seals".to_owned());
    }
    if epoch == roots.minting().epoch() {
        return refused("tokens are minted in it (bmap root activate)".to_owned());
    }
    let since = installation.store.setting(TOKEN_EPOCH_SINCE_SETTING).await.map_err(CliError::failed)?;
    let since = since.and_then(|text| text.parse::<i64>().ok()).unwrap_or(i64::MAX);
    let passed = MachineClock.now().0.saturating_sub(since) / 1000;
    if passed < KEEP_SECONDS {
        let left = KEEP_SECONDS.saturating_sub(passed).min(KEEP_SECONDS);
        return refused(format!("tokens of it may live for {left} s more"));
    }
    // Rows that a server wrote in the former epoch while it did not know of the next one.
    reseal(&installation.store, roots, &SystemRandom, |_| {}).await.map_err(CliError::failed)?;
    // Nothing is forgotten for a root that stays.
    let mut needed = needed_by(installation, epoch, |what| !(forget_passwords && what == "passwords")).await?;
    let mut forgotten = 0;
    if needed.is_empty() && forget_passwords {
        forgotten = forget(installation, epoch).await?;
        needed = needed_by(installation, epoch, |_| true).await?;
    }
    if !needed.is_empty() {
        return refused(format!(
            "it is needed by {}. Keys are sealed anew by bmap root rotate; a password when its owner signs in or \
             resets it, or else it has to be forgotten (--forget-passwords); everything else ends by itself, an invitation within seven days and the rest within two",
            needed.join(", ")
        ));
    }
    // The key that the audit log was chained with in this epoch outlives its root, and the deletion is recorded before it
    // is done.
    kept::keep(&installation.store, roots, &SystemRandom).await.map_err(CliError::failed)?;
    recorded(installation, Action::RootRetire, epoch).await?;
    let file = installation.place.delete(epoch).map_err(CliError::failed)?;
    if json {
        return output::json(&json!({ "epoch": epoch, "deleted": file, "passwords_forgotten": forgotten }));
    }
    if forgotten > 0 {
        let next = "their owners set new ones by POST /auth/password/reset";
        output::text(&format!("{forgotten} passwords are forgotten; {next}."))?;
    }
    output::text(&format!(
        "{} is deleted. Backups of it open old backups of the database, and nothing else.\n\
         Tools can have credentials without it now: bmap tool credential ID.",
        file.display()
    ))
}

/// The rows that need the root of an epoch, of the kinds that count.
async fn needed_by(
    installation: &Installation,
    epoch: u32,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<String>, CliError> {
    let uses = installation.store.epochs_in_use().await.map_err(CliError::failed)?;
    let is_in_the_way = |one: &&EpochUse| one.epoch == epoch && counts(&one.what);
    Ok(uses.iter().filter(is_in_the_way).map(EpochUse::counted).collect())
}

async fn forget(installation: &Installation, epoch: u32) -> Result<u64, CliError> {
    let Installation { store, roots, config, .. } = installation;
    if config.mail.is_none() && !config.development {
        let why = "no user could set a new password: there is no mail server (`mail_url`) that a link would go out by";
        return Err(CliError::Failed(format!("epoch {epoch} is kept: {why}")));
    }
    let progress = |so_far: &Forgotten| eprintln!("bmap: {} passwords forgotten", so_far.done);
    let forgotten = forget_passwords(store, roots, &MachineClock, &SystemRandom, epoch, progress).await;
    let forgotten = forgotten.map_err(CliError::failed)?;
    if forgotten.broken.is_empty() {
        return Ok(forgotten.done);
    }
    let broken: Vec<&str> = forgotten.broken.iter().map(UserId::as_str).collect();
    Err(CliError::Failed(format!(
        "epoch {epoch} is kept: the accounts of these users are not as they were written, so no link may go to their \
         addresses: {}",
        broken.join(", ")
    )))
}

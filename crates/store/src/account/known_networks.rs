//! Networks that people signed in from, and peers whose `X-Forwarded-For` is not believed.

use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::known_network::KnownNetwork;
use bmap_model::clock::UnixTime;
use bmap_model::row_seal::RowSeal;
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;
use std::net::IpAddr;

/// A peer that sent an `X-Forwarded-For` and is no trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgnoredProxy {
    /// Its address.
    pub peer: IpAddr,
    /// When it was last noted.
    pub seen_at: UnixTime,
}

/// Networks that people signed in from.
impl Database {
    /// Those of the account of an address; none where there is no such account.
    pub async fn networks_of_address(&self, email: &EmailAddress, now: UnixTime) -> Result<Vec<KnownNetwork>> {
        let rows = sqlx::query(
            "SELECT k.user_id, k.epoch, k.seal, k.expires_at FROM accounts a JOIN known_networks k ON k.user_id = a.user_id \
             WHERE a.email = $1 AND k.expires_at > $2",
        )
        .bind(email.as_str())
        .bind(now.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Those of a user.
    pub async fn networks_of_user(&self, user: &UserId, now: UnixTime) -> Result<Vec<KnownNetwork>> {
        let rows = sqlx::query(
            "SELECT user_id, epoch, seal, expires_at FROM known_networks WHERE user_id = $1 AND expires_at > $2",
        )
        .bind(user.as_str())
        .bind(now.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Adds one in the place of its former row, and deletes those that end first where the user has more than `most`.
    pub async fn remember_network(
        &self,
        network: &KnownNetwork,
        former: Option<&KnownNetwork>,
        most: u32,
    ) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        if let Some(former) = former {
            sqlx::query("DELETE FROM known_networks WHERE user_id = $1 AND seal = $2")
                .bind(former.user.as_str())
                .bind(former.seal.mac.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT INTO known_networks (user_id, epoch, seal, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(network.user.as_str())
        .bind(i64::from(network.seal.epoch))
        .bind(network.seal.mac.as_str())
        .bind(network.expires_at.0)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM known_networks WHERE user_id = $1 AND seal NOT IN \
             (SELECT seal FROM known_networks WHERE user_id = $1 ORDER BY expires_at DESC, seal LIMIT $2)",
        )
        .bind(network.user.as_str())
        .bind(i64::from(most))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await.map_err(Into::into)
    }

    /// Deletes those that have ended; how many.
    pub async fn delete_ended_networks(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM known_networks WHERE (user_id, seal) IN \
                   (SELECT user_id, seal FROM known_networks WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

fn read(row: &AnyRow) -> Result<KnownNetwork> {
    let columns = Columns { table: "known_networks", row };
    Ok(KnownNetwork {
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        expires_at: columns.time("expires_at")?,
        seal: RowSeal { epoch: columns.epoch("epoch")?, mac: columns.text("seal")? },
    })
}

/// Most peers that are kept: every client that can reach the listener can be one.
const MOST_PROXIES: i64 = 32;

/// Peers whose `X-Forwarded-For` was not believed.
impl Database {
    /// Notes one; of many the latest stay.
    pub async fn note_ignored_proxy(&self, proxy: &IgnoredProxy) -> Result<()> {
        sqlx::query(
            "INSERT INTO ignored_proxies (peer, seen_at) VALUES ($1, $2) ON CONFLICT (peer) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(proxy.peer.to_string())
        .bind(proxy.seen_at.0)
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "DELETE FROM ignored_proxies WHERE peer NOT IN \
             (SELECT peer FROM ignored_proxies ORDER BY seen_at DESC, peer LIMIT $1)",
        )
        .bind(MOST_PROXIES)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All that are noted, latest first.
    pub async fn ignored_proxies(&self) -> Result<Vec<IgnoredProxy>> {
        let rows = sqlx::query("SELECT peer, seen_at FROM ignored_proxies ORDER BY seen_at DESC, peer")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &AnyRow| {
            let columns = Columns { table: "ignored_proxies", row };
            let peer = columns.parsed("peer", |text| text.parse::<IpAddr>().ok())?;
            Ok(IgnoredProxy { peer, seen_at: columns.time("seen_at")? })
        };
        rows.iter().map(read).collect()
    }
}

//! Sign-ins with OpenID providers, and the identities that they are by.

use crate::account::outbox::queue_word;
use crate::error::taken;
use crate::row::{Columns, epoch_of, mac_of};
use crate::{Database, Result, StoreError};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::TokenHash;
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::SealedMailJob;
use bmap_model::openid::flow::{FlowKey, SealedCode, SealedFlow};
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::user::{User, UserState};
use bmap_protocol::ids::UserId;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

/// The outcome of unlinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// The identity is gone.
    Done,
    /// The user has none of that issuer.
    NotThere,
    /// The user could not sign in any more; nothing changed.
    LastWay,
}

/// Sign-ins with OpenID providers, and the identities that they are by.
impl Database {
    /// Keeps a sign-in until its browser is back.
    pub async fn add_openid_flow(&self, flow: &SealedFlow) -> Result<()> {
        sqlx::query(
            "INSERT INTO openid_flows (state, browser, provider, epoch, sealed, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(flow.key.state.as_str())
        .bind(flow.key.browser.as_str())
        .bind(flow.key.provider.as_str())
        .bind(i64::from(flow.epoch))
        .bind(flow.sealed.as_str())
        .bind(flow.expires_at.0)
        .execute(&self.pool)
        .await
        .map_err(taken("sign-in"))?;
        Ok(())
    }

    /// Takes out a sign-in, unless it has ended: of any number of callers at
    /// once exactly one gets it. Where one part of the key is another, it stays.
    pub async fn take_openid_flow(&self, key: &FlowKey, now: UnixTime) -> Result<Option<SealedFlow>> {
        // Noise takes no turn at writing: SQLite has one writer at a time.
        let known = sqlx::query("SELECT 1 FROM openid_flows WHERE state = $1 AND browser = $2 AND provider = $3")
            .bind(key.state.as_str())
            .bind(key.browser.as_str())
            .bind(key.provider.as_str())
            .fetch_optional(&self.pool)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        let row = sqlx::query(
            "DELETE FROM openid_flows WHERE state = $1 AND browser = $2 AND provider = $3 AND expires_at > $4 \
             RETURNING state, browser, provider, epoch, sealed, expires_at",
        )
        .bind(key.state.as_str())
        .bind(key.browser.as_str())
        .bind(key.provider.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_flow).transpose()
    }

    /// Keeps the sign-in that a page's code stands for.
    pub async fn add_openid_code(&self, code: &SealedCode) -> Result<()> {
        sqlx::query("INSERT INTO openid_codes (code, epoch, sealed, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(code.code.as_str())
            .bind(i64::from(code.epoch))
            .bind(code.sealed.as_str())
            .bind(code.expires_at.0)
            .execute(&self.pool)
            .await
            .map_err(taken("sign-in code"))?;
        Ok(())
    }

    /// Takes it out, unless it has ended: of any number of callers at once exactly one gets it.
    pub async fn take_openid_code(&self, code: &TokenHash, now: UnixTime) -> Result<Option<SealedCode>> {
        let known = sqlx::query("SELECT 1 FROM openid_codes WHERE code = $1").bind(code.as_str());
        if known.fetch_optional(&self.pool).await?.is_none() {
            return Ok(None);
        }
        let row = sqlx::query(
            "DELETE FROM openid_codes WHERE code = $1 AND expires_at > $2 RETURNING code, epoch, sealed, expires_at",
        )
        .bind(code.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_code).transpose()
    }

    /// An identity, and whether its user may do anything.
    pub async fn openid_identity(&self, key: &IdentityKey) -> Result<Option<(Identity, UserState)>> {
        let row = sqlx::query(
            "SELECT i.issuer, i.subject, i.user_id, i.email, i.created_at, i.signed_in_at, i.epoch, i.seal, \
             u.deactivated_at FROM openid_identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2",
        )
        .bind(key.issuer.as_str())
        .bind(key.subject.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = &row else { return Ok(None) };
        let state = match (Columns { table: "users", row }).optional_time("deactivated_at")? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        };
        Ok(Some((read_identity(row)?, state)))
    }

    /// The identities of a user, oldest first.
    pub async fn openid_identities(&self, user: &UserId) -> Result<Vec<Identity>> {
        let rows = sqlx::query(
            "SELECT issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal FROM openid_identities \
             WHERE user_id = $1 ORDER BY created_at, issuer",
        )
        .bind(user.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_identity).collect()
    }

    /// Every identity without a seal.
    pub async fn identities_without_seal(&self) -> Result<Vec<Identity>> {
        let rows = sqlx::query(
            "SELECT issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal FROM openid_identities \
             WHERE seal IS NULL ORDER BY user_id, issuer",
        );
        rows.fetch_all(&self.pool).await?.iter().map(read_identity).collect()
    }

    /// Puts the seal into the row of an identity that is otherwise as given; whether there is one.
    pub async fn confirm_identity(&self, identity: &Identity, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE openid_identities SET epoch = $1, seal = $2 \
             WHERE issuer = $3 AND subject = $4 AND user_id = $5 AND created_at = $6",
        )
        .bind(epoch_of(&identity.seal))
        .bind(mac_of(&identity.seal))
        .bind(identity.key.issuer.as_str())
        .bind(identity.key.subject.as_str())
        .bind(identity.user.as_str())
        .bind(identity.created_at.0)
        .execute(&mut *transaction)
        .await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Adds a user with an identity, both or neither; [`StoreError::Taken`](crate::StoreError::Taken) if the identity has a user
    /// already.
    pub async fn add_openid_user(&self, user: &User, identity: &Identity, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO users (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(user.id.as_str())
            .bind(user.name.as_str())
            .bind(user.created_at.0)
            .execute(&mut *transaction)
            .await
            .map_err(taken("user"))?;
        let added = with_identity(
            "INSERT INTO openid_identities (issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            identity,
        );
        added.execute(&mut *transaction).await.map_err(taken("identity"))?;
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    /// Links an identity to its user; whether word of it is sent. [`StoreError::Taken`](crate::StoreError::Taken) if it has a user
    /// already, or the user has one of that issuer.
    pub async fn add_openid_identity(
        &self,
        identity: &Identity,
        word: Option<&SealedMailJob>,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // An identity without a seal signs no user in; a user who proves to be it takes its place.
        let added = with_identity(
            "INSERT INTO openid_identities AS known \
             (issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (issuer, subject) DO UPDATE SET user_id = $3, email = $4, \
             created_at = $5, signed_in_at = $6, epoch = $7, seal = $8 WHERE known.seal IS NULL",
            identity,
        );
        let added = added.execute(&mut *transaction).await.map_err(taken("identity"))?;
        if added.rows_affected() == 0 {
            return Err(StoreError::Taken { what: "identity" });
        }
        let is_told = queue_word(&mut transaction, word).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(is_told)
    }

    /// Unlinks a user from an issuer, unless neither a password nor an identity of another issuer out of `ways` is left.
    pub async fn remove_openid_identity(
        &self,
        user: &UserId,
        issuer: &str,
        ways: &[&str],
        event: &Event,
    ) -> Result<Unlinked> {
        let mut transaction = self.pool.begin().await?;
        // Two at once, each of which would leave the other's, come one after the other.
        sqlx::query("UPDATE users SET name = name WHERE id = $1")
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        let done = sqlx::query("DELETE FROM openid_identities WHERE user_id = $1 AND issuer = $2")
            .bind(user.as_str())
            .bind(issuer)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(Unlinked::NotThere);
        }
        let account = sqlx::query("SELECT 1 FROM accounts WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let others = sqlx::query("SELECT issuer FROM openid_identities WHERE user_id = $1 AND seal IS NOT NULL")
            .bind(user.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let others: Vec<String> =
            others.iter().map(|row| row.try_get("issuer")).collect::<std::result::Result<_, _>>()?;
        if account.is_none() && !others.iter().any(|other| ways.contains(&other.as_str())) {
            // Not committed: the deletion did not happen.
            return Ok(Unlinked::LastWay);
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Unlinked::Done)
    }

    /// Deletes sign-ins and codes whose time is over; how many.
    pub async fn delete_ended_openid(&self, now: UnixTime) -> Result<u64> {
        let flows =
            "DELETE FROM openid_flows WHERE state IN (SELECT state FROM openid_flows WHERE expires_at < $1 LIMIT $2)";
        let codes =
            "DELETE FROM openid_codes WHERE code IN (SELECT code FROM openid_codes WHERE expires_at < $1 LIMIT $2)";
        Ok(self.delete_before(flows, now.0).await?.saturating_add(self.delete_before(codes, now.0).await?))
    }
}

/// `sql` begins with an identity's columns, in this order.
fn with_identity<'q>(sql: &'static str, identity: &'q Identity) -> Query<'q, Any, AnyArguments> {
    sqlx::query(sql)
        .bind(identity.key.issuer.as_str())
        .bind(identity.key.subject.as_str())
        .bind(identity.user.as_str())
        .bind(identity.email.as_ref().map(EmailAddress::as_str))
        .bind(identity.created_at.0)
        .bind(identity.signed_in_at.map(|at| at.0))
        .bind(epoch_of(&identity.seal))
        .bind(mac_of(&identity.seal))
}

pub(crate) fn read_identity(row: &AnyRow) -> Result<Identity> {
    let columns = Columns { table: "openid_identities", row };
    Ok(Identity {
        key: IdentityKey { issuer: columns.text("issuer")?, subject: columns.text("subject")? },
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        email: columns.optional("email", |text| EmailAddress::parse(text).ok())?,
        created_at: columns.time("created_at")?,
        signed_in_at: columns.optional_time("signed_in_at")?,
        seal: columns.seal("epoch", "seal")?,
    })
}

pub(crate) fn read_flow(row: &AnyRow) -> Result<SealedFlow> {
    let columns = Columns { table: "openid_flows", row };
    Ok(SealedFlow {
        key: FlowKey {
            state: columns.parsed("state", TokenHash::from_stored)?,
            browser: columns.parsed("browser", TokenHash::from_stored)?,
            provider: columns.text("provider")?,
        },
        epoch: columns.epoch("epoch")?,
        sealed: columns.text("sealed")?,
        expires_at: columns.time("expires_at")?,
    })
}

pub(crate) fn read_code(row: &AnyRow) -> Result<SealedCode> {
    let columns = Columns { table: "openid_codes", row };
    Ok(SealedCode {
        code: columns.parsed("code", TokenHash::from_stored)?,
        epoch: columns.epoch("epoch")?,
        sealed: columns.text("sealed")?,
        expires_at: columns.time("expires_at")?,
    })
}

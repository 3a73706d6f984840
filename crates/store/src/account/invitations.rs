//! Invitations.

use crate::account::accounts::insert_account;
use crate::account::outbox::queue;
use crate::account::step_ups::beside;
use crate::error::taken;
use crate::row::{Columns, epoch_of, mac_of};
use crate::{Database, Result};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::invitation::InvitationRow;
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::password::StoredPassword;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::SealedMailJob;
use bmap_model::user::User;
use sqlx::any::AnyRow;

/// The account that an invitation makes.
#[derive(Clone, Copy, Debug)]
pub struct InvitedAccount<'a> {
    /// Its user, who is new.
    pub user: &'a User,
    /// Its address, which is the invited one.
    pub email: &'a EmailAddress,
    /// Its password, hashed.
    pub password: &'a StoredPassword,
    /// Binds these to the root secret.
    pub seal: &'a str,
}

/// Links that make accounts of invited addresses.
impl Database {
    /// Keeps one until its link is followed, and writes down its mail; `false`, and neither is there, where the address was written to
    /// enough this hour. [`StoreError::StepUp`](crate::StoreError::StepUp) if the step-up was used.
    pub async fn add_invitation(
        &self,
        row: &InvitationRow,
        mail: Option<&SealedMailJob>,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        beside(&mut transaction, stepped_up).await?;
        if let Some(mail) = mail
            && !queue(&mut transaction, mail).await?
        {
            return Ok(false);
        }
        sqlx::query("INSERT INTO invitations (hash, email, expires_at, epoch, seal) VALUES ($1, $2, $3, $4, $5)")
            .bind(row.hash.as_str())
            .bind(row.email.as_str())
            .bind(row.expires_at.0)
            .bind(epoch_of(&row.seal))
            .bind(mac_of(&row.seal))
            .execute(&mut *transaction)
            .await
            .map_err(taken("invitation"))?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The one with that hash, if it has not ended.
    pub async fn invitation(&self, token: &TokenHash, now: UnixTime) -> Result<Option<InvitationRow>> {
        let row = sqlx::query(
            "SELECT hash, email, expires_at, epoch, seal FROM invitations WHERE hash = $1 AND expires_at > $2",
        )
        .bind(token.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_invitation).transpose()
    }

    /// Makes its account, and drops every other invitation and registration of the address: whole or not at all. `false` if it was used or
    /// has ended by the user's `created_at`; [`StoreError::Taken`](crate::StoreError::Taken) if the address has an account.
    pub async fn accept_invitation(
        &self,
        token: &TokenHash,
        account: InvitedAccount<'_>,
        event: &Event,
    ) -> Result<bool> {
        let InvitedAccount { user, email, password, seal } = account;
        let mut transaction = self.pool.begin().await?;
        // The transaction that deletes the row has it, and no other.
        let used = sqlx::query("DELETE FROM invitations WHERE hash = $1 AND email = $2 AND expires_at > $3")
            .bind(token.as_str())
            .bind(email.as_str())
            .bind(user.created_at.0)
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        insert_account(&mut transaction, user, email.as_str(), password, seal).await?;
        for sql in ["DELETE FROM invitations WHERE email = $1", "DELETE FROM registrations WHERE email = $1"] {
            sqlx::query(sql).bind(email.as_str()).execute(&mut *transaction).await?;
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes those that have ended; how many.
    pub async fn delete_ended_invitations(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM invitations WHERE hash IN (SELECT hash FROM invitations WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

pub(crate) fn read_invitation(row: &AnyRow) -> Result<InvitationRow> {
    let columns = Columns { table: "invitations", row };
    Ok(InvitationRow {
        hash: columns.parsed("hash", TokenHash::from_stored)?,
        email: columns.parsed("email", |text| EmailAddress::parse(text).ok())?,
        expires_at: columns.time("expires_at")?,
        seal: columns.seal("epoch", "seal")?,
    })
}

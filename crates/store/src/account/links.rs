//! Links that change something about an account: a new password, a new address.
//!
//! Whatever changes an account writes the account's row first, and the rows of its links after it: of two at once, one waits
//! for the other, and none for ever.

use super::tries::Tries;
use crate::account::accounts::{end_links, set_password};
use crate::account::outbox::{queue, queue_word};
use crate::account::user_sessions::end_sessions;
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::Columns;
use crate::{Database, NewPassword, Result};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::password::StoredPassword;
use bmap_model::account::{Account, EmailChange, PasswordReset};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::SealedMailJob;
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

const EMAIL_CHANGE: Tries = Tries {
    known: "SELECT email FROM email_changes WHERE hash = $1 AND expires_at > $2 AND tries < $3",
    count: "UPDATE email_changes SET tries = tries + 1 WHERE hash = $1 AND expires_at > $2 AND tries < $3 \
            RETURNING user_id, email, password, pepper_epoch, seal, expires_at",
    give_back: "UPDATE email_changes SET tries = tries - 1 WHERE hash = $1 AND tries > 0",
};

/// Links that change something about an account.
impl Database {
    /// Adds a link that sets a new password; a second time changes nothing.
    pub async fn add_password_reset(&self, token: &TokenHash, reset: &PasswordReset, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        let added = sqlx::query(
            "INSERT INTO password_resets (hash, user_id, epoch, seal, expires_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(token.as_str())
        .bind(reset.user.as_str())
        .bind(i64::from(reset.epoch))
        .bind(reset.seal.as_str())
        .bind(reset.expires_at.0)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(());
        }
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    /// The link of a token, if it has not ended.
    pub async fn password_reset(&self, token: &TokenHash, now: UnixTime) -> Result<Option<PasswordReset>> {
        let row = sqlx::query(
            "SELECT user_id, epoch, seal, expires_at FROM password_resets WHERE hash = $1 AND expires_at > $2",
        )
        .bind(token.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_reset).transpose()
    }

    /// Sets a password by a link, ends every link to the account and every session of its user; how many sessions, and whether
    /// word of it is sent. `None`, and nothing changes, if the link was used or ended, or the account has another password by now.
    pub async fn use_password_reset(
        &self,
        token: &TokenHash,
        account: &Account,
        new: &NewPassword<'_>,
        event: &Event,
    ) -> Result<Option<(u64, bool)>> {
        let mut transaction = self.pool.begin().await?;
        // Locks the account's row, whatever comes of it.
        sqlx::query("UPDATE accounts SET pepper_epoch = pepper_epoch WHERE user_id = $1")
            .bind(account.user.as_str())
            .execute(&mut *transaction)
            .await?;
        let used = sqlx::query("DELETE FROM password_resets WHERE hash = $1 AND user_id = $2 AND expires_at > $3")
            .bind(token.as_str())
            .bind(account.user.as_str())
            .bind(new.at.0)
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 || !set_password(&mut transaction, account, new).await? {
            return Ok(None);
        }
        sqlx::query("UPDATE accounts SET reset_at = $1 WHERE user_id = $2")
            .bind(new.at.0)
            .bind(account.user.as_str())
            .execute(&mut *transaction)
            .await?;
        let ended = end_sessions(&mut transaction, &account.user, new.at).await?;
        let is_told = queue_word(&mut transaction, new.word).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Some((ended, is_told)))
    }

    /// Keeps a new address until its link is followed, and writes down mails about it; for each, whether it is sent. `None`, and
    /// nothing is kept, if the account has another password or address by now.
    pub async fn add_email_change(
        &self,
        token: &TokenHash,
        change: &EmailChange,
        account: &Account,
        mails: [&SealedMailJob; 2],
        event: &Event,
    ) -> Result<Option<[bool; 2]>> {
        let mut transaction = self.pool.begin().await?;
        let known = sqlx::query(
            "UPDATE accounts SET pepper_epoch = pepper_epoch WHERE user_id = $1 AND password = $2 AND email = $3",
        )
        .bind(account.user.as_str())
        .bind(account.password.phc.as_str())
        .bind(account.email.as_str())
        .execute(&mut *transaction)
        .await?;
        if known.rows_affected() == 0 {
            return Ok(None);
        }
        insert_change(&mut transaction, token, change).await?;
        let [first, second] = mails;
        let queued = [queue(&mut transaction, first).await?, queue(&mut transaction, second).await?];
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Some(queued))
    }

    /// Keeps the address and first password of a user who has none until their link is followed, and writes down its mail; whether
    /// that is sent. `None`, and nothing is kept, if the user has a password or is not active.
    pub async fn add_first_password(
        &self,
        token: &TokenHash,
        first: &EmailChange,
        mail: &SealedMailJob,
        event: &Event,
    ) -> Result<Option<bool>> {
        let mut transaction = self.pool.begin().await?;
        let fits = sqlx::query(
            "UPDATE users SET name = name WHERE id = $1 AND deactivated_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = $1)",
        )
        .bind(first.user.as_str())
        .execute(&mut *transaction)
        .await?;
        if fits.rows_affected() == 0 {
            return Ok(None);
        }
        insert_change(&mut transaction, token, first).await?;
        let is_sent = queue(&mut transaction, mail).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Some(is_sent))
    }

    /// Makes the account of a user who had none, and ends every other link to it. `false` if the link was used or has ended, or the
    /// user is not active; [`StoreError::Taken`](crate::StoreError::Taken) if the user or the address has an account by now.
    pub async fn confirm_first_password(
        &self,
        token: &TokenHash,
        first: &EmailChange,
        now: UnixTime,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let made = sqlx::query(
            "INSERT INTO accounts (user_id, email, password, pepper_epoch, seal, created_at, password_changed_at) \
             SELECT id, $2, $3, $4, $5, $6, $6 FROM users WHERE id = $1 AND deactivated_at IS NULL",
        )
        .bind(first.user.as_str())
        .bind(first.email.as_str())
        .bind(first.password.phc.as_str())
        .bind(i64::from(first.password.epoch))
        .bind(first.seal.as_str())
        .bind(now.0)
        .execute(&mut *transaction)
        .await
        .map_err(taken("account"))?;
        let used = sqlx::query("DELETE FROM email_changes WHERE hash = $1 AND user_id = $2 AND expires_at > $3")
            .bind(token.as_str())
            .bind(first.user.as_str())
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        if made.rows_affected() == 0 || used.rows_affected() == 0 {
            return Ok(false);
        }
        end_links(&mut transaction, &first.user).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Counts a try at a change's password, before the password is looked at. `None` if the change is not there, has ended, or
    /// had as many tries as it may have.
    pub async fn count_email_change_try(
        &self,
        token: &TokenHash,
        now: UnixTime,
        most: i64,
    ) -> Result<Option<EmailChange>> {
        let row = self.count_try(&EMAIL_CHANGE, token, now, most).await?;
        row.as_ref().map(read_change).transpose()
    }

    /// Takes back a try in which no password was looked at.
    pub async fn return_email_change_try(&self, token: &TokenHash) -> Result<()> {
        self.return_try(&EMAIL_CHANGE, token).await
    }

    /// Gives the account its new address and ends every link to it; whether word of it is sent. `None`, and nothing changes, if
    /// the change was used or has ended, or its user is not active; [`StoreError::Taken`](crate::StoreError::Taken) if the address has an account.
    pub async fn confirm_email_change(
        &self,
        token: &TokenHash,
        change: &EmailChange,
        now: UnixTime,
        word: Option<&SealedMailJob>,
        event: &Event,
    ) -> Result<Option<bool>> {
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query(
            "UPDATE accounts SET email = $1, password = $2, pepper_epoch = $3, seal = $4 WHERE user_id = $5 \
             AND EXISTS (SELECT 1 FROM users WHERE id = $5 AND deactivated_at IS NULL)",
        )
        .bind(change.email.as_str())
        .bind(change.password.phc.as_str())
        .bind(i64::from(change.password.epoch))
        .bind(change.seal.as_str())
        .bind(change.user.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(taken("account"))?;
        let used = sqlx::query("DELETE FROM email_changes WHERE hash = $1 AND user_id = $2 AND expires_at > $3")
            .bind(token.as_str())
            .bind(change.user.as_str())
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        // Asked after the account's row is written, so a change of password that came between has deleted it.
        if changed.rows_affected() == 0 || used.rows_affected() == 0 {
            return Ok(None);
        }
        end_links(&mut transaction, &change.user).await?;
        let is_told = queue_word(&mut transaction, word).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Some(is_told))
    }

    /// Deletes links that have ended; how many.
    pub async fn delete_ended_links(&self, now: UnixTime) -> Result<u64> {
        let mut deleted: u64 = 0;
        for sql in [
            "DELETE FROM password_resets WHERE hash IN (SELECT hash FROM password_resets WHERE expires_at < $1 LIMIT $2)",
            "DELETE FROM email_changes WHERE hash IN (SELECT hash FROM email_changes WHERE expires_at < $1 LIMIT $2)",
        ] {
            deleted = deleted.saturating_add(self.delete_before(sql, now.0).await?);
        }
        Ok(deleted)
    }
}

async fn insert_change(inside: &mut InTransaction, token: &TokenHash, change: &EmailChange) -> Result<()> {
    sqlx::query(
        "INSERT INTO email_changes (hash, user_id, email, password, pepper_epoch, seal, tries, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
    )
    .bind(token.as_str())
    .bind(change.user.as_str())
    .bind(change.email.as_str())
    .bind(change.password.phc.as_str())
    .bind(i64::from(change.password.epoch))
    .bind(change.seal.as_str())
    .bind(change.expires_at.0)
    .execute(&mut *inside)
    .await
    .map_err(taken("change of address"))?;
    Ok(())
}

pub(crate) fn read_change(row: &AnyRow) -> Result<EmailChange> {
    let columns = Columns { table: "email_changes", row };
    Ok(EmailChange {
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        email: columns.parsed("email", |text| EmailAddress::parse(text).ok())?,
        password: StoredPassword { phc: columns.text("password")?, epoch: columns.epoch("pepper_epoch")? },
        seal: columns.text("seal")?,
        expires_at: columns.time("expires_at")?,
    })
}

pub(crate) fn read_reset(row: &AnyRow) -> Result<PasswordReset> {
    let columns = Columns { table: "password_resets", row };
    Ok(PasswordReset {
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        epoch: columns.epoch("epoch")?,
        seal: columns.text("seal")?,
        expires_at: columns.time("expires_at")?,
    })
}

//! Accounts, and registrations that wait for their link.

use super::tries::Tries;
use crate::account::outbox::{queue, queue_word};
use crate::account::step_ups::insert_review;
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::key_review::ReviewRow;
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::password::StoredPassword;
use bmap_model::account::{Account, Registration};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::SealedMailJob;
use bmap_model::session::SessionId;
use bmap_model::user::{User, UserState};
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

/// A password that takes the place of the one that an account has.
#[derive(Clone, Copy, Debug)]
pub struct NewPassword<'a> {
    /// Its hash.
    pub hash: &'a StoredPassword,
    /// The account's seal with it.
    pub seal: &'a str,
    /// When.
    pub at: UnixTime,
    /// StoredNotice of it to the account's address.
    pub word: Option<&'a SealedMailJob>,
    /// The token that revokes the keys to be looked through.
    pub review: Option<&'a ReviewRow>,
}

const REGISTRATION: Tries = Tries {
    known: "SELECT email FROM registrations WHERE hash = $1 AND expires_at > $2 AND tries < $3",
    count: "UPDATE registrations SET tries = tries + 1 WHERE hash = $1 AND expires_at > $2 AND tries < $3 \
            RETURNING email, password, pepper_epoch, expires_at",
    give_back: "UPDATE registrations SET tries = tries - 1 WHERE hash = $1 AND tries > 0",
};

/// Accounts, and registrations that wait to become one.
impl Database {
    /// The account of a user.
    pub async fn account(&self, user: &UserId) -> Result<Option<Account>> {
        let row = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.seal, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.user_id = $1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The account of an address.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        let row = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.seal, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.email = $1",
        )
        .bind(email.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// All, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.seal, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id ORDER BY a.user_id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Keeps a registration until its link is followed, and writes down the mail with that link; `false`, and neither is there,
    /// where the address was written to enough this hour.
    pub async fn add_registration(
        &self,
        token: &TokenHash,
        registration: &Registration,
        mail: &SealedMailJob,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        if !queue(&mut transaction, mail).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO registrations (hash, email, password, pepper_epoch, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token.as_str())
        .bind(registration.email.as_str())
        .bind(registration.password.phc.as_str())
        .bind(i64::from(registration.password.epoch))
        .bind(registration.expires_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(taken("registration"))?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Counts a try at a registration's password, before the password is looked at. `None` if the registration is not there, has
    /// ended, or had as many tries as it may have.
    pub async fn count_registration_try(
        &self,
        token: &TokenHash,
        now: UnixTime,
        most: i64,
    ) -> Result<Option<Registration>> {
        let row = self.count_try(&REGISTRATION, token, now, most).await?;
        let Some(row) = &row else { return Ok(None) };
        let columns = Columns { table: "registrations", row };
        Ok(Some(Registration {
            email: columns.parsed("email", |text| EmailAddress::parse(text).ok())?,
            password: StoredPassword { phc: columns.text("password")?, epoch: columns.epoch("pepper_epoch")? },
            expires_at: columns.time("expires_at")?,
        }))
    }

    /// Takes back a try in which no password was looked at.
    pub async fn return_registration_try(&self, token: &TokenHash) -> Result<()> {
        self.return_try(&REGISTRATION, token).await
    }

    /// Makes the account of a registration, for that new user and with that seal, and drops every registration of its address:
    /// whole or not at all. `false` if the registration is not there or has ended by the user's `created_at`;
    /// [`StoreError::Taken`](crate::StoreError::Taken) if the address has an account.
    pub async fn confirm_registration(
        &self,
        token: &TokenHash,
        user: &User,
        seal: &str,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // The transaction that deletes the row has it, and no other.
        let row = sqlx::query(
            "DELETE FROM registrations WHERE hash = $1 AND expires_at > $2 RETURNING email, password, pepper_epoch",
        )
        .bind(token.as_str())
        .bind(user.created_at.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = &row else { return Ok(false) };
        let columns = Columns { table: "registrations", row };
        let email = columns.text("email")?;
        let password = StoredPassword { phc: columns.text("password")?, epoch: columns.epoch("pepper_epoch")? };
        insert_account(&mut transaction, user, &email, &password, seal).await?;
        sqlx::query("DELETE FROM registrations WHERE email = $1")
            .bind(email.as_str())
            .execute(&mut *transaction)
            .await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes registrations that have ended; how many.
    pub async fn delete_ended_registrations(&self, now: UnixTime) -> Result<u64> {
        let sql =
            "DELETE FROM registrations WHERE hash IN (SELECT hash FROM registrations WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }

    /// Stores another hash of the same password; `false`, and nothing changes, if the hash is not the account's any more.
    pub async fn replace_hash(
        &self,
        account: &Account,
        new: &StoredPassword,
        seal: &str,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE accounts SET password = $1, pepper_epoch = $2, seal = $3 \
             WHERE user_id = $4 AND password = $5 AND seal = $6",
        )
        .bind(new.phc.as_str())
        .bind(i64::from(new.epoch))
        .bind(seal)
        .bind(account.user.as_str())
        .bind(account.password.phc.as_str())
        .bind(account.seal.as_str())
        .execute(&mut *transaction)
        .await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Changes a password and ends every session of the user but one, and every link; how many sessions, and whether word of it
    /// is sent. `None`, and nothing changes, if the password is not the account's any more.
    pub async fn change_password(
        &self,
        account: &Account,
        new: &NewPassword<'_>,
        but: &SessionId,
        event: &Event,
    ) -> Result<Option<(u64, bool)>> {
        let mut transaction = self.pool.begin().await?;
        if !set_password(&mut transaction, account, new).await? {
            return Ok(None);
        }
        let ended = sqlx::query(
            "UPDATE user_sessions SET revoked_at = $1, epoch = NULL, seal = NULL \
             WHERE user_id = $2 AND id <> $3 AND revoked_at IS NULL",
        )
        .bind(new.at.0)
        .bind(account.user.as_str())
        .bind(but.as_str())
        .execute(&mut *transaction)
        .await?;
        let ended = ended.rows_affected();
        let is_told = queue_word(&mut transaction, new.word).await?;
        self.record(&mut transaction, &event.clone().with("ended_sessions", ended)).await?;
        transaction.commit().await?;
        Ok(Some((ended, is_told)))
    }
}

/// Adds a new user with its account.
pub(crate) async fn insert_account(
    inside: &mut InTransaction,
    user: &User,
    email: &str,
    password: &StoredPassword,
    seal: &str,
) -> Result<()> {
    sqlx::query("INSERT INTO users (id, name, created_at) VALUES ($1, $2, $3)")
        .bind(user.id.as_str())
        .bind(user.name.as_str())
        .bind(user.created_at.0)
        .execute(&mut *inside)
        .await
        .map_err(taken("user"))?;
    sqlx::query(
        "INSERT INTO accounts (user_id, email, password, pepper_epoch, seal, created_at, password_changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(user.id.as_str())
    .bind(email)
    .bind(password.phc.as_str())
    .bind(i64::from(password.epoch))
    .bind(seal)
    .bind(user.created_at.0)
    .execute(&mut *inside)
    .await
    .map_err(taken("account"))?;
    Ok(())
}

/// Sets the password that the account had until now, and ends every link to it; `false` if it has another one by now.
pub(crate) async fn set_password(inside: &mut InTransaction, account: &Account, new: &NewPassword<'_>) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE accounts SET password = $1, pepper_epoch = $2, seal = $3, password_changed_at = $4 \
         WHERE user_id = $5 AND password = $6",
    )
    .bind(new.hash.phc.as_str())
    .bind(i64::from(new.hash.epoch))
    .bind(new.seal)
    .bind(new.at.0)
    .bind(account.user.as_str())
    .bind(account.password.phc.as_str())
    .execute(&mut *inside)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    end_links(inside, &account.user).await?;
    if let Some(review) = new.review {
        insert_review(inside, review).await?;
    }
    Ok(true)
}

/// Ends every link that changes something about a user's account, and every step-up: each was given for what proved the user until now.
pub(crate) async fn end_links(inside: &mut InTransaction, user: &UserId) -> Result<()> {
    for sql in [
        "DELETE FROM password_resets WHERE user_id = $1",
        "DELETE FROM email_changes WHERE user_id = $1",
        "DELETE FROM step_ups WHERE user_id = $1",
    ] {
        sqlx::query(sql).bind(user.as_str()).execute(&mut *inside).await?;
    }
    Ok(())
}

pub(crate) fn read(row: &AnyRow) -> Result<Account> {
    let columns = Columns { table: "accounts", row };
    Ok(Account {
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        user_state: match columns.optional_time("deactivated_at")? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        },
        email: columns.parsed("email", |text| EmailAddress::parse(text).ok())?,
        password: StoredPassword { phc: columns.text("password")?, epoch: columns.epoch("pepper_epoch")? },
        seal: columns.text("seal")?,
        created_at: columns.time("created_at")?,
    })
}

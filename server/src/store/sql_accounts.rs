//! Accounts, and registrations that wait for their link.

use super::connect::taken;
use super::sql_row::Columns;
use super::{Accounts, Database, Result};
use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::password::StoredPassword;
use crate::domain::account::{Account, Registration};
use crate::domain::audit::Event;
use crate::domain::session::SessionId;
use crate::domain::user::{User, UserState};
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

impl Accounts for Database {
    async fn account(&self, user: &UserId) -> Result<Option<Account>> {
        let row = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.user_id = $1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>> {
        let row = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.email = $1",
        )
        .bind(email.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id ORDER BY a.user_id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn add_registration(&self, token: &TokenHash, registration: &Registration, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
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
        Ok(transaction.commit().await?)
    }

    async fn confirm_registration(&self, token: &TokenHash, user: &User, event: &Event) -> Result<bool> {
        // Noise takes no turn at writing: SQLite has one writer at a time.
        let known = sqlx::query("SELECT email FROM registrations WHERE hash = $1")
            .bind(token.as_str())
            .fetch_optional(&self.pool)
            .await?;
        if known.is_none() {
            return Ok(false);
        }
        let mut transaction = self.pool.begin().await?;
        // Whoever deletes the row has it, and nobody else.
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
        sqlx::query("INSERT INTO users (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(user.id.as_str())
            .bind(user.name.as_str())
            .bind(user.created_at.0)
            .execute(&mut *transaction)
            .await
            .map_err(taken("user"))?;
        sqlx::query(
            "INSERT INTO accounts (user_id, email, password, pepper_epoch, created_at, password_changed_at) \
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(user.id.as_str())
        .bind(email.as_str())
        .bind(columns.text("password")?)
        .bind(i64::from(columns.epoch("pepper_epoch")?))
        .bind(user.created_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(taken("account"))?;
        sqlx::query("DELETE FROM registrations WHERE email = $1")
            .bind(email.as_str())
            .execute(&mut *transaction)
            .await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_ended_registrations(&self, now: UnixMillis) -> Result<u64> {
        let done =
            sqlx::query("DELETE FROM registrations WHERE expires_at < $1").bind(now.0).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    async fn change_password(
        &self,
        account: &Account,
        new: &StoredPassword,
        but: &SessionId,
        at: UnixMillis,
        event: &Event,
    ) -> Result<Option<u64>> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE accounts SET password = $1, pepper_epoch = $2, password_changed_at = $3 \
             WHERE user_id = $4 AND password = $5",
        )
        .bind(new.phc.as_str())
        .bind(i64::from(new.epoch))
        .bind(at.0)
        .bind(account.user.as_str())
        .bind(account.password.phc.as_str())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let ended = sqlx::query(
            "UPDATE user_sessions SET revoked_at = $1 WHERE user_id = $2 AND id <> $3 AND revoked_at IS NULL",
        )
        .bind(at.0)
        .bind(account.user.as_str())
        .bind(but.as_str())
        .execute(&mut *transaction)
        .await?;
        let ended = ended.rows_affected();
        self.record(&mut transaction, &event.clone().with("ended_sessions", ended)).await?;
        transaction.commit().await?;
        Ok(Some(ended))
    }
}

fn read(row: &AnyRow) -> Result<Account> {
    let columns = Columns { table: "accounts", row };
    Ok(Account {
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        user_state: match columns.optional_time("deactivated_at")? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        },
        email: columns.parsed("email", |text| EmailAddress::parse(text).ok())?,
        password: StoredPassword { phc: columns.text("password")?, epoch: columns.epoch("pepper_epoch")? },
        created_at: columns.time("created_at")?,
    })
}

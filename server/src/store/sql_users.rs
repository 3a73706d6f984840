//! Users.

use super::connect::taken;
use super::sql_row::Columns;
use super::{Database, Result, Users};
use crate::clock::UnixMillis;
use crate::domain::user::{User, UserName, UserState};
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

impl Users for Database {
    async fn add_user(&self, user: &User) -> Result<()> {
        let deactivated_at = match user.state {
            UserState::Active => None,
            UserState::Deactivated { at } => Some(at.0),
        };
        sqlx::query("INSERT INTO users (id, name, created_at, deactivated_at) VALUES ($1, $2, $3, $4)")
            .bind(user.id.as_str())
            .bind(user.name.as_str())
            .bind(user.created_at.0)
            .bind(deactivated_at)
            .execute(&self.pool)
            .await
            .map_err(taken("user"))?;
        Ok(())
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let row = sqlx::query("SELECT id, name, created_at, deactivated_at FROM users WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn user_by_name(&self, name: &UserName) -> Result<Option<User>> {
        let row = sqlx::query("SELECT id, name, created_at, deactivated_at FROM users WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn users(&self) -> Result<Vec<User>> {
        let rows = sqlx::query("SELECT id, name, created_at, deactivated_at FROM users ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    async fn set_deactivated(&self, id: &UserId, at: Option<UnixMillis>) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query("UPDATE users SET deactivated_at = $1 WHERE id = $2")
            .bind(at.map(|at| at.0))
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        if let Some(at) = at {
            // Ended and not only refused: activating the user again brings none of them back.
            sqlx::query("UPDATE user_sessions SET revoked_at = COALESCE(revoked_at, $1) WHERE user_id = $2")
                .bind(at.0)
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

fn read(row: &AnyRow) -> Result<User> {
    let columns = Columns { table: "users", row };
    Ok(User {
        id: columns.parsed("id", |text| UserId::parse(text).ok())?,
        name: columns.parsed("name", |text| UserName::parse(text).ok())?,
        state: match columns.optional_time("deactivated_at")? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        },
        created_at: columns.time("created_at")?,
    })
}

//! Users.

use crate::account::step_ups::beside;
use crate::account::user_sessions::end_sessions;
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::keys::key_row;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::api_key::{KeyScope, SealedApiKey};
use bmap_model::audit::Event;
use bmap_model::audit::{Action, Source};
use bmap_model::clock::UnixTime;
use bmap_model::role::Role;
use bmap_model::role::UnverifiedRole;
use bmap_model::user::{User, UserName, UserState};
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

/// A change of a user.
#[derive(Clone, Debug)]
pub enum UserChange {
    /// Deactivated, at a time; its sessions end for good.
    Deactivate(UnixTime),
    /// Active again.
    Activate,
    /// Of another role.
    Role(UnverifiedRole),
}

impl UserChange {
    /// Its event for the audit log.
    pub fn event(&self, user: &UserId, source: &Source, now: UnixTime) -> Event {
        let done = |action| Event::done(action, source, now).on(user);
        match self {
            UserChange::Deactivate(_) => done(Action::UserDeactivate),
            UserChange::Activate => done(Action::UserActivate),
            UserChange::Role(role) if role.role == Role::Admin.as_str() => {
                done(Action::UserRole).with("role", &Role::Admin)
            }
            UserChange::Role(_) => done(Action::UserRole).with("role", &Role::Member),
        }
    }
}

/// The outcome of a change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It is as asked for.
    Done,
    /// There is no such user.
    NoSuchUser,
    /// It was not to be: nothing changed.
    Refused,
}

/// Users.
impl Database {
    /// Adds one; [`StoreError::Taken`] if the name is taken.
    pub async fn add_user(&self, user: &User, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, user).await?;
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    /// Adds one with an API key: both are there, each with its entry, or neither.
    pub async fn add_user_with_key(
        &self,
        user: &User,
        key: &SealedApiKey,
        scope: &KeyScope,
        events: [&Event; 2],
    ) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, user).await?;
        key_row::insert(&mut transaction, key).await?;
        key_row::insert_origins(&mut transaction, &key.id, scope).await?;
        self.record_all(&mut transaction, &events).await?;
        Ok(transaction.commit().await?)
    }

    /// The user with that id.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let row = sqlx::query(
            "SELECT id, name, created_at, deactivated_at, role, role_epoch, role_mac FROM users WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The user with that name.
    pub async fn user_by_name(&self, name: &UserName) -> Result<Option<User>> {
        let row = sqlx::query(
            "SELECT id, name, created_at, deactivated_at, role, role_epoch, role_mac FROM users WHERE name = $1",
        )
        .bind(name.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// All, oldest first.
    pub async fn users(&self) -> Result<Vec<User>> {
        let rows = sqlx::query(
            "SELECT id, name, created_at, deactivated_at, role, role_epoch, role_mac FROM users ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Up to `limit` users with their addresses, oldest first, beginning after that one.
    pub async fn users_after(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<(User, Option<EmailAddress>)>> {
        // Ids sort by the time they were made, and every one sorts behind the empty text.
        let rows = sqlx::query(
            "SELECT u.id, u.name, u.created_at, u.deactivated_at, u.role, u.role_epoch, u.role_mac, a.email \
             FROM users u LEFT JOIN accounts a ON a.user_id = u.id WHERE u.id > $1 ORDER BY u.id LIMIT $2",
        )
        .bind(after.map_or("", UserId::as_str))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let email = |row| Columns { table: "accounts", row }.optional("email", |text| EmailAddress::parse(text).ok());
        rows.iter().map(|row| Ok((read(row)?, email(row)?))).collect()
    }

    /// Changes a user, whole or not at all. `keep` is shown the active users whose rows say that they are admins, before the change and
    /// after it, and says whether it holds; of several changes at once each is shown the state that the one before left.
    pub async fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        keep: &(dyn Fn(&[User], &[User]) -> bool + Sync),
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> Result<UserChanged> {
        let mut transaction = self.pool.begin().await?;
        // First one row that all of these write: a transaction that comes meanwhile waits here, and then reads the rows
        // as they are left.
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('admins_changed_by', $1) \
             ON CONFLICT (name) DO UPDATE SET value = $1",
        )
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await?;
        let before = active_admins(&mut transaction).await?;
        let done = match change {
            UserChange::Deactivate(at) => deactivate(&mut transaction, id, Some(*at)).await?,
            UserChange::Activate => deactivate(&mut transaction, id, None).await?,
            UserChange::Role(role) => {
                let set = sqlx::query("UPDATE users SET role = $1, role_epoch = $2, role_mac = $3 WHERE id = $4")
                    .bind(role.role.as_str())
                    .bind(role.epoch)
                    .bind(role.mac.as_deref())
                    .bind(id.as_str())
                    .execute(&mut *transaction)
                    .await?;
                set.rows_affected() > 0
            }
        };
        if !done {
            return Ok(UserChanged::NoSuchUser);
        }
        if !keep(&before, &active_admins(&mut transaction).await?) {
            return Ok(UserChanged::Refused);
        }
        beside(&mut transaction, stepped_up).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(UserChanged::Done)
    }

    /// Deactivates at a time, which ends the user's sessions for good, or activates with `None`; whether there is such a user.
    pub async fn set_deactivated(&self, id: &UserId, at: Option<UnixTime>, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        if !deactivate(&mut transaction, id, at).await? {
            return Ok(false);
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// The active users whose rows say that they are admins.
pub(crate) async fn active_admins(inside: &mut InTransaction) -> Result<Vec<User>> {
    let admins = sqlx::query(
        "SELECT id, name, created_at, deactivated_at, role, role_epoch, role_mac FROM users \
         WHERE role = 'admin' AND deactivated_at IS NULL",
    );
    admins.fetch_all(inside).await?.iter().map(read).collect()
}

async fn insert(inside: &mut InTransaction, user: &User) -> Result<()> {
    let deactivated_at = match user.state {
        UserState::Active => None,
        UserState::Deactivated { at } => Some(at.0),
    };
    sqlx::query(
        "INSERT INTO users (id, name, created_at, deactivated_at, role, role_epoch, role_mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(user.id.as_str())
    .bind(user.name.as_str())
    .bind(user.created_at.0)
    .bind(deactivated_at)
    .bind(user.unverified_role.role.as_str())
    .bind(user.unverified_role.epoch)
    .bind(user.unverified_role.mac.as_deref())
    .execute(&mut *inside)
    .await
    .map_err(taken("user"))?;
    Ok(())
}

async fn deactivate(inside: &mut InTransaction, id: &UserId, at: Option<UnixTime>) -> Result<bool> {
    let change = match at {
        // Said twice, it is so since the first time.
        Some(at) => sqlx::query("UPDATE users SET deactivated_at = COALESCE(deactivated_at, $2) WHERE id = $1")
            .bind(id.as_str())
            .bind(at.0),
        None => sqlx::query("UPDATE users SET deactivated_at = NULL WHERE id = $1").bind(id.as_str()),
    };
    let done = change.execute(&mut *inside).await?;
    if let Some(at) = at {
        // Ended and not only refused: activating the user again brings none of them back.
        end_sessions(inside, id, at).await?;
    }
    Ok(done.rows_affected() > 0)
}

/// The names of a user's columns in a statement.
struct Names {
    id: &'static str,
    name: &'static str,
    deactivated_at: &'static str,
    role: &'static str,
    role_epoch: &'static str,
    role_mac: &'static str,
    created_at: &'static str,
}

pub(crate) fn read(row: &AnyRow) -> Result<User> {
    const NAMES: Names = Names {
        id: "id",
        name: "name",
        deactivated_at: "deactivated_at",
        role: "role",
        role_epoch: "role_epoch",
        role_mac: "role_mac",
        created_at: "created_at",
    };
    read_as(row, &NAMES)
}

/// The user beside something else, by the columns that `owner_…` names.
pub(crate) fn read_owner(row: &AnyRow) -> Result<Option<User>> {
    const NAMES: Names = Names {
        id: "owner_id",
        name: "owner_name",
        deactivated_at: "owner_deactivated_at",
        role: "owner_role",
        role_epoch: "owner_role_epoch",
        role_mac: "owner_role_mac",
        created_at: "owner_created_at",
    };
    let is_there = Columns { table: "users", row }.optional_text(NAMES.id)?.is_some();
    is_there.then(|| read_as(row, &NAMES)).transpose()
}

fn read_as(row: &AnyRow, names: &Names) -> Result<User> {
    let columns = Columns { table: "users", row };
    Ok(User {
        id: columns.parsed(names.id, |text| UserId::parse(text).ok())?,
        name: columns.parsed(names.name, UserName::stored)?,
        state: match columns.optional_time(names.deactivated_at)? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        },
        unverified_role: UnverifiedRole {
            role: columns.text(names.role)?,
            epoch: columns.optional_number(names.role_epoch)?,
            mac: columns.optional_text(names.role_mac)?,
        },
        created_at: columns.time(names.created_at)?,
    })
}

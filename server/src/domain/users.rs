//! Administration of users: who may, and what becomes of whom.

use super::account::email::EmailAddress;
use super::audit::Source;
use super::issuer::Issuer;
use super::refusal::Refusal;
use super::role::{Role, UnverifiedRole};
use super::user::User;
use crate::store::{Accounts, UserChange, UserChanged, Users};
use bmap_protocol::ids::{ApiKeyId, UserId};

/// An admin, and how it showed that it is one.
#[derive(Debug)]
pub struct Admin {
    /// The user.
    pub user: User,
    /// The API key, where it used one of its own; else it is signed in.
    pub key: Option<ApiKeyId>,
    /// Where it calls from.
    pub source: Source,
}

/// A user as admins are shown it.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// The user.
    pub user: User,
    /// The address of its account, where it has one.
    pub email: Option<EmailAddress>,
    /// The role that its row proves.
    pub role: Role,
}

impl Issuer {
    /// The role that a user's row proves. A row that was edited is an alarm, and makes no admin.
    pub fn role(&self, user: &User) -> Role {
        user.role(&self.roots)
    }

    /// An active user as the admin that it is.
    ///
    /// # Errors
    /// [`Refusal::NotAdmin`].
    pub fn admin(&self, user: User, key: Option<ApiKeyId>, source: &Source) -> Result<Admin, Refusal> {
        match self.role(&user) {
            Role::Admin => Ok(Admin { user, key, source: source.clone() }),
            Role::Member => Err(Refusal::NotAdmin),
        }
    }

    /// Up to `limit` users, oldest first, beginning after that one.
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn user_records(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<UserRecord>, Refusal> {
        let users = self.store.users_after(after, limit).await?;
        let record = |(user, email)| UserRecord { role: self.role(&user), user, email };
        Ok(users.into_iter().map(record).collect())
    }

    /// A user.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn user_record(&self, id: &UserId) -> Result<UserRecord, Refusal> {
        let user = self.store.user(id).await?.ok_or(Refusal::NotFound { what: "user" })?;
        let email = self.store.account(id).await?.map(|account| account.email);
        Ok(UserRecord { role: self.role(&user), user, email })
    }

    /// Deactivates a user: its sessions end for good, its keys and the renewal of its tokens stop working at once.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or [`Refusal::InvalidState`] where nobody would be left to activate it again.
    pub async fn deactivate_user(&self, id: &UserId, source: &Source) -> Result<(), Refusal> {
        self.change_user(id, &UserChange::Deactivate(self.clock.now()), source).await
    }

    /// Activates a user again.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn activate_user(&self, id: &UserId, source: &Source) -> Result<(), Refusal> {
        self.change_user(id, &UserChange::Activate, source).await
    }

    /// Gives a user a role.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] or [`Refusal::InvalidState`].
    pub async fn set_role(&self, id: &UserId, role: Role, source: &Source) -> Result<(), Refusal> {
        self.change_user(id, &UserChange::Role(UnverifiedRole::seal(&self.roots, id, role)), source).await
    }

    /// Changes a user, unless that takes the last active admin away. Where there is none, nothing is taken away.
    async fn change_user(&self, id: &UserId, change: &UserChange, source: &Source) -> Result<(), Refusal> {
        source.is_about(id);
        let any_admin = |users: &[User]| users.iter().any(|user| self.role(user) == Role::Admin);
        // Looked at within the change: whoever becomes an admin or stops being one at the same moment is counted.
        let keep = |before: &[User], after: &[User]| !any_admin(before) || any_admin(after);
        let event = change.event(id, source, self.clock.now());
        match self.store.change_user(id, change, &keep, &event).await? {
            UserChanged::Done => Ok(()),
            UserChanged::NoSuchUser => Err(Refusal::NotFound { what: "user" }),
            UserChanged::Refused => {
                Err(Refusal::InvalidState { hint: "the last active admin stays one, and stays active" })
            }
        }
    }
}

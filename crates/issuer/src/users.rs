//! Administration of users by admins: listing, activating, deactivating, roles.

use super::error::IssuerError;
use super::issuer::Issuer;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::api_key::ApiKey;
use bmap_model::audit::Source;
use bmap_model::role::{Role, UnverifiedRole};
use bmap_model::user::User;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_store::{UserChange, UserChanged};

/// An admin, and how it showed that it is one.
#[derive(Debug)]
pub struct Admin {
    /// The user.
    pub user: User,
    /// The API key with the capability `administer`, where it used one of its own; else it is signed in.
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

    /// An active user as the admin that it is: signed in, or with an API key that has the capability `administer`. An admin's other keys are
    /// worth what their tools are, and no more (O07).
    ///
    /// # Errors
    /// [`IssuerError::NotAdmin`].
    pub fn admin(&self, user: User, key: Option<&ApiKey>, source: &Source) -> Result<Admin, IssuerError> {
        let may = key.is_none_or(|key| key.scope.administer);
        match self.role(&user) {
            Role::Admin if may => Ok(Admin { user, key: key.map(|key| key.id.clone()), source: source.clone() }),
            Role::Admin | Role::Member => Err(IssuerError::NotAdmin),
        }
    }

    /// Up to `limit` users, oldest first, beginning after that one.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn user_records(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<UserRecord>, IssuerError> {
        let users = self.store.users_after(after, limit).await?;
        let record = |(user, email)| UserRecord { role: self.role(&user), user, email };
        Ok(users.into_iter().map(record).collect())
    }

    /// A user.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`].
    pub async fn user_record(&self, id: &UserId) -> Result<UserRecord, IssuerError> {
        let user = self.store.user(id).await?.ok_or(IssuerError::NotFound { what: "user" })?;
        let email = self.store.account(id).await?.map(|account| account.email);
        Ok(UserRecord { role: self.role(&user), user, email })
    }

    /// Deactivates a user: its sessions end for good, its keys and the renewal of its tokens stop working at once.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`], or [`IssuerError::InvalidState`] where no admin would be left to activate it again.
    pub async fn deactivate_user(&self, id: &UserId, source: &Source) -> Result<(), IssuerError> {
        self.change_user(id, &UserChange::Deactivate(self.clock.now()), None, source).await
    }

    /// Activates a user again.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`].
    pub async fn activate_user(&self, id: &UserId, source: &Source) -> Result<(), IssuerError> {
        self.change_user(id, &UserChange::Activate, None, source).await
    }

    /// Gives a user a role, with the step-up of the admin who does; the operator needs none.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`] or [`IssuerError::InvalidState`].
    pub async fn set_role(
        &self,
        id: &UserId,
        role: Role,
        stepped_up: Option<&SteppedUp>,
        source: &Source,
    ) -> Result<(), IssuerError> {
        let change = UserChange::Role(UnverifiedRole::seal(&self.roots, id, role));
        self.change_user(id, &change, stepped_up, source).await
    }

    /// Changes a user, unless that takes the last active admin away. Where there is none, nothing is taken away.
    async fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        stepped_up: Option<&SteppedUp>,
        source: &Source,
    ) -> Result<(), IssuerError> {
        source.is_about(id);
        let any_admin = |users: &[User]| users.iter().any(|user| self.role(user) == Role::Admin);
        // Looked at within the change: a user who becomes an admin or stops being one at the same moment is counted.
        let keep = |before: &[User], after: &[User]| !any_admin(before) || any_admin(after);
        let event = change.event(id, source, self.clock.now());
        match self.store.change_user(id, change, &keep, stepped_up, &event).await? {
            UserChanged::Done => Ok(()),
            UserChanged::NoSuchUser => Err(IssuerError::NotFound { what: "user" }),
            UserChanged::Refused => {
                Err(IssuerError::InvalidState { hint: "the last active admin stays one, and stays active" })
            }
        }
    }
}

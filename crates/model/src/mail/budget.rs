//! How much is mailed to one address. One budget for all mails would be a weapon: an attacker who uses it up would hold back
//! the link that the address's owner waits for. So there are several, and no use of one touches another.

/// The budget that a mail counts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Links to a new password, which any caller may ask for. When it is used up in an hour, the links that used it up are in
    /// the mailbox, and each works for longer than that hour lasts: its owner has one, whichever caller asked.
    NewPassword,
    /// Links to begin an account, which any caller can cause to any address. One network of callers can't use it up
    /// ([`MAIL_PER_ACCOUNT`](bmap_issuer::account::limits::MAIL_PER_ACCOUNT)).
    Registration,
    /// Links by which a user who is signed in takes the address for the account.
    NewAddress,
    /// Invitations by admins.
    Invitation,
    /// Notices of changes by a user who is signed in to the account of the address.
    StoredNotice,
    /// Notices of acts that outlive a session, such as a new API key. They have a budget of their own, so that no other notice uses it up,
    /// and those over it are mailed in the hours after (`store/account/outbox.rs`): every act is told.
    Act,
}

impl Budget {
    /// Most mails in an hour, from whatever process.
    pub const fn per_hour(self) -> i64 {
        match self {
            Budget::NewPassword | Budget::NewAddress | Budget::Invitation => 3,
            Budget::Registration | Budget::StoredNotice | Budget::Act => 6,
        }
    }

    /// The name that tells the counters of one address apart.
    pub const fn name(self) -> &'static [u8] {
        match self {
            Budget::NewPassword => b"new-password\n",
            Budget::Registration => b"asked\n",
            Budget::NewAddress => b"new-address\n",
            Budget::Invitation => b"invitation\n",
            Budget::StoredNotice => b"word\n",
            Budget::Act => b"act\n",
        }
    }
}

//! How much is mailed to one address. One budget for whatever it is would be a weapon: somebody who has an address written to
//! until it is used up would hold back the link that its owner waits for. So there are four, and no use of one touches another.

/// What a mail counts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Links to a new password, which anybody may ask for. When it is used up in an hour, the links that used it up are in the
    /// mailbox, and each works for longer than that hour lasts: its owner has one, whoever asked.
    NewPassword,
    /// Whatever else anybody can have mailed to anybody: a registration, an address for somebody's account.
    Asked,
    /// Word of what was done by somebody who is signed in to the account of the address.
    Word,
    /// Notices of acts that outlive a session, such as a new API key. They have a budget of their own, so that no other word uses it up, and
    /// those over it are mailed in the hours after (`store/sql_outbox.rs`): every act is told.
    Act,
}

impl Budget {
    /// Most mails in an hour, from whatever process.
    pub const fn per_hour(self) -> i64 {
        match self {
            Budget::NewPassword | Budget::Asked => 3,
            Budget::Word | Budget::Act => 6,
        }
    }

    /// What tells the counters of one address apart.
    pub const fn name(self) -> &'static [u8] {
        match self {
            Budget::NewPassword => b"new-password\n",
            Budget::Asked => b"asked\n",
            Budget::Word => b"word\n",
            Budget::Act => b"act\n",
        }
    }
}

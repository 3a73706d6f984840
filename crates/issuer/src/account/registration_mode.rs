//! Which addresses may begin an account.

/// Who may begin an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Everyone who reads the mail of an address.
    #[default]
    Open,
    /// Everyone whom an admin or the operator invited.
    Invited,
    /// No one.
    Closed,
}

impl RegistrationMode {
    /// Its word, as it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            RegistrationMode::Open => "open",
            RegistrationMode::Invited => "invited",
            RegistrationMode::Closed => "closed",
        }
    }

    /// The one for its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Invited, Self::Closed].into_iter().find(|mode| mode.as_str() == word)
    }
}

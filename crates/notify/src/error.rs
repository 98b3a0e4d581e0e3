//! How a message did not arrive. What matters to the sender: whether it may have, and whether another try may succeed.

use std::time::Duration;

/// Why a message was not delivered. Contains no secret: not the address of a webhook, which often is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No channel has this name, any more.
    #[error("channel `{0}` is not configured")]
    NoSuchChannel(String),
    /// It has not arrived, and may the next time.
    #[error("{reason}")]
    NotReceived {
        /// What happened.
        reason: String,
        /// When the receiver asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// It may have arrived.
    #[error("{reason}; it may have arrived")]
    Unknown {
        /// What happened.
        reason: String,
    },
    /// Some of its recipients have it; these do not, and may the next time.
    #[error("{reason}")]
    Partly {
        /// What happened.
        reason: String,
        /// Who.
        recipients: Vec<String>,
        /// Who else will never have it, and why.
        refused: Option<String>,
    },
    /// It will never be taken as it is.
    #[error("{reason}")]
    Permanent {
        /// What happened.
        reason: String,
    },
}

impl SendError {
    pub(crate) fn not_received(reason: impl Into<String>) -> Self {
        Self::NotReceived { reason: reason.into(), retry_after: None }
    }

    pub(crate) fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }
}

//! Which alerts people ask for: the API and the command line have the same words.

use clap::ValueEnum;
use dogwatch_alerting::Status;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the life of an alert has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Active or acknowledged.
    Open,
    /// Not long enough yet to be told.
    Pending,
    /// Nobody has said that they have seen it.
    Active,
    /// Somebody has.
    Acknowledged,
    /// Over.
    Resolved,
}

impl Shown {
    /// In the words of the store.
    pub fn statuses(self) -> Vec<Status> {
        match self {
            Self::Open => vec![Status::Active, Status::Acknowledged],
            Self::Pending => vec![Status::Pending],
            Self::Active => vec![Status::Active],
            Self::Acknowledged => vec![Status::Acknowledged],
            Self::Resolved => vec![Status::Resolved],
        }
    }
}

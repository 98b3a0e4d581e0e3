//! Which alerts people ask for and silence: the API and the command line have the same words.

use clap::ValueEnum;
use dogwatch_alerting::Status;
use dogwatch_store::{Store, StoreError, StoredSilence};
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

/// A silence that was made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedSilence {
    /// The silence.
    #[serde(flatten)]
    pub silence: StoredSilence,
    /// How many open alerts it matches now.
    pub matching_alerts: usize,
}

impl CreatedSilence {
    /// Counts the open alerts that each of these silences matches.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn of(store: &Store, silences: Vec<StoredSilence>) -> Result<Vec<Self>, StoreError> {
        let mut created: Vec<Self> =
            silences.into_iter().map(|silence| Self { silence, matching_alerts: 0 }).collect();
        let mut open = store.open_alerts();
        loop {
            let page = open.next_page().await?;
            if page.is_empty() {
                return Ok(created);
            }
            for Self { silence, matching_alerts } in &mut created {
                *matching_alerts +=
                    page.iter().filter(|alert| silence.matcher.matches(&alert.labels)).count();
            }
        }
    }
}

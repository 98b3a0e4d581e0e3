//! What can go wrong between us and Postgres.

use chrono::TimeDelta;
use dogwatch_runtime::duration;
use sqlx::migrate::MigrateError;

const NO_TLS: &str = "the server offers no TLS";

/// Why a query did not succeed. Display does not repeat the source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Postgres did not answer, or refused the query.
    #[error("cannot {doing}")]
    Query {
        /// What was attempted.
        doing: &'static str,
        /// What Postgres or the connection said.
        source: sqlx::Error,
    },
    /// The server offers no TLS, and is on another machine.
    #[error(
        "cannot {doing}: {NO_TLS}, and a password would cross the network in clear text; turn TLS on there, or \
         write sslmode=disable in the address to allow that"
    )]
    NoTls {
        /// What was attempted.
        doing: &'static str,
    },
    /// One of two clocks is wrong, and what is done by them would be too.
    #[error(
        "the clock of this machine is {} {} that of Postgres, so nothing is removed; let both keep their time by NTP",
        duration::format_rounded(ahead.abs()),
        if *ahead > TimeDelta::zero() { "ahead of" } else { "behind" }
    )]
    ClockSkew {
        /// How far this machine is ahead.
        ahead: TimeDelta,
    },
    /// The migrations could not be applied.
    #[error("cannot migrate the database")]
    Migrate(#[source] MigrateError),
    /// The address is none of Postgres. It is not shown: it holds a password.
    #[error(
        "the address of Postgres is wrong: {reason}; write postgres://USER:PASSWORD@HOST/DATABASE, \
             and in the password `@` as %40, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25"
    )]
    Url {
        /// What is wrong.
        reason: String,
    },
    /// The database holds a word that this version does not know.
    #[error(
        "the database holds {what} `{word}`, which this version does not know; is it older than the database?"
    )]
    Word {
        /// What the word is about.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A stored document cannot be read.
    #[error("the database holds {what} that cannot be read")]
    Document {
        /// What it is.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

/// Why a connection could not be made, as a sentence. Carries no secret.
pub(crate) fn connecting(error: sqlx::Error) -> String {
    StoreError::query("connect")(error).reason()
}

impl StoreError {
    pub(crate) fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match &source {
            sqlx::Error::Tls(error) if error.to_string() == "server does not support TLS" => {
                Self::NoTls { doing }
            }
            _ => Self::Query { doing, source },
        }
    }

    /// What Postgres answered, or what else went wrong, in one sentence.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Query { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    /// True when the fault is the server's state or the network's, so that trying again later may succeed.
    pub fn is_unavailable(&self) -> bool {
        // A server may be configured anew while we run.
        if matches!(self, Self::NoTls { .. }) {
            return true;
        }
        let (Self::Query { source, .. }
        | Self::Migrate(MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _))) = self
        else {
            return false;
        };
        match source {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Tls(_) => true,
            // 08: connection, 53: resources, 57: operator's intervention (shutdown, start-up), save 57014: cancelled
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                ["08", "53", "57"].iter().any(|class| code.starts_with(class)) && code != "57014"
            }),
            _ => false,
        }
    }

    /// True when a text holds a zero byte, which Postgres cannot store.
    pub fn is_unstorable(&self) -> bool {
        let Self::Query { source: sqlx::Error::Database(error), .. } = self else { return false };
        // character_not_in_repertoire; untranslatable_character, of JSON
        error.code().is_some_and(|code| code == "22021" || code == "22P05")
    }

    /// True when another transaction was in the way, and the same again may succeed at once.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let sqlx::Error::Database(error) = source else { return false };
        // 40: rolled back, because of a deadlock or of a serialization failure
        error.code().is_some_and(|code| code.starts_with("40"))
    }
}

//! `idempotent_requests`: what a request with an Idempotency-Key was answered, for a day.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;

/// How long an answer is remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// A request as its sender named it.
#[derive(Clone, Debug)]
pub struct RequestName {
    /// Who sent it.
    pub caller: Uuid,
    /// What they call it.
    pub key: String,
    /// What it asks.
    pub request_sha256: Vec<u8>,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAnswer {
    /// The HTTP status.
    pub status: i16,
    /// Of the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers of a caller that are remembered.
const MAX_OF_CALLER: i64 = 1000;
/// Bytes of the answers of a caller that are remembered.
const MAX_BYTES_OF_CALLER: i64 = 16 << 20;

/// Whether a request is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is, and is its caller's to answer.
    New,
    /// It is under way.
    UnderWay,
    /// It was answered.
    Answered(PastAnswer),
    /// Its name is that of another request.
    Another,
}

impl Store {
    /// Begins a request, unless it was begun before; one that was begun before `lost_before` and has no answer is begun anew.
    pub async fn begin_request(
        &self,
        name: &RequestName,
        lost_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Begun, StoreError> {
        let failed = || StoreError::query("look for an answer");
        let forget = sqlx::query!("DELETE FROM idempotent_requests WHERE created_at < $1", now - REMEMBERED);
        forget.execute(&self.pool).await.map_err(failed())?;
        let begin = sqlx::query!(
            "INSERT INTO idempotent_requests AS known (caller, idempotency_key, request_sha256, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (caller, idempotency_key) DO UPDATE SET created_at = excluded.created_at
             WHERE known.status IS NULL AND known.created_at < $5 AND known.request_sha256 = excluded.request_sha256",
            name.caller,
            name.key,
            name.request_sha256,
            now,
            lost_before
        );
        if begin.execute(&self.pool).await.map_err(failed())?.rows_affected() == 1 {
            // Of each caller the last answers are remembered, so that none fills the table.
            let forget = sqlx::query!(
                "DELETE FROM idempotent_requests WHERE caller = $1 AND status IS NOT NULL AND idempotency_key IN (
                     SELECT idempotency_key FROM (
                         SELECT idempotency_key, row_number() OVER last_first AS number,
                                sum(octet_length(body)) OVER last_first AS bytes
                         FROM idempotent_requests WHERE caller = $1
                         WINDOW last_first AS (ORDER BY created_at DESC, idempotency_key)
                     ) AS kept
                     WHERE number > $2 OR bytes > $3
                 )",
                name.caller,
                MAX_OF_CALLER,
                MAX_BYTES_OF_CALLER
            );
            forget.execute(&self.pool).await.map_err(failed())?;
            return Ok(Begun::New);
        }
        let known = sqlx::query!(
            "SELECT request_sha256, status, content_type, body FROM idempotent_requests
             WHERE caller = $1 AND idempotency_key = $2",
            name.caller,
            name.key
        );
        let known = known.fetch_optional(&self.pool).await.map_err(failed())?;
        // It was given up in between: the next try begins it.
        let Some(known) = known else { return Ok(Begun::UnderWay) };
        Ok(match known.status {
            _ if known.request_sha256 != name.request_sha256 => Begun::Another,
            None => Begun::UnderWay,
            Some(status) => Begun::Answered(PastAnswer {
                status,
                content_type: known.content_type,
                body: known.body.unwrap_or_default(),
            }),
        })
    }

    /// Remembers what a request was answered; with no answer it is forgotten, and may be sent again.
    pub async fn end_request(
        &self,
        name: &RequestName,
        answer: Option<&PastAnswer>,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::query("remember an answer");
        let Some(PastAnswer { status, content_type, body }) = answer else {
            let forget = sqlx::query!(
                "DELETE FROM idempotent_requests WHERE caller = $1 AND idempotency_key = $2 AND status IS NULL",
                name.caller,
                name.key
            );
            return forget.execute(&self.pool).await.map(drop).map_err(failed());
        };
        let remember = sqlx::query!(
            "UPDATE idempotent_requests SET status = $3, content_type = $4, body = $5
             WHERE caller = $1 AND idempotency_key = $2",
            name.caller,
            name.key,
            status,
            content_type.as_deref(),
            body
        );
        remember.execute(&self.pool).await.map(drop).map_err(failed())
    }
}

//! What all channels over HTTP share: a bounded POST, and what an answer means.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::SendError;

/// How much of an answer is read: Slack repeats the message in its own.
const MAX_ANSWER: usize = 256 * 1024;
/// How much of it goes into an error.
const MAX_ERROR: usize = 300;
/// Longer than this no receiver makes us wait.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Redirects are not followed: addresses come from the configuration alone.
pub(crate) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dogwatch/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Checks an address of the settings.
pub(crate) fn check_url(url: &SecretString) -> Result<(), String> {
    let url = Url::parse(url.expose_secret()).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(()),
        scheme => Err(format!("begins with `{scheme}:`; write http://… or https://…")),
    }
}

/// Sends a request; the beginning of the answer when it is a success.
pub(crate) async fn send(request: RequestBuilder) -> Result<String, SendError> {
    let response = request.send().await.map_err(|error| {
        // Before there is a connection, nothing can have arrived.
        let is_early = error.is_connect() || error.is_builder();
        let reason = format!("the receiver cannot be reached: {}", chain(&error.without_url()));
        if is_early { SendError::not_received(reason) } else { SendError::Unknown { reason } }
    })?;
    let status = response.status();
    let retry_after = retry_after(&response);
    let body = beginning(response).await;
    if status.is_success() {
        return Ok(body);
    }
    let short = body.floor_char_boundary(MAX_ERROR);
    let reason = format!("the receiver answered {}: {}", status.as_u16(), body[..short].trim());
    Err(match status.as_u16() {
        408 | 425 | 429 | 503 => SendError::NotReceived { reason, retry_after },
        500.. => SendError::Unknown { reason },
        _ => SendError::permanent(reason),
    })
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Reads no more of an answer than is used.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_ANSWER);
    String::from_utf8_lossy(&body).into_owned()
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

//! HTTP: the status, the body, values of it; redirects as far as they may be followed.

use dogwatch_queue::error_chain;
use reqwest::header::LOCATION;
use reqwest::{Client, Method, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::Seen;
use crate::target::ServiceTarget;

/// How much of a body is read.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn look(target: &ServiceTarget, http: &Client) -> Seen {
    let mut url = Url::parse(target.url.expose_secret()).map_err(|error| error.to_string())?;
    let mut left = target.redirects;
    let response = loop {
        let response = ask(target, http, url.clone()).await?;
        let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok());
        match next.filter(|_| left > 0 && response.status().is_redirection()) {
            Some(next) => {
                left -= 1;
                let next = url.join(next).map_err(|error| format!("redirects to what is no URL: {error}"))?;
                if !matches!(next.scheme(), "http" | "https") {
                    return Err(format!("redirects to {}:", next.scheme()));
                }
                url = next;
            }
            None => break response,
        }
    };
    let status = response.status().as_u16();
    if !target.expect_status.contains(&status) {
        let expected = target.expect_status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        return Err(format!("answered {status}, expected {expected}"));
    }
    if target.expect_body.is_none() && target.expect_json.is_empty() {
        return Ok(None);
    }
    let body = body(response).await?;
    if let Some(expected) = target.expect_body.as_ref().filter(|expected| !body.contains(expected.as_str())) {
        return Err(format!("the body does not contain `{expected}`"));
    }
    if !target.expect_json.is_empty() {
        let json: Value =
            serde_json::from_str(&body).map_err(|error| format!("the body is no JSON: {error}"))?;
        for (pointer, expected) in &target.expect_json {
            let found = json.pointer(pointer);
            if found != Some(expected) {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| short(&found.to_string()));
                return Err(format!("{pointer} is {found}, expected {expected}"));
            }
        }
    }
    Ok(None)
}

async fn ask(target: &ServiceTarget, http: &Client, url: Url) -> Result<Response, String> {
    let method = Method::from_bytes(target.method.as_bytes()).map_err(|error| error.to_string())?;
    // What is meant for one server is not told to another.
    let is_first =
        target.url.expose_secret().parse::<Url>().is_ok_and(|first| first.origin() == url.origin());
    let mut request = http.request(method, url);
    for (name, value) in target.headers.iter().filter(|_| is_first) {
        request = request.header(name, value.expose_secret());
    }
    request.send().await.map_err(|error| error_chain(&error.without_url()))
}

async fn body(mut response: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_BODY
        && let Some(chunk) = response.chunk().await.map_err(|error| error_chain(&error.without_url()))?
    {
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

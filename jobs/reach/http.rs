//! HTTP: the status, the body, values of it; redirects as far as they may be followed.

use dogwatch_queue::error_chain;
use encoding_rs::{Encoding, UTF_8};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::{Host, Url};

use super::{Eyes, Seen};
use crate::target::ServiceTarget;

/// How much of a body is read.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn look(target: &ServiceTarget, eyes: &Eyes<'_>) -> Seen {
    let mut url = Url::parse(target.url.expose_secret()).map_err(|error| error.to_string())?;
    let mut left = target.redirects;
    let response = loop {
        // What is on this machine is asked without the proxy that the environment names.
        let http = if is_here(&url) { eyes.http_here } else { eyes.http };
        let response = ask(target, http, url.clone()).await?;
        let next = response.headers().get(LOCATION);
        match next.filter(|_| left > 0 && response.status().is_redirection()) {
            Some(next) => {
                left -= 1;
                // Some write it in UTF-8, though it should be encoded.
                let next = String::from_utf8_lossy(next.as_bytes());
                let next =
                    url.join(&next).map_err(|error| format!("redirects to what is no URL: {error}"))?;
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
    // A stream has no end: what is looked for may be there before.
    let sought = target.expect_body.as_deref().filter(|_| target.expect_json.is_empty());
    let body = body(response, sought).await?;
    if let Some(expected) = target.expect_body.as_ref().filter(|expected| !body.contains(expected.as_str())) {
        return Err(format!("the body does not contain `{expected}`"));
    }
    if !target.expect_json.is_empty() {
        let json: Value =
            serde_json::from_str(&body).map_err(|error| format!("the body is no JSON: {error}"))?;
        for (pointer, expected) in &target.expect_json {
            let found = json.pointer(pointer);
            if !found.is_some_and(|found| is_same(found, expected)) {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| short(&found.to_string()));
                return Err(format!("{pointer} is {found}, expected {expected}"));
            }
        }
    }
    Ok(None)
}

/// Whether two values are the same; of numbers, 5 is 5.0.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has_same =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(has_same)
        }
        _ => one == other,
    }
}

/// Whether an address is on this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
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

/// The body as text, as far as it is read: to its end, to [`MAX_BODY`], or until it has what is sought.
async fn body(mut response: Response, sought: Option<&str>) -> Result<String, String> {
    let named = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).and_then(charset);
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < MAX_BODY
        && let Some(chunk) = response.chunk().await.map_err(|error| error_chain(&error.without_url()))?
    {
        let before = bytes.len();
        bytes.extend_from_slice(&chunk);
        if let Some(sought) = sought.map(str::as_bytes).filter(|sought| !sought.is_empty()) {
            // It may have begun in the chunk before.
            let fresh = &bytes[before.saturating_sub(sought.len())..];
            if fresh.windows(sought.len()).any(|window| window == sought) {
                break;
            }
        }
    }
    // A mark at its beginning says more than the header, and is not part of the text.
    let (text, _, _) = named.unwrap_or(UTF_8).decode(&bytes);
    Ok(text.into_owned())
}

/// `text/plain; charset=latin1`
fn charset(kind: &str) -> Option<&'static Encoding> {
    let parameters = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    Encoding::for_label(charset?.1.trim().trim_matches('"').as_bytes())
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

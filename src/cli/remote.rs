//! `--url` and `--key`: a Dogwatch elsewhere, over HTTP. What it answers has the same types as what is read here, and so looks the
//! same.

use std::time::Duration;

use anyhow::Context;
use dogwatch_queue::{TraceContext, error_chain};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use super::{output, usage};
use crate::metrics::Page;

/// A little more than the API gives itself.
const LIMIT: Duration = Duration::from_secs(35);

/// The API could not be reached, or something behind it: the same request may succeed later.
#[derive(Debug)]
pub(super) struct Unavailable(String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A Dogwatch elsewhere.
#[derive(Debug)]
pub(super) struct Remote {
    http: reqwest::Client,
    base: Url,
    /// The same without a password, to be shown.
    shown: Url,
    key: Option<SecretString>,
    trace: Option<TraceContext>,
}

/// Whether an address is one of this machine alone.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Remote {
    /// Continues this trace.
    pub(super) fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    pub(super) fn new(base: &Url, key: Option<SecretString>) -> anyhow::Result<Self> {
        let mut shown = base.clone();
        if shown.set_username("").is_ok() {
            let _ = shown.set_password(None);
        }
        shown.set_query(None);
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(usage(format!("--url `{shown}`: write one such as https://dogwatch.example.com")));
        }
        let http = reqwest::Client::builder()
            .timeout(LIMIT)
            .user_agent(concat!("dogwatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot set up the HTTP client")?;
        if key.is_some() && base.scheme() == "http" && !is_this_machine(base) {
            output::note(
                "warning: the key is sent in clear text; put TLS before that Dogwatch, and write https://",
            );
        }
        Ok(Self { http, base: base.clone(), shown, key, trace: None })
    }

    /// A command works on the machine itself alone: wrong usage.
    pub(super) fn does_not(&self) -> anyhow::Error {
        let base = &self.shown;
        usage(format!(
            "--url {base}: this command works on the machine itself; its dashboard and API may do the same"
        ))
    }

    /// Asks for a text.
    pub(super) async fn text(&self, path: &[&str], query: &impl Serialize) -> anyhow::Result<String> {
        let answer = self.answer(self.request(Method::GET, path)?.query(query)).await?;
        answer.text().await.with_context(|| format!("{} did not say all", self.shown))
    }

    /// Asks for what stands below `/api/v1`; parts of the path are escaped.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.send(self.request(Method::GET, path)?.query(query)).await
    }

    /// Asks for a list, page by page.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Vec<(&str, &str)>,
    ) -> anyhow::Result<Vec<T>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut asked = query.clone();
            asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &asked).await?;
            all.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Has something done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.post_to(path, &(), body).await
    }

    /// The same, with a query.
    pub(super) async fn post_to<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.send(self.request(Method::POST, path)?.query(query).json(body)).await
    }

    /// Has something removed.
    pub(super) async fn delete(&self, path: &[&str], query: &impl Serialize) -> anyhow::Result<()> {
        self.answer(self.request(Method::DELETE, path)?.query(query)).await.map(drop)
    }

    fn request(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        // In an address, also percent-encoded, they mean another place: the request would do something else.
        if let Some(name) = path.iter().find(|name| matches!(**name, "." | "..")) {
            return Err(usage(format!(
                "`{name}` cannot be part of an address; it cannot be reached by --url"
            )));
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let mut request = self.http.request(method, url);
        if let Some(trace) = self.trace {
            request = request.header("traceparent", trace.to_string());
        }
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        })
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let answer = self.answer(request).await?;
        answer.json().await.with_context(|| format!("{} is no Dogwatch of this version", self.shown))
    }

    /// An answer that says that all is well.
    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let unreachable = |error: reqwest::Error| {
            Unavailable(format!("cannot reach {}: {}", self.shown, error_chain(&error.without_url())))
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let problem: Value = answer.json().await.unwrap_or_default();
        let detail =
            problem["detail"].as_str().unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason"));
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(usage(detail)),
            // The address has `?queue=`, the command line a flag.
            StatusCode::CONFLICT if problem["queues"][0].is_string() => {
                let queue = problem["queues"][0].as_str().unwrap_or_default();
                anyhow::bail!("{} answers {}: {detail}, here --queue {queue}", self.shown, status.as_u16())
            }
            StatusCode::UNAUTHORIZED => anyhow::bail!("{detail} (--key, or DOGWATCH_KEY)"),
            // Between us and it, a proxy may say so as well.
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT => {
                let text = format!("{} answers {}: {detail}", self.shown, status.as_u16());
                Err(Unavailable(text).into())
            }
            _ => anyhow::bail!("{} answers {}: {detail}", self.shown, status.as_u16()),
        }
    }
}

//! Who comes in, and where: each group of routes says which scope it needs, and whether it shows one tenant what is its own. A
//! request that needs no key because of the address it comes from, or because a browser has signed in, has to come from our
//! own pages: other sites cannot make a browser act here.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dogwatch_store::Scope;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::connections::Peer;
use super::error::Problem;
use crate::access::{Caller, Credential, Keyring, Refused};
use crate::otlp;

/// The cookie of a browser that has signed in.
pub(super) const COOKIE: &str = "dogwatch_session";
/// Keys whose rates are remembered; then those that are at rest are forgotten.
const MAX_RATES: usize = 10_000;

/// Bytes of the name of a person.
const MAX_NAME: usize = 100;

/// Whose data a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenants {
    /// A key of a tenant sees its own.
    Own,
    /// Of Dogwatch as a whole: no key of a tenant comes in.
    All,
}

/// What guards a group of routes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    keyring: Keyring,
    rates: Arc<DefaultKeyedRateLimiter<Option<Uuid>>>,
    scope: Scope,
    tenants: Tenants,
}

impl Guard {
    /// Of routes that need this. A key sends at most so many requests a minute.
    pub(super) fn new(keyring: Keyring, requests_per_minute: NonZeroU32) -> Self {
        let rates = Arc::new(RateLimiter::keyed(Quota::per_minute(requests_per_minute)));
        Self { keyring, rates, scope: Scope::Admin, tenants: Tenants::All }
    }

    /// The same for other routes.
    pub(super) fn of(&self, scope: Scope, tenants: Tenants) -> Self {
        Self { scope, tenants, ..self.clone() }
    }

    async fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        address: Option<String>,
    ) -> Result<Caller, Problem> {
        let shown = credential(headers);
        let caller = self.keyring.caller(shown.as_ref(), address).await?;
        match &shown {
            Some(Credential::Key(_)) => {}
            Some(Credential::Session(_)) => from_our_pages(headers, method)?,
            None => {
                from_this_machine(uri, headers)?;
                from_our_pages(headers, method)?;
            }
        }
        if shown.is_none() && !caller.may(self.scope) {
            return Err(self.keyring.missing().into());
        }
        caller.require(self.scope)?;
        if self.tenants == Tenants::All
            && let Some(tenant) = &caller.tenant
        {
            let reason = format!("this is about all tenants, and the key is of tenant `{tenant}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, reason));
        }
        self.count(caller.key)?;
        Ok(caller)
    }

    /// One more request of a key.
    pub(super) fn count(&self, key: Option<Uuid>) -> Result<(), Problem> {
        if self.rates.len() > MAX_RATES {
            self.rates.retain_recent();
        }
        self.rates.check_key(&key).map_err(|until| {
            let pause = until.wait_time_from(DefaultClock::default().now());
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "this key sends more requests a minute than it may")
                .retry_after(pause)
        })
    }
}

/// Lets those in who may, and tells the handler who it is.
pub(super) async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let address = address(request.extensions(), request.headers());
    match guard.admit(request.method(), request.uri(), request.headers(), address).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The same for exporters, who are refused in the words of their protocol.
pub(super) async fn admit_exporter(
    State((guard, receiver)): State<(Guard, otlp::Receiver)>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = address(request.extensions(), request.headers());
    match guard.admit(request.method(), request.uri(), request.headers(), address).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => {
            receiver.count_refused(problem.code(), problem.detail());
            problem.for_exporters(request.headers())
        }
    }
}

/// Where a request comes from, for people: a proxy says for whom it asks.
fn address(extensions: &Extensions, headers: &HeaderMap) -> Option<String> {
    let Peer(peer) = extensions.get()?;
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let client = forwarded.map(|clients| clients.split(',').next_back().unwrap_or_default().trim());
    Some(client.map_or_else(|| peer.to_string(), |client| format!("{client} by {peer}")))
}

/// Where a request comes from, for handlers that no guard stands before.
pub(super) struct ClientAddress(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(address(&parts.extensions, &parts.headers)))
    }
}

/// What a request shows: a key, or else a cookie.
pub(super) fn credential(headers: &HeaderMap) -> Option<Credential> {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    if let Some(value) = text(header::AUTHORIZATION) {
        let (scheme, key) = value.trim().split_once(' ').unwrap_or(("", value));
        let key = if scheme.eq_ignore_ascii_case("bearer") { key } else { "" };
        return Some(Credential::Key(key.to_owned()));
    }
    if let Some(key) = headers.get("x-api-key") {
        return Some(Credential::Key(key.to_str().unwrap_or_default().to_owned()));
    }
    session(headers).map(Credential::Session)
}

/// The cookie of a browser that has signed in.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// A browser says where a request comes from (<https://www.w3.org/TR/fetch-metadata/>), or at least from which site it was
/// made. What is no browser says neither, and no other site can make it do anything.
fn from_our_pages(headers: &HeaderMap, method: &Method) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text("host"),
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    let reason = "comes from the page of another site; send an API key";
    Err(Problem::new(StatusCode::FORBIDDEN, reason))
}

/// Headers of proxies.
const FORWARDED: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// An address that is open is open to this machine: not to a proxy, and not to a page whose name was made to point here.
fn from_this_machine(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    // All of them, where there are several (RFC 9112, section 3.2, allows one).
    let host = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    // HTTP/2 has it in the address.
    let mut names = uri.authority().map(Authority::as_str).into_iter().chain(host).peekable();
    let is_named = names.peek().is_some();
    if is_named && names.all(is_local) && FORWARDED.iter().all(|name| !headers.contains_key(*name)) {
        return Ok(());
    }
    Err(Refused::Missing.into())
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A route that no guard stands before shows nothing.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Refused::Missing.into())
    }
}

impl Caller {
    /// Refuses it when it may not do this.
    pub(super) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        let reason = format!("the key `{}` does not have the scope `{scope}`", self.name);
        Err(Problem::new(StatusCode::FORBIDDEN, reason))
    }

    /// Who acts, for people: the key, and before it whom its user says that it acts for, which nobody has checked.
    pub(super) fn by(&self, name: Option<&str>) -> Result<String, Problem> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty() && *name != self.name) else {
            return Ok(self.name.clone());
        };
        if name.len() > MAX_NAME || name.contains(|char: char| char.is_control() || "()".contains(char)) {
            let reason = format!("write up to {MAX_NAME} bytes, without parentheses and control characters");
            return Err(Problem::at("/by", reason));
        }
        // Without a key, nobody is known by another name.
        Ok(if self.key.is_some() { format!("{name} (key {})", self.name) } else { name.to_owned() })
    }

    /// Whose data it is shown when it asks for this tenant's, or for everybody's.
    pub(super) fn tenant(&self, asked: Option<String>) -> Result<Option<String>, Problem> {
        match (&self.tenant, asked) {
            (Some(own), Some(asked)) if *own != asked => Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!("the key `{}` is of another tenant", self.name),
            )),
            (Some(own), _) => Ok(Some(own.clone())),
            (None, asked) => Ok(asked),
        }
    }

    /// Whether it sees what is of this tenant.
    pub(super) fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            Refused::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string()),
            refused => Self::new(StatusCode::UNAUTHORIZED, refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn other_sites_cannot_make_a_browser_act_here() {
        let post = |pairs| from_our_pages(&headers(pairs), &Method::POST).is_ok();
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(!post(&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8787")]));
        assert!(!post(&[("sec-fetch-site", "same-site")]));
        assert!(post(&[("origin", "http://127.0.0.1:8787"), ("host", "127.0.0.1:8787")]));
        assert!(!post(&[("origin", "http://evil.example"), ("host", "127.0.0.1:8787")]));
        assert!(!post(&[("origin", "null"), ("host", "127.0.0.1:8787")]));
        assert!(post(&[]), "curl");
    }

    #[test]
    fn an_open_address_is_open_to_this_machine_alone() {
        for host in ["localhost", "localhost:8787", "127.0.0.1:8787", "[::1]:8787", "127.0.0.9"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8787", "10.0.0.1", "[fe80::1]:80", ""] {
            assert!(!is_local(host), "{host}");
        }
        let comes =
            |uri: &'static str, pairs| from_this_machine(&Uri::from_static(uri), &headers(pairs)).is_ok();
        assert!(comes("/", &[("host", "localhost")]) && comes("http://127.0.0.1:8787/", &[]));
        assert!(!comes("/", &[]), "HTTP/1.0, or a proxy");
        assert!(!comes("http://evil.example/", &[("host", "localhost")]));
        assert!(!comes("/", &[("host", "localhost"), ("x-forwarded-for", "203.0.113.9")]));
        let mut twice = headers(&[("host", "localhost")]);
        twice.append("host", "evil.example".parse().unwrap());
        assert!(from_this_machine(&Uri::from_static("/"), &twice).is_err());
    }

    #[test]
    fn a_key_is_read_from_either_header_and_stands_before_a_cookie() {
        let of = |pairs| format!("{:?}", credential(&headers(pairs)));
        assert_eq!(
            of(&[("authorization", "Bearer dw_1_2"), ("cookie", "dogwatch_session=x")]),
            r#"Some(Key("dw_1_2"))"#
        );
        assert_eq!(of(&[("x-api-key", "dw_1_2")]), r#"Some(Key("dw_1_2"))"#);
        assert_eq!(of(&[("cookie", "a=b; dogwatch_session=x")]), r#"Some(Session("x"))"#);
        assert_eq!(of(&[("authorization", "Basic eA==")]), r#"Some(Key(""))"#);
        assert_eq!(of(&[]), "None");
    }
}

//! The address of Redis as a user writes it: which parts it has, what is wrong with it, and how it is shown.

use std::borrow::Cow;

/// How many Redis servers there are and how the one to talk to is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One server.
    Single,
    /// The master that Sentinels name.
    Sentinel,
    /// A cluster.
    Cluster,
}

/// An address in its parts. Holds secrets: it is never shown.
pub(crate) struct Address<'a> {
    pub(crate) kind: Kind,
    scheme: &'a str,
    login: &'a str,
    pub(crate) hosts: Vec<&'a str>,
    /// Behind the hosts, without its first `/`.
    pub(crate) path: &'a str,
    pub(crate) options: Options<'a>,
}

/// What follows `?` and `#`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// Passed on to the driver.
    protocol: Option<&'a str>,
    /// Whether the server's certificate is not checked.
    pub(crate) accepts_any_certificate: bool,
    pub(crate) sentinel_username: Option<String>,
    pub(crate) sentinel_password: Option<String>,
}

/// A password with such a character splits the address in the wrong places.
const ENCODE: &str =
    "in a user or password, write `@` as %40, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25";

impl<'a> Address<'a> {
    /// Splits an address into its parts. `None`: a socket or a host without a scheme, which the driver reads.
    ///
    /// # Errors
    /// A sentence that names what is wrong. It holds no part of the address but names of options.
    pub(crate) fn parse(url: &'a str) -> Result<Option<Self>, String> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(None) };
        let (scheme, kind) = match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" => (scheme, Kind::Single),
            "redis+sentinel" => ("redis", Kind::Sentinel),
            "rediss+sentinel" => ("rediss", Kind::Sentinel),
            "redis+cluster" => ("redis", Kind::Cluster),
            "rediss+cluster" => ("rediss", Kind::Cluster),
            "unix" | "redis+unix" | "valkey+unix" => return check_socket(rest).map(|()| None),
            _ => return Ok(None),
        };
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (login, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
        let is_split_wrongly = [fragment, query].into_iter().flatten().any(|part| part.contains('@'));
        if is_split_wrongly || login.contains('/') {
            return Err(format!("a character of its password splits it; {ENCODE}"));
        }
        let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
        let is_tls = matches!(scheme, "rediss" | "valkeys");
        let options = Options::parse(query, fragment, kind, is_tls)?;
        let address = Self { kind, scheme, login, hosts: hosts.split(',').collect(), path, options };
        match kind {
            Kind::Single if address.hosts.len() > 1 => {
                Err("it has several hosts; write redis+sentinel:// or redis+cluster:// before them"
                    .to_owned())
            }
            Kind::Sentinel if path.split('/').next().is_none_or(str::is_empty) => {
                Err("the name of the master is missing after the hosts".to_owned())
            }
            _ => Ok(Some(address)),
        }
    }

    /// The address of one server, as the driver reads it.
    pub(crate) fn of_node(&self, host: &str, db: &str) -> String {
        let (scheme, login) = (self.scheme, self.login);
        let at = if login.is_empty() { "" } else { "@" };
        self.plain(&format!("{scheme}://{login}{at}{host}/{db}"))
    }

    /// The address of a Sentinel. The login of the master is not a Sentinel's.
    pub(crate) fn of_sentinel(&self, host: &str) -> String {
        self.plain(&format!("{}://{host}", self.scheme))
    }

    fn plain(&self, url: &str) -> String {
        let query = self.options.protocol.map(|value| format!("?protocol={value}")).unwrap_or_default();
        let fragment = if self.options.accepts_any_certificate { "#insecure" } else { "" };
        format!("{url}{query}{fragment}")
    }
}

impl<'a> Options<'a> {
    fn parse(
        query: Option<&'a str>,
        fragment: Option<&'a str>,
        kind: Kind,
        is_tls: bool,
    ) -> Result<Self, String> {
        let mut options = Self::default();
        match fragment {
            None | Some("") => {}
            Some("insecure") if is_tls => options.accepts_any_certificate = true,
            Some(_) => {
                return Err(format!(
                    "nothing but `#insecure` may follow `#`, and that with rediss:// only; {ENCODE}"
                ));
            }
        }
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "protocol" => options.protocol = Some(value),
                "ssl_cert_reqs" if is_tls => match value {
                    "required" | "CERT_REQUIRED" => {}
                    "none" | "CERT_NONE" => options.accepts_any_certificate = true,
                    _ => return Err("option `ssl_cert_reqs`: write `required` or `none`".to_owned()),
                },
                "ssl_cert_reqs" => return Err("option `ssl_cert_reqs` needs rediss://".to_owned()),
                "sentinel_username" if kind == Kind::Sentinel => {
                    options.sentinel_username = Some(decoded(value));
                }
                "sentinel_password" if kind == Kind::Sentinel => {
                    options.sentinel_password = Some(decoded(value));
                }
                _ => return Err(unknown(name, kind)),
            }
        }
        Ok(options)
    }
}

/// The options of a socket, which the driver reads.
fn check_socket(rest: &str) -> Result<(), String> {
    let names = cut(rest, '?').1.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut names = names.map(|pair| pair.split('=').next().unwrap_or_default());
    match names.find(|name| !matches!(*name, "db" | "user" | "pass" | "protocol")) {
        Some(name) => Err(unsupported(name, "`db`, `user`, `pass`, `protocol`")),
        None => Ok(()),
    }
}

/// An option that does not exist.
fn unknown(name: &str, kind: Kind) -> String {
    let possible = match kind {
        Kind::Sentinel => "`protocol`, `ssl_cert_reqs`, `sentinel_username`, `sentinel_password`",
        _ => "`protocol`, `ssl_cert_reqs`",
    };
    unsupported(name, possible)
}

/// Its name is shown when it looks like a name and not like a piece of a password.
fn unsupported(name: &str, possible: &str) -> String {
    let is_name = name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let option = if is_name { format!("option `{name}`") } else { "an option behind `?`".to_owned() };
    format!("{option} is not supported; possible are {possible}; {ENCODE}")
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Percent-decoded. A `+` is a plus: it stands in passwords, and an address is not a form.
fn decoded(value: &str) -> String {
    let value = value.replace('+', "%2B");
    let pair = format!("v={value}");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or(Cow::Borrowed(""), |(_, value)| value)
        .into_owned()
}

/// An address for people and logs: nothing that stands before the last `@`, and no options.
///
/// Where a part of a password may look like another part of the address, nothing but the scheme is left.
pub fn shown_address(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let scheme = if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') { scheme } else { "***" };
    let shown = match rest.rsplit_once('@') {
        Some((hidden, _)) if hidden.contains(['?', '#']) => "***".to_owned(),
        Some((_, host)) => format!("***@{}", without_options(host)),
        None => without_options(rest).to_owned(),
    };
    // A password that was put in the wrong place: the database of a single server is a number.
    let is_single = matches!(scheme, "redis" | "rediss" | "valkey" | "valkeys");
    let shown = match shown.split_once('/') {
        Some((host, path)) if is_single && !path.chars().all(|c| c.is_ascii_digit()) => format!("{host}/***"),
        _ => shown,
    };
    format!("{scheme}{separator}{shown}")
}

fn without_options(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_whatever_it_contains() {
        for (url, shown) in [
            ("redis://localhost:6379/1", "redis://localhost:6379/1"),
            ("redis://:hunter2@h:1", "redis://***@h:1"),
            ("redis://h:1/hunter2", "redis://h:1/***"),
            ("redis://app@h:1/hunter2/0", "redis://***@h:1/***"),
            ("rediss://app:p@ss@h", "rediss://***@h"),
            ("default:hunter2@h:6379", "***@h:6379"),
            ("redis+unix:///run/r.sock?user=u&pass=hunter2", "redis+unix:///run/r.sock"),
            ("redis://:hun?ter2@127.0.0.1:6379/0", "redis://***"),
            ("redis://:p@ss:w/rd%#?x@h:6379", "redis://***"),
            ("redis://user:123?4@h", "redis://***"),
            ("redis://h/0?password=a@b", "redis://***"),
            ("redis://:w/rd@h:6379/0", "redis://***@h:6379/0"),
            (
                "redis+sentinel://:p@a:1,b:2/main/0?sentinel_password=hunter2",
                "redis+sentinel://***@a:1,b:2/main/0",
            ),
            ("hun ter2://x", "***://x"),
        ] {
            assert_eq!(shown_address(url), shown, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named_without_its_secrets() {
        for (url, expected) in [
            ("redis://:hun?ter2@h:6379/0", "as %3F"),
            ("redis://:hun#ter2@h:6379/0", "as %23"),
            ("redis://:hun/ter2@h:6379/0", "as %2F"),
            ("redis://h/0#hunter2", "`#insecure`"),
            ("redis://h/0?hunter2=1", "an option behind `?` is not supported"),
            (
                "redis://h/0?socket_timeout=5",
                "option `socket_timeout` is not supported; possible are `protocol`",
            ),
            ("redis+unix:///run/r.sock?password=hunter2", "possible are `db`, `user`, `pass`"),
            ("redis://h/0?ssl_cert_reqs=none", "needs rediss://"),
            ("rediss://h/0?ssl_cert_reqs=optional", "write `required` or `none`"),
            ("redis://h?sentinel_password=hunter2", "option `sentinel_password` is not supported"),
            ("redis+sentinel://h:1", "name of the master"),
            ("redis://a:1,b:2", "several hosts"),
        ] {
            let reason = Address::parse(url).err().unwrap_or_else(|| panic!("{url} was accepted"));
            assert!(reason.contains(expected) && !reason.contains("ter2"), "{url}: {reason}");
        }
    }

    #[test]
    fn options_are_read() {
        let url = "rediss+sentinel://app:p@a:1,b:2/main/3\
                   ?sentinel_username=s&sentinel_password=x%40+y&ssl_cert_reqs=none";
        let address = Address::parse(url).unwrap().unwrap();
        assert_eq!(
            (address.kind, address.hosts.as_slice(), address.path),
            (Kind::Sentinel, ["a:1", "b:2"].as_slice(), "main/3")
        );
        assert_eq!(address.options.sentinel_username.as_deref(), Some("s"));
        assert_eq!(address.options.sentinel_password.as_deref(), Some("x@+y"));
        assert_eq!(address.of_node("a:1", "3"), "rediss://app:p@a:1/3#insecure");
        assert_eq!(address.of_sentinel("a:1"), "rediss://a:1#insecure");
        let plain = Address::parse("redis://:p%3F@h:1/2?protocol=resp3").unwrap().unwrap();
        assert_eq!(plain.of_node(plain.hosts[0], plain.path), "redis://:p%3F@h:1/2?protocol=resp3");
        assert!(Address::parse("redis+unix:///run/r.sock?pass=x").unwrap().is_none());
    }
}

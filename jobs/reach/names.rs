//! DNS: does a name have records, and those that it should have.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use url::Url;

use super::Seen;

/// What `dns://NAME?type=MX&server=192.0.2.1:53` asks for.
pub(crate) struct Question {
    name: String,
    kind: RecordType,
    server: Option<SocketAddr>,
}

impl Question {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(crate) fn of(url: &Url) -> Result<Self, String> {
        let parameter =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let kind = parameter("type").unwrap_or_else(|| "A".to_owned());
        let record_type = kind.to_ascii_uppercase().parse();
        let record_type = record_type
            .map_err(|_| format!("`{kind}` is no type of records; write A, AAAA, CNAME, MX, NS or TXT"))?;
        let server = parameter("server").map(|server| {
            server
                .parse::<SocketAddr>()
                .map_err(|_| format!("`{server}` is no address; write one such as 192.0.2.1:53"))
        });
        let name = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { name, kind: record_type, server: server.transpose()? })
    }
}

/// Whether a name has records, those that are expected among them.
pub(super) async fn look(url: &str, expected: &[String], timeout: Duration) -> Seen {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let Question { name, kind, server } = Question::of(&url)?;
    // Relative names would be looked for in the domains of this machine.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    let resolver = resolver(server, timeout)?;
    let lookup = resolver.lookup(absolute.as_str(), kind).await.map_err(|error| error.to_string())?;
    let found: Vec<String> = lookup
        .answers()
        .iter()
        .filter(|record| record.record_type() == kind)
        .map(|record| record.data.to_string().trim_end_matches('.').to_owned())
        .collect();
    if found.is_empty() {
        return Err(format!("{name} has no {kind} records"));
    }
    let is_there = |record: &&String| found.iter().any(|found| is_same(kind, found, record));
    match expected.iter().find(|record| !is_there(record)) {
        Some(missing) => Err(format!("{name} has no {kind} record `{missing}`; it has {}", found.join(", "))),
        None => Ok(None),
    }
}

/// Whether two records are the same: addresses and names are written in several ways (RFC 5952, RFC 4343), texts in one.
fn is_same(kind: RecordType, found: &str, expected: &str) -> bool {
    match (found.parse::<IpAddr>(), expected.trim().parse::<IpAddr>()) {
        (Ok(found), Ok(expected)) => found == expected,
        _ if kind == RecordType::TXT => found == expected,
        _ => found.eq_ignore_ascii_case(expected.trim_end_matches('.')),
    }
}

fn resolver(server: Option<SocketAddr>, timeout: Duration) -> Result<TokioResolver, String> {
    let said = |error: hickory_resolver::net::NetError| error.to_string();
    let mut builder = match server {
        None => TokioResolver::builder_tokio().map_err(said)?,
        Some(address) => {
            let mut name_server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut name_server.connections {
                connection.port = address.port();
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = timeout;
    options.attempts = 1;
    // A check of DNS asks DNS, and not what it knew a while ago.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    builder.build().map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_however_they_are_written() {
        assert!(is_same(RecordType::CNAME, "Real.Test", "real.test."));
        assert!(is_same(RecordType::AAAA, "2001:db8::1", "2001:db8:0:0:0:0:0:1"));
        assert!(is_same(RecordType::MX, "10 Mail.Test", "10 mail.test"));
        assert!(!is_same(RecordType::TXT, "V=1", "v=1"));
        assert!(!is_same(RecordType::A, "192.0.2.1", "192.0.2.10"));
    }

    #[test]
    fn a_type_is_read_in_any_case_and_a_wrong_one_is_refused() {
        let of = |url: &str| Question::of(&Url::parse(url).unwrap()).map(|question| question.kind);
        assert_eq!(of("dns://example.test?type=txt"), Ok(RecordType::TXT));
        assert!(of("dns://example.test?type=text").unwrap_err().contains("`text` is no type of records"));
        assert!(of("dns://example.test?server=here").unwrap_err().contains("`here` is no address"));
    }
}

//! DNS: does a name have records, and those that it should have.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use url::Url;

use super::Seen;

/// `dns://NAME?type=MX&server=192.0.2.1:53`
pub(super) async fn look(url: &str, expected: &[String], timeout: Duration) -> Seen {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let kind = parameter("type").unwrap_or_else(|| "A".to_owned());
    let record_type: RecordType = kind
        .parse()
        .map_err(|_| format!("`{kind}` is no type of records; write A, AAAA, CNAME, MX, NS or TXT"))?;
    let server = parameter("server").map(|server| {
        server
            .parse::<SocketAddr>()
            .map_err(|_| format!("`{server}` is no address; write one such as 192.0.2.1:53"))
    });
    let name = url.host_str().unwrap_or_default();
    // Relative names would be looked for in the domains of this machine.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    let resolver = resolver(server.transpose()?, timeout)?;
    let lookup = resolver.lookup(absolute.as_str(), record_type).await.map_err(|error| error.to_string())?;
    let found: Vec<String> = lookup
        .answers()
        .iter()
        .filter(|record| record.record_type() == record_type)
        .map(|record| record.data.to_string().trim_end_matches('.').to_owned())
        .collect();
    if found.is_empty() {
        return Err(format!("{name} has no {kind} records"));
    }
    let is_there = |record: &&String| found.contains(&record.trim_end_matches('.').to_owned());
    match expected.iter().find(|record| !is_there(record)) {
        Some(missing) => Err(format!("{name} has no {kind} record `{missing}`; it has {}", found.join(", "))),
        None => Ok(None),
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

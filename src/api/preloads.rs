//! What a page has the browser fetch before a script asks for it: first what it will ask the API, so that Postgres works while the
//! scripts are on their way, then the scripts.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use url::form_urlencoded::{self, Serializer};

use super::pages::text;
use crate::access::Caller;

/// The files that each page needs, as `dashboard/bundle.mjs` wrote them down.
static FILES: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let table = text("dist/pages.json").unwrap_or_default();
    serde_json::from_str(&table).unwrap_or_default()
});
/// The window where the address names none, and the widest; as in `dashboard/lib/asked.js`.
const DEFAULT_HOURS: u32 = 1;
const MAX_HOURS: u32 = 8784;

/// Links for the head of a page, whose address has this query. Whoever is not signed in asks nothing.
pub(super) fn links(page: &str, query: &str, caller: Option<&Caller>) -> String {
    let mut links = String::new();
    for path in caller.map(|caller| questions(page, query, caller)).unwrap_or_default() {
        let path = path.replace('&', "&amp;");
        let _ = writeln!(links, r#"  <link rel="preload" as="fetch" crossorigin href="/api/v1{path}">"#);
    }
    for file in FILES.get(page).into_iter().flatten() {
        let _ = writeln!(links, r#"  <link rel="modulepreload" href="/assets/dist/{file}">"#);
    }
    links
}

/// What the page asks the API at first. A browser takes the answer for a question that is the same to the letter; another one
/// is asked for in vain, and does no harm.
fn questions(page: &str, query: &str, caller: &Caller) -> Vec<String> {
    if page == "sign-in" {
        return Vec::new();
    }
    let mut questions = vec!["/session".to_owned()];
    if page == "overview" {
        let address = Address::of(query);
        let order = match address.get("by") {
            Some("busiest") => Some("count"),
            Some("slowest") => Some("p95_ms"),
            Some("failing") => Some("error_rate"),
            _ => None,
        };
        let window = address.window();
        let shown = [("limit", Some("8")), ("sort", order)];
        let open = [("status", Some("open")), ("limit", Some("10"))];
        questions.push(address.question("/performance/dashboard", &window, &shown));
        questions.push(address.question("/performance/alerts", &[], &open));
        if caller.tenant.is_none() {
            questions.push("/performance/services/health".to_owned());
        }
    }
    questions
}

/// The query of a page's address.
struct Address(Vec<(String, String)>);

impl Address {
    fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Since when until when, or how many hours back.
    fn window(&self) -> Vec<(&str, Option<String>)> {
        if let Some(since) = self.get("since") {
            return vec![("since", Some(since.to_owned())), ("until", self.get("until").map(str::to_owned))];
        }
        let hours = self.get("hours").and_then(|hours| hours.parse().ok());
        let hours = hours.filter(|hours| (1..=MAX_HOURS).contains(hours)).unwrap_or(DEFAULT_HOURS);
        vec![("hours", Some(hours.to_string()))]
    }

    /// A path with the window, the filters, and more.
    fn question(
        &self,
        path: &str,
        window: &[(&str, Option<String>)],
        more: &[(&str, Option<&str>)],
    ) -> String {
        let filters = ["tenant", "service"].map(|name| (name, self.get(name)));
        let window = window.iter().map(|(name, value)| (*name, value.as_deref()));
        let parts = window.chain(filters).chain(more.iter().copied());
        let mut query = Serializer::new(String::new());
        query.extend_pairs(parts.filter_map(|(name, value)| Some((name, value?))));
        format!("{path}?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_files_that_it_needs_and_only_those() {
        let overview = links("overview", "", None);
        for start in ["app.js", "overview-", "chunk-"] {
            assert!(overview.contains(&format!("href=\"/assets/dist/{start}")), "{start}: {overview}");
        }
        assert!(!overview.contains("/jobs-") && !links("sign-in", "", None).contains("overview"));
    }

    /// Whether the dashboard asks the same is seen in a browser.
    #[test]
    fn the_overview_asks_for_the_window_and_the_filters_of_its_address() {
        let caller = Caller::owner();
        let first = |query: &str| questions("overview", query, &caller);
        assert_eq!(
            first(""),
            [
                "/session",
                "/performance/dashboard?hours=1&limit=8",
                "/performance/alerts?status=open&limit=10",
                "/performance/services/health",
            ]
        );
        let asked = first("by=slowest&service=a+b%26c&since=2026-11-26T10%3A00%3A00Z&hours=9999");
        assert_eq!(
            asked[1],
            "/performance/dashboard?since=2026-11-26T10%3A00%3A00Z&service=a+b%26c&limit=8&sort=p95_ms"
        );
        assert_eq!(first("hours=9999&tenant=t1")[1], "/performance/dashboard?hours=1&tenant=t1&limit=8");
        assert_eq!(questions("jobs", "", &caller), ["/session"]);
        let mut tenant = Caller::owner();
        tenant.tenant = Some("t1".to_owned());
        assert_eq!(questions("overview", "", &tenant).len(), 3, "what is of all tenants is not for one");
        let links = links("overview", "service=\"><script>", Some(&caller));
        assert!(links.contains("service=%22%3E%3Cscript%3E"), "{links}");
    }
}

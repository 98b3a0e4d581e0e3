//! The dashboard: the files of `dashboard/`, which are part of the program. Its pages have addresses of their own and are all the
//! same file; what they show they ask the API for, as any client does.
//!
//! A browser fetches six files at a time. So the scripts are put together before they become part of the program
//! (`dashboard/bundle.mjs`), a page names all that it will need (`preloads.rs`), and the styles come as one file.

use std::borrow::Cow;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use xxhash_rust::xxh3::xxh3_128;

use super::ApiState;
use super::error::Problem;
use super::parts::Path;
use super::{guard, preloads};

/// Scripts and styles of its own, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Addresses that people see, save and send.
const PAGES: [&str; 15] = [
    "/",
    "/endpoints",
    "/endpoint",
    "/queries",
    "/query",
    "/services",
    "/alerts",
    "/alert",
    "/jobs",
    "/job",
    "/schedules",
    "/workers",
    "/reports",
    "/settings",
    "/sign-in",
];

/// In this order they are one file.
const STYLES: [&str; 9] = [
    "vendor/uplot.css",
    "styles/tokens.css",
    "styles/base.css",
    "styles/layout.css",
    "styles/components.css",
    "styles/table.css",
    "styles/chart.css",
    "styles/metrics.css",
    "styles/operations.css",
];
/// A browser keeps a file, and asks each time whether it is still the same: a new version is there at once.
const ASK_ALWAYS: &str = "no-cache";
/// A browser keeps a file, and never asks.
const KEEP: &str = "public, max-age=31536000, immutable";
/// Where `index.html` names them.
const SCRIPTS: &str = "  <script type=\"module\"";

#[derive(RustEmbed)]
#[folder = "dashboard/"]
#[include = "index.html"]
#[include = "theme.js"]
#[include = "icon.svg"]
#[include = "dist/*"]
#[include = "styles/*.css"]
#[include = "vendor/*.css"]
#[include = "vendor/*.LICENSE"]
struct Files;

pub(super) fn routes() -> Router<ApiState> {
    let routes = Router::new().route("/assets/styles.css", get(styles)).route("/assets/{*path}", get(asset));
    PAGES.iter().fold(routes, |routes, page| routes.route(page, get(index)))
}

async fn index(State(state): State<ApiState>, request: Request) -> Response {
    let Some(page) = text("index.html") else { return missing("index.html") };
    let named = match request.uri().path().trim_start_matches('/') {
        "" => "overview",
        name => name,
    };
    let caller = state.keyring.caller(guard::credential(request.headers()).as_ref(), None).await.ok();
    let preloads = preloads::links(named, request.uri().query().unwrap_or_default(), caller.as_ref());
    let page = page.replacen(SCRIPTS, &format!("{preloads}{SCRIPTS}"), 1);
    file("index.html", page.into_bytes().into(), ASK_ALWAYS, request.headers())
}

async fn styles(request: Request) -> Response {
    let all: Vec<u8> =
        STYLES.iter().filter_map(|path| Files::get(path)).flat_map(|file| file.data.into_owned()).collect();
    file("styles.css", all.into(), ASK_ALWAYS, request.headers())
}

async fn asset(Path(path): Path<String>, request: Request) -> Response {
    let keep = if is_named_by_content(&path) { KEEP } else { ASK_ALWAYS };
    match Files::get(&path) {
        Some(found) => file(&path, found.data, keep, request.headers()),
        None => missing(&path),
    }
}

/// A file of the dashboard.
pub(super) fn text(path: &str) -> Option<String> {
    String::from_utf8(Files::get(path)?.data.into_owned()).ok()
}

fn missing(path: &str) -> Response {
    Problem::new(StatusCode::NOT_FOUND, format!("the dashboard has no file `{path}`")).into_response()
}

/// Whether other content would have another name, such as `dist/chunk-6Q2OUO46.js`.
fn is_named_by_content(path: &str) -> bool {
    path.starts_with("dist/") && path.contains('-')
}

/// A file that a browser is to `keep` in this way.
fn file(path: &str, data: Cow<'static, [u8]>, keep: &str, asked: &HeaderMap) -> Response {
    // A weak one: packed or not, it is the same file.
    let tag = format!("W/\"{:032x}\"", xxh3_128(&data));
    let is_known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let charset = if kind.type_() == mime_guess::mime::TEXT { "; charset=utf-8" } else { "" };
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}{charset}")),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, keep.to_owned()),
    ];
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers, [policy]).into_response();
    }
    (headers, [policy], data).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_has_its_script_and_every_style_is_served() {
        for page in PAGES {
            let name = if page == "/" { "overview" } else { page.trim_start_matches('/') };
            assert!(preloads::links(name, "", None).contains(&format!("/assets/dist/{name}-")), "{page}");
        }
        let found: BTreeSet<String> = Files::iter()
            .map(Cow::into_owned)
            .filter(|path| mime_guess::from_path(path).first() == Some(mime_guess::mime::TEXT_CSS))
            .collect();
        assert_eq!(found, STYLES.map(str::to_owned).into());
    }
}

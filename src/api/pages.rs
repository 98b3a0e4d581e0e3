//! The dashboard: the files of `dashboard/`, which are part of the program. Its pages have addresses of their own and are all the
//! same file; what they show they ask the API for, as any client does.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use xxhash_rust::xxh3::xxh3_128;

use super::ApiState;
use super::error::Problem;
use super::parts::Path;

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

#[derive(RustEmbed)]
#[folder = "dashboard/"]
#[exclude = "*.md"]
struct Files;

pub(super) fn routes() -> Router<ApiState> {
    let routes = Router::new().route("/assets/{*path}", get(asset));
    PAGES.iter().fold(routes, |routes, page| routes.route(page, get(index)))
}

async fn index(request: Request) -> Response {
    file("index.html", request.headers())
}

async fn asset(Path(path): Path<String>, request: Request) -> Response {
    file(&path, request.headers())
}

/// A browser keeps a file, and asks each time whether it is still the same: a new version is there at once.
fn file(path: &str, asked: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else {
        return Problem::new(StatusCode::NOT_FOUND, format!("the dashboard has no file `{path}`"))
            .into_response();
    };
    // A weak one: packed or not, it is the same file.
    let tag = format!("W/\"{:032x}\"", xxh3_128(&file.data));
    let is_known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let charset = if kind.type_() == mime_guess::mime::TEXT { "; charset=utf-8" } else { "" };
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}{charset}")),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers, [policy]).into_response();
    }
    (headers, [policy], file.data).into_response()
}

//! The endpoint of a request without a route: its path, with what tells one resource from another replaced. Otherwise
//! each user, order and file would be an endpoint of its own.

/// Segments of a path that are kept.
const MAX_SEGMENTS: usize = 8;
/// Bytes of a segment; what is longer is no name.
const MAX_SEGMENT: usize = 40;

/// Where a request went that no route was found for.
pub(super) const UNMATCHED: &str = "(unmatched)";

/// The template of a path or URL, such as `/users/{id}`.
pub(super) fn template(target: &str) -> String {
    let path = path(target);
    let mut template = String::with_capacity(path.len());
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for segment in segments.by_ref().take(MAX_SEGMENTS) {
        template.push('/');
        template.push_str(replacement(segment).unwrap_or(segment));
    }
    if segments.next().is_some() {
        template.push_str("/…");
    }
    if template.is_empty() { "/".to_owned() } else { template }
}

/// Without scheme, host, query and fragment.
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |start| &rest[start..]),
        None => target,
    };
    path.split(['?', '#', ';']).next().unwrap_or_default()
}

/// What stands for a segment that is no name.
fn replacement(segment: &str) -> Option<&'static str> {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let all = |such: fn(&u8) -> bool| bytes.iter().all(such);
    if is_uuid(bytes) {
        Some("{uuid}")
    } else if digits == bytes.len() {
        Some("{id}")
    } else if segment.contains('@') || segment.contains("%40") {
        Some("{email}")
    } else if bytes.len() >= 8 && digits > 0 && all(u8::is_ascii_hexdigit) {
        Some("{hash}")
    } else if digits > 0 && all(|byte| byte.is_ascii_digit() || b"-:.,TZ+_".contains(byte)) {
        // A date, a version, a pair of coordinates.
        Some("{id}")
    } else if bytes.len() > MAX_SEGMENT || segment.contains('%') || !segment.is_ascii() {
        Some("{text}")
    } else if digits >= 3 || (digits > 0 && bytes.len() >= 16) {
        // order-12345, 01ARZ3NDEKTSV4RRFFQ69G5FAV; but not v2 or page10
        Some("{id}")
    } else {
        None
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_resources_apart_is_replaced_and_names_stay() {
        for (target, expected) in [
            ("/users/42", "/users/{id}"),
            ("/users/42/orders?token=secret#x", "/users/{id}/orders"),
            ("https://shop.example.com:8443/pay/9?a=b", "/pay/{id}"),
            ("https://shop.example.com", "/"),
            ("", "/"),
            ("//a//b/", "/a/b"),
            ("/api/v2/page10", "/api/v2/page10"),
            ("/o/01234567-89ab-CDEF-0123-456789abcdef", "/o/{uuid}"),
            ("/blob/9f86d081884c7d659a2f", "/blob/{hash}"),
            ("/orders/order-12345", "/orders/{id}"),
            ("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/u/{id}"),
            ("/reports/2026-11-23", "/reports/{id}"),
            ("/mail/bob@example.com", "/mail/{email}"),
            ("/mail/bob%40example.com", "/mail/{email}"),
            ("/search/gr%C3%BCn", "/search/{text}"),
            ("/1/2/3/4/5/6/7/8/9/10", "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/…"),
            ("/deadbeef", "/deadbeef"),
        ] {
            assert_eq!(template(target), expected, "{target}");
        }
    }
}

//! Paths in addresses.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// As both clients read it: percent-encoded, slashes left alone.
pub(crate) fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let encode = |byte: &u8| {
        if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    };
    path.as_os_str().as_bytes().iter().map(encode).collect()
}

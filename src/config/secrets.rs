//! Secrets of the settings: each can stand in a file of its own, and none is shown in an error.

use std::fs;
use std::io::Read;
use std::path::Path;

use toml::{Table, Value};

/// The keys of secrets, in whichever section. `KEY_file` names a file that holds the secret.
const KEYS: [&str; 8] =
    ["headers", "password", "results", "routing_key", "secrets", "token", "url", "webhook"];
/// A secret is short; the file may be a mistake.
const MAX_BYTES: u64 = 64 * 1024;
const SUFFIX: &str = "_file";

/// Replaces each `KEY_file` by `KEY` with what the file holds. In a list or table, each value names a file. The error
/// is a key and the reason.
pub(super) fn read_files(table: &mut Table) -> Result<(), (Vec<String>, String)> {
    let mut found = Vec::new();
    for (key, value) in table.iter_mut() {
        let at = |(mut path, reason): (Vec<String>, String)| {
            path.insert(0, key.clone());
            (path, reason)
        };
        if let Some(secret) = secret_of(key) {
            found.push((key.clone(), secret, contents(value).map_err(at)?));
        } else if let Value::Table(table) = value {
            read_files(table).map_err(at)?;
        } else if let Value::Array(items) = value {
            for (index, item) in items.iter_mut().enumerate() {
                let Value::Table(table) = item else { continue };
                let within = |(mut path, reason): (Vec<String>, String)| {
                    path.insert(0, index.to_string());
                    at((path, reason))
                };
                read_files(table).map_err(within)?;
            }
        }
    }
    for (key, secret, contents) in found {
        if table.contains_key(secret) {
            return Err((vec![key.clone()], format!("write `{secret}` or `{key}`, not both")));
        }
        table.remove(&key);
        table.insert(secret.to_owned(), contents);
    }
    Ok(())
}

/// The secret whose file this key names.
pub(super) fn secret_of(key: &str) -> Option<&'static str> {
    let base = key.strip_suffix(SUFFIX)?;
    KEYS.into_iter().find(|key| *key == base)
}

fn contents(value: &Value) -> Result<Value, (Vec<String>, String)> {
    let within = |key: String| {
        move |(mut path, reason): (Vec<String>, String)| {
            path.insert(0, key);
            (path, reason)
        }
    };
    match value {
        Value::String(path) => read(path).map(Value::String).map_err(|reason| (Vec::new(), reason)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let read = items.map(|(index, item)| contents(item).map_err(within(index.to_string())));
            Ok(Value::Array(read.collect::<Result<_, _>>()?))
        }
        Value::Table(table) => {
            let read = table
                .iter()
                .map(|(key, value)| Ok((key.clone(), contents(value).map_err(within(key.clone()))?)));
            Ok(Value::Table(read.collect::<Result<_, (Vec<String>, String)>>()?))
        }
        _ => Err((Vec::new(), "write the path of a file".to_owned())),
    }
}

/// What a file holds, without the line break at its end.
pub(super) fn read(path: &str) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("`{path}` has more than {MAX_BYTES} bytes, so it holds no secret"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("`{path}` is empty; it has to hold the secret"));
    }
    Ok(text.to_owned())
}

/// Whether other users of this machine can read this file, and it holds a secret.
pub(super) fn is_exposed(path: &Path, table: &Table) -> bool {
    is_readable_by_others(path) && holds_secret(table)
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

fn holds_secret(table: &Table) -> bool {
    table.iter().any(|(key, value)| match value {
        Value::Table(table) if key != "headers" => holds_secret(table),
        Value::Array(items) if key != "secrets" => items.iter().filter_map(Value::as_table).any(holds_secret),
        // An address without a password is public.
        Value::String(url) if matches!(key.as_str(), "url" | "results" | "webhook") => {
            url::Url::parse(url).is_ok_and(|url| url.password().is_some())
        }
        _ => KEYS.contains(&key.as_str()),
    })
}

/// A message of serde without the value, which may be a secret: the place says where it stands.
pub(super) fn without_value(message: &str) -> String {
    let Some(rest) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    let kind = rest.split(['"', '`']).next().unwrap_or_default().trim_end();
    match rest.rsplit_once(", expected ") {
        Some((found, expected)) if found.len() > kind.len() => {
            format!("invalid type: {kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_value;

    #[test]
    fn a_message_does_not_show_the_value() {
        for (message, shown) in [
            (
                "invalid type: string \"a, expected b\", expected usize",
                "invalid type: string, expected usize",
            ),
            ("invalid type: integer `12345`, expected a string", "invalid type: integer, expected a string"),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            ("unknown field `a`, expected `b`", "unknown field `a`, expected `b`"),
        ] {
            assert_eq!(without_value(message), shown);
        }
    }
}

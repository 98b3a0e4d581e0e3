//! Python's values as JSON has them.
//!
//! A Celery client may send values that JSON has no notation for, marked by their type; it may write a time with or
//! without its zone; and it may pass arguments by position. A job has named arguments of plain JSON, so all three are
//! translated here before anything else looks at them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Longer texts are no times.
const MAX_TIME_BYTES: usize = 64;

/// Turns `{"__type__": …, "__value__": …}` into plain strings, at any depth. The recursion is bounded: `serde_json`
/// reads no JSON that is nested deeper than 128.
pub(crate) fn plain(value: Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map)
            if map.len() == 2 && map.contains_key("__type__") && map.contains_key("__value__") =>
        {
            typed(&map["__type__"], &map["__value__"])
        }
        Value::Object(map) => map.into_iter().map(|(key, value)| Ok((key, plain(value)?))).collect(),
        other => Ok(other),
    }
}

fn typed(kind: &Value, value: &Value) -> Result<Value, String> {
    let malformed = || format!("`{value}` is no value of type {kind}");
    match kind.as_str().unwrap_or_default() {
        // The text of bytes is the bytes where they are UTF-8, and their base64 where they are not.
        "datetime" | "date" | "time" | "decimal" | "bytes" | "base64" if value.is_string() => {
            Ok(value.clone())
        }
        "datetime" | "date" | "time" | "decimal" | "bytes" | "base64" => Err(malformed()),
        "uuid" => {
            let hex = value["hex"].as_str().ok_or_else(malformed)?;
            let uuid = Uuid::try_parse(hex).map_err(|_| malformed())?;
            Ok(Value::String(uuid.to_string()))
        }
        _ => Err(format!(
            "a value of type {kind} is known to the sender's code alone; send a string or a number"
        )),
    }
}

/// Reads an ISO 8601 time; UTC where it names no zone, as Celery has it by default.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    if text.len() > MAX_TIME_BYTES {
        return None;
    }
    let text = text.trim().replacen(' ', "T", 1);
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"];
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let with_zone = zoned.iter().find_map(|format| DateTime::parse_from_str(&text, format).ok());
    let without = || naive.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
    let midnight = || NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    with_zone.map(|time| time.to_utc()).or_else(|| Some(without().or_else(midnight)?.and_utc()))
}

/// Gives arguments by position the names that stand for them. An error reads like that of a Python call, without the
/// name of the function.
pub(crate) fn into_args(
    args: Vec<Value>,
    mut kwargs: Map<String, Value>,
    names: &[String],
) -> Result<Value, String> {
    let (taken, given) = (names.len(), args.len());
    if given > taken {
        let plural = if taken == 1 { "" } else { "s" };
        let were = if given == 1 { "was" } else { "were" };
        return Err(format!("takes {taken} positional argument{plural} but {given} {were} given"));
    }
    for (name, value) in names.iter().zip(args) {
        if kwargs.insert(name.clone(), value).is_some() {
            return Err(format!("got multiple values for argument '{name}'"));
        }
    }
    Ok(Value::Object(kwargs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(kind: &str, value: impl Into<Value>) -> Value {
        json!({"__type__": kind, "__value__": value.into()})
    }

    #[test]
    fn typed_values_become_strings_at_any_depth() {
        let id = "00000000-0000-0000-0000-000000000001";
        let cases = [
            (of("uuid", json!({"hex": "00000000000000000000000000000001"})), json!(id)),
            (of("datetime", "2026-01-02T03:04:05+00:00"), json!("2026-01-02T03:04:05+00:00")),
            (of("date", "2026-01-02"), json!("2026-01-02")),
            (of("time", "03:04:00"), json!("03:04:00")),
            (of("decimal", "1.50"), json!("1.50")),
            (of("bytes", "abc"), json!("abc")),
            (of("base64", "/wA="), json!("/wA=")),
        ];
        for (typed, expected) in cases {
            assert_eq!(plain(json!([{"a": [typed]}])), Ok(json!([{"a": [expected]}])));
        }
        // Only these two keys together mean a type.
        let other = json!({"__type__": "uuid", "__value__": 1, "more": 2});
        assert_eq!(plain(other.clone()), Ok(other));
    }

    #[test]
    fn a_type_that_is_unknown_or_wrong_is_refused_by_name() {
        let error = plain(json!([of("money", "5 EUR")])).unwrap_err();
        assert!(
            error.starts_with("a value of type \"money\" is known to the sender's code alone"),
            "{error}"
        );
        for wrong in [of("uuid", "x"), of("uuid", json!({"hex": "x"})), of("date", 5), of("bytes", json!({}))]
        {
            assert!(plain(wrong.clone()).unwrap_err().contains("is no value of type"), "{wrong}");
        }
        assert!(plain(json!({"__type__": 5, "__value__": null})).is_err());
    }

    #[test]
    fn a_time_may_have_a_zone_or_mean_utc() {
        let expected = "2026-11-23T04:48:26.758431Z".parse().ok();
        for text in [
            "2026-11-23T04:48:26.758431+00:00",
            "2026-11-23T04:48:26.758431",
            "2026-11-23 04:48:26.758431Z",
            "2026-11-23T05:48:26.758431+01:00",
            "2026-11-23T05:48:26.758431+0100",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("2026-11-23T04:48"), "2026-11-23T04:48:00Z".parse().ok());
        assert_eq!(time("2026-11-23"), "2026-11-23T00:00:00Z".parse().ok());
        for text in ["", "soon", "2026-13-01T00:00:00", "1700000000", &"9".repeat(1000)] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn arguments_by_position_get_their_names() {
        let names = ["host".to_owned(), "limit".to_owned()];
        let kwargs = |value: Value| value.as_object().cloned().unwrap_or_default();
        let call = |args: &[Value], given: Value, names| into_args(args.to_vec(), kwargs(given), names);
        assert_eq!(
            call(&[json!("db1"), json!(3)], json!({}), &names),
            Ok(json!({"host": "db1", "limit": 3}))
        );
        assert_eq!(
            call(&[json!("db1")], json!({"limit": 3}), &names),
            Ok(json!({"host": "db1", "limit": 3}))
        );
        assert_eq!(call(&[], json!({"other": 1}), &[]), Ok(json!({"other": 1})));
        for (args, given, names, error) in [
            (2, json!({}), &names[..1], "takes 1 positional argument but 2 were given"),
            (3, json!({}), &names[..], "takes 2 positional arguments but 3 were given"),
            (1, json!({}), &[][..], "takes 0 positional arguments but 1 was given"),
            (1, json!({"host": 1}), &names[..], "got multiple values for argument 'host'"),
        ] {
            assert_eq!(call(&vec![json!(0); args], given, names), Err(error.to_owned()));
        }
    }
}

use super::*;

/// The values of one field, as the `cron` crate gets them.
fn list(field: &str, text: &str) -> String {
    let field = FIELDS.iter().find(|it| it.name == field).unwrap();
    field.list(field.parse(text).unwrap())
}

fn error(text: &str) -> String {
    match split_zone(text).and_then(|(_, text)| parse(text)) {
        Ok(_) => panic!("`{text}` is valid"),
        Err(error) => error,
    }
}

#[test]
fn values_ranges_and_steps_become_lists() {
    for (field, text, expected) in [
        ("minute", "*", "*"),
        ("minute", "0-59", "*"),
        ("minute", "*/20", "0,20,40"),
        ("minute", "5/20", "5,25,45"),
        ("minute", "10-50/20,7", "7,10,30,50"),
        ("hour", "22-2", "0,1,2,22,23"),
        ("hour", "22-2/2", "0,2,22"),
        ("hour", "5-5", "5"),
        ("hour", "08", "8"),
        ("day of month", "30-2", "1,2,30,31"),
        ("month", "NOV-FEB", "1,2,11,12"),
        ("month", "jan,March", "1,3"),
        ("month", "*/6", "1,7"),
        ("weekday", "SUN", "1"),
        ("weekday", "mon-fri", "2,3,4,5,6"),
        ("weekday", "FRI-MON", "1,2,6,7"),
        ("weekday", "Tuesday,thurs", "3,5"),
        ("weekday", "SUN-SAT", "*"),
        ("weekday", "MON-FRI/2", "2,4,6"),
    ] {
        assert_eq!(list(field, text), expected, "{field} `{text}`");
    }
}

#[test]
fn names_stand_for_expressions() {
    for (name, expression) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        (" @Annually ", "0 0 1 1 *"),
    ] {
        let (named, written) = (parse(name).unwrap(), parse(expression).unwrap());
        assert_eq!(named.schedule.source(), written.schedule.source(), "{name}");
        assert_eq!(named.repeats, written.repeats, "{name}");
    }
}

#[test]
fn an_expression_repeats_when_a_field_of_its_time_begins_with_a_star() {
    for text in ["* * * * *", "30 * * * *", "0 */6 * * *", "*/15 2 * * *", "*/10 30 2 * * *", "*,5 2 * * *"] {
        assert!(parse(text).unwrap().repeats, "{text}");
    }
    for text in
        ["30 2 * * *", "30 2,14 * * *", "0 1-3 * * *", "10-50/20 2 * * *", "0/15 2 * * *", "0 0 */2 * *"]
    {
        assert!(!parse(text).unwrap().repeats, "{text}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_field_and_what_to_write() {
    for (text, expected) in [
        ("61 * * * *", "minute `61`: write a number from 0 to 59"),
        ("-5 * * * *", "minute `-5`: write a number from 0 to 59"),
        ("１５ * * * *", "minute `１５`: write a number from 0 to 59, in the digits 0 to 9"),
        ("99999999999 * * * *", "minute `99999999999`: write a number from 0 to 59"),
        (", * * * *", "minute ``: write a number from 0 to 59"),
        ("+5 * * * *", "minute `+5`: write a number from 0 to 59"),
        ("60 0 0 * * *", "second `60`: write a number from 0 to 59"),
        ("0 24 * * *", "hour `24`: write a number from 0 to 23; midnight is 0"),
        ("0 8,24 * * *", "hour `24`: write a number from 0 to 23; midnight is 0"),
        ("0 8-24 * * *", "hour `8-24`: write a number from 0 to 23; midnight is 0"),
        ("*/90 * * * *", "minute `*/90`: write a step from 1 to 59, or every = \"90m\" instead of cron"),
        ("0 */24 * * *", "hour `*/24`: write a step from 1 to 23, or every = \"24h\" instead of cron"),
        ("*/0 * * * *", "minute `*/0`: write a step from 1 to 59, such as */2"),
        ("*/x * * * *", "minute `*/x`: write a step from 1 to 59, such as */2"),
        ("*/ * * * *", "minute `*/`: write a step from 1 to 59, such as */2"),
        ("1-9/0 * * * *", "minute `1-9/0`: write a step from 1 to 59, such as */2"),
        ("0 0 0 * *", "day of month `0`: write a number from 1 to 31"),
        ("0 0 * 13 *", "month `13`: write a number from 1 to 12 or a name from JAN to DEC"),
        ("0 0 * JANU *", "month `JANU`: write a number from 1 to 12 or a name from JAN to DEC"),
        ("0 0 * * XXX", "weekday `XXX`: write a name from SUN to SAT, or a range such as MON-FRI"),
        ("0 0 * * MON/2", "weekday `MON/2`: a step needs a range, such as MON-FRI/2"),
        (
            "0 0 * * 1-5",
            "weekday `1-5` is a number, which cron dialects read differently; write MON-FRI or SUN",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn what_only_other_dialects_have_is_refused_with_what_to_write() {
    for (text, expected) in [
        (
            "0 0 L * *",
            "day of month `L`: `L` is not supported; write a number up to 28, which every month has",
        ),
        (
            "0 0 L-3 * *",
            "day of month `L-3`: `L` is not supported; write a number up to 28, which every month has",
        ),
        (
            "0 0 15W * *",
            "day of month `15W`: `W` is not supported; write a number from 1 to 31, or the weekday MON-FRI",
        ),
        ("0 0 ? * MON", "day of month `?`: `?` is not supported; write `*`"),
        ("0 0 1 * ?", "weekday `?`: `?` is not supported; write `*`"),
        (
            "0 0 * * MON#1",
            "weekday `MON#1`: `#` is not supported; write the weekday MON and the days of month 1-7, which \
            must both match",
        ),
        (
            "0 0 * * fri#3",
            "weekday `fri#3`: `#` is not supported; write the weekday FRI and the days of month 15-21, \
            which must both match",
        ),
        (
            "0 0 * * 5L",
            "weekday `5L`: `L` is not supported; for the fourth of a month write the weekday and the days \
            of month 22-28, which must both match",
        ),
        (
            "@reboot",
            "`@reboot` is not a time; write one, such as @daily, and run_at_start = true to run the job \
            also when the schedule starts",
        ),
        ("@every 5m", "`@every` is not supported; write every = \"5m\" instead of cron"),
        (
            "@fortnightly",
            "`@fortnightly` is not supported; write @hourly, @daily, @midnight, @weekly, @monthly, @yearly \
            or @annually",
        ),
        (
            "0 0 1 1 * * 2027",
            "has 7 fields, and a year is not supported; write five (minute hour day month weekday) or six \
            (second first), such as \"0 3 * * *\"",
        ),
        (
            "* * *",
            "has 3 fields; write five (minute hour day month weekday) or six (second first), such as \"0 3 \
            * * *\"",
        ),
        (
            "CRON_TZ=Europe/Berln 0 3 * * *",
            "timezone `Europe/Berln` does not exist; write an IANA name, such as CRON_TZ=Europe/Berlin",
        ),
        ("TZ= 0 3 * * *", "timezone `` does not exist; write an IANA name, such as CRON_TZ=Europe/Berlin"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

/// No several lines, no mark under a text, no part of an expression that the user did not write.
#[test]
fn every_error_is_one_line_about_what_was_written() {
    let values =
        ["x", "-", "*-5", "1-", "**", "*/*", "1//2", "L", "W", "#", "?", "60", "\u{1b}[31m", "🕐", "%"];
    for position in 0..5 {
        for value in values {
            let mut fields = ["5"; 5];
            fields[4] = "MON";
            fields[position] = value;
            let error = error(&fields.join(" "));
            assert!(
                !error.contains(['\n', '^', '\u{1b}']) && error.contains("write "),
                "{fields:?}: {error}"
            );
            assert!(error.contains(FIELDS[position + 1].name), "{fields:?}: {error}");
        }
    }
}

#[test]
fn a_long_expression_is_refused_by_its_length_and_a_long_value_is_shown_in_part() {
    for text in ["*,".repeat(500_000), "5 ".repeat(500_000), format!("CRON_TZ={}", "x".repeat(1_000_000))] {
        let error = error(&text);
        assert!(error.ends_with(" bytes; an expression has at most 1000"), "{error}");
    }
    let error = error(&format!("{} * * * *", "7".repeat(900)));
    assert_eq!(error, format!("minute `{}…`: write a number from 0 to 59", "7".repeat(40)));
}

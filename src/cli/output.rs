//! What commands print: tables that fit, JSON for machines, errors that stand out.

use std::io::Write;
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use dogwatch_runtime::text::{is_odd, visible};
use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Colours in a text: invisible characters without a width, so that tables come out straight; they become the
/// terminal's codes when a line is printed.
const COLOURS: [(char, AnsiColor); 4] = [
    ('\u{fe00}', AnsiColor::Green),
    ('\u{fe01}', AnsiColor::Yellow),
    ('\u{fe02}', AnsiColor::Red),
    ('\u{fe03}', AnsiColor::Cyan),
];
const PLAIN: char = '\u{fe0e}';

/// A line of data.
pub fn line(text: &str) {
    let text = visible(text);
    let mut text = text.replace(PLAIN, &anstyle::Reset.to_string());
    for (mark, colour) in COLOURS {
        text = text.replace(mark, &colour.render_fg().to_string());
    }
    // A reader that has gone away, such as `head`, is no error.
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Completes when the reader of the standard output has closed it, also while nothing is printed. A file and a terminal
/// are never closed.
pub async fn reader_closed() {
    let owned = std::io::stdout().as_fd().try_clone_to_owned();
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; a descriptor that is owned satisfies its condition"
    )]
    let stdout = owned.and_then(|stdout| AsyncFd::with_interest(stdout, Interest::ERROR));
    // Registration fails for files, which have no reader.
    if let Ok(stdout) = stdout
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// A line about what is going on.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", visible(text));
}

/// An error.
pub fn error(text: &str) {
    let style = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {}", visible(text));
}

/// A word in green, yellow, red or cyan.
pub fn coloured(colour: AnsiColor, word: &str) -> String {
    match COLOURS.iter().find(|(_, known)| *known == colour) {
        Some((mark, _)) => format!("{mark}{word}{PLAIN}"),
        None => word.to_owned(),
    }
}

/// JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    // JSON has escapes of its own; what is odd stands in strings alone.
    let escaped = |c: char| if is_odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    let text = serde_json::to_string_pretty(value)?;
    line(&if text.contains(is_odd) { text.chars().map(escaped).collect() } else { text });
    Ok(())
}

/// A list in JSON, of the same form as the API's.
pub fn json_list(items: &impl Serialize) -> anyhow::Result<()> {
    json(&serde_json::json!({ "items": items, "next_cursor": null }))
}

/// A table; `empty` when there are no rows.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        return note(empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width() {
        table.set_width(width);
    }
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        // A cell has one line, whatever stands in it.
        table.add_row(row.iter().map(|cell| visible(cell).replace(['\n', '\t'], " ")));
    }
    for row in table.to_string().lines() {
        line(row.trim_end().strip_prefix(' ').unwrap_or(row.trim_end()));
    }
}

/// Columns of the terminal, where it is one that says so.
fn width() -> Option<u16> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| width);
    told.or_else(measured).filter(|width| *width >= 40)
}

/// A time, to the second, in UTC.
pub fn time(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// A time that has passed, in two units at the most.
pub fn duration_ms(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => format!("{} ms", ms.max(0)),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// What fits into a table's cell.
pub fn short(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

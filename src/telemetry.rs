//! What is logged, and how it looks: one line an event, for people or as JSON, on standard error.

use std::fmt;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use dogwatch_runtime::text::visible_line;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, fmt as subscriber};

use crate::config::{LogFormat, LogSettings};

/// Sets the log up. A second call changes nothing.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| {
        format!("log.filter: `{}` is no filter: {error}; write one such as \"info\"", settings.filter)
    })?;
    // What a check finds wrong with a certificate is told as a finding.
    let filter = match "rustls_platform_verifier=off".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let builder = subscriber().with_env_filter(filter).with_writer(std::io::stderr);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Fails only when the log is set up already, by a test for instance.
    let _ = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let fields = subscriber::format::debug_fn(|writer, field, value| match field.name() {
                // Text from outside may be in it: a line of the log is one line.
                "message" => writer.write_str(&visible_line(&format!("{value:?}"))),
                // They stand in the message; for machines they are fields.
                "job.name" | "queue.name" => Ok(()),
                name => write!(writer, " {name}={}", visible_line(&format!("{value:?}"))),
            });
            builder.with_ansi(colour).fmt_fields(fields).event_format(ForPeople).try_init()
        }
    };
    Ok(())
}

/// `12:00:01  INFO message  span fields, event fields`
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let (style, dim) = if out.has_ansi_escapes() {
            (style_of(level), Style::new().dimmed())
        } else {
            (Style::new(), Style::new())
        };
        write!(out, "{dim}{}{dim:#} {style}{level:>5}{style:#} ", clock())?;
        context.field_format().format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(out, "{dim}{fields}{dim:#}")?;
            }
        }
        writeln!(out)
    }
}

#[expect(clippy::disallowed_methods, reason = "a log line is of its moment, nothing depends on it")]
fn clock() -> String {
    chrono::Utc::now().format("%H:%M:%S").to_string()
}

fn style_of(level: Level) -> Style {
    let colour = match level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        Level::INFO => AnsiColor::Green,
        Level::DEBUG => AnsiColor::Blue,
        Level::TRACE => AnsiColor::Magenta,
    };
    Style::new().fg_color(Some(colour.into())).bold()
}

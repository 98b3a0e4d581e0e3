//! What a mail looks like: as text, and as HTML with its styles inline, since mail programs drop what is elsewhere.

use askama::Template;
use dogwatch_alerting::Severity;

use crate::error::SendError;
use crate::message::{Event, Message, Told};

#[derive(Template)]
#[template(path = "mail.html")]
struct Mail<'a> {
    message: &'a Message,
    colour: &'static str,
    picture: Option<&'static str>,
    caption: &'a str,
    more: String,
}

/// Dark enough for white text on it, light enough for a dark page around it.
fn colour(event: Option<Event>, severity: Severity) -> &'static str {
    match (event, severity) {
        (Some(Event::Resolved), _) => "#15803d",
        (_, Severity::Critical) => "#b91c1c",
        (_, Severity::High) => "#c2410c",
        (_, Severity::Medium) => "#a16207",
        (_, Severity::Low) => "#1d4ed8",
    }
}

impl Told {
    fn colour(&self) -> &'static str {
        colour(Some(self.event), self.severity)
    }
}

pub(super) fn html(message: &Message, picture: Option<&'static str>) -> Result<String, SendError> {
    let event = (message.status == "resolved").then_some(Event::Resolved);
    let page = Mail {
        message,
        colour: colour(event, message.severity),
        picture,
        caption: message.chart.as_ref().map(|chart| chart.caption.as_str()).unwrap_or_default(),
        more: message.more(),
    };
    page.render().map_err(|error| SendError::permanent(format!("the mail cannot be written: {error}")))
}

pub(super) fn text(message: &Message) -> String {
    let mut lines = vec![message.title.clone(), String::new()];
    if let Some(late) = &message.late {
        lines.extend([late.clone(), String::new()]);
    }
    for told in &message.alerts {
        lines.push(format!("{} ({}, {})", told.title, told.severity, told.event.words()));
        lines.push(format!("  {}", told.description));
        lines.push(format!("  {}", told.when()));
        lines.extend(told.runbook().map(|url| format!("  runbook: {url}")));
        lines.push(String::new());
    }
    if message.omitted > 0 {
        lines.extend([message.more(), String::new()]);
    }
    lines.push("dogwatch alerts list shows what is open.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::message;

    #[test]
    fn what_services_told_is_text_and_no_markup() {
        let mut odd = message(1, 0);
        odd.title = "<script>alert(1)</script>".to_owned();
        odd.alerts[0].title = odd.title.clone();
        odd.alerts[0].labels.insert("runbook".to_owned(), "javascript:alert(1)".to_owned());
        let html = html(&odd, None).unwrap();
        assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");
    }

    #[test]
    fn the_text_says_the_same() {
        let text = text(&message(1, 1));
        assert!(text.contains("shop: 50.0 % of requests fail (high, resolved)"), "{text}");
        assert!(text.contains("2026-05-20 12:00 to 12:17 UTC"), "{text}");
    }
}

//! Mail: text and HTML, with a picture of the figure, over SMTP.
//!
//! One connection is kept for a while. Each step of the conversation is bounded, and it is known how far it came: what was
//! refused has not arrived, what was cut off after the text was sent may have. `Message-ID` is the same at each attempt.

mod page;
mod smtp;

use std::time::{Duration, SystemTime};

use dogwatch_alerting::Severity;
use dogwatch_runtime::duration;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use secrecy::SecretString;
use serde::Deserialize;
use uuid::Uuid;

use self::smtp::Smtp;
use crate::error::SendError;
use crate::limit::Limit;
use crate::message::Message;
use crate::settings::everything;
use crate::{Document, Receipt};

/// The name of the picture within a mail.
const PICTURE: &str = "chart";

/// `[[notify.email]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// Its name among the channels.
    pub name: String,
    /// The server.
    pub host: String,
    /// Its port; default: 465 with `tls`, 587 with `starttls`, 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is kept secret.
    #[serde(default)]
    pub security: Security,
    /// A file with further certificates that are trusted, in PEM.
    pub ca_file: Option<std::path::PathBuf>,
    /// Who logs in.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<SecretString>,
    /// From whom: `Dogwatch <dogwatch@example.com>`.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Who is answered.
    pub reply_to: Option<String>,
    /// The least severity that is sent.
    #[serde(default = "everything")]
    pub min_severity: Severity,
    /// How long each step of the conversation may take.
    #[serde(default = "twenty_seconds", with = "duration::required")]
    pub timeout: Duration,
    /// How many messages in which time.
    #[serde(default = "Limit::usual")]
    pub limit: Limit,
}

fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

/// How a connection is kept secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the beginning.
    #[default]
    Tls,
    /// TLS after a greeting; without it nothing is sent.
    Starttls,
    /// Not at all; then there is no password either.
    None,
}

impl EmailSettings {
    pub(crate) fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|_| format!("`{text}` is no address; write one such as `Ops <ops@example.com>`"))
        };
        if self.host.is_empty() {
            return wrong("host", "is empty".to_owned());
        }
        if let Err(reason) = mailbox(&self.from) {
            return wrong("from", reason);
        }
        if self.to.is_empty() {
            return wrong("to", "is empty; write at least one address".to_owned());
        }
        for (index, address) in self.to.iter().enumerate() {
            if let Err(reason) = mailbox(address) {
                return wrong(&format!("to.{index}"), reason);
            }
        }
        if let Some(Err(reason)) = self.reply_to.as_deref().map(mailbox) {
            return wrong("reply_to", reason);
        }
        if self.username.is_some() != self.password.is_some() {
            return wrong("password", "write both `username` and `password`, or none".to_owned());
        }
        if self.password.is_some() && self.security == Security::None {
            return wrong("security", "a password needs `tls` or `starttls`".to_owned());
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Email {
    smtp: Smtp,
    from: Mailbox,
    to: Vec<Mailbox>,
    reply_to: Option<Mailbox>,
}

/// What goes into a mail.
struct Letter<'a> {
    id: Uuid,
    at: SystemTime,
    to: &'a [Mailbox],
    /// Of them, those who do not have it yet.
    only: Option<&'a [String]>,
    subject: &'a str,
    text: String,
    html: String,
    picture: Option<Vec<u8>>,
    thread: Option<Uuid>,
}

impl Email {
    pub(crate) fn new(settings: &EmailSettings) -> Result<Self, String> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|error| format!("{text}: {error}"));
        Ok(Self {
            smtp: Smtp::new(settings)?,
            from: mailbox(&settings.from)?,
            to: settings.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            reply_to: settings.reply_to.as_ref().map(mailbox).transpose()?,
        })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        // Without a picture a mail is still a mail.
        let picture = match message.chart.clone() {
            Some(chart) => {
                tokio::task::spawn_blocking(move || chart.line.png().ok()).await.unwrap_or_default()
            }
            None => None,
        };
        let letter = Letter {
            id: message.id,
            at: message.at.into(),
            to: &self.to,
            only: message.recipients.as_deref(),
            subject: &subject(message),
            text: page::text(message),
            html: page::html(message, picture.as_ref().map(|_| PICTURE))?,
            picture,
            thread: message.thread.as_ref().map(|(first, _)| *first),
        };
        self.post(letter).await
    }

    pub(crate) async fn send_document(&self, document: &Document<'_>) -> Result<(), SendError> {
        let to: Vec<Mailbox> = document
            .to
            .iter()
            .map(|text| text.parse().map_err(|_| SendError::permanent(format!("`{text}` is no address"))))
            .collect::<Result<_, _>>()?;
        let letter = Letter {
            id: document.id,
            at: document.at.into(),
            to: if to.is_empty() { &self.to } else { &to },
            only: None,
            subject: document.subject,
            text: document.text.to_owned(),
            html: document.html.to_owned(),
            picture: None,
            thread: None,
        };
        self.post(letter).await.map(drop)
    }

    async fn post(&self, letter: Letter<'_>) -> Result<Receipt, SendError> {
        let unwritten = |error: &dyn std::error::Error| {
            SendError::permanent(format!("the mail cannot be written: {error}"))
        };
        let is_meant = |to: &&Mailbox| {
            letter.only.is_none_or(|only| only.iter().any(|address| *address == to.email.to_string()))
        };
        let to: Vec<Address> = letter.to.iter().filter(is_meant).map(|to| to.email.clone()).collect();
        if to.is_empty() {
            return Err(SendError::permanent("none of its recipients is configured any more"));
        }
        let envelope = Envelope::new(Some(self.from.email.clone()), to).map_err(|error| unwritten(&error))?;
        let mail = self.mail(letter).map_err(|error| unwritten(error.as_ref()))?;
        self.smtp.send(&envelope, &mail.formatted()).await
    }

    fn mail(&self, letter: Letter<'_>) -> Result<lettre::Message, Box<dyn std::error::Error + Send + Sync>> {
        let header =
            |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(letter.subject)
            .message_id(Some(self.message_id(letter.id)))
            .date(letter.at)
            // No answer from a machine to a machine.
            .raw_header(header("Auto-Submitted", "auto-generated"));
        for to in letter.to {
            builder = builder.to(to.clone());
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if let Some(first) = letter.thread {
            let first = self.message_id(first);
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        let html = SinglePart::html(letter.html);
        let alternative = MultiPart::alternative().singlepart(SinglePart::plain(letter.text));
        let body = match letter.picture {
            Some(picture) => {
                let picture = Attachment::new_inline(PICTURE.to_owned())
                    .body(picture, ContentType::parse("image/png")?);
                alternative.multipart(MultiPart::related().singlepart(html).singlepart(picture))
            }
            None => alternative.singlepart(html),
        };
        Ok(builder.multipart(body)?)
    }

    fn message_id(&self, id: Uuid) -> String {
        format!("<{id}@{}>", self.from.email.domain())
    }
}

/// One line, bounded: a title may hold what a service told.
fn subject(message: &Message) -> String {
    let line: String =
        message.title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if message.status == "resolved" { line } else { format!("[{}] {line}", message.severity) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::message;
    use dogwatch_testing::{SmtpFault, SmtpPeer};
    use serde_json::json;

    fn email(port: u16, more: &serde_json::Value) -> Email {
        crate::tests_support::tls();
        let mut settings = json!({
            "name": "m", "host": "127.0.0.1", "port": port, "security": "none", "timeout": "500ms",
            "from": "Dogwatch <dogwatch@example.com>", "to": ["Ops <ops@example.com>", "boss@example.com"],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            settings[key] = value.clone();
        }
        Email::new(&serde_json::from_value(settings).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_mail_has_text_html_and_a_picture_and_belongs_to_its_thread() {
        let peer = SmtpPeer::start().await;
        let email = email(peer.port(), &json!({"reply_to": "team@example.com"}));
        let first = message(1, 0);
        assert_eq!(email.send(&first).await.unwrap().name.as_deref(), Some("kept"));
        let later = Message { id: Uuid::from_u128(0x18), thread: Some((first.id, None)), ..message(0, 1) };
        email.send(&later).await.unwrap();
        let mails = peer.mails();
        let id = format!("<{}@example.com>", first.id);
        assert_eq!((mails[0].header("Message-ID"), mails[0].to.len()), (id.clone(), 2));
        assert_eq!(mails[0].header("Subject"), "[high] shop: 50.0 % of requests fail");
        assert_eq!(mails[0].header("Date"), "Wed, 20 May 2026 12:17:00 +0000");
        assert_eq!(
            (mails[0].header("Reply-To"), mails[0].header("Auto-Submitted")),
            ("team@example.com".into(), "auto-generated".into())
        );
        assert_eq!((mails[1].header("In-Reply-To"), mails[1].header("References")), (id.clone(), id));
        for part in ["multipart/alternative", "text/plain", "text/html", "image/png", "Content-ID: <chart>"] {
            assert!(mails[0].text.contains(part), "{part}");
        }
    }

    #[tokio::test]
    async fn how_far_a_mail_came_is_known() {
        let peer = SmtpPeer::start().await;
        let email = email(peer.port(), &json!({}));
        let send = async || email.send(&message(1, 0)).await.unwrap_err();
        peer.fail(SmtpFault::Busy);
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        peer.fail(SmtpFault::Recipient(451));
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        peer.fail(SmtpFault::Recipient(550));
        let refused = send().await;
        assert!(
            matches!(refused, SendError::Permanent { .. }) && refused.to_string().contains("550"),
            "{refused}"
        );
        peer.fail(SmtpFault::Text(452));
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        // Late, but not refused: the conversation is not to go on a reply behind.
        peer.fail(SmtpFault::SlowRecipient(Duration::from_millis(700)));
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        peer.fail(SmtpFault::Slow(Duration::from_secs(5)));
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        assert!(peer.mails().is_empty());
        peer.fail(SmtpFault::HangUpAfterText);
        assert!(matches!(send().await, SendError::Unknown { .. }), "it may have arrived");
        assert_eq!(peer.mails().len(), 1);
        peer.pause().await;
        assert!(matches!(send().await, SendError::NotReceived { .. }));
        peer.resume().await;
        peer.fail(SmtpFault::None);
        // A connection that is gone is made anew.
        email.send(&message(1, 0)).await.unwrap();
        peer.pause().await;
        peer.resume().await;
        email.send(&message(1, 0)).await.unwrap();
        assert_eq!(peer.mails().len(), 3);
    }

    #[tokio::test]
    async fn who_is_refused_beside_others_is_told_apart() {
        let peer = SmtpPeer::start().await;
        let email = email(peer.port(), &json!({}));
        peer.fail(SmtpFault::RecipientOf("boss", 452));
        let SendError::Partly { reason, recipients, .. } = email.send(&message(1, 0)).await.unwrap_err()
        else {
            panic!("not for some")
        };
        assert!(recipients == ["boss@example.com"] && reason.contains("452"), "{reason}");
        // To them alone, with the others still named in it.
        peer.fail(SmtpFault::None);
        let again = Message { recipients: Some(recipients), ..message(1, 0) };
        email.send(&again).await.unwrap();
        let mails = peer.mails();
        assert!(mails[0].to.len() == 1 && mails[0].to[0].contains("ops@"), "{:?}", mails[0].to);
        assert!(mails[1].to.len() == 1 && mails[1].to[0].contains("boss@"), "{:?}", mails[1].to);
        assert!(mails[1].header("To").contains("ops@example.com"));
        // For good: the others have it, and it is said.
        peer.fail(SmtpFault::RecipientOf("boss", 550));
        let refused = email.send(&message(1, 0)).await.unwrap().refused.unwrap();
        assert!(refused.starts_with("boss@example.com") && refused.contains("550"), "{refused}");
    }

    #[test]
    fn settings_that_cannot_work_are_told_with_what_would_be_right() {
        let valid = json!({"name": "m", "host": "mail.example.com", "from": "D <d@example.com>", "to": ["ops@example.com"]});
        let check = |key: &str, value: serde_json::Value| {
            let mut settings = valid.clone();
            settings[key] = value;
            serde_json::from_value::<EmailSettings>(settings).unwrap().validate()
        };
        assert_eq!(check("port", json!(2525)), Ok(()));
        for (key, value, wrong, told) in [
            ("from", json!("dogwatch"), "from", "is no address"),
            ("to", json!([]), "to", "at least one"),
            ("to", json!(["a@b.c", "x"]), "to.1", "is no address"),
            ("username", json!("me"), "password", "both"),
        ] {
            let (at, reason) = check(key, value).unwrap_err();
            assert!(at == wrong && reason.contains(told), "{at}: {reason}");
        }
    }
}

//! The conversation with a mail server. It knows how far it came, which lettre's transport does not tell; and a connection
//! that was left in the middle of one is closed, which lettre's pool does not do.

use std::error::Error as _;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{EmailSettings, Security};
use crate::Receipt;
use crate::error::SendError;

/// How long a connection that is not used is kept.
const KEPT: Duration = Duration::from_secs(30);
/// How much of an answer goes into an error.
const MAX_ERROR: usize = 300;

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: Option<(TlsParameters, Security)>,
    credentials: Option<Credentials>,
    limit: Duration,
    /// After a mail, for the next one.
    kept: Mutex<Option<(AsyncSmtpConnection, Instant)>>,
}

/// How far a conversation came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was said of the mail yet.
    Before,
    Login,
    /// The server judges who it goes to.
    Envelope,
    /// The text was sent.
    Content,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    pub(super) fn new(settings: &EmailSettings) -> Result<Self, String> {
        let tls = match settings.security {
            Security::None => None,
            security => Some((tls_parameters(settings)?, security)),
        };
        let usual_port = match settings.security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        };
        let credentials = settings.username.clone().zip(settings.password.as_ref());
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port.unwrap_or(usual_port),
            tls,
            credentials: credentials
                .map(|(user, password)| Credentials::new(user, password.expose_secret().to_owned())),
            limit: settings.timeout,
            kept: Mutex::new(None),
        })
    }

    /// Delivers a mail to its recipients, also where the server does not take some of them.
    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<Receipt, SendError> {
        let mut connection = match self.kept().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = self.deliver(&mut connection, envelope, mail).await?;
        *self.kept.lock().await = Some((connection, Instant::now()));
        Ok(answer)
    }

    /// The connection of the mail before, if it still answers.
    async fn kept(&self) -> Option<AsyncSmtpConnection> {
        let (mut connection, used_at) = self.kept.lock().await.take()?;
        if used_at.elapsed() > KEPT {
            return None;
        }
        let answers =
            tokio::time::timeout(self.limit.min(Duration::from_secs(5)), connection.test_connected()).await;
        answers.is_ok_and(|answers| answers).then_some(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let hello = ClientId::default();
        let wrapper = self.tls.as_ref().filter(|(_, security)| *security == Security::Tls);
        let wrapper = wrapper.map(|(parameters, _)| parameters.clone());
        let address = (self.host.as_str(), self.port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.limit), &hello, wrapper, None);
        let mut connection = self.step(Phase::Before, connecting).await?;
        if let Some((parameters, Security::Starttls)) = &self.tls {
            self.step(Phase::Before, connection.starttls(parameters.clone(), &hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            self.step(Phase::Login, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
        mail: &[u8],
    ) -> Result<Receipt, SendError> {
        let mut options = Vec::new();
        if !mail.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        self.step(Phase::Before, connection.command(Mail::new(envelope.from().cloned(), options))).await?;
        let mut refused = Refused::default();
        for recipient in envelope.to() {
            let asking = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
            // Without an answer the conversation would go on a reply behind, and end before the server has judged the text.
            let Ok(answer) = tokio::time::timeout(self.limit, asking).await else {
                return Err(self.late(Phase::Envelope));
            };
            let Err(error) = answer else { continue };
            let failed = failure(Phase::Envelope, &error);
            if error.status().is_none() {
                return Err(failed);
            }
            refused.note(recipient, &failed);
        }
        if refused.count() == envelope.to().len() {
            return Err(refused.into_error());
        }
        self.step(Phase::Envelope, connection.command(Data)).await?;
        let answer = self.step(Phase::Content, connection.message(mail)).await?;
        if !refused.for_now.is_empty() {
            return Err(refused.into_error_beside_others());
        }
        let name = answer.message().collect::<Vec<_>>().join(" ");
        Ok(Receipt { name: Some(name), refused: refused.for_good() })
    }

    async fn step<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, SendError> {
        if let Ok(done) = tokio::time::timeout(self.limit, work).await {
            return done.map_err(|error| failure(phase, &error));
        }
        Err(self.late(phase))
    }

    fn late(&self, phase: Phase) -> SendError {
        let reason = format!("the mail server did not answer within {} ms", self.limit.as_millis());
        if phase == Phase::Content { SendError::Unknown { reason } } else { SendError::not_received(reason) }
    }
}

/// Recipients that the server does not take.
#[derive(Default)]
struct Refused {
    for_now: Vec<(String, String)>,
    for_good: Vec<String>,
}

impl Refused {
    fn note(&mut self, recipient: &Address, error: &SendError) {
        let reason = format!("{recipient}: {error}");
        match error {
            SendError::Permanent { .. } => self.for_good.push(reason),
            _ => self.for_now.push((recipient.to_string(), reason)),
        }
    }

    fn count(&self) -> usize {
        self.for_now.len() + self.for_good.len()
    }

    /// Who will never have it.
    fn for_good(&self) -> Option<String> {
        (!self.for_good.is_empty()).then(|| self.for_good.join("; "))
    }

    fn into_error(self) -> SendError {
        let reasons = self.for_now.iter().map(|(_, reason)| reason.as_str());
        let reason = reasons.chain(self.for_good.iter().map(String::as_str)).collect::<Vec<_>>().join("; ");
        if self.for_now.is_empty() { SendError::permanent(reason) } else { SendError::not_received(reason) }
    }

    fn into_error_beside_others(self) -> SendError {
        let refused = self.for_good();
        let (recipients, reasons): (Vec<_>, Vec<_>) = self.for_now.into_iter().unzip();
        SendError::Partly { reason: reasons.join("; "), recipients, refused }
    }
}

fn failure(phase: Phase, error: &SmtpError) -> SendError {
    // What the server says is the source; to a login it may repeat what it was told.
    let said = error.source().map(ToString::to_string).filter(|_| phase != Phase::Login).unwrap_or_default();
    let said: String = said.chars().filter(|character| !character.is_control()).take(MAX_ERROR).collect();
    let reason = match (error.status(), phase) {
        (Some(code), Phase::Login) => format!("the mail server refuses the login with {code}"),
        (Some(code), _) => format!("the mail server answered {code} {said}"),
        (None, _) => format!("the mail server cannot be reached: {error} {said}").trim_end().to_owned(),
    };
    match phase {
        Phase::Envelope | Phase::Content if error.is_permanent() => SendError::permanent(reason),
        Phase::Content if !error.is_transient() => SendError::Unknown { reason },
        // Or the mail was never judged: a password may be put right, a server mended.
        _ => SendError::not_received(reason),
    }
}

fn tls_parameters(settings: &EmailSettings) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca_file {
        let pem = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            return Err(format!("{} has no certificate in PEM", file.display()));
        }
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| format!("{}: {error}", file.display()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| error.to_string())
}

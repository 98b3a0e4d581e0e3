//! Peers that others have written: a mail server, a name server, and certificates for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use chrono::{Datelike, TimeDelta, Utc};
use dogwatch_testing::python_with;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A process that says `ready` when it is; killed when dropped.
pub(crate) struct Peer {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Runs a script of `tests/peers`.
    pub(crate) async fn start(script: &str, arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-peers");
        let bin = python_with(&folder, &["aiosmtpd>=1.4,<2", "dnslib>=0.9,<1"]).await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let mut command = Command::new(bin.join("python"));
        command.arg(script).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut peer = Self { _child: child, lines };
        assert_eq!(peer.line().await, "ready");
        peer
    }

    /// What it says next.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(crate::support::LONG, self.lines.next_line()).await;
        line.expect("it says something in time").unwrap().expect("it has not ended")
    }
}

/// An authority of our own, with its certificate in a file.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) file: PathBuf,
}

impl Authority {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = folder.join("authority.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key), file }
    }

    /// A certificate for `localhost` that ends after so many days, and its key, as files.
    #[expect(clippy::disallowed_methods, reason = "the program has the real time too")]
    pub(crate) fn certificate(&self, name: &str, days: i64) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let midnight = |days| {
            let day = (Utc::now() + TimeDelta::days(days)).date_naive();
            let small = |number: u32| u8::try_from(number).unwrap();
            date_time_ymd(day.year(), small(day.month()), small(day.day()))
        };
        params.not_before = midnight(-30);
        params.not_after = midnight(days + 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (file, key_file) =
            (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        std::fs::write(&file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (file, key_file)
    }
}

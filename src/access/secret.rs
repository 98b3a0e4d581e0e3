//! The text of a key, `dw_ID_SECRET`, and of a session: random bits, of which only a hash is kept.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How a key begins, so that scanners for secrets know one.
const PREFIX: &str = "dw_";

/// A key as its owner has it.
#[derive(Clone, Debug)]
pub struct KeyText {
    /// Which key.
    pub id: Uuid,
    secret: SecretString,
}

/// What a browser has that has signed in.
#[derive(Clone, Debug)]
pub struct SessionToken(SecretString);

impl KeyText {
    /// A new one.
    pub fn random() -> Self {
        Self { id: Uuid::now_v7(), secret: random() }
    }

    /// Reads a key; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.trim().strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { id: Uuid::try_parse(id).ok()?, secret: secret.into() })
    }

    /// For its owner.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id.simple(), self.secret.expose_secret())
    }

    /// What is kept of it.
    pub fn secret_sha256(&self) -> Vec<u8> {
        sha256(&self.secret)
    }

    /// Whether this is what was kept. Takes as long whatever it is.
    pub fn is(&self, secret_sha256: &[u8]) -> bool {
        self.secret_sha256().ct_eq(secret_sha256).into()
    }
}

impl SessionToken {
    /// A new one.
    pub fn random() -> Self {
        Self(random())
    }

    /// As a browser sent it.
    pub fn of(text: &str) -> Self {
        Self(text.into())
    }

    /// For the browser.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn sha256(&self) -> Vec<u8> {
        sha256(&self.0)
    }
}

/// Whether two texts are the same. Takes as long wherever they differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()).ct_eq(&Sha256::digest(other.as_bytes())).into()
}

fn sha256(secret: &SecretString) -> Vec<u8> {
    Sha256::digest(secret.expose_secret().as_bytes()).to_vec()
}

/// 256 bits, in hexadecimal digits.
fn random() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_shown_and_no_other_is_it() {
        let key = KeyText::random();
        let read = KeyText::parse(&format!(" {}\n", key.expose())).unwrap();
        assert!(read.id == key.id && read.is(&key.secret_sha256()));
        assert!(!KeyText::random().is(&key.secret_sha256()));
        assert!(!format!("{key:?}").contains(key.secret.expose_secret()), "it is not told by accident");
        for text in [
            "",
            "dw_",
            "dw_x_y",
            "sk_00000000000000000000000000000000_ab",
            "dw_00000000000000000000000000000000",
        ] {
            assert!(KeyText::parse(text).is_none(), "{text}");
        }
    }
}

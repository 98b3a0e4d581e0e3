//! SQL as it can be stored and grouped: without a literal in it, and with a fingerprint that the same statement has in
//! every guise.
//!
//! What services send may hold passwords and addresses, may be cut off in the middle of a string, and is of a dialect
//! that is known at best by name. So nothing is parsed: a lexer splits any text into tokens and never fails, and
//! [`normalize()`] masks what is or may be a literal. Where two readings are possible, the one that shows less is taken.
//!
//! The masked text follows OpenTelemetry's rules for `db.query.text`, the summary those for `db.query.summary`.

mod dialect;
mod lexer;
mod lists;
mod normalize;
mod summary;
mod words;

pub use self::dialect::Dialect;
pub use self::normalize::{Normalized, normalize};

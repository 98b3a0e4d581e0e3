//! Rows in the binary format of `COPY … FROM STDIN (FORMAT binary)`: encoded where the data come in, many at a time, so
//! that the one who writes only passes bytes on.

use chrono::{DateTime, Utc};
use uuid::Uuid;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// No flags, no header extension.
const NO_MORE: [u8; 8] = [0; 8];
/// Behind the last row.
const END: [u8; 2] = (-1_i16).to_be_bytes();
/// Postgres counts from 2000 on.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What stands before the rows of a copy.
pub(crate) fn head() -> Vec<u8> {
    [SIGNATURE, &NO_MORE].concat()
}

/// What stands after them.
pub(crate) fn end() -> [u8; 2] {
    END
}

/// Rows of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: usize,
}

impl Rows {
    /// Begins a row; all its columns have to follow.
    pub(crate) fn begin(&mut self, columns: i16) {
        self.bytes.extend(columns.to_be_bytes());
        self.count += 1;
    }

    pub(crate) fn put(&mut self, value: impl Value) {
        value.write(&mut self.bytes);
    }
}

/// A column's value.
pub(crate) trait Value {
    fn write(self, bytes: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn write(self, bytes: &mut Vec<u8>) {
                field(bytes, &self.to_be_bytes());
            }
        }
    )*};
}
numbers!(i16, i32, i64, f64);

impl Value for bool {
    fn write(self, bytes: &mut Vec<u8>) {
        field(bytes, &[u8::from(self)]);
    }
}

impl Value for Uuid {
    fn write(self, bytes: &mut Vec<u8>) {
        field(bytes, self.as_bytes());
    }
}

impl Value for &str {
    fn write(self, bytes: &mut Vec<u8>) {
        field(bytes, self.as_bytes());
    }
}

impl Value for DateTime<Utc> {
    fn write(self, bytes: &mut Vec<u8>) {
        (self.timestamp_micros() - EPOCH_MICROS).write(bytes);
    }
}

impl<T: Value> Value for Option<T> {
    fn write(self, bytes: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(bytes),
            None => bytes.extend((-1_i32).to_be_bytes()),
        }
    }
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) {
    // Values are bounded where they come in, far below two gigabytes.
    bytes.extend(i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
    bytes.extend(value);
}

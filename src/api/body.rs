//! Request bodies: JSON, with errors that point at the fault; one object or an array of them.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::Problem;
use crate::config::segments;

/// The most that one request may carry.
const MAX_ITEMS: usize = 10_000;

/// One `T` or many.
pub(super) struct OneOrMany<T> {
    items: Vec<T>,
    /// Whether the body was an array, and the answer is to be one.
    pub(super) many: bool,
}

impl<T> OneOrMany<T> {
    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items, each with its JSON pointer in the body.
    pub(super) fn into_items(self) -> impl Iterator<Item = (String, T)> {
        let many = self.many;
        self.items.into_iter().enumerate().map(move |(index, item)| (pointer(many, index), item))
    }
}

/// The pointer to item `index`.
pub(super) fn pointer(many: bool, index: usize) -> String {
    if many { format!("/{index}") } else { String::new() }
}

/// One `T`.
pub(super) struct Object<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Object<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse("", &json(request, state).await?).map(Self)
    }
}

/// How [`OneOrMany`] is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is a description")]
pub(super) enum OneOrManyOf<T> {
    /// One.
    One(T),
    /// Up to 10,000; either all of them are taken or none.
    Many(Vec<T>),
}

/// A `T`, or nothing at all.
pub(super) struct Optional<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
            && !request.headers().contains_key(header::TRANSFER_ENCODING)
        {
            return Ok(Self(T::default()));
        }
        match json(request, state).await? {
            Value::Null => Ok(Self(T::default())),
            value => parse("", &value).map(Self),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OneOrMany<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (values, many) = match json(request, state).await? {
            Value::Array(values) => (values, true),
            value => (vec![value], false),
        };
        if values.is_empty() || values.len() > MAX_ITEMS {
            return Err(Problem::at("", format!("{} items; send 1 to {MAX_ITEMS}", values.len())));
        }
        let items = values.into_iter().enumerate().map(|(index, value)| parse(&pointer(many, index), &value));
        Ok(Self { items: items.collect::<Result<_, _>>()?, many })
    }
}

/// The body as JSON.
async fn json<S: Send + Sync>(request: Request, state: &S) -> Result<Value, Problem> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
        let detail = format!("Content-Type `{kind}`: send application/json");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let bytes = Bytes::from_request(request, state).await.map_err(|error| {
        Problem::new(error.status(), format!("the body could not be read: {}", error.body_text()))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))
}

/// A value as a `T`, with errors that point at the fault.
pub(super) fn parse<T: DeserializeOwned>(base: &str, value: &Value) -> Result<T, Problem> {
    // An array would be read as well, field by field.
    if !value.is_object() {
        return Err(Problem::at(base, "this is no object; send one such as {}"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let parts = segments(error.path());
        let inner = parts.iter().fold(String::new(), |pointer, part| pointer + "/" + part);
        Problem::at(format!("{base}{inner}"), error.inner().to_string())
    })
}

/// A word that its type can read.
pub(super) fn text<'de, D: serde::Deserializer<'de>, T: FromStr<Err = String>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
}

/// Why a text is refused; `None` when it is not.
pub(super) fn wrong_text(text: &str, max_bytes: usize, is_wrong: impl Fn(char) -> bool) -> Option<String> {
    if text.len() > max_bytes {
        return Some(format!("has {} bytes; write up to {max_bytes}", text.len()));
    }
    let found = text.chars().find(|char| is_wrong(*char))?;
    Some(format!("has the control character `{}`; leave it out", found.escape_unicode()))
}

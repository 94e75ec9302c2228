//! Parsing requests: bodies, queries, ids. Every mistake is reported with its path.

use std::{collections::BTreeMap, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use tower::BoxError;

use crate::{
    error::{AuthError, ErrorKind, ValidationIssue},
    master_auth::Administrator,
    session::{CreationKey, IdempotencyKey},
};

/// The largest body that is read, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Parses a body as a JSON object. An empty body counts as `{}`.
pub(super) async fn json<T, B>(headers: &HeaderMap, body: B) -> Result<T, AuthError>
where
    T: DeserializeOwned,
    B: Body<Data: Send, Error: Into<BoxError>>,
{
    let is_typed = headers.contains_key(header::CONTENT_TYPE);
    if is_typed && !has_media_type(headers, b"application/json") {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    let bytes = read(body, MAX_BODY).await?;
    if bytes.is_empty() {
        return parse(b"{}");
    }
    if !is_typed {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    parse(&bytes)
}

/// True if the `Content-Type` is this media type, with any parameters.
pub(super) fn has_media_type(headers: &HeaderMap, media_type: &[u8]) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(media_type))
}

/// True if a request declares a longer body than is read.
pub(super) fn is_declared_too_long(headers: &HeaderMap, limit: usize) -> bool {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    length.is_some_and(|length| length > limit as u64)
}

/// Reads a body within the limit.
pub(super) async fn read<B: Body<Data: Send, Error: Into<BoxError>>>(
    body: B,
    limit: usize,
) -> Result<Bytes, AuthError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => {
            if error.is::<LengthLimitError>() {
                Err(ErrorKind::PayloadTooLarge.into())
            } else {
                Err(AuthError::invalid_field(
                    "",
                    "the body could not be read to its end",
                ))
            }
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AuthError> {
    // A derived `Deserialize` would also accept an array of the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(AuthError::invalid_field("", "must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // `.` is the root, `?` a field whose name is incomplete.
        let path = error.path().to_string();
        let path = path.trim_end_matches(['.', '?']);
        AuthError::invalid_field(path, error.inner().to_string())
    })?;
    json.end()
        .map_err(|error| AuthError::invalid_field("", error.to_string()))?;
    Ok(value)
}

/// The largest integer up to which a float is exact.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Parses an optional integer. `300.0` is one, as in JSON Schema: some languages write every number so.
pub(super) fn integer<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let of_float = |float: f64| {
        let is_exact = float.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&float);
        is_exact.then_some(float as u64)
    };
    let integer = number.as_u64().or_else(|| number.as_f64().and_then(of_float));
    integer
        .and_then(|integer| T::try_from(integer).ok())
        .map(Some)
        .ok_or_else(|| D::Error::custom("must be an integer in the allowed range"))
}

/// Parses the idempotency key of a creation, in the scope of the administrator who sent it.
///
/// Nobody receives the results of another administrator. The holder of the master password has no name in the key.
pub(super) fn creation_key(admin: &Administrator, parts: &Parts) -> Result<Option<CreationKey>, AuthError> {
    let key = IdempotencyKey::from_headers(&parts.headers)?;
    Ok(key.map(|key| match admin.name() {
        Administrator::MASTER => CreationKey::new(key),
        name => CreationKey::of_administrator(key, name),
    }))
}

/// Parses an id in the path.
pub(super) fn id<T: FromStr<Err: std::fmt::Display>>(text: Option<&str>) -> Result<T, AuthError> {
    text.unwrap_or_default()
        .parse()
        .map_err(|error: T::Err| AuthError::invalid_field("id", error.to_string()))
}

/// The parameters of a query. An unknown or repeated one is an error.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, AuthError> {
        let mut parameters = BTreeMap::new();
        let mut issues = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                issues.push(ValidationIssue::new(name, "is not a parameter of this endpoint"));
            } else if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                issues.push(ValidationIssue::new(name, "must not be repeated"));
            }
        }
        if issues.is_empty() {
            Ok(Self(parameters))
        } else {
            Err(AuthError::validation(issues))
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Parses a parameter.
    pub(super) fn parse<T, E: std::fmt::Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, AuthError> {
        let invalid = |error: E| AuthError::invalid_field(name, error.to_string());
        self.get(name).map(read).transpose().map_err(invalid)
    }
}

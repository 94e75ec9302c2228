//! The values of settings: from text to a type.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::de::{
    DeserializeOwned, IntoDeserializer,
    value::{Error as ValueError, StrDeserializer},
};
use tower_session_auth::{
    master_auth::IpNet,
    session::{OnReuse, OnSessionLimit},
    session_auth::Freshness,
};

use super::{ListenAddress, LogFormat};

/// A type of settings. A value is given as one text, or as several in a list of the configuration file.
pub(super) trait Value: Sized {
    /// The expected form, for messages about mistakes.
    const EXPECTED: &'static str;

    /// `Err` has all texts that are not in the expected form.
    fn from_texts(texts: &[String]) -> Result<Self, Vec<String>>;
}

/// A type of settings with one text.
trait SingleValue: Sized {
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Option<Self>;
}

impl<T: SingleValue> Value for T {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_texts(texts: &[String]) -> Result<Self, Vec<String>> {
        match texts {
            [text] => T::from_text(text).ok_or_else(|| vec![text.clone()]),
            _ => Err(vec![texts.join(", ")]),
        }
    }
}

/// An element of a list. The elements can also be given in one text, separated by commas.
trait Element: Sized {
    const EXPECTED_LIST: &'static str;

    fn from_text(text: &str) -> Option<Self>;
}

impl<T: Element> Value for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED_LIST;

    fn from_texts(texts: &[String]) -> Result<Self, Vec<String>> {
        let elements = texts.iter().flat_map(|text| text.split(','));
        let elements = elements.map(str::trim).filter(|text| !text.is_empty());
        let (mut list, mut wrong) = (Vec::new(), Vec::new());
        for text in elements {
            match T::from_text(text) {
                Some(element) => list.push(element),
                None => wrong.push(text.to_owned()),
            }
        }
        if wrong.is_empty() { Ok(list) } else { Err(wrong) }
    }
}

macro_rules! single_values {
    ($($type:ty: $expected:literal, $parse:expr;)*) => {
        $(impl SingleValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                $parse(text)
            }
        })*
    };
}

single_values! {
    bool: "true or false", parsed;
    u32: "a whole number from 0 on", parsed;
    u64: "a whole number from 0 on", parsed;
    usize: "a whole number from 0 on", parsed;
    String: "text", parsed;
    PathBuf: "the path of a file", parsed;
    SocketAddr: "an address and a port, such as 127.0.0.1:3100", parsed;
    OnSessionLimit: "refuse or evict_oldest", word;
    OnReuse: "reject or revoke", word;
    Freshness: "strict or bounded", word;
    LogFormat: "text or json", word;
}

impl Element for IpNet {
    const EXPECTED_LIST: &'static str = "a list of addresses or networks, such as 10.0.0.7, 192.168.0.0/16";

    /// A bare address is the network of this address alone.
    fn from_text(text: &str) -> Option<Self> {
        parsed(text).or_else(|| parsed::<IpAddr>(text).map(Self::from))
    }
}

impl Element for ListenAddress {
    const EXPECTED_LIST: &'static str =
        "a list of addresses, such as 127.0.0.1:3100, [::1]:3100, localhost:3100 or unix:/run/server.sock";

    fn from_text(text: &str) -> Option<Self> {
        parsed(text)
    }
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Parses one of the words of a type.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    let text: StrDeserializer<'_, ValueError> = text.into_deserializer();
    T::deserialize(text).ok()
}

//! The parts of a URL (RFC 3986, section 3), with a list of hosts.

use percent_encoding::percent_decode_str;

use super::Host;

/// How to write a character that separates the parts of a URL.
const ENCODE: &str =
    "in a user name or password, write %2F for /, %40 for @, %3A for :, %3F for ?, %23 for # and %25 for %";

/// The end of the authority if a host in a list has a scheme of its own.
const SCHEMES: [&str; 4] = ["redis:", "rediss:", "valkey:", "valkeys:"];

/// The parts of a URL, as they are written.
pub(super) struct Parts<'a> {
    pub(super) scheme: &'a str,
    user_info: Option<&'a str>,
    pub(super) hosts: &'a str,
    /// Without the slash before it.
    pub(super) path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("a URL begins with its scheme: write redis://host:6379".into());
        };
        if rest.contains('#') {
            return Err(if rest.ends_with("#insecure") {
                "#insecure is not supported: the server's certificate is always verified".into()
            } else {
                format!("a URL of Redis has no fragment (#): {ENCODE}")
            });
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, hosts) = match authority.rsplit_once('@') {
            Some((user_info, hosts)) => (Some(user_info), hosts),
            None => (None, authority),
        };
        let last = authority.rsplit_once(',').map(|(_, last)| last.trim());
        if last.is_some_and(|last| SCHEMES.contains(&last)) {
            return Err(
                "a list of hosts has its scheme once, at the beginning: write scheme://host:port,host:port"
                    .into(),
            );
        }
        // A password with a slash ends the authority too early, and leaves an @ behind it.
        if path.contains('@') || query.is_some_and(|query| query.contains('@')) {
            return Err(format!("an @ is behind the host: {ENCODE}"));
        }
        Ok(Self {
            scheme,
            user_info,
            hosts,
            path,
            query,
        })
    }

    /// The user name and the password.
    pub(super) fn credentials(&self) -> Result<(Option<String>, Option<String>), String> {
        let Some(user_info) = self.user_info else {
            return Ok((None, None));
        };
        let (username, password) = match user_info.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (user_info, None),
        };
        let username = decoded(username, "user name")?;
        let password = password
            .map(|password| decoded(password, "password"))
            .transpose()?;
        Ok((Some(username).filter(|name| !name.is_empty()), password))
    }

    /// The values of these parameters. Any other one is an error, and so is a repeated one.
    pub(super) fn query<const N: usize>(&self, names: [&str; N]) -> Result<[Option<String>; N], String> {
        let mut values = [const { None }; N];
        let pairs = self.query.into_iter().flat_map(|query| query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(place) = names.iter().position(|known| *known == name) else {
                let is_word = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                // A text without = may be a part of a password.
                let named = if is_word && pair.contains('=') {
                    format!("the parameter {name}")
                } else {
                    "a parameter behind ?".to_owned()
                };
                return Err(format!("{named} is unknown: known are {}", names.join(", ")));
            };
            if values[place].replace(decoded(value, name)?).is_some() {
                return Err(format!("the parameter {name} is given twice"));
            }
        }
        Ok(values)
    }
}

/// Decodes %-escapes. `what` names the part in an error.
pub(super) fn decoded(text: &str, what: &str) -> Result<String, String> {
    let malformed = text.split('%').skip(1).any(|escape| {
        let digits = escape.as_bytes();
        digits.len() < 2 || !digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    if malformed {
        return Err(format!(
            "the {what} has a % without two hexadecimal digits: {ENCODE}"
        ));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(String::from)
        .map_err(|_| format!("the {what} is not UTF-8"))
}

/// The number of a database.
pub(super) fn number(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| format!("the database must be a number, as in redis://host:6379/0; {ENCODE}"))
}

/// A list of hosts, separated by commas.
pub(super) fn hosts(list: &str, default_port: u16) -> Result<Vec<Host>, String> {
    list.split(',')
        .map(|host| parse_host(host.trim(), default_port))
        .collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<Host, String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (name, rest) = bracketed
                .split_once(']')
                .ok_or("a bracket of an IPv6 address is not closed")?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err("a port follows the bracket of an IPv6 address: write [::1]:6379".into()),
            };
            if name.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("brackets hold an IPv6 address: write [::1]:6379".into());
            }
            (name, port)
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets: write [::1]:6379".into());
            }
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    if name.is_empty() {
        return Err("the host is missing: write redis://host:6379".into());
    }
    let port = match port {
        None => default_port,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("a port is a number from 1 to 65535; {ENCODE}"))?,
    };
    Ok(Host {
        name: name.to_owned(),
        port,
    })
}

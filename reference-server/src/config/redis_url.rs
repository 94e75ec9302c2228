//! The parts of a Redis URL, for messages. They never contain the user or the password.

/// A Redis server that is reached by TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisAddress {
    pub(crate) has_tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl RedisAddress {
    /// `None` for a Unix socket and for a text that is no URL.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let parts = Parts::of(url)?;
        let has_tls = match parts.scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return None,
        };
        // The colons in an IPv6 address are no port.
        let (host, port) = match parts.host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (parts.host, 6379),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        (!host.is_empty()).then(|| Self {
            has_tls,
            host: host.to_owned(),
            port,
        })
    }
}

/// Removes user and password from a URL.
pub(super) fn without_password(url: &str) -> String {
    let Some(parts) = Parts::of(url) else {
        return "(not a URL)".to_owned();
    };
    // The query of a Unix socket's URL can contain a password.
    let path = parts.rest.split(['?', '#']).next().unwrap_or_default();
    let path = if path == "/" { "" } else { path };
    format!("{}://{}{path}", parts.scheme, parts.host)
}

struct Parts<'a> {
    scheme: &'a str,
    /// The host and the port.
    host: &'a str,
    /// Path, query and fragment.
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(Self { scheme, host, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_url_has_no_password() {
        for (url, printed) in [
            ("redis://user:hunter2@h:1/3", "redis://h:1/3"),
            ("rediss://:hunter2@h", "rediss://h"),
            ("redis://:p@h:1/?x=a@b", "redis://h:1"),
            ("redis://h/0?password=hunter2", "redis://h/0"),
            (
                "unix:///run/redis.sock?user=u&pass=hunter2",
                "unix:///run/redis.sock",
            ),
            ("redis://h", "redis://h"),
            ("hunter2", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), printed);
        }
    }

    #[test]
    fn address_has_a_host_and_a_port() {
        let address = |has_tls, host: &str, port| {
            let host = host.to_owned();
            Some(RedisAddress { has_tls, host, port })
        };
        for (url, expected) in [
            ("redis://user:p@ss@h:1/3", address(false, "h", 1)),
            ("rediss://h", address(true, "h", 6379)),
            ("redis://[::1]", address(false, "::1", 6379)),
            ("valkeys://[::1]:7/0", address(true, "::1", 7)),
            ("unix:///run/redis.sock", None),
            ("redis://", None),
            ("h:6379", None),
        ] {
            assert_eq!(RedisAddress::of(url), expected, "{url}");
        }
    }
}

//! The metadata of the protected resource (RFC 9728): how an OAuth client learns what a 401 asks for.

use http::{Uri, uri::Authority};
use serde::Serialize;

/// The path of the metadata, before the path of the resource (RFC 9728, section 3.1).
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The identifier of a protected resource: the URL of the API that the sessions are for (RFC 9728, section 1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    url: String,
    origin: String,
    path: String,
}

/// The text is not the identifier of a protected resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an https:// URL without user, query and fragment; http:// is for loopback addresses only")]
pub struct InvalidResource;

/// The metadata document (RFC 9728, section 2).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Metadata<'a> {
    resource: &'a str,
    bearer_methods_supported: &'a [&'a str],
}

impl ProtectedResource {
    /// Parses the URL of the API.
    ///
    /// ```
    /// use tower_session_auth::protected_resource::ProtectedResource;
    ///
    /// let resource = ProtectedResource::parse("https://api.example/mcp")?;
    /// assert_eq!(resource.metadata_url(), "https://api.example/.well-known/oauth-protected-resource/mcp");
    /// # Ok::<(), tower_session_auth::protected_resource::InvalidResource>(())
    /// ```
    ///
    /// # Errors
    /// If it is no `https` URL (or `http` URL of a loopback address), or has a user, a query or a fragment.
    pub fn parse(url: &str) -> Result<Self, InvalidResource> {
        let is_plain = url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'\\'));
        let uri: Uri = url.parse().map_err(|_| InvalidResource)?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@'));
        let (Some(scheme), Some(authority), None, true) =
            (uri.scheme_str(), authority, uri.query(), is_plain)
        else {
            return Err(InvalidResource);
        };
        match scheme {
            "https" => {}
            "http" if is_loopback(authority) => {}
            _ => return Err(InvalidResource),
        }
        Ok(Self {
            url: url.to_owned(),
            origin: format!("{scheme}://{authority}"),
            path: uri.path().strip_suffix('/').unwrap_or(uri.path()).to_owned(),
        })
    }

    /// The URL as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the metadata: the well-known path is between the host and the path of the resource.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path())
    }

    /// The path of the metadata.
    #[must_use]
    pub fn metadata_path(&self) -> String {
        format!("{WELL_KNOWN}{}", self.path)
    }

    /// The metadata. `in_authorization` is true if the token is sent in the header `Authorization`.
    #[cfg_attr(
        not(feature = "endpoints"),
        expect(dead_code, reason = "read by the endpoints")
    )]
    pub(crate) const fn metadata(&self, in_authorization: bool) -> Metadata<'_> {
        Metadata {
            resource: self.url.as_str(),
            // Another header is no method of RFC 6750.
            bearer_methods_supported: if in_authorization { &["header"] } else { &[] },
        }
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_between_the_host_and_the_path() {
        for (url, metadata) in [
            (
                "https://api.example",
                "https://api.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example/",
                "https://api.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example:8443/a/b",
                "https://api.example:8443/.well-known/oauth-protected-resource/a/b",
            ),
            (
                "https://api.example/a/",
                "https://api.example/.well-known/oauth-protected-resource/a",
            ),
            (
                "http://127.0.0.1:3100/mcp",
                "http://127.0.0.1:3100/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "http://[::1]:3100",
                "http://[::1]:3100/.well-known/oauth-protected-resource",
            ),
            (
                "http://localhost",
                "http://localhost/.well-known/oauth-protected-resource",
            ),
        ] {
            let resource = ProtectedResource::parse(url).unwrap();
            assert_eq!(resource.metadata_url(), metadata);
            assert_eq!(resource.url(), url);
        }
    }

    #[test]
    fn other_texts_are_no_resource() {
        for url in [
            "",
            "api.example",
            "/a",
            "http://api.example",
            "http://localhost.example",
            "ftp://api.example",
            "https://user@api.example",
            "https://api.example?a",
            "https://api.example#a",
            "https://api.example/\"",
            "https://api.example/a b",
        ] {
            assert_eq!(ProtectedResource::parse(url), Err(InvalidResource), "{url}");
        }
    }
}

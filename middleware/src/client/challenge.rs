//! The `WWW-Authenticate` challenges of a response (RFC 9110, section 11.6.1).

use http::{HeaderMap, header};

/// True if a Bearer challenge of this response carries `error="invalid_token"` (RFC 6750, section 3.1).
///
/// A response may carry several challenges, in one header or in several. Scheme and parameter names have no case. A parameter's
/// value is a token or a quoted string.
pub(super) fn rejects_token(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .any(|value| Challenges::new(value).any(|parameter| parameter.rejects_token()))
}

/// One parameter of a challenge, with the challenge's scheme.
struct Parameter<'a> {
    scheme: &'a str,
    name: &'a str,
    value: String,
}

impl Parameter<'_> {
    fn rejects_token(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Bearer")
            && self.name.eq_ignore_ascii_case("error")
            && self.value == "invalid_token"
    }
}

/// Iterates over the parameters of all challenges in one header value. It ends at an unclosed quoted string, and skips other syntax errors.
struct Challenges<'a> {
    rest: &'a str,
    scheme: &'a str,
}

impl<'a> Challenges<'a> {
    const fn new(value: &'a str) -> Self {
        Self {
            rest: value,
            scheme: "",
        }
    }

    fn skip(&mut self, separators: &[char]) {
        self.rest = self.rest.trim_start_matches(separators);
    }

    /// Takes a token; it is empty if the next character cannot be part of one.
    fn token(&mut self) -> &'a str {
        let end = self.rest.find(|c| !is_token_char(c));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// Takes the rest of a quoted string, after its first quote. `None` if the last quote is missing.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(index + 1..)?;
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                c => text.push(c),
            }
        }
        None
    }

    /// Skips the token68 of a challenge, as in Negotiate: one word in place of parameters (token68) and no parameters.
    fn skip_token68(&mut self) {
        self.rest = self.rest.find(',').map_or("", |comma| &self.rest[comma..]);
    }
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        loop {
            self.skip(&[' ', '\t', ',']);
            if self.rest.is_empty() {
                return None;
            }
            let word = self.token();
            self.skip(&[' ', '\t']);
            let Some(value) = self.rest.strip_prefix('=') else {
                if word.is_empty() || self.rest.starts_with('/') {
                    self.skip_token68();
                } else {
                    self.scheme = word;
                }
                continue;
            };
            self.rest = value;
            self.skip(&[' ', '\t']);
            let value = match self.rest.strip_prefix('"') {
                Some(rest) => {
                    self.rest = rest;
                    self.quoted()?
                }
                None => self.token().to_owned(),
            };
            if word.is_empty() || value.is_empty() && self.rest.starts_with('=') {
                self.skip_token68();
                continue;
            }
            return Some(Parameter {
                scheme: self.scheme,
                name: word,
                value,
            });
        }
    }
}

const fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '.' | '^' | '_' | '`' | '|' | '~'
        )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn rejects(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        rejects_token(&headers)
    }

    #[test]
    fn invalid_token_is_found_in_every_form_of_a_bearer_challenge() {
        for values in [
            &[r#"Bearer realm="api", error="invalid_token""#][..],
            &["bearer error=invalid_token"],
            &[r#"BEARER realm="a \" b", Error = "invalid_token" , error_description="x""#],
            &[r#"Basic realm="proxy", Bearer error="invalid_token""#],
            &[r#"Negotiate YII/a==, Bearer realm=api,error="invalid_token""#],
            &["Negotiate abc=, , Bearer error=invalid_token"],
            &["Negotiate, Bearer error=invalid_token"],
            &[
                r#"Digest realm="a", nonce="b", qop="auth""#,
                "Bearer error=invalid_token",
            ],
        ] {
            assert!(rejects(values), "{values:?}");
        }
    }

    #[test]
    fn invalid_token_elsewhere_is_no_rejection_of_the_token() {
        for values in [
            &[][..],
            &[r#"Bearer realm="api""#],
            &[r#"Bearer realm="error=\"invalid_token\"""#],
            &[r#"Bearer realm="a, Bearer error=invalid_token""#],
            &[r#"Bearer error="insufficient_scope", scope="invalid_token""#],
            &[r#"Bearer error_description="invalid_token""#],
            &[r#"DPoP error="invalid_token""#],
            &[r#"Bearer realm="api", DPoP error="invalid_token""#],
            &[r#"Bearer error="invalid_token"#],
            &["Bearer error"],
            &["="],
        ] {
            assert!(!rejects(values), "{values:?}");
        }
    }
}

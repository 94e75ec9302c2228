//! The precise reasons of rejections, for logs and metrics.

use std::fmt;

use super::ErrorKind;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// The precise reason of a rejection. It is for the log and for metrics: a client receives only the [`ErrorKind`], which
        /// does not distinguish an unknown key from a bad signature.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionReason {
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("`", $text, "` · ", stringify!($kind))]
                $name,
            )*
        }

        impl RejectionReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable name of the reason, in snake case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind of error that the client receives.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind,)* }
            }
        }
    };
}

reasons! {
    /// The request has no token.
    MissingToken = "missing_token", InvalidToken;
    /// The header has credentials of another scheme than `Bearer`.
    OtherScheme = "other_scheme", InvalidToken;
    /// The request has more than one header with a token.
    DuplicateHeader = "duplicate_header", InvalidToken;
    /// The header is longer than 4 KiB.
    HeaderTooLong = "header_too_long", InvalidToken;
    /// The header has another form than `Bearer <token>`.
    MalformedHeader = "malformed_header", InvalidToken;
    /// A session token is in the query of the URL.
    TokenInQuery = "token_in_query", InvalidToken;
    /// The token begins with another prefix.
    WrongPrefix = "wrong_prefix", InvalidToken;
    /// The token does not have the form of a PASETO v4.public token with a footer.
    MalformedToken = "malformed_token", InvalidToken;
    /// The footer of the token has no key id.
    MalformedFooter = "malformed_footer", InvalidToken;
    /// The key in the footer of the token is not accepted.
    UnknownKey = "unknown_key", InvalidToken;
    /// The signature does not match the token and its key.
    BadSignature = "bad_signature", InvalidToken;
    /// The signature matches, but the claims cannot be parsed.
    BadClaims = "bad_claims", InvalidToken;
    /// The `iss` claim is not the expected one.
    WrongIssuer = "wrong_issuer", InvalidToken;
    /// The `aud` claim is not the expected one, or is missing, or none is expected.
    WrongAudience = "wrong_audience", InvalidToken;
    /// The time of the `nbf` claim is in the future.
    NotYetValid = "not_yet_valid", InvalidToken;
    /// The record of the session belongs to another agent than the token.
    WrongAgent = "wrong_agent", InvalidToken;
    /// Any other invalid token, in a layer outside of this crate.
    InvalidToken = "invalid_token", InvalidToken;
    /// The expiry of the token has passed.
    TokenExpired = "token_expired", TokenExpired;
    /// The session was revoked.
    SessionRevoked = "session_revoked", SessionRevoked;
    /// A later token has replaced this one.
    TokenSuperseded = "token_superseded", TokenSuperseded;
    /// The record is behind the token: the store has lost writes.
    StateLost = "state_lost", SessionStateLost;
    /// The store has no such session.
    SessionNotFound = "session_not_found", SessionNotFound;
    /// The path of a renewal names another session than the token.
    OtherSession = "other_session", SessionNotFound;
    /// The token of a renewal is not the current one.
    NotCurrentToken = "not_current_token", SessionRenewalMismatch;
    /// Another renewal with the same token was first.
    LostRace = "lost_race", SessionRenewalMismatch;
    /// The session has reached its maximum of renewals.
    RenewalLimit = "renewal_limit", RenewalLimitReached;
    /// The absolute lifetime of the session has passed.
    AbsoluteLifetime = "absolute_lifetime", SessionAbsoluteLifetimeExceeded;
    /// Less than half of the token's lifetime has passed.
    RenewalTooEarly = "renewal_too_early", RenewalTooEarly;
    /// The request has no credential of an administrator.
    MissingAdminCredential = "missing_admin_credential", InvalidMasterPassword;
    /// The request has more than one credential of an administrator.
    AmbiguousAdminCredential = "ambiguous_admin_credential", InvalidMasterPassword;
    /// The request has more than one master password, or a longer one than any that is accepted.
    MalformedMasterPassword = "malformed_master_password", InvalidMasterPassword;
    /// Only admin keys are configured, and no master password.
    NoMasterPassword = "no_master_password", InvalidMasterPassword;
    /// There is no such admin key.
    UnknownAdminKey = "unknown_admin_key", InvalidMasterPassword;
    /// The admin key has expired.
    ExpiredAdminKey = "expired_admin_key", InvalidMasterPassword;
    /// The admin key lacks the right that the route demands.
    MissingRight = "missing_right", Forbidden;
    /// The admin key is restricted to other agents.
    OtherAgent = "other_agent", Forbidden;
    /// The session lacks a required scope.
    MissingScope = "missing_scope", InsufficientScope;
    /// The master password is wrong.
    WrongMasterPassword = "wrong_master_password", InvalidMasterPassword;
    /// Failures have locked the address of the client.
    AddressLocked = "address_locked", MasterPasswordLocked;
    /// The queue for Argon2, or the client's share of it, is full.
    Argon2QueueFull = "argon2_queue_full", Overloaded;
    /// The server has reached another limit of its capacity.
    Overloaded = "overloaded", Overloaded;
    /// No such agent is registered.
    AgentNotFound = "agent_not_found", AgentNotFound;
    /// The agent has its maximum of active sessions.
    SessionLimit = "session_limit", SessionLimitExceeded;
    /// The body, the path or the query is not valid.
    InvalidInput = "invalid_input", ValidationFailed;
    /// The store did not answer within its deadline.
    StoreTimeout = "store_timeout", StoreUnavailable;
    /// The key of the token is unknown, and the session server does not answer.
    KeysUnavailable = "keys_unavailable", StoreUnavailable;
    /// There is no connection to the store, or the store cannot serve the call.
    StoreUnavailable = "store_unavailable", StoreUnavailable;
    /// The answer of the store cannot be parsed.
    StoreMalformed = "store_malformed", StoreUnavailable;
    /// No resource has this path.
    NoRoute = "no_route", NotFound;
    /// The resource does not support the method.
    MethodNotAllowed = "method_not_allowed", MethodNotAllowed;
    /// The body exceeds the limit of the server.
    BodyTooLarge = "body_too_large", PayloadTooLarge;
    /// The body has another media type.
    MediaType = "media_type", UnsupportedMediaType;
    /// The request exceeded its time limit.
    RequestTimeout = "request_timeout", RequestTimeout;
    /// A defect of the server.
    InternalError = "internal_error", InternalError;
}

impl RejectionReason {
    /// The reason of an error whose kind says all that is known.
    #[must_use]
    pub const fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidToken => Self::InvalidToken,
            ErrorKind::TokenExpired => Self::TokenExpired,
            ErrorKind::SessionRevoked => Self::SessionRevoked,
            ErrorKind::TokenSuperseded => Self::TokenSuperseded,
            ErrorKind::SessionStateLost => Self::StateLost,
            ErrorKind::SessionNotFound => Self::SessionNotFound,
            ErrorKind::InvalidMasterPassword => Self::WrongMasterPassword,
            ErrorKind::MasterPasswordLocked => Self::AddressLocked,
            ErrorKind::Forbidden => Self::MissingRight,
            ErrorKind::InsufficientScope => Self::MissingScope,
            ErrorKind::AgentNotFound => Self::AgentNotFound,
            ErrorKind::SessionLimitExceeded => Self::SessionLimit,
            ErrorKind::SessionRenewalMismatch => Self::NotCurrentToken,
            ErrorKind::RenewalLimitReached => Self::RenewalLimit,
            ErrorKind::SessionAbsoluteLifetimeExceeded => Self::AbsoluteLifetime,
            ErrorKind::RenewalTooEarly => Self::RenewalTooEarly,
            ErrorKind::ValidationFailed => Self::InvalidInput,
            ErrorKind::StoreUnavailable => Self::StoreUnavailable,
            ErrorKind::NotFound => Self::NoRoute,
            ErrorKind::MethodNotAllowed => Self::MethodNotAllowed,
            ErrorKind::PayloadTooLarge => Self::BodyTooLarge,
            ErrorKind::UnsupportedMediaType => Self::MediaType,
            ErrorKind::RequestTimeout => Self::RequestTimeout,
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::InternalError => Self::InternalError,
        }
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reason_of_a_kind_belongs_to_that_kind() {
        for kind in ErrorKind::ALL {
            assert_eq!(RejectionReason::of_kind(*kind).kind(), *kind);
        }
    }

    #[test]
    fn every_reason_is_documented_with_its_code() {
        let page = include_str!("../../../docs/errors.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let documented: BTreeSet<_> = rows
            .filter_map(|row| {
                let mut cells = row.split('`').skip(1).step_by(2);
                Some((cells.next()?, cells.next()?))
            })
            .filter(|(reason, _)| reason.starts_with(|first: char| first.is_ascii_lowercase()))
            .collect();
        let defined: BTreeSet<_> = RejectionReason::ALL
            .iter()
            .map(|reason| (reason.as_str(), reason.kind().code()))
            .collect();
        assert_eq!(documented, defined);
    }

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let names: BTreeSet<_> = RejectionReason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        assert_eq!(names.len(), RejectionReason::ALL.len());
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
        }
    }
}

//! Verifying tokens: from a bearer string to verified claims.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderName;
use pasetors::{
    Public,
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

#[cfg(feature = "key-follower")]
use super::KeySource;
use super::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, MAX_HEADER_LEN, SessionToken, TokenHash, TokenSigner,
    VerifiedToken, VerifyingKey,
    claims::Payload,
    footer,
    key_source::{KeyLookup, SourceHandle},
    verified::VerifiedTokenCache,
};
use crate::error::{Diagnosis, ErrorKind, RejectionReason};

/// The default capacity of the signature cache.
const SIGNATURE_CACHE_CAPACITY: usize = 65_536;

/// Verifies tokens with public keys alone.
///
/// The checks, in this order: prefix and length, the footer's key id among the accepted keys (before any cryptography), the
/// signature, issuer and audience. Expiry is a separate check, [`VerifiedToken::check_expiry`], since it needs a clock.
///
/// Verified tokens are cached by their hash, so that a signature is checked once per token and process: see
/// [`signature_cache_capacity`](Self::signature_cache_capacity). Clones share keys and cache. The methods that take `self`
/// return a verifier with its own keys and cache. Call them before cloning, and before [`TokenSigner::cache_in`].
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    /// Replaced as a whole, so that tokens that were verified under earlier keys or rules are removed with them.
    rules: Arc<ArcSwap<Rules>>,
    pub(super) header: HeaderName,
    /// The source that sets the keys, if the verifier follows one.
    source: Option<SourceHandle>,
}

#[derive(Debug)]
struct Rules {
    keys: HashMap<String, VerifyingKey>,
    prefix: String,
    issuer: String,
    audience: Option<String>,
    /// Shared with the next rules, if they accept every token that these rules accept.
    cache: Arc<VerifiedTokenCache>,
}

impl TokenVerifier {
    /// A verifier that accepts tokens signed by these keys, with the default prefix and issuer and without an audience.
    ///
    /// Several keys at once allow a change of the signing key without an interruption.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let rules = Rules {
            keys: by_id(keys),
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: None,
            cache: Arc::new(VerifiedTokenCache::new(SIGNATURE_CACHE_CAPACITY)),
        };
        Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            header: http::header::AUTHORIZATION,
            source: None,
        }
    }

    /// Sets the source that sets the keys. The verifier keeps it running.
    #[cfg(feature = "key-follower")]
    pub(crate) fn with_source(mut self, source: Arc<dyn KeySource>) -> Self {
        self.source = Some(SourceHandle(source));
        self
    }

    /// Looks up the key of a token in the source, if the token was rejected because its key is unknown.
    pub(super) fn look_up_key(&self, rejection: &Diagnosis) -> Option<KeyLookup> {
        let source = self.source.as_ref()?;
        let key_id = rejection.key_id.as_deref()?;
        (rejection.reason == RejectionReason::UnknownKey).then(|| source.0.look_up(key_id))
    }

    fn with_rules(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = self.rules.load().with_empty_cache();
        change(&mut rules);
        Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            header: self.header,
            source: None,
        }
    }

    /// Sets the prefix of tokens: [`DEFAULT_PREFIX`] by default.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with_rules(|rules| rules.prefix = prefix.into())
    }

    /// Sets the `iss` claim that tokens must have: [`DEFAULT_ISSUER`] by default.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with_rules(|rules| rules.issuer = issuer.into())
    }

    /// Sets the `aud` claim that tokens must have. Without this setting, a token with any audience is rejected, since it is meant
    /// for another service.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.with_rules(|rules| rules.audience = Some(audience.into()))
    }

    /// Sets how many verified tokens are cached: 65,536 by default, of some 150 bytes each. 0 turns the cache off. A full cache
    /// evicts the least recently used token of a sample.
    #[must_use]
    pub fn signature_cache_capacity(self, capacity: usize) -> Self {
        self.with_rules(|rules| rules.cache = Arc::new(VerifiedTokenCache::new(capacity)))
    }

    /// Sets the request header that carries the token: `Authorization` by default.
    ///
    /// `Authorization` must hold `Bearer <token>` (RFC 6750, section 2.1). Any other header may also hold the bare token. The
    /// returned verifier shares keys and cache with this one.
    #[must_use]
    pub fn header(mut self, header: HeaderName) -> Self {
        self.header = header;
        self
    }

    /// The request header that carries the token.
    #[must_use]
    pub const fn header_name(&self) -> &HeaderName {
        &self.header
    }

    /// The `iss` claim that tokens must have.
    #[cfg(feature = "endpoints")]
    pub(crate) fn expected_issuer(&self) -> String {
        self.rules.load().issuer.clone()
    }

    /// The `aud` claim that tokens must have.
    #[cfg(feature = "endpoints")]
    pub(crate) fn expected_audience(&self) -> Option<String> {
        self.rules.load().audience.clone()
    }

    /// Accepts these keys from now on, and no others, in all clones of this verifier. If a key is removed, all cached tokens are
    /// removed with it, and must be verified again.
    pub fn set_keys(&self, keys: impl IntoIterator<Item = VerifyingKey>) {
        let keys = by_id(keys);
        self.rules.rcu(|rules| rules.with_keys(keys.clone()));
    }

    /// The keys whose tokens are accepted, ordered by id.
    #[must_use]
    pub fn verifying_keys(&self) -> Vec<VerifyingKey> {
        let mut keys: Vec<_> = self.rules.load().keys.values().cloned().collect();
        keys.sort_by(|one, other| one.id().cmp(other.id()));
        keys
    }

    /// Verifies a bearer string.
    ///
    /// # Errors
    /// `InvalidToken`. `StoreUnavailable` if the verifier follows the keys of a server (feature `key-follower`), the token's key is
    /// unknown, and the server has not confirmed that it does not exist.
    pub fn verify(&self, bearer: &str) -> Result<VerifiedToken, ErrorKind> {
        self.verify_bytes(bearer.as_bytes())
            .map_err(|diagnosis| match self.look_up_key(&diagnosis) {
                None | Some(KeyLookup::Absent) => ErrorKind::InvalidToken,
                // A refresh runs without its future.
                Some(KeyLookup::Unavailable { .. } | KeyLookup::Pending(_)) => ErrorKind::StoreUnavailable,
            })
    }

    pub(super) fn verify_bytes(&self, bearer: &[u8]) -> Result<VerifiedToken, Box<Diagnosis>> {
        let rules = self.rules.load();
        if bearer.len() > MAX_HEADER_LEN {
            return Err(fault(RejectionReason::HeaderTooLong));
        }
        let Some(paseto) = bearer.strip_prefix(rules.prefix.as_bytes()) else {
            return Err(fault(RejectionReason::WrongPrefix));
        };
        let hash = TokenHash::of_bytes(bearer);
        if let Some(token) = rules.cache.get(&hash) {
            return Ok(token);
        }
        let Ok(paseto) = std::str::from_utf8(paseto) else {
            return Err(fault(RejectionReason::MalformedToken));
        };
        let token = rules.verify(paseto, hash)?;
        // Inserts into the cache of the rules that verified it. Rules that no longer accept the key have another cache.
        rules.cache.insert(&token);
        Ok(token)
    }

    /// The key id in the footer of a token that need not be valid, for the log.
    pub(super) fn key_id_in(&self, bearer: &[u8]) -> Option<String> {
        let rules = self.rules.load();
        let paseto = bearer.strip_prefix(rules.prefix.as_bytes())?;
        let footer = footer::decode(std::str::from_utf8(paseto).ok()?).ok()?;
        footer::key_id(&footer).map(str::to_owned)
    }

    /// Caches a token that was just signed, if these rules accept it.
    pub(super) fn cache_signed(
        &self,
        token: &SessionToken,
        claims: &Claims,
        key_id: &str,
        signer: &TokenSigner,
    ) {
        let rules = self.rules.load();
        if rules.keys.contains_key(key_id)
            && signer.matches_rules(&rules.prefix, &rules.issuer, rules.audience.as_deref())
        {
            rules.cache.insert(&VerifiedToken {
                claims: claims.clone(),
                not_before: None,
                hash: token.hash(),
            });
        }
    }

    #[cfg(test)]
    pub(super) fn has_cached(&self, hash: &TokenHash) -> bool {
        self.rules.load().cache.get(hash).is_some()
    }

    /// True if a text contains one of these tokens, by its prefix. Used to reject tokens in a query.
    pub(super) fn contains_token(&self, text: &str) -> bool {
        let rules = self.rules.load();
        text.match_indices(PublicToken::HEADER)
            .any(|(at, _)| text[..at].ends_with(&rules.prefix))
    }
}

fn by_id(keys: impl IntoIterator<Item = VerifyingKey>) -> HashMap<String, VerifyingKey> {
    keys.into_iter().map(|key| (key.id().to_owned(), key)).collect()
}

impl Rules {
    /// The same rules with other keys. An id identifies a key, so the cached tokens stay valid while all of its keys do.
    fn with_keys(&self, keys: HashMap<String, VerifyingKey>) -> Self {
        let keeps_all = self.keys.keys().all(|id| keys.contains_key(id));
        let mut rules = self.with_empty_cache();
        if keeps_all {
            rules.cache = self.cache.clone();
        }
        rules.keys = keys;
        rules
    }

    fn with_empty_cache(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            prefix: self.prefix.clone(),
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            cache: Arc::new(self.cache.emptied()),
        }
    }

    fn verify(&self, paseto: &str, hash: TokenHash) -> Result<VerifiedToken, Box<Diagnosis>> {
        let footer = footer::decode(paseto).map_err(fault)?;
        let kid = footer::key_id(&footer).ok_or_else(|| fault(RejectionReason::MalformedFooter))?;
        let with_key = |reason| Box::new(Diagnosis::new(reason).with_key_id(kid));
        let key = self
            .keys
            .get(kid)
            .ok_or_else(|| with_key(RejectionReason::UnknownKey))?;

        let untrusted = UntrustedToken::<Public, V4>::try_from(paseto)
            .map_err(|_| with_key(RejectionReason::MalformedToken))?;
        let trusted = PublicToken::verify(key.public(), &untrusted, Some(&footer), None)
            .map_err(|_| with_key(RejectionReason::BadSignature))?;

        let payload: Payload =
            serde_json::from_str(trusted.payload()).map_err(|_| with_key(RejectionReason::BadClaims))?;
        let reason = if payload.iss != self.issuer {
            RejectionReason::WrongIssuer
        } else if payload.aud != self.audience {
            RejectionReason::WrongAudience
        } else if let (Some(claims), Some(not_before)) = (payload.claims(), payload.not_before()) {
            return Ok(VerifiedToken {
                claims,
                not_before,
                hash,
            });
        } else {
            RejectionReason::BadClaims
        };
        let (session, agent) = payload.ids();
        Err(Box::new(
            Diagnosis::new(reason)
                .with_key_id(kid)
                .with_session(session, agent),
        ))
    }
}

fn fault(reason: RejectionReason) -> Box<Diagnosis> {
    Box::new(Diagnosis::new(reason))
}

//! What the requests carry: session tokens of ours, JWTs with the same claims, and session cookies.

use std::collections::HashMap;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use pasetors::{
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    version4::V4,
};
use serde::{Deserialize, Serialize};
use tower_session_auth::{manager::IssuedSession, token::DEFAULT_ISSUER};
use tower_sessions::{SessionStore as _, cookie::time::OffsetDateTime, session::Record};
use tower_sessions_redis_store::RedisStore;

use crate::{server::fred_pool, variant::Variant};

/// The one value in the sessions of tower-sessions.
pub(crate) const AGENT: &str = "agent";

/// The claims of our tokens, as a JWT has them.
#[derive(Serialize, Deserialize)]
pub(crate) struct JwtClaims {
    iss: String,
    sub: String,
    agt: String,
    r#gen: u32,
    iat: u64,
    exp: u64,
}

/// An Ed25519 secret in the DER form (RFC 8410), up to the 32 bytes of its seed.
const SEED_AS_DER: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

pub(crate) fn jwt_decoding_key(paserk: &str) -> DecodingKey {
    let public = AsymmetricPublicKey::<V4>::try_from(paserk).expect("a public key");
    DecodingKey::from_ed_der(public.as_bytes())
}

fn jwt(key: &EncodingKey, issued: &IssuedSession) -> String {
    let record = &issued.record;
    let header = Header {
        // As long as the key id in our tokens' footer.
        kid: Some("k".repeat(51)),
        ..Header::new(Algorithm::EdDSA)
    };
    let claims = JwtClaims {
        iss: DEFAULT_ISSUER.to_owned(),
        sub: record.id.to_string(),
        agt: record.agent_id.to_string(),
        r#gen: record.generation,
        iat: record.created_at().0,
        exp: record.expires_at().0,
    };
    jsonwebtoken::encode(&header, &claims, key).expect("a JWT")
}

/// The same number of each, for the same sessions.
pub(crate) struct Credentials {
    pub(crate) tokens: Vec<String>,
    jwts: Vec<String>,
    cookies: Vec<String>,
}

impl Credentials {
    pub(crate) async fn of(issued: &[IssuedSession], secret_key: &str, redis: &str) -> Self {
        let secret = AsymmetricSecretKey::<V4>::try_from(secret_key).expect("a secret key");
        let der = [&SEED_AS_DER, &secret.as_bytes()[..32]].concat();
        let key = EncodingKey::from_ed_der(&der);
        let store = RedisStore::new(fred_pool(redis).await);
        let mut cookies = Vec::new();
        for session in issued {
            let agent = session.record.agent_id.to_string();
            let mut record = Record {
                id: Default::default(),
                data: HashMap::from([(AGENT.to_owned(), agent.into())]),
                expiry_date: OffsetDateTime::from_unix_timestamp(session.record.expires_at().0 as i64)
                    .expect("a time"),
            };
            store
                .create(&mut record)
                .await
                .expect("a session of tower-sessions");
            cookies.push(record.id.to_string());
        }
        Self {
            tokens: issued
                .iter()
                .map(|session| session.token.expose().to_owned())
                .collect(),
            jwts: issued.iter().map(|session| jwt(&key, session)).collect(),
            cookies,
        }
    }

    /// What a variant is asked. Every request has an Authorization header.
    pub(crate) fn requests(&self, variant: Variant) -> Vec<String> {
        match variant {
            Variant::JwtEddsa | Variant::JwtEddsaRedisGet => {
                self.jwts.iter().map(|jwt| get(&bearer(jwt))).collect()
            }
            Variant::TowerSessions => self
                .tokens
                .iter()
                .zip(&self.cookies)
                .map(|(token, cookie)| get(&format!("{}cookie: id={cookie}\r\n", bearer(token))))
                .collect(),
            _ => self.tokens.iter().map(|token| get(&bearer(token))).collect(),
        }
    }

    /// What a variant must refuse: no credentials, and credentials that are nearly right.
    pub(crate) fn bad_requests(&self, variant: Variant) -> [String; 2] {
        let forged = match variant {
            Variant::JwtEddsa | Variant::JwtEddsaRedisGet => bearer(&forge(&self.jwts[0])),
            Variant::TowerSessions => format!("cookie: id={}\r\n", forge(&self.cookies[0])),
            _ => bearer(&forge(&self.tokens[0])),
        };
        [get(""), get(&forged)]
    }
}

pub(crate) fn get(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: bench\r\n{headers}\r\n")
}

pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// Another character in the middle: in a token or JWT that is the claims.
fn forge(credential: &str) -> String {
    let (before, after) = credential.split_at(credential.len() / 2);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

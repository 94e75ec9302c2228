//! The credentials of the requests: session tokens, JWTs with the same claims, and session cookies of tower-sessions.

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

/// The key of the only value in a session of tower-sessions.
pub(crate) const AGENT_KEY: &str = "agent";

/// The claims of a session token, in a JWT.
#[derive(Serialize, Deserialize)]
pub(crate) struct JwtClaims {
    iss: String,
    sub: String,
    agt: String,
    r#gen: u32,
    iat: u64,
    exp: u64,
}

/// The DER encoding of an Ed25519 secret key (RFC 8410), without the seed of 32 bytes at its end.
const DER_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

pub(crate) fn jwt_decoding_key(paserk: &str) -> DecodingKey {
    let public = AsymmetricPublicKey::<V4>::try_from(paserk).expect("a valid public key");
    DecodingKey::from_ed_der(public.as_bytes())
}

fn jwt(key: &EncodingKey, issued: &IssuedSession) -> String {
    let record = &issued.record;
    let header = Header {
        // As long as the key id in the footer of a session token.
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
    jsonwebtoken::encode(&header, &claims, key).expect("sign a JWT")
}

/// One token, one JWT and one cookie per session.
pub(crate) struct Credentials {
    tokens: Vec<String>,
    jwts: Vec<String>,
    cookies: Vec<String>,
}

impl Credentials {
    pub(crate) async fn create(issued: &[IssuedSession], secret_key: &str, redis: &str) -> Self {
        let secret = AsymmetricSecretKey::<V4>::try_from(secret_key).expect("a valid secret key");
        let der = [&DER_PREFIX, &secret.as_bytes()[..32]].concat();
        let key = EncodingKey::from_ed_der(&der);
        let store = RedisStore::new(fred_pool(redis).await);
        let mut cookies = Vec::new();
        for session in issued {
            let agent = session.record.agent_id.to_string();
            let mut record = Record {
                id: Default::default(),
                data: HashMap::from([(AGENT_KEY.to_owned(), agent.into())]),
                expiry_date: OffsetDateTime::from_unix_timestamp(session.record.expires_at().0 as i64)
                    .expect("a valid expiry date"),
            };
            store
                .create(&mut record)
                .await
                .expect("create a session of tower-sessions");
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

    /// The valid requests to a variant. Each one has an `Authorization` header.
    pub(crate) fn requests(&self, variant: Variant) -> Vec<String> {
        match variant {
            Variant::JwtEddsa | Variant::JwtEddsaRedisGet => self
                .jwts
                .iter()
                .map(|jwt| get_request(&bearer_header(jwt)))
                .collect(),
            Variant::TowerSessions => self
                .tokens
                .iter()
                .zip(&self.cookies)
                .map(|(token, cookie)| {
                    get_request(&format!("{}cookie: id={cookie}\r\n", bearer_header(token)))
                })
                .collect(),
            _ => self
                .tokens
                .iter()
                .map(|token| get_request(&bearer_header(token)))
                .collect(),
        }
    }

    /// Requests that a variant must reject: without credentials, and with one wrong character in them.
    pub(crate) fn invalid_requests(&self, variant: Variant) -> [String; 2] {
        let corrupted = match variant {
            Variant::JwtEddsa | Variant::JwtEddsaRedisGet => bearer_header(&corrupt(&self.jwts[0])),
            Variant::TowerSessions => format!("cookie: id={}\r\n", corrupt(&self.cookies[0])),
            _ => bearer_header(&corrupt(&self.tokens[0])),
        };
        [get_request(""), get_request(&corrupted)]
    }
}

pub(crate) fn get_request(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: bench\r\n{headers}\r\n")
}

pub(crate) fn bearer_header(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// Replaces the character in the middle. In a token or JWT it belongs to the claims.
fn corrupt(credential: &str) -> String {
    let (before, after) = credential.split_at(credential.len() / 2);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

//! Admin keys: found by their secret, with rights of their own, replaced at runtime.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Response, header};
use tracing::Level;

use super::{threads::pass_without_argon2, *};
use crate::{
    ErrorKind,
    clock::Timestamp,
    test_support::{CapturedLogs, agent, detail, header, kind, other_agent, pass},
};

/// A key with its secret.
fn key(name: &str, rights: &[&str]) -> (AdminSecret, AdminKeyEntry) {
    let secret = AdminSecret::generate().unwrap();
    let entry = AdminKeyEntry::new(name, secret.hash_hex(), rights.iter().copied());
    (secret, entry)
}

fn credentials(entries: &[&AdminKeyEntry]) -> Credentials {
    let keys = AdminKeys::from_entries(entries.iter().map(|entry| (*entry).clone())).unwrap();
    Credentials::master_password(&phc(RIGHT)).unwrap().with_keys(keys)
}

fn with_keys(entries: &[&AdminKeyEntry]) -> MasterAuthLayer {
    MasterAuthLayer::from_credentials(credentials(entries)).clock(ManualClock::new(NOW))
}

fn bearer(secret: &str) -> Request<()> {
    let mut request = Request::new(());
    let value = HeaderValue::try_from(format!("Bearer {secret}")).unwrap();
    request.headers_mut().append(header::AUTHORIZATION, value);
    request
}

fn basic(name: &str, secret: &str) -> Request<()> {
    let mut request = Request::new(());
    let value = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
    let value = HeaderValue::try_from(value).unwrap();
    request.headers_mut().append(header::AUTHORIZATION, value);
    request
}

fn challenges<B>(response: &Response<B>) -> Vec<&str> {
    let values = response.headers().get_all(header::WWW_AUTHENTICATE);
    values.iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_key_has_exactly_its_rights_and_the_master_password_has_all() {
    let (secret, entry) = key("ci", &["open", "list"]);
    let layer = with_keys(&[&entry]);
    for right in Right::ALL {
        let layer = layer.clone().right(*right);
        let outcome = pass(&layer, bearer(secret.expose())).await;
        if matches!(right, Right::Open | Right::List) {
            let request = outcome.unwrap();
            let admitted = request.extensions().get::<Administrator>().unwrap();
            assert_eq!(admitted.name(), "ci");
            assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
        } else {
            let rejection = outcome.unwrap_err();
            assert_eq!(
                (kind(&rejection), rejection.status().as_u16()),
                (ErrorKind::Forbidden, 403)
            );
            assert_eq!(challenges(&rejection), [""; 0]);
            assert!(detail(&rejection).contains(right.as_str()));
        }
        let request = pass(&layer, request(&[RIGHT])).await.unwrap();
        let admitted = request.extensions().get::<Administrator>().unwrap();
        assert_eq!(admitted.name(), "master");
        assert_eq!(admitted.rights(), Rights::all());
    }
}

#[tokio::test]
async fn without_a_demanded_right_only_unrestricted_administrators_are_admitted() {
    let all: Vec<_> = Right::ALL.iter().map(|right| right.as_str()).collect();
    let (powerful, every_right) = key("powerful", &all);
    let (restricted, mut some_agents) = key("restricted", &all);
    some_agents.agents = Some(vec![agent().to_string()]);
    let (partial, some_rights) = key("partial", &all[1..]);
    let layer = with_keys(&[&every_right, &some_agents, &some_rights]);
    for (secret, admitted) in [(powerful, true), (restricted, false), (partial, false)] {
        let outcome = pass(&layer, bearer(secret.expose())).await;
        assert_eq!(outcome.is_ok(), admitted);
        if let Err(rejection) = outcome {
            assert_eq!(kind(&rejection), ErrorKind::Forbidden);
        }
        assert!(
            pass(&layer.clone().any_right(), bearer(secret.expose()))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn the_administrator_of_a_restricted_key_permits_its_agents_only() {
    let (secret, mut entry) = key("tenant", &["open"]);
    entry.agents = Some(vec![agent().to_string()]);
    let layer = with_keys(&[&entry]).right(Right::Open);
    let request = pass(&layer, bearer(secret.expose())).await.unwrap();
    let administrator = request.extensions().get::<Administrator>().unwrap();
    assert!(administrator.require_agent(agent()).is_ok());
    let error = administrator.require_agent(other_agent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(Administrator::master().require_agent(other_agent()).is_ok());
}

#[tokio::test]
async fn two_credentials_in_one_request_are_ambiguous() {
    let (secret, entry) = key("ci", &["list"]);
    let layer = with_keys(&[&entry]).right(Right::List);
    let mut both = bearer(secret.expose());
    both.headers_mut()
        .append(X_MASTER_PASSWORD, HeaderValue::from_bytes(RIGHT).unwrap());
    let rejection = pass(&layer, both).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    assert!(
        detail(&rejection).contains("more than one"),
        "{}",
        detail(&rejection)
    );

    let mut beside_a_session_token = request(&[RIGHT]);
    let token = HeaderValue::from_static("Bearer wai_sess_v4.public.x");
    beside_a_session_token
        .headers_mut()
        .append(header::AUTHORIZATION, token);
    assert!(pass(&layer, beside_a_session_token).await.is_ok());
}

#[tokio::test]
async fn a_key_is_rejected_from_its_expiry_on() {
    let clock = ManualClock::new(Timestamp(999));
    let (secret, mut entry) = key("ci", &["list"]);
    entry.expires_at = Some("1970-01-01T00:16:40Z".to_owned());
    let layer = with_keys(&[&entry]).right(Right::List).clock(clock.clone());
    assert!(pass(&layer, bearer(secret.expose())).await.is_ok());
    clock.advance(Duration::from_secs(1));
    let rejection = pass(&layer, bearer(secret.expose())).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
    let error = rejection.extensions().get::<crate::AuthError>().unwrap();
    assert_eq!(error.reason(), crate::RejectionReason::ExpiredAdminKey);
    assert!(
        !detail(&rejection).contains("expired"),
        "the reason is for the log"
    );
}

#[tokio::test]
async fn keys_are_neither_locked_out_nor_queued() {
    let (secret, entry) = key("ci", &["list"]);
    let layer = with_keys(&[&entry]).right(Right::List);
    let from = |mut request: Request<()>| {
        let client = ClientAddr("192.0.2.1".parse().unwrap());
        request.extensions_mut().insert(client);
        request
    };
    for _ in 0..5 {
        pass(&layer, from(request(&[WRONG]))).await.unwrap_err();
    }
    let locked = pass(&layer, from(request(&[RIGHT]))).await.unwrap_err();
    assert_eq!(kind(&locked), ErrorKind::MasterPasswordLocked);
    assert!(pass(&layer, from(bearer(secret.expose()))).await.is_ok());

    for _ in 0..20 {
        let wrong = pass(&layer, from(bearer("wai_admin_wrong"))).await.unwrap_err();
        assert_eq!(kind(&wrong), ErrorKind::InvalidMasterPassword);
    }
    let _hold = layer.shared.threads.gate.lock().await;
    assert!(
        pass_without_argon2(&layer, from(bearer(secret.expose())))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn replaced_credentials_apply_to_all_clones_at_once_and_locks_stay() {
    let (secret, entry) = key("ci", &["list"]);
    let layer = with_keys(&[&entry]).right(Right::List);
    let clone = layer.clone();
    for _ in 0..5 {
        pass(&layer, request_from("192.0.2.1", WRONG)).await.unwrap_err();
    }
    assert!(pass(&clone, bearer(secret.expose())).await.is_ok());
    assert!(pass(&clone, request(&[RIGHT])).await.is_ok());

    layer.replace_credentials(credentials(&[]));
    assert!(pass(&clone, bearer(secret.expose())).await.is_err());
    let locked = pass(&clone, request_from("192.0.2.1", RIGHT)).await.unwrap_err();
    assert_eq!(kind(&locked), ErrorKind::MasterPasswordLocked);

    layer.replace_credentials(Credentials::keys(
        AdminKeys::from_entries([entry.clone()]).unwrap(),
    ));
    assert!(pass(&clone, bearer(secret.expose())).await.is_ok());
    let rejection = pass(&clone, request(&[RIGHT])).await.unwrap_err();
    assert_eq!(kind(&rejection), ErrorKind::InvalidMasterPassword);
}

#[tokio::test]
async fn an_unchanged_hash_keeps_its_verified_password() {
    let hash = phc(RIGHT);
    let credentials = || Credentials::master_password(&hash).unwrap();
    let layer = MasterAuthLayer::from_credentials(credentials());
    pass(&layer, request(&[RIGHT])).await.unwrap();
    layer.replace_credentials(credentials());
    let _hold = layer.shared.threads.gate.lock().await;
    assert!(pass_without_argon2(&layer, request(&[RIGHT])).await.is_ok());
}

#[tokio::test]
async fn basic_is_accepted_only_where_it_is_enabled_and_only_with_the_name_of_the_key() {
    let (secret, entry) = key("prometheus", &["metrics"]);
    let layer = with_keys(&[&entry]).right(Right::Metrics);
    let enabled = layer.clone().basic_auth();
    let secret = secret.expose();
    assert!(pass(&enabled, basic("prometheus", secret)).await.is_ok());
    assert!(pass(&enabled, bearer(secret)).await.is_ok());
    assert!(pass(&enabled, basic("other", secret)).await.is_err());
    assert!(
        pass(&enabled, basic("prometheus", "wai_admin_wrong"))
            .await
            .is_err()
    );
    assert!(pass(&layer, basic("prometheus", secret)).await.is_err());
}

#[tokio::test]
async fn the_challenge_names_the_schemes_that_the_layer_accepts() {
    const PASSWORD: &str = "MasterPassword realm=\"session\"";
    const BEARER: &str = "Bearer realm=\"session\"";
    const INVALID: &str = "Bearer realm=\"session\", error=\"invalid_token\"";
    const BASIC: &str = "Basic realm=\"session\"";
    let (_, entry) = key("ci", &["list"]);
    let both = with_keys(&[&entry]);
    let keys = AdminKeys::from_entries([entry]).unwrap();
    let only_keys = MasterAuthLayer::from_credentials(Credentials::keys(keys));
    let wrong = || bearer("wai_admin_wrong");
    let cases: [(&MasterAuthLayer, Request<()>, &[&str]); 7] = [
        (&layer(), request(&[]), &[PASSWORD]),
        (&both, request(&[]), &[PASSWORD, BEARER]),
        (&both, request(&[WRONG]), &[PASSWORD, BEARER]),
        (&both, wrong(), &[PASSWORD, INVALID]),
        (
            &both.clone().basic_auth(),
            request(&[]),
            &[PASSWORD, BEARER, BASIC],
        ),
        (&only_keys, wrong(), &[INVALID]),
        (
            &MasterAuthLayer::from_credentials(Credentials::default()),
            request(&[]),
            &[PASSWORD],
        ),
    ];
    for (layer, request, expected) in cases {
        let rejection = pass(layer, request).await.unwrap_err();
        assert_eq!(rejection.status(), 401);
        assert_eq!(challenges(&rejection), expected);
        assert_eq!(header(&rejection, header::CACHE_CONTROL), Some("no-store"));
    }
}

#[tokio::test]
async fn each_use_of_a_credential_is_logged_once_with_the_name_and_without_secrets() {
    let (secret, entry) = key("ci", &["list"]);
    let layer = with_keys(&[&entry]);
    let uses = "administrator's credential used";
    for (right, admitted) in [(Right::List, "admitted=true"), (Right::Revoke, "admitted=false")] {
        let logs = CapturedLogs::start();
        let mut request = bearer(secret.expose());
        *request.uri_mut() = "/v1/sessions?limit=3".parse().unwrap();
        let _ = pass(&layer.clone().right(right), request).await;
        let lines = logs.containing(uses);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let (level, line) = &lines[0];
        assert_eq!(*level, Level::INFO);
        for part in [
            "administrator=\"ci\"",
            admitted,
            right.as_str(),
            "method=GET",
            "path=\"/v1/sessions\"",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(logs.containing(&secret.expose()[..20]).is_empty());
    }
    let logs = CapturedLogs::start();
    let mut request = request(&[RIGHT]);
    *request.uri_mut() = format!("/{}", secret.expose()).parse().unwrap();
    pass(&layer, request).await.unwrap();
    let (_, line) = &logs.containing(uses)[0];
    assert!(
        line.contains("administrator=\"master\"") && line.contains("(left out)"),
        "{line}"
    );
    let logs = CapturedLogs::start();
    pass(&layer, bearer("wai_admin_wrong")).await.unwrap_err();
    assert!(logs.containing(uses).is_empty());
}

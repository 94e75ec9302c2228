//! The user of the sentinels themselves.

use session_auth_tests::redis::Sentinels;
use tower_session_auth::{
    RedisStore,
    store::{RedisStoreConfig, SessionStore as _},
};

const PASSWORD: &str = "of-the-sentinels";

async fn ping(url: &str, user: Option<&str>, password: Option<&str>) -> Result<(), String> {
    let mut config = RedisStoreConfig::new(url);
    config.sentinel_user = user.map(str::to_owned);
    config.sentinel_password = password.map(str::to_owned);
    let store = RedisStore::open(&config).unwrap();
    store.ping().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn sentinels_are_asked_with_their_own_user_and_password() {
    let sentinels = Sentinels::start_with(Some(PASSWORD));
    let url = sentinels.url(0);
    for sentinel in &sentinels.sentinels {
        // The rights that the documentation names.
        let rights = "+sentinel|master +hello +subscribe &+switch-master";
        let user = [
            "ACL",
            "SETUSER",
            "watcher",
            "on",
            ">watching",
            "resetchannels",
            "-@all",
        ];
        let user: Vec<_> = user.into_iter().chain(rights.split(' ')).collect();
        let _: redis::Value = sentinel.command(&user).unwrap();
    }
    assert_eq!(ping(&url, None, Some(PASSWORD)).await, Ok(()));
    assert_eq!(ping(&url, Some("watcher"), Some("watching")).await, Ok(()));
    for (user, password, code) in [
        (None, None, "NOAUTH"),
        (None, Some("wrong-word"), "WRONGPASS"),
        (Some("watcher"), Some(PASSWORD), "WRONGPASS"),
    ] {
        let error = ping(&url, user, password).await.unwrap_err();
        assert!(error.contains(code), "{error}");
        assert!(
            !error.contains(PASSWORD) && !error.contains("wrong-word"),
            "{error}"
        );
    }
}

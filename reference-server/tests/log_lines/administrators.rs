//! The reasons of refused administrators with admin keys.

use http::{Request, request::Builder};
use session_auth_tests::{folder::Folder, server::PASSWORD};
use tower_session_auth::master_auth::AdminSecret;

use super::{Server, get};

const AGENT: &str = "0199c82c-c000-7abc-8def-0123456789ab";
const OTHER_AGENT: &str = "0199c82c-c000-7abc-8def-0123456789ac";

fn secret() -> AdminSecret {
    AdminSecret::generate().expect("a secret")
}

fn with_key(request: Builder, secret: &AdminSecret) -> Builder {
    request.header("authorization", format!("Bearer {}", secret.expose()))
}

#[tokio::test]
async fn each_refused_admin_key_has_one_line_with_its_precise_reason() {
    let (lister, expired, unknown, restricted) = (secret(), secret(), secret(), secret());
    let table = |name, secret: &AdminSecret, more| {
        let hash = secret.hash_hex();
        format!("[[admin_key]]\nname = '{name}'\nhash = '{hash}'\nrights = ['list']\n{more}\n")
    };
    let keys = [
        table("lister", &lister, String::new()),
        table("expired", &expired, "expires_at = '2020-01-31'".to_owned()),
        table("restricted", &restricted, format!("agents = ['{AGENT}']")),
    ];
    let folder = Folder::new("refused-keys");
    let file = folder.write("keys", &keys.concat());
    let arguments = ["--admin-keys-file", file.as_str()];
    let server = Server::start("refused-admin-keys", &arguments).await;

    let list = "/v1/sessions";
    let of_agent = |agent| get(&format!("{list}?agentId={agent}"));
    let both = with_key(get(list), &lister).header("x-master-password", PASSWORD);
    let invalid = (401, "INVALID_MASTER_PASSWORD");
    let forbidden = (403, "FORBIDDEN");
    let rows = [
        (with_key(get(list), &unknown), invalid, "unknown_admin_key"),
        (with_key(get(list), &expired), invalid, "expired_admin_key"),
        (both, invalid, "ambiguous_admin_credential"),
        (
            with_key(Request::delete(list), &lister),
            forbidden,
            "missing_right",
        ),
        (
            with_key(of_agent(OTHER_AGENT), &restricted),
            forbidden,
            "other_agent",
        ),
    ];
    for (request, (status, code), reason) in rows {
        server.send(request, reason, "").await.rejected(status, code);
        let line = server.refusal(reason);
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["level"], "INFO", "{line}");
    }
    let permitted = with_key(of_agent(AGENT), &restricted);
    server.send(permitted, "permitted", "").await.expect(200);
    let log = server.log();
    for secret in [&lister, &expired, &unknown, &restricted] {
        assert!(!log.contains(secret.expose()), "a secret in the log");
    }
}

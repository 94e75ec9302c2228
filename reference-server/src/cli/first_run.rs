//! The output of a first run: generated secrets, and a walk-through to paste.

use std::net::SocketAddr;

use tower_session_auth::session::SessionPolicy;

use crate::config::Generated;

/// The generated secrets and the walk-through, for standard output. `address` is a TCP address without TLS, if there is one.
pub(super) fn announcement(
    generated: &Generated,
    address: Option<SocketAddr>,
    policy: &SessionPolicy,
) -> String {
    let mut text = String::from(
        "session-auth-server runs on the EMBEDDED MEMORY STORE: sessions end with this process.\n\
         For production set redis_url, key_file, and master_password_hash or admin_keys_file (see --help).\n",
    );
    if generated.key {
        text += "Signing key: generated for this run. Its tokens are invalid afterwards.\n";
    }
    if let Some(password) = &generated.password {
        let Some(address) = address else {
            return text
                + &format!("Master password: generated for this run, and printed once: {password}\n");
        };
        let half = policy.min_ttl.div_ceil(2);
        text += &format!(
            "Master password: generated for this run. It is printed once, below (PASSWORD).\n\n\
             To try the server, paste this into another terminal. It waits {half} s for a renewal:\n\n{}\n",
            walk_through(address, password, policy)
        );
        if policy.min_ttl > 60 {
            text += "(Start the server with --min-ttl 4 to wait for 2 s only.)\n";
        }
    }
    text
}

/// The life of a session as shell commands, for `sh` with curl and sed.
///
/// They run in a subshell that stops at the first unexpected answer and prints it. They have no comments, since an interactive zsh
/// does not accept them. They use the shortest ttl, since a renewal waits for half of it.
fn walk_through(address: SocketAddr, password: &str, policy: &SessionPolicy) -> String {
    let ttl = policy.min_ttl;
    let half = ttl.div_ceil(2);
    format!(
        r#"( set -e
BASE=http://{address}
PASSWORD={password}
JSON='Content-Type: application/json'
call() {{
    want=$1; shift
    answer=$(curl -sS -w ' %{{http_code}}' "$@")
    test "${{answer##* }}" = "$want" || {{ echo "stopped: expected $want, got $answer" >&2; exit 1; }}
    printf '%s\n' "${{answer% *}}"
}}
field() {{ sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }}
echo "An agent, and a session for it:"
AGENT=$(call 201 $BASE/v1/agents -H "X-Master-Password: $PASSWORD" -H "$JSON" -d '{{"name":"demo"}}')
AGENT=$(printf '%s\n' "$AGENT" | field id)
CREATED=$(call 201 $BASE/v1/sessions -H "X-Master-Password: $PASSWORD" -H "$JSON" -d "{{\"agentId\":\"$AGENT\",\"ttl\":{ttl}}}")
SESSION=$(printf '%s\n' "$CREATED" | field id)
TOKEN=$(printf '%s\n' "$CREATED" | field token)
echo "The agent uses the session:"
call 200 $BASE/v1/session -H "Authorization: Bearer $TOKEN"
echo "A renewal is rejected before half of the ttl has passed:"
call 403 -X PUT $BASE/v1/sessions/$SESSION/renew -H "Authorization: Bearer $TOKEN"
sleep {half}
NEW=$(call 200 -X PUT $BASE/v1/sessions/$SESSION/renew -H "Authorization: Bearer $TOKEN")
NEW=$(printf '%s\n' "$NEW" | field token)
echo "After the renewal the old token is rejected and the new one works:"
call 401 $BASE/v1/session -H "Authorization: Bearer $TOKEN"
call 200 $BASE/v1/session -H "Authorization: Bearer $NEW"
echo "The administrator revokes the session, and its token is rejected:"
call 200 -X DELETE $BASE/v1/sessions/$SESSION -H "X-Master-Password: $PASSWORD"
call 401 $BASE/v1/session -H "Authorization: Bearer $NEW"
)"#
    )
}

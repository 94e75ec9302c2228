//! Servers that answer reads and refuse writes.

use std::{fs, time::Instant};

use redis::InfoDict;
use session_auth_tests::{folder::Folder, redis::TestRedis};
use tokio::time::sleep;

use super::{Faulty, HEALED_WITHIN, POLL, execute, is_503};

impl Faulty {
    /// Asserts that sessions are checked, no session is created or renewed, and `/readyz` names the reason.
    async fn is_read_only(&self, code: &str, revokes: bool) {
        self.access().await.expect(200);
        is_503(&self.create().await);
        is_503(&self.renew().await);
        let ready = self.ready().await.expect(200);
        assert_eq!(ready.body["status"], "degraded");
        assert!(ready.text("reason").contains(code), "{}", ready.body);
        let revoked = self.revoke().await;
        if revokes {
            revoked.expect(200);
            let token = &self.changed.token;
            let rejected = self.server.api.access(token).await;
            rejected.rejected(401, "SESSION_REVOKED");
        } else {
            is_503(&revoked);
        }
        self.access().await.expect(200);
    }

    async fn accepts_writes_again(&self) {
        let began = Instant::now();
        while self.ready().await.expect(200).body["status"] != "ready" {
            assert!(began.elapsed() < HEALED_WITHIN);
            sleep(POLL).await;
        }
        self.heals().await;
    }
}

#[tokio::test]
async fn full_memory_refuses_creations_and_renewals_and_admits_revocations() {
    let faulty = Faulty::start().await;
    // Less than an empty server uses.
    execute(&faulty.redis, &["CONFIG", "SET", "maxmemory", "100kb"]);
    faulty.is_read_only("OOM", true).await;
    execute(&faulty.redis, &["CONFIG", "SET", "maxmemory", "0"]);
    faulty.accepts_writes_again().await;
}

#[tokio::test]
async fn too_few_replicas_refuse_every_change() {
    let faulty = Faulty::start().await;
    execute(&faulty.redis, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
    faulty.is_read_only("NOREPLICAS", false).await;
    execute(&faulty.redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
    faulty.accepts_writes_again().await;
}

#[tokio::test]
async fn failed_snapshot_refuses_every_change() {
    let folder = Folder::new("failed-snapshot");
    let faulty = Faulty::start_on(TestRedis::start_in(&folder, &[])).await;
    execute(&faulty.redis, &["CONFIG", "SET", "save", "3600 1"]);
    fs::remove_dir_all(&*folder).unwrap();
    execute(&faulty.redis, &["BGSAVE"]);
    let failed = || {
        let info: InfoDict = faulty.redis.command(&["INFO", "persistence"]).unwrap();
        info.get::<String>("rdb_last_bgsave_status").as_deref() == Some("err")
    };
    let began = Instant::now();
    while !failed() {
        assert!(began.elapsed() < HEALED_WITHIN, "the snapshot does not fail");
        sleep(POLL).await;
    }
    faulty.is_read_only("MISCONF", false).await;
    execute(
        &faulty.redis,
        &["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"],
    );
    faulty.accepts_writes_again().await;
}

//! A real Prometheus scrapes the server.

use http::Method;
use session_auth_tests::{
    folder::Folder,
    free_address::free_address,
    prometheus::{self, Prometheus},
    server::TestServer,
};
use tower_session_auth::master_auth::AdminSecret;

#[tokio::test]
async fn prometheus_scrapes_the_listener_for_metrics_and_not_the_main_one_without_credentials() {
    if !prometheus::is_wanted() {
        return;
    }
    let address = free_address();
    let server = TestServer::redis_with(|settings| settings.metrics_listen = Some(address)).await;
    let session = server.api.session(&server.api.agent().await).await;
    for _ in 0..7 {
        server.api.access(&session.token).await.expect(200);
    }
    server.api.access("wai_sess_x").await.expect(401);
    let jobs = format!(
        "- job_name: open\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: main\n  static_configs: [{{targets: ['{}']}}]\n",
        server.address
    );
    let prometheus = Prometheus::start("scrape", &jobs).await;
    prometheus.wait_for("up{job=\"open\"}", |up| up > 0.5).await;
    prometheus.wait_for("up{job=\"main\"}", |up| up < 0.5).await;
    let admitted =
        "session_auth_requests_total{job=\"open\",layer=\"session\",outcome=\"admitted\",code=\"OK\"}";
    prometheus
        .wait_for(admitted, |count| (6.5..7.5).contains(&count))
        .await;
    let rejected = "sum(session_auth_rejections_total{job=\"open\",reason=\"malformed_token\"})";
    prometheus
        .wait_for(rejected, |count| (0.5..1.5).contains(&count))
        .await;
    // All reads took at most the largest bucket.
    let reads = "session_auth_store_duration_seconds_bucket{job=\"open\",operation=\"read\",le=\"+Inf\"}";
    prometheus.wait_for(reads, |count| count > 6.5).await;
    let version = "session_auth_build_info{job=\"open\"}";
    prometheus.wait_for(version, |one| one > 0.5).await;

    let reply = server.api.master(Method::GET, "/metrics", None).await.expect(200);
    assert_eq!(prometheus::lint(reply.body.as_str().unwrap()), "");
}

#[tokio::test]
async fn prometheus_scrapes_the_main_listener_with_an_admin_key() {
    if !prometheus::is_wanted() {
        return;
    }
    let secret = AdminSecret::generate().unwrap();
    let hash = secret.hash_hex();
    let folder = Folder::new("scrape-keys");
    let table = format!("[[admin_key]]\nname = 'prometheus'\nhash = '{hash}'\nrights = ['metrics']\n");
    let file = folder.write("keys", &table).into();
    let server = TestServer::memory_with(|settings| settings.admin_keys_file = Some(file)).await;
    let (target, secret) = (server.address, secret.expose());
    let jobs = format!(
        "- job_name: bearer\n  static_configs: [{{targets: ['{target}']}}]\n  \
         authorization: {{type: Bearer, credentials: '{secret}'}}\n\
         - job_name: basic\n  static_configs: [{{targets: ['{target}']}}]\n  \
         basic_auth: {{username: prometheus, password: '{secret}'}}\n\
         - job_name: other_name\n  static_configs: [{{targets: ['{target}']}}]\n  \
         basic_auth: {{username: other, password: '{secret}'}}\n"
    );
    let prometheus = Prometheus::start("scrape-keys", &jobs).await;
    for job in ["bearer", "basic"] {
        let up = format!("up{{job=\"{job}\"}}");
        prometheus.wait_for(&up, |up| up > 0.5).await;
    }
    prometheus.wait_for("up{job=\"other_name\"}", |up| up < 0.5).await;
    // The key has no other right.
    let sessions = server.api.bearer(Method::GET, "/v1/sessions", secret).await;
    sessions.rejected(403, "FORBIDDEN");
}

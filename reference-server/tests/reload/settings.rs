//! Settings that a reload does not apply.

use crate::deployment::Deployment;

const WARNING: &str = "a changed setting applies at the next start";

#[tokio::test]
async fn change_of_another_setting_is_logged_and_applies_at_the_next_start() {
    let deployment = Deployment::start("reload-settings").await;
    let max_renewals = async || {
        let session = deployment.api.session(&deployment.agent).await;
        session.body["maxRenewals"].clone()
    };
    assert_eq!(max_renewals().await, 30);
    // Only the first one is not reloaded.
    deployment.configure("max_renewals = 7\ntrusted_proxies = ['10.0.0.7']\n");
    deployment.reload();
    let warnings = deployment.lines(WARNING);
    let settings: Vec<_> = warnings.iter().map(|line| &line["setting"]).collect();
    assert_eq!(settings, ["max_renewals"]);
    assert_eq!(max_renewals().await, 30);
    // The change was logged. The next reload finds no further one.
    deployment.reload();
    assert_eq!(deployment.lines(WARNING).len(), 1);
}

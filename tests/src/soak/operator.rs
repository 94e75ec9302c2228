//! The operator: reloads, rotations of the signing key, changes of admin keys. Each change is confirmed at every server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    RETRY_WINDOW, Soak,
    broken::Mistake,
    connection::{Answer, Connection},
    files::new_admin,
    requests::{Outgoing, bearer},
};

const PACE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(50);
/// The documentation says two seconds. Both cores are busy.
const RELOAD_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Operator {
    pub(super) soak: Arc<Soak>,
    turn: usize,
    rotation: Rotation,
}

/// The next step of the rotation of the signing key.
#[derive(Clone, Copy)]
enum Rotation {
    Add,
    Sign,
    /// No token of the old key is valid from this time on.
    Remove(Instant),
}

impl Operator {
    pub(super) const fn new(soak: Arc<Soak>) -> Self {
        Self {
            soak,
            turn: 0,
            rotation: Rotation::Add,
        }
    }

    /// Makes the next change, and waits until every running server has it.
    pub(super) async fn next(&mut self) {
        sleep(PACE).await;
        let soak = self.soak.clone();
        // No server starts meanwhile, so each server is running with the old files, or will start with the new ones.
        let _files = soak.files.lock().await;
        self.turn += 1;
        if !self.soak.options.reloads {
            return self.rotate_key().await;
        }
        match self.turn % 5 {
            0 => self.hang_up(),
            1 | 3 => self.rotate_key().await,
            2 => self.change_admins().await,
            _ => {
                let mistakes = [Mistake::Keys, Mistake::Admins, Mistake::Settings];
                self.break_files(mistakes[self.turn / 5 % mistakes.len()]).await;
            }
        }
    }

    /// Reloads are due without a change of a file.
    pub(super) fn hang_up(&self) {
        self.soak.servers.signal_all("-HUP");
        self.soak.tally.change(|changes| changes.hang_ups += 1);
    }

    /// Sends a SIGHUP after every second change. The servers find the others themselves.
    fn maybe_hang_up(&self) {
        if self.turn.is_multiple_of(2) {
            self.hang_up();
        }
    }

    /// The servers load a change one after the other. If there are other reloads, they find every second change themselves.
    async fn hang_up_in_turn(&self) {
        if self.soak.options.reloads && self.turn.is_multiple_of(2) {
            return;
        }
        for server in 0..self.soak.options.servers {
            self.soak.servers.signal(server, "-HUP");
            sleep(PACE / 2).await;
        }
    }

    /// Replaces the admin key that the agents use.
    async fn change_admins(&self) {
        let (admins, files) = (&self.soak.admins, &self.soak.files);
        let new = Arc::new(new_admin());
        files.write_admins(&[&admins.current(), &new]);
        self.maybe_hang_up();
        self.confirm("a new admin key", |server| {
            self.list_with(server, new.expose(), 200)
        })
        .await;

        let old = admins.replace(new.clone());
        // Requests in flight use the old key.
        while Arc::strong_count(&old) > 1 {
            sleep(POLL).await;
        }
        files.write_admins(&[&new]);
        self.maybe_hang_up();
        self.confirm("the removal of an admin key", |server| {
            self.list_with(server, old.expose(), 401)
        })
        .await;
        admins.set_removed(old);
        self.soak.tally.change(|changes| changes.admin_keys += 1);
    }

    async fn list_with(&self, server: usize, secret: &str, status: u16) -> Option<bool> {
        let request = bearer(http::Method::GET, "/v1/sessions?limit=1", secret);
        let answer = self.ask(server, request).await?;
        Some(answer.status == status)
    }

    /// Takes the next step of a rotation of the signing key, if it is safe.
    async fn rotate_key(&mut self) {
        match self.rotation {
            Rotation::Remove(from) if Instant::now() < from => return,
            _ => {}
        }
        // The command would wait for minutes: it assumes services that fetch the keys every five minutes.
        let mut command = self.soak.program.command();
        command.args(["keys", "rotate", "--force", "--config"]);
        let output = command.arg(&self.soak.files.servers()[0].config).output().await;
        let output = output.expect("the command keys rotate");
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            self.soak.tally.fail("key rotation", error);
            return;
        }
        self.hang_up_in_turn().await;
        let statuses: &[&str] = match self.rotation {
            Rotation::Add | Rotation::Sign => &["signing", "accepted"],
            Rotation::Remove(_) => &["signing"],
        };
        let first = self.first_key();
        self.confirm("the keys", |server| {
            self.publishes(server, first.as_deref(), statuses)
        })
        .await;
        self.rotation = match self.rotation {
            Rotation::Add => Rotation::Sign,
            Rotation::Sign => {
                // The time of a token has no fractions of a second.
                let tokens = self.soak.options.ttl.max(RETRY_WINDOW) + 1;
                Rotation::Remove(Instant::now() + Duration::from_secs(tokens))
            }
            Rotation::Remove(_) => {
                self.soak.tally.change(|changes| changes.rotations += 1);
                Rotation::Add
            }
        };
    }

    /// The id of the first key of the file, which signs.
    fn first_key(&self) -> Option<String> {
        let keys = tower_session_auth::KeySet::from_file(self.soak.files.keys()).ok()?;
        Some(keys.signing_key().verifying_key().id().to_owned())
    }

    async fn publishes(&self, server: usize, first: Option<&str>, statuses: &[&str]) -> Option<bool> {
        let request = Request::get("/v1/keys").body(Full::default()).expect("a request");
        let answer = self
            .ask(
                server,
                Outgoing {
                    request,
                    _admin: None,
                },
            )
            .await?;
        let keys = answer.body["keys"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = keys.iter().filter_map(|key| key["status"].as_str()).collect();
        let kid = keys.first().and_then(|key| key["kid"].as_str());
        Some(found == statuses && kid == first)
    }

    /// Waits until every running server answers as it does after a change. A server that does not run has the change at its start.
    pub(super) async fn confirm<F: Future<Output = Option<bool>>>(
        &self,
        what: &str,
        has_change: impl Fn(usize) -> F,
    ) {
        let began = Instant::now();
        for server in 0..self.soak.options.servers {
            while let Some(false) = has_change(server).await {
                if began.elapsed() > RELOAD_LIMIT {
                    let text = format!("server {server} has not loaded {what} after {RELOAD_LIMIT:?}");
                    self.soak.tally.fail("reload", text);
                    break;
                }
                sleep(POLL).await;
            }
        }
        let slowest = began.elapsed();
        self.soak
            .tally
            .change(|changes| changes.slowest_reload = changes.slowest_reload.max(slowest));
    }

    /// Sends a request to one server. `None` if it does not run.
    async fn ask(&self, server: usize, outgoing: Outgoing) -> Option<Answer> {
        let address = self.soak.files.servers()[server].address;
        let mut connection = Connection::new(address, Version::HTTP_11);
        connection.send(outgoing.request).await.ok()
    }

    /// The number of reloads of each running server, by outcome.
    pub(super) async fn reloads(&self, server: usize, outcome: &str) -> Option<u64> {
        let address = self.soak.files.servers()[server].metrics;
        let mut connection = Connection::new(address, Version::HTTP_11);
        let request: Request<Full<Bytes>> =
            Request::get("/metrics").body(Full::default()).expect("a request");
        let answer = timeout(RELOAD_LIMIT, connection.send(request)).await.ok()?.ok()?;
        let Value::String(text) = answer.body else {
            return Some(0);
        };
        let name = format!("session_auth_reloads_total{{outcome=\"{outcome}\"}} ");
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix(&name)?.parse().ok());
        Some(count.unwrap_or(0))
    }
}

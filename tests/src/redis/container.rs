//! The back-end that runs a container.

use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt as _,
    core::{IntoContainerPort as _, client::docker_client_instance},
    runners::AsyncRunner as _,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

use super::{
    POLL, READY_LIMIT,
    server::{OPTIONS, Server, Watchdog, log_tail},
};

/// Runs the command in its arguments when the input ends. It waits first if no line arrived, because the engine may still be
/// creating the container.
const WATCH: &str = r#"
settle=5
while read -r _; do settle=0; echo; done
sleep $settle
exec "$@" >/dev/null 2>&1
"#;

pub(super) struct Container {
    image: String,
    client: PathBuf,
    port: u16,
    options: Vec<String>,
    running: Option<(ContainerAsync<GenericImage>, Watchdog)>,
}

impl Container {
    pub(super) fn new(image: &str, client: &Path, port: u16, options: &[String]) -> Self {
        Self {
            image: image.to_owned(),
            client: client.to_owned(),
            port,
            options: options.to_vec(),
            running: None,
        }
    }

    fn request(&self, name: &str) -> ContainerRequest<GenericImage> {
        // The engine's network is not a loopback interface, so Redis's protected mode would reject clients.
        let command = ["redis-server", "--protected-mode", "no"]
            .into_iter()
            .chain(OPTIONS)
            .chain(self.options.iter().map(String::as_str));
        image_request(&self.image)
            .with_container_name(name)
            .with_cmd(command)
            .with_mapped_port(self.port, 6379.tcp())
            .with_host_config_modifier(|host| {
                let bindings = host.port_bindings.iter_mut().flat_map(|map| map.values_mut());
                for binding in bindings.flatten().flatten() {
                    binding.host_ip = Some("127.0.0.1".to_owned());
                }
            })
    }
}

impl Server for Container {
    fn launch(&mut self) -> Result<(), String> {
        if let Some((container, _)) = &self.running {
            return block_on(container.start()).map_err(|error| error.to_string());
        }
        let name = unused_name();
        let client = self.client.as_os_str();
        let arguments = [client, "rm".as_ref(), "-fv".as_ref(), name.as_ref()];
        // Starts before the container, so that the container is removed even if this process dies now.
        let mut watchdog = Watchdog::spawn(WATCH, &arguments)?;
        let started = block_on(self.request(&name).start());
        watchdog.send_line("started");
        let container = started.map_err(|error| error.to_string())?;
        self.running = Some((container, watchdog));
        Ok(())
    }

    /// The engine assigns a port to one container only.
    fn has_process_id(&self, _process_id: u32) -> bool {
        true
    }

    fn exit_log(&mut self) -> Option<String> {
        let (container, _) = self.running.as_ref()?;
        block_on(async {
            if container.is_running().await.unwrap_or(false) {
                return None;
            }
            let mut log = container.stdout_to_vec().await.unwrap_or_default();
            log.extend(container.stderr_to_vec().await.unwrap_or_default());
            Some(log_tail(&log))
        })
    }

    fn kill(&mut self) {
        let Some((container, _)) = &self.running else {
            return;
        };
        block_on(async {
            // Some engines cannot kill a paused container. Errors are ignored, since only the end of the container counts.
            let _ = container.unpause().await;
            if let Ok(engine) = docker_client_instance().await {
                let _ = engine.kill_container(container.id(), None).await;
            }
            let ended = async {
                while container.is_running().await.unwrap_or(false) {
                    sleep(POLL).await;
                }
            };
            timeout(READY_LIMIT, ended).await
        })
        .expect("the engine kills the container");
    }

    fn pause(&mut self) {
        if let Some((container, _)) = &self.running {
            block_on(container.pause()).expect("the engine pauses the container");
        }
    }

    fn resume(&mut self) {
        if let Some((container, _)) = &self.running {
            block_on(container.unpause()).expect("the engine resumes the container");
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some((container, watchdog)) = self.running.take()
            && block_on(container.rm()).is_ok()
        {
            watchdog.dismiss();
        }
    }
}

/// `REPOSITORY[:TAG]` or `REPOSITORY@DIGEST`; a colon before the last slash is a registry's port.
pub(super) fn image_request(image: &str) -> ContainerRequest<GenericImage> {
    let (name, tag) = image
        .rsplit_once(':')
        .filter(|(_, tag)| !tag.contains('/'))
        .unwrap_or((image, "latest"));
    GenericImage::new(name, tag).into()
}

/// Runs the future on a separate thread and runtime: a test may have its own runtime, which may end before the container.
pub(super) fn block_on<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send,
{
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    });
    thread::scope(|scope| {
        let run = scope.spawn(|| RUNTIME.block_on(future));
        run.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// A name that is unique among all test processes that share the engine, also on other machines.
fn unused_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    format!("session-auth-tests-{}-{count}-{nanoseconds:x}", process::id())
}

//! Unix domain sockets.

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener as StdListener, UnixStream as StdStream},
    },
    path::PathBuf,
    sync::Arc,
};

use session_auth_server::{
    config::{Config, ListenAddress, Settings},
    serve::Listener,
};
use session_auth_tests::{
    folder::Folder,
    raw_http::{HEALTH, RawClient},
    server::cheap_hash,
};
use tokio::{net::UnixStream, sync::oneshot};
use tower_session_auth::clock::SystemClock;

/// The path of the socket in a folder.
fn socket(folder: &Folder) -> PathBuf {
    folder.join("socket")
}

async fn bind(path: PathBuf) -> std::io::Result<Vec<Listener>> {
    Listener::bind(&ListenAddress::Unix(path)).await
}

#[tokio::test]
async fn unix_socket_serves_its_owner_and_group_and_is_removed_at_the_end() {
    let folder = Folder::new("unix-serve");
    let settings = Settings {
        master_password_hash: Some(cheap_hash()),
        ..Settings::default()
    };
    let config = Config::resolve(settings).expect("a configuration");
    let listeners = bind(socket(&folder)).await.expect("a listener");
    let mode = fs::metadata(socket(&folder))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = tokio::spawn(session_auth_server::run(
        config,
        Arc::new(SystemClock),
        listeners,
        stopped,
        tokio::sync::mpsc::channel(1).1,
    ));
    let stream = UnixStream::connect(socket(&folder)).await.expect("a connection");
    let mut client = RawClient::new(stream);
    assert!(client.request(HEALTH).await.contains("200 OK"));
    drop(stop);
    assert_eq!(client.rest().await, (String::new(), true));
    server.await.expect("no panic").expect("a clean stop");
    assert!(!socket(&folder).exists());
}

#[tokio::test]
async fn socket_file_without_a_server_is_replaced_and_any_other_file_stays() {
    let folder = Folder::new("unix-stale");
    drop(StdListener::bind(socket(&folder)).expect("a socket"));
    let listeners = bind(socket(&folder)).await.expect("a listener");
    let taken = bind(socket(&folder)).await.expect_err("a running server");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    drop(listeners);
    fs::write(socket(&folder), "precious").expect("a file");
    bind(socket(&folder)).await.expect_err("a file");
    assert_eq!(fs::read_to_string(socket(&folder)).expect("the file"), "precious");
}

#[tokio::test]
async fn file_of_another_server_stays_at_the_end() {
    let folder = Folder::new("unix-other");
    let listeners = bind(socket(&folder)).await.expect("a listener");
    fs::remove_file(socket(&folder)).expect("the file");
    let _other = StdListener::bind(socket(&folder)).expect("a socket");
    drop(listeners);
    assert!(socket(&folder).exists());
}

#[test]
fn of_many_starts_at_once_one_gets_the_socket() {
    let folder = Folder::new("unix-starts");
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        // The listener must be dropped before its runtime.
        (runtime.block_on(bind(socket(&folder))), runtime)
    };
    for _ in 0..20 {
        drop(StdListener::bind(socket(&folder)).expect("a socket"));
        let starts: Vec<_> = std::thread::scope(|scope| {
            let starts = [(); 8].map(|()| scope.spawn(start));
            starts
                .into_iter()
                .map(|start| start.join().expect("no panic"))
                .collect()
        });
        let bound = starts.iter().filter(|(bound, _)| bound.is_ok()).count();
        assert_eq!(bound, 1);
        StdStream::connect(socket(&folder)).expect("the listener that was bound");
        drop(starts);
        let left = fs::read_dir(&folder.0).expect("the folder");
        let names: Vec<_> = left.map(|file| file.expect("a file").file_name()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(names[0].to_string_lossy().ends_with(".lock"), "{names:?}");
    }
}

#[tokio::test]
async fn listener_shows_its_configured_address() {
    let folder = Folder::new("unix-name");
    let listeners = bind(socket(&folder)).await.expect("a listener");
    assert_eq!(
        listeners[0].to_string(),
        format!("unix:{}", socket(&folder).display())
    );
}

//! Real files in a folder of the test's own.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::{
    test_support::{NOW, claims},
    token::SessionToken,
};

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("session-files-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a session file there.
    fn session(&self, session: &SavedSession) -> PathBuf {
        let path = self.0.join("session.json");
        fs::write(&path, content(session)).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A mount, undone when it is dropped. `None` if this process may not mount.
struct Mount(PathBuf);

impl Mount {
    fn bind(from: &Path, to: &Path) -> Option<Self> {
        let mounted = mount(&["--bind".as_ref(), from.as_os_str(), to.as_os_str()]);
        mounted.then(|| Self(to.to_owned()))
    }

    fn make_read_only(&self) -> bool {
        mount(&["-o".as_ref(), "remount,bind,ro".as_ref(), self.0.as_os_str()])
    }
}

fn mount(arguments: &[&std::ffi::OsStr]) -> bool {
    let output = Command::new("mount").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

fn session(token: &str) -> SavedSession {
    let token = SessionToken::from_bearer(token);
    SavedSession::new(claims().session_id, token, NOW.plus(100), NOW.plus(60))
}

fn content(session: &SavedSession) -> Vec<u8> {
    serde_json::to_vec(session).unwrap()
}

#[tokio::test]
async fn check_leaves_the_session_as_it_is() {
    let folder = Folder::new();
    let path = folder.session(&session("1"));
    let before = fs::metadata(&path).unwrap();
    FileStorage::new(&path).check().await.unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), content(&session("1")));
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    assert_eq!(folder.names(), ["session.json", "session.json.lock"]);
}

#[tokio::test]
async fn mode_and_group_of_the_replaced_file_are_kept() {
    for mode in [0o600, 0o640, 0o660, 0o400] {
        let folder = Folder::new();
        let path = folder.session(&session("1"));
        // Only a privileged process can give a file away.
        let given = chown(&path, Some(12_345), Some(54_321)).is_ok();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let storage = FileStorage::new(&path);
        storage.replace(&session("1"), &session("2")).await.unwrap();
        for file in ["session.json", "session.json.lock"] {
            let after = fs::metadata(folder.0.join(file)).unwrap();
            assert_eq!(after.mode() & 0o777, mode, "{file}");
            assert_eq!(
                (after.uid(), after.gid()),
                (before.uid(), before.gid()),
                "{file} {given}"
            );
        }
        assert_eq!(storage.load().await.unwrap(), session("2"));
    }
}

#[tokio::test]
async fn new_file_can_be_read_by_its_owner_alone() {
    let folder = Folder::new();
    let path = folder.0.join("session.json");
    FileStorage::new(&path).save(&session("1")).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn directory_that_is_read_only_is_an_error_with_its_remedy() {
    let folder = Folder::new();
    let path = folder.session(&session("1"));
    let mount = Mount::bind(&folder.0, &folder.0);
    let read_only = match &mount {
        Some(mount) => mount.make_read_only(),
        None => {
            fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o500)).unwrap();
            fs::File::create(folder.0.join("probe")).is_err()
        }
    };
    if !read_only {
        // A privileged process that may not mount can write everywhere.
        return;
    }
    let error = FileStorage::new(&path).check().await.unwrap_err().to_string();
    assert!(error.contains("session.json.lock: "), "{error}");
    assert!(
        error.contains("mount the directory, not only the file"),
        "{error}"
    );
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).ok();
}

#[tokio::test]
async fn file_that_is_mounted_by_itself_is_overwritten_in_place() {
    let (outside, inside) = (Folder::new(), Folder::new());
    let path = inside.session(&session("0"));
    let Some(_mount) = Mount::bind(&outside.session(&session("1")), &path) else {
        // This process may not mount: `overwriting_compares_again…` tests the same function.
        return;
    };
    fs::rename(outside.session(&session("1")), &path).unwrap_err();
    let inode = fs::metadata(&path).unwrap().ino();
    let storage = FileStorage::new(&path);
    storage.check().await.unwrap();
    assert_eq!(
        storage
            .replace(&session("1"), &session("2 longer"))
            .await
            .unwrap(),
        session("2 longer")
    );
    assert_eq!(
        storage
            .replace(&session("2 longer"), &session("3"))
            .await
            .unwrap(),
        session("3")
    );
    assert_eq!(storage.load().await.unwrap(), session("3"));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(
        fs::read(outside.0.join("session.json")).unwrap(),
        content(&session("3"))
    );
    assert_eq!(inside.names(), ["session.json", "session.json.lock"]);
}

#[test]
fn overwriting_compares_again_under_the_lock_of_the_file_itself() {
    let folder = Folder::new();
    let path = folder.session(&session("3"));
    let stored = write::overwrite(&path, session("2"), Some(&session("1"))).unwrap();
    assert_eq!(stored, session("3"), "another container has saved it");
    let stored = write::overwrite(&path, session("4"), Some(&session("3"))).unwrap();
    assert_eq!((stored, read::read(&path).unwrap()), (session("4"), session("4")));
}

#[tokio::test]
async fn interrupted_overwrite_is_read_from_the_new_file_and_then_completed() {
    let folder = Folder::new();
    let whole = content(&session("2"));
    for torn in [0, 1, whole.len() / 2, whole.len() - 1] {
        let path = folder.0.join("session.json");
        fs::write(&path, &whole[..torn]).unwrap();
        fs::write(folder.0.join("session.json.new"), &whole).unwrap();
        let storage = FileStorage::new(&path);
        assert_eq!(storage.load().await.unwrap(), session("2"), "{torn}");
        storage.check().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "{torn}");
        assert!(!folder.0.join("session.json.new").exists());
        assert_eq!(
            storage.replace(&session("2"), &session("3")).await.unwrap(),
            session("3")
        );
    }
}

#[tokio::test]
async fn leftover_new_file_does_not_replace_a_valid_session() {
    let folder = Folder::new();
    let path = folder.session(&session("1"));
    fs::write(folder.0.join("session.json.new"), content(&session("leftover"))).unwrap();
    let storage = FileStorage::new(&path);
    assert_eq!(storage.load().await.unwrap(), session("1"));
    assert_eq!(
        storage.replace(&session("1"), &session("2")).await.unwrap(),
        session("2")
    );
    assert_eq!(folder.names(), ["session.json", "session.json.lock"]);
}

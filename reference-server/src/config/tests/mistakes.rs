//! Mistakes: all of them at once, each one for the setting that is wrong, and no further ones that follow from them.

use session_auth_tests::folder::Folder;

use super::{errors, load, sources};

#[test]
fn log_filter_is_kept_without_blanks() {
    let loaded = load(&["--log", "warn, tower_http=debug"], &[]);
    assert_eq!(loaded.config.log, "warn,tower_http=debug");
}

#[test]
fn two_listeners_on_one_port_are_a_mistake() {
    for (flags, variables, expected) in [
        (
            &["--listen", "127.0.0.1:3100", "--metrics-listen", "127.0.0.1:3100"][..],
            &[][..],
            "--metrics-listen: needs another port than 127.0.0.1:3100, an address of --listen",
        ),
        (
            &["--metrics-listen", "0.0.0.0:3100"],
            &[],
            "--metrics-listen: needs another port than 127.0.0.1:3100, an address of listen",
        ),
        (
            &[],
            &[("SESSION_AUTH_LISTEN", "127.0.0.1:1, 127.0.0.1:2, 0.0.0.0:1")],
            "SESSION_AUTH_LISTEN: 127.0.0.1:1 and 0.0.0.0:1 need the same port",
        ),
        (
            &[
                "--listen",
                "unix:/run/x.sock,unix:/run/x.sock",
                "--metrics-listen",
                "127.0.0.1:9",
            ],
            &[],
            "--listen: unix:/run/x.sock is listed twice",
        ),
    ] {
        assert_eq!(errors(flags, variables), [expected], "{flags:?}");
    }
    let free = load(
        &[
            "--listen",
            "127.0.0.1:0,127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ],
        &[],
    );
    assert_eq!(free.config.listen.len(), 2);
    let wrong = errors(&["--listen", "x", "--metrics-listen", "127.0.0.1:3100"], &[]);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

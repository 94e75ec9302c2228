//! The command `healthcheck`.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use support::{Folder, RunningServer, command, free_port, run, text};

/// The exit code and the output of the command, with these flags.
fn health(flags: &[&str], options: &[&str]) -> (Option<i32>, String) {
    let mut command = command(&["healthcheck"]);
    let output = run(command.args(options).args(flags), "");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn start(flags: &[&str]) -> RunningServer {
    let server = RunningServer::start(&mut command(flags));
    server.expect_log("listening");
    server
}

#[test]
fn running_server_is_healthy_on_tcp_tls_and_a_unix_socket() {
    let folder = Folder::new("healthcheck");
    let made = rcgen::generate_simple_self_signed(["sessions.example".to_owned()]).expect("a certificate");
    let cert = folder.write("tls.crt", &made.cert.pem());
    let key = folder.write("tls.key", &made.signing_key.serialize_pem());
    let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let everywhere = format!("0.0.0.0:{}", free_port());
    let name = format!("localhost:{}", free_port());
    let socket = format!("unix:{}/http.sock", folder.0.display());
    for (listen, tls) in [(&everywhere, &[][..]), (&name, &tls), (&socket, &tls)] {
        let mut flags = vec!["--listen", listen.as_str()];
        flags.extend(tls);
        let _server = start(&flags);
        for options in [&[][..], &["--ready"]] {
            let (code, output) = health(&flags, options);
            assert_eq!(code, Some(0), "{flags:?}: {output}");
        }
    }
}

#[test]
fn server_without_its_store_is_healthy_but_not_ready() {
    let folder = Folder::new("healthcheck-store");
    let key = text(&run(&mut command(&["keygen"]), "").stdout);
    let hash = text(&run(&mut command(&["hash-password"]), "password").stdout);
    let (key, hash) = (folder.write("keys", &key), folder.write("hash", &hash));
    let listen = format!("127.0.0.1:{}", free_port());
    let redis = format!("redis://127.0.0.1:{}", free_port());
    let flags = ["--listen", &listen, "--redis-url", &redis, "--key-file", &key];
    let flags = [&flags[..], &["--master-password-hash-file", &hash]].concat();
    let _server = start(&flags);
    assert_eq!(health(&flags, &[]).0, Some(0));
    let (code, output) = health(&flags, &["--ready"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("503") && output.contains("STORE_UNAVAILABLE"),
        "{output}"
    );
}

#[test]
fn stopped_server_is_unhealthy_and_a_wrong_setting_is_a_mistake() {
    let listen = format!("127.0.0.1:{}", free_port());
    let (code, output) = health(&["--listen", &listen], &[]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(&listen), "{output}");
    assert_eq!(health(&["--listen", "nonsense"], &[]).0, Some(2));
}

#[test]
fn answer_that_is_no_http_and_answer_that_is_no_tls_are_described() {
    let folder = Folder::new("healthcheck-mismatch");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let cert = folder.write("tls.crt", &made.cert.pem());
    let key = folder.write("tls.key", &made.signing_key.serialize_pem());
    let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let listen = format!("127.0.0.1:{}", free_port());
    let with_tls = start(&[&["--listen", &listen], &tls[..]].concat());
    let (code, output) = health(&["--listen", &listen], &[]);
    assert_eq!(code, Some(1));
    assert_eq!(
        output,
        format!(
            "{listen}: the server expects TLS. Give this command the settings of the server: --config, or \
             tls_cert_file\n"
        )
    );
    drop(with_tls);

    let _without_tls = start(&["--listen", &listen]);
    let (code, output) = health(&[&["--listen", &listen], &tls[..]].concat(), &[]);
    assert_eq!(code, Some(1));
    assert!(output.contains("the answer is no TLS"), "{output}");

    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().expect("a connection");
        let _ = std::io::Write::write_all(&mut stream, b"-ERR unknown command\r\n");
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
    });
    let (code, output) = health(&["--listen", &address], &[]);
    answer.join().expect("an answer");
    assert_eq!(code, Some(1));
    assert_eq!(
        output,
        format!("{address}: the answer is no HTTP: another program listens there\n")
    );
}
